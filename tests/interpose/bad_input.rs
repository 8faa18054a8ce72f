//! What cannot be used: refused with one sentence where the engine reads it, or passed over where the profile says so;
//! never half done.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use crate::isolated;
use crate::stage::{
    annotation, assert_delegated, bundle, command, configured, containerd, create, delegate, inode, interposer, netns,
    network, refused, run, text,
};

isolated! {
    fn a_runtimes_failure_is_in_its_log_too() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network("/run/netns/absent"));
        let told = refused(&create(&berth, &dir, "s1"));
        assert!(told.contains("network namespace /run/netns/absent: does not exist (the profile says onFailure: Fail"), "{told}");
        let entry: serde_json::Value = serde_json::from_str(fs::read_to_string("/run/log.json").unwrap().trim()).unwrap();
        assert_eq!((entry["level"].as_str(), entry["msg"].as_str()), (Some("error"), Some(told.trim())));
        let args = ["--log", "/run/log.text", "--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        refused(&run(&berth, &args));
        assert!(fs::read_to_string("/run/log.text").unwrap().contains("level=error msg=\"berth: network namespace"));
    }

    fn a_shims_failure_is_one_line() {
        delegate("containerd-shim-x-v2");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network("/run/netns/ab\\nsent"));
        let args = ["-namespace", "k8s.io", "-id", "s1", "start"];
        let output = command(&interposer("containerd-shim-berth-x-v2"), &args).current_dir(&dir).output().unwrap();
        assert!(refused(&output).contains("does not exist"));
        fs::write(dir.join("config.json"), "{").unwrap();
        let output = command(Path::new("/run/berth.d/containerd-shim-berth-x-v2"), &args).current_dir(&dir).output().unwrap();
        assert!(refused(&output).contains("berth: /run/bundles/k8s.io/s1/config.json: is not JSON: EOF"));
    }

    fn ignore_lets_the_delegate_have_the_bundle_as_it_is() {
        delegate("runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network("/run/netns/absent"));
        let before = text(&dir);
        let yaml = configured("profiles: [{name: a, onFailure: Ignore}]");
        let args = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        assert_delegated(&command(&interposer("berth-runc"), &args).env("BERTH_CONFIG", yaml).output().unwrap());
        assert_eq!(text(&dir), before);
        let log = fs::read_to_string("/run/berth/interpose.log").unwrap();
        assert!(log.contains("verdict=leave reason=failed error=\"network namespace"), "{log}");
    }

    fn paths_that_are_no_network_namespace_are_named() {
        delegate("runc");
        let berth = interposer("berth-runc");
        netns("real");
        fs::write("/run/netns/file", "").unwrap();
        symlink("/run/nothing", "/run/netns/dangling").unwrap();
        fs::write("/run/netns/uts", "").unwrap();
        assert!(std::process::Command::new("unshare").args(["--uts=/run/netns/uts", "true"]).status().unwrap().success());
        for (name, why) in [("file", "is a regular file"), ("dangling", "is a symbolic link"), ("uts", "is a uts namespace"), ("absent", "does not exist")] {
            let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&format!("/run/netns/{name}")));
            let before = text(&dir);
            let told = refused(&create(&berth, &dir, "s1"));
            assert!(told.contains(&format!("network namespace /run/netns/{name}: {why}")), "{told}");
            assert_eq!(text(&dir), before);
        }
        assert_eq!(fs::read_dir("/run/berth/sandboxes").unwrap().count(), 0);
    }

    fn a_sandbox_on_another_sandboxs_pin_is_refused() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        assert_delegated(&create(&berth, &bundle("s1", &containerd("sandbox", "s1"), &network(&engine)), "s1"));
        fs::remove_file("/run/record.status").unwrap();
        symlink("/run", "/run/way").unwrap();
        for path in ["/run/netns/berth-s1", "/run/way/netns/berth-s1"] {
            let dir = bundle("s2", &containerd("sandbox", "s2"), &network(path));
            let before = text(&dir);
            let told = refused(&create(&berth, &dir, "s2"));
            assert!(told.contains("is the one pinned for sandbox s1"), "{told}");
            assert_eq!(text(&dir), before);
        }
        assert!(!Path::new("/run/netns/berth-s2").exists());
        assert_eq!(fs::read_dir("/run/berth/sandboxes").unwrap().count(), 1);
    }

    fn a_bundle_that_cannot_be_written_stays_whole_and_its_pin_goes_with_the_next_occasion() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let before = text(&dir);
        let mount = |args: &[&str]| assert!(std::process::Command::new("mount").args(args).status().unwrap().success());
        let full = "/run/full";
        fs::create_dir(full).unwrap();
        mount(&["-n", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full]);
        fs::write("/run/full/config.json", &before).unwrap();
        fs::write("/run/full/rest", vec![0; 1 << 20]).expect_err("there is no more room");
        let args = ["--root", "/r/k8s.io", "create", "--bundle", full, "s1"];
        let told = refused(&run(&berth, &args));
        assert!(told.contains("No space left on device"), "{told}");
        mount(&["-n", "-o", "remount,ro", full]);
        let told = refused(&run(&berth, &args));
        assert!(told.contains("Read-only file system"), "{told}");
        assert_eq!(text(Path::new(full)), before);
        let names: Vec<_> = fs::read_dir(full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| name == "config.json" || name == "rest"), "{names:?}");

        // The engine gives the sandbox up, and its network with it.
        assert!(Path::new("/run/netns/berth-s1").exists());
        assert!(std::process::Command::new("umount").arg(&engine).status().unwrap().success());
        fs::remove_file(&engine).unwrap();
        let next = bundle("s2", &containerd("sandbox", "s2"), &network(&netns("cni-2")));
        assert_delegated(&create(&berth, &next, "s2"));
        assert!(!Path::new("/run/netns/berth-s1").exists() && !Path::new("/run/berth/sandboxes/berth-s1.json").exists());
    }

    fn whenever_it_is_killed_the_specification_is_the_old_one_or_the_new_one() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let before = text(&dir);
        let started = Instant::now();
        assert_delegated(&create(&berth, &dir, "s1"));
        let (whole, after) = (started.elapsed(), text(&dir));
        assert_ne!(before, after);
        let args = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        let mut found = [0, 0];
        for step in 0..100 {
            fs::write(dir.join("config.json"), &before).unwrap();
            let mut child = command(&berth, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(whole * step / 100);
            child.kill().unwrap();
            child.wait().unwrap();
            let now = text(&dir);
            assert!(now == before || now == after, "half written: {now}");
            found[usize::from(now == after)] += 1;
        }
        assert!(found.iter().all(|times| *times > 0), "killed too early or too late each time: {found:?}");
        fs::write(dir.join("config.json"), &before).unwrap();
        assert_delegated(&create(&berth, &dir, "s1"));
        assert_eq!((text(&dir), inode("/run/netns/berth-s1")), (after, inode(&engine)));
    }

    fn a_failure_is_judged_by_the_profile_of_the_pod_it_is_about() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let yaml = configured(
            "profiles: [{name: lab, match: {namespaces: [lab]}, onFailure: Ignore}, {name: ns, match: {namespaces: [ns]}}]",
        );
        let create = |namespace: &'static str| {
            let mut keys = containerd("sandbox", "s1");
            keys[3].1 = namespace;
            let dir = bundle("s1", &keys, &network("/run/netns/absent"));
            let args = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
            let output = command(&berth, &args).env("BERTH_CONFIG", yaml).output().unwrap();
            (output, text(&dir))
        };
        let told = refused(&create("ns").0);
        assert!(told.contains("onFailure: Fail"), "{told}");
        assert_delegated(&create("lab").0);

        // Of what no profile selects nothing is asked, whatever state the node is in.
        fs::remove_dir_all("/run/berth").unwrap();
        fs::write("/run/berth", "in the way").unwrap();
        let (output, after) = create("kube-system");
        assert_delegated(&output);
        assert!(!after.contains("ocid/"), "{after}");
    }

    fn a_configuration_that_the_daemon_left_counts_if_it_is_whole_and_nobody_elses() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let engine = netns("cni-1");
        let attempt = || {
            let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
            (create(&berth, &dir, "s1"), annotation(&dir, "left/by"))
        };
        let mode = |mode| fs::set_permissions("/run/berth", fs::Permissions::from_mode(mode)).unwrap();
        fs::create_dir("/run/berth").unwrap();
        mode(0o700);
        fs::write("/run/berth/config.yaml", "profiles: [{name: a, annotations: {left/by: daemon}}]").unwrap();
        let (output, left) = attempt();
        assert_delegated(&output);
        assert_eq!(left.as_deref(), Some("daemon"));

        // While a node is upgraded the daemon is of another version. What is its own alone is no interposer's concern.
        let other = "ofAnotherVersion: 1\nprofiles: [{name: a, annotations: {left/by: another}}]";
        fs::write("/run/berth/config.yaml", other).unwrap();
        let (output, left) = attempt();
        assert_delegated(&output);
        assert_eq!(left.as_deref(), Some("another"));

        fs::remove_file("/run/record.status").unwrap();
        fs::write("/run/berth/config.yaml", "profiles: [{name: a, ofALaterVersion: 1}]").unwrap();
        let told = refused(&attempt().0);
        assert!(told.contains("config /run/berth/config.yaml: profiles[0].ofALaterVersion: unknown key"), "{told}");

        // Where others can write, nobody's word is the daemon's, nothing is pinned, and nothing is written.
        fs::write("/run/berth/config.yaml", "profiles: [{name: a, onFailure: Ignore}]").unwrap();
        mode(0o777);
        let log = fs::read_to_string("/run/berth/interpose.log").unwrap();
        let told = refused(&attempt().0);
        assert!(told.contains("state directory /run/berth can be written by others"), "{told}");
        assert_eq!(fs::read_to_string("/run/berth/interpose.log").unwrap(), log);
    }

    fn a_broken_configuration_stops_creations_and_nothing_else() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        let yaml = configured("profiles: [{name: a, netns: swp}]");
        let creating = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        let told = refused(&command(&berth, &creating).env("BERTH_CONFIG", yaml).output().unwrap());
        assert!(told.contains("config /run/config.yaml: profiles[0].netns: expected swap or create or leave, got \"swp\" (line 1)"), "{told}");
        assert_delegated(&command(&berth, &["state", "s1"]).env("BERTH_CONFIG", yaml).output().unwrap());
        fs::remove_file("/run/record.status").unwrap();
        let told = refused(&command(&berth, &creating).env("BERTH_CONFIG", "/run/absent.yaml").output().unwrap());
        assert!(told.contains("config /run/absent.yaml: open: No such file"), "{told}");

        // The last one that the daemon found good holds.
        fs::create_dir_all("/run/berth").unwrap();
        fs::set_permissions("/run/berth", std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        fs::write("/run/berth/config.yaml", "profiles: [{name: a, netns: leave}]").unwrap();
        assert_delegated(&command(&berth, &creating).env("BERTH_CONFIG", yaml).output().unwrap());
        assert!(fs::read_to_string("/run/berth/interpose.log").unwrap().contains("reason=profile-leaves-netns"));
    }

    fn an_unknown_name_with_a_broken_configuration_is_not_taken_for_a_command() {
        let yaml = configured("profiles: [");
        let told = refused(&command(&interposer("wrapper"), &["create", "c1"]).env("BERTH_CONFIG", yaml).output().unwrap());
        assert!(told.contains("config /run/config.yaml: ") && told.contains(" at line 2 column 1"), "{told}");
    }
}
