//! Bundles: bad ones, odd paths, and what `berth explain` says of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::isolated;
use crate::stage::{
    annotation, assert_delegated, bundle, command, containerd, create, delegate, interposer, netns, network, refused,
    run, text,
};

fn explain(args: &[&str]) -> String {
    let output = run(Path::new(env!("CARGO_BIN_EXE_berth")), &[&["explain"], args].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

isolated! {
    fn a_specification_that_is_none_is_refused_and_left() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let cases: &[(&[u8], &str)] = &[
            (b"", "config.json: is empty"), (b"{\"annotations\":{", "is not JSON: EOF"), (b"[]", "expected an object, found a list"),
            (b"{\"a\":\"\xff\"}", "is not UTF-8 from byte 6"), (b"{\"linux\":{},\"linux\":{}}", "key \"linux\" occurs twice"),
            (b"{\"annotations\":{\"a\":1}}", "annotations[\"a\"]: expected a text, found a number"),
            (b"{\"annotations\":{\"a\":\"1\",\"a\":\"2\"}}", "annotations: key \"a\" occurs twice"),
            (b"{\"linux\":{\"namespaces\":[{\"type\":\"network\"},{\"type\":\"network\"}]}}", "has 2 entries of type \"network\""),
            (deep.as_bytes(), "expected an object, found a list"),
        ];
        for (bytes, why) in cases {
            let dir = bundle("s1", &[], "{}");
            fs::write(dir.join("config.json"), bytes).unwrap();
            let told = refused(&create(&berth, &dir, "s1"));
            assert!(told.contains(why) && !told.contains("panicked"), "{told}");
            assert_eq!(fs::read(dir.join("config.json")).unwrap(), *bytes);
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        }
    }

    fn what_is_odd_and_not_berths_is_left_as_it_is() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let odd = text(&dir).replace(r#""x":1.0"#, &format!(r#""x":{deep},"y":{{"a":1,"a":2}}"#));
        fs::write(dir.join("config.json"), &odd).unwrap();
        assert_delegated(&create(&berth, &dir, "s1"));
        let tail = |text: &str| text[text.find(r#","x":["#).unwrap()..].to_owned();
        assert_eq!(tail(&text(&dir)), tail(&odd));
        assert!(text(&dir).contains(r#""ocid/sandbox_id":"s1""#));

        // Without annotations nothing says that it is of a pod.
        for annotations in ["null", "{}"] {
            let plain = format!(r#"{{"annotations":{annotations},"linux":null}}"#);
            fs::write(dir.join("config.json"), &plain).unwrap();
            assert_delegated(&create(&berth, &dir, "s1"));
            assert_eq!(text(&dir), plain);
        }
    }

    fn a_bundle_that_cannot_be_reached_is_named() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        fs::write("/run/file", "").unwrap();
        symlink("/run/loop", "/run/loop").unwrap();
        let long = format!("/run/{}", "x".repeat(300));
        for (path, why) in [("/run/file", "Not a directory"), ("/run/loop", "Too many levels of symbolic links"), (&long, "File name too long")] {
            let told = refused(&run(&berth, &["--root", "/r/k8s.io", "create", "--bundle", path, "s1"]));
            assert!(told.contains(&format!("open {path}/config.json: {why}")), "{told}");
        }
        // Somebody else's, for a root that may not pass over permissions.
        std::os::unix::fs::chown(&dir, Some(1234), Some(1234)).unwrap();
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let drop = "--bounding-set=-dac_override,-dac_read_search";
        let create = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        let told = refused(&run(Path::new("/usr/bin/setpriv"), &[&[drop, berth.to_str().unwrap()], &create[..]].concat()));
        assert!(told.contains("/config.json: Permission denied"), "{told}");
    }

    fn a_file_of_any_size_or_kind_is_not_read() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &[], "{}");
        let file = fs::File::options().write(true).open(dir.join("config.json")).unwrap();
        file.set_len(200 << 20).unwrap();
        let told = refused(&create(&berth, &dir, "s1"));
        assert!(told.contains("has 209715200 bytes, at most 16777216 are read"), "{told}");
        fs::remove_file(dir.join("config.json")).unwrap();
        symlink("/etc/passwd", dir.join("config.json")).unwrap();
        assert!(refused(&create(&berth, &dir, "s1")).contains("Too many levels of symbolic links"));
    }

    fn a_path_with_spaces_and_line_ends_is_a_path() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let from = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        fs::create_dir_all("/run/odd\n dir").unwrap();
        fs::copy(from.join("config.json"), "/run/odd\n dir/config.json").unwrap();
        let args = ["--root", "/r/k8s.io", "create", "--bundle", "odd\n dir", "s1"];
        assert_delegated(&command(&berth, &args).current_dir("/run").output().unwrap());
        assert_eq!(annotation(Path::new("/run/odd\n dir"), "ocid/sandbox_id").as_deref(), Some("s1"));
    }

    fn an_explanation_says_what_is_done_then_and_changes_nothing() {
        delegate("runc");
        let engine = netns("cni-1");
        let keys = [&containerd("sandbox", "s1")[..], &[("io.kubernetes.cri-o.SandboxID", "victim")]].concat();
        let dir = bundle("s1", &keys, &network(&engine));
        let before = text(&dir);
        let said = explain(&[dir.to_str().unwrap()]);
        for line in [
            "verdict        adjust", "reason         identity-and-netns", "profile        default", "engine         containerd",
            "role           sandbox", "pod            ns/web", "written        ocid/sandbox_id=s1",
            "removed        io.kubernetes.cri-o.SandboxID", "contradiction  io.kubernetes.cri-o.SandboxID",
            "path before    /run/netns/cni-1", "path after     /run/netns/berth-s1",
            "network        to be pinned from /run/netns/cni-1",
        ] {
            assert!(said.contains(line), "{line}\nin\n{said}");
        }
        let json: serde_json::Value = serde_json::from_str(&explain(&[dir.to_str().unwrap(), "--as", "berth-runc", "-o", "json"])).unwrap();
        let yaml = explain(&[dir.to_str().unwrap(), "--as", "berth-runc", "-o", "yaml"]);
        assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).unwrap(), json);
        assert_eq!(json["pathAfter"], "/run/netns/berth-s1");
        assert_eq!((text(&dir), Path::new("/run/berth").exists()), (before, false));

        assert_delegated(&create(&interposer("berth-runc"), &dir, "s1"));
        let written = json["written"].as_object().unwrap().clone();
        assert!(written.iter().all(|(key, value)| annotation(&dir, key).as_deref() == value.as_str()), "{written:?}");
        let said = explain(&[dir.to_str().unwrap()]);
        assert!(said.lines().any(|line| line.split_whitespace().eq(["network", "pinned"])), "{said}");
    }

    fn an_explanation_of_nothing_is_a_failure() {
        let output = run(Path::new(env!("CARGO_BIN_EXE_berth")), &["explain", "/run/nowhere"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("bundle /run/nowhere: has no config.json"));
    }
}
