//! Creations: what the delegate finds in its bundle, and what stands then.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::isolated;
use crate::stage::{
    annotation, assert_delegated, bundle, command, configured, containerd, create, delegate, inode, interposer, netns,
    network, path, refused, run, text,
};

const PIN: &str = "/run/netns/berth-s1";

fn log() -> String {
    fs::read_to_string("/run/berth/interpose.log").unwrap()
}

isolated! {
    fn a_sandbox_is_pinned_and_told_and_its_member_is_given_the_pin() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        let sandbox = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let before = text(&sandbox);
        assert_delegated(&create(&berth, &sandbox, "s1"));
        assert_eq!(inode(PIN), inode(&engine));
        assert_eq!(path(&sandbox).as_deref(), Some(PIN));
        let added = r#","ocid/container_type":"sandbox","ocid/sandbox_id":"s1","ocid/sandbox_name":"web"}"#;
        let expected = before.replace(&engine, PIN).replace(r#""u1"}"#, &format!("\"u1\"{added}"));
        assert_eq!(text(&sandbox), expected, "and no other byte");
        assert!(log().contains("event=Create as=berth-runc id=s1 verdict=adjust reason=identity-and-netns"), "{}", log());

        // The engine gives a member the way through a process, which has died by now.
        let member = bundle("c1", &containerd("container", "s1"), &network("/proc/0/ns/net"));
        assert_delegated(&create(&berth, &member, "c1"));
        assert_eq!(path(&member).as_deref(), Some(PIN));
        assert_eq!(annotation(&member, "ocid/container_type").as_deref(), Some("container"));
        assert!(log().contains("stray=true"), "{}", log());
        let counts = fs::read_to_string("/run/berth/interpose.counts").unwrap();
        let counts: Vec<_> = counts.lines().filter(|line| !line.starts_with("request_micros/")).collect();
        let expected = [
            "netns_stray_paths=1", "pins_made/adopted=1", "requests/Create/ok=2", "verdicts/adjust/identity-and-netns=2",
        ];
        assert_eq!(counts, expected);
        assert!(!Path::new("/run/log.json").exists(), "nothing is said where errors are read");
        assert_eq!(fs::read_dir(&member).unwrap().count(), 1, "nothing is left beside config.json");
    }

    fn a_shims_start_does_the_same_in_its_working_directory() {
        delegate("containerd-shim-x-v2");
        let (berth, engine) = (interposer("containerd-shim-berth-x-v2"), netns("cni-1"));
        let sandbox = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let args = ["-namespace", "k8s.io", "-address", "/a", "-publish-binary", "/b", "-id", "s1", "start"];
        for _ in 0..2 {
            assert_delegated(&command(&berth, &args).current_dir(&sandbox).output().unwrap());
            assert_eq!((path(&sandbox).as_deref(), inode(PIN)), (Some(PIN), inode(&engine)));
        }
        let cmdline = fs::read_to_string("/run/record.cmdline").unwrap();
        assert!(cmdline.ends_with(&format!("containerd-shim-x-v2\n{}\n", args.join("\n"))), "{cmdline}");
    }

    fn the_first_member_makes_the_pin_where_the_engine_creates_no_sandbox() {
        delegate("crun");
        let (berth, engine) = (interposer("berth-crun"), netns("uuid"));
        let keys = [
            ("io.kubernetes.container.name", "app"), ("io.kubernetes.pod.name", "web"), ("io.kubernetes.pod.namespace", "ns"),
            ("io.kubernetes.pod.uid", "u1"), ("io.kubernetes.cri-o.SandboxID", "s1"), ("io.kubernetes.cri.sandbox-id", "victim"),
        ];
        let member = bundle("c1", &keys, &network(&engine));
        let yaml = configured("interposers: {berth-crun: {engine: cri-o}}");
        let args = ["--root=/run/crun", "create", "--bundle", member.to_str().unwrap(), "--pid-file", "/p", "c1"];
        assert_delegated(&command(&berth, &args).env("BERTH_CONFIG", yaml).output().unwrap());
        assert_eq!((path(&member).as_deref(), inode(PIN)), (Some(PIN), inode(&engine)));
        assert_eq!(annotation(&member, "io.kubernetes.cri.sandbox-id").as_deref(), Some("s1"));
        assert!(log().contains("contradictions=io.kubernetes.cri.sandbox-id"), "{}", log());
        let counts = fs::read_to_string("/run/berth/interpose.counts").unwrap();
        assert!(counts.contains("identity_contradictions=1\n"), "{counts}");
        assert!(!log().contains("victim"), "values are not logged");
    }

    fn cri_o_is_known_by_its_mark_in_the_environment() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("uuid"));
        let keys = [("io.kubernetes.container.name", "app"), ("io.kubernetes.cri-o.SandboxID", "s1")];
        for (mark, expected) in [("1", Some("s1")), ("", None)] {
            let member = bundle("c1", &keys, &network(&engine));
            let args = ["--root=/run/runc", "create", "--bundle", member.to_str().unwrap(), "c1"];
            assert_delegated(&command(&berth, &args).env("CRI_O_EXTERNAL", mark).output().unwrap());
            for key in ["ocid/sandbox_id", "io.kubernetes.cri-o.SandboxID"] {
                assert_eq!(annotation(&member, key).as_deref(), expected, "{key} with {mark:?}");
            }
        }
    }

    fn a_pod_of_the_hosts_network_gets_identity_and_no_pin() {
        delegate("runc");
        // The engine's own namespace, by a file like a pod's.
        let (berth, engine) = (interposer("berth-runc"), "/run/netns/host".to_owned());
        fs::create_dir_all("/run/netns").unwrap();
        fs::write(&engine, "").unwrap();
        assert!(Command::new("mount").args(["--bind", "/proc/self/ns/net", &engine]).status().unwrap().success());
        let cases = [("s1", "sandbox", r#"{"type":"uts"}"#.to_owned()), ("c1", "container", network("/proc/self/ns/net")), ("s2", "sandbox", network(&engine))];
        for (id, kind, namespaces) in cases {
            let sandbox = if id == "s2" { "s2" } else { "s1" };
            let dir = bundle(id, &containerd(kind, sandbox), &namespaces);
            assert_delegated(&create(&berth, &dir, id));
            assert!(text(&dir).contains(&namespaces), "{id}");
            assert_eq!(annotation(&dir, "ocid/container_type").as_deref(), Some(kind));
        }
        assert!(fs::read_dir("/run/netns").unwrap().count() == 1 && log().contains("reason=host-network"), "{}", log());
    }

    fn a_standalone_container_is_cleaned_and_never_stamped() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("d-1"));
        let dir = bundle("d1", &[("io.kubernetes.cri.sandbox-id", "s1"), ("app", "x")], &network(&engine));
        let before = text(&dir);
        let args = ["--root", "/run/docker/runtime-runc/moby", "create", "--bundle", dir.to_str().unwrap(), "d1"];
        assert_delegated(&run(&berth, &args));
        assert_eq!(text(&dir), before.replace(r#""io.kubernetes.cri.sandbox-id":"s1","#, ""));
    }

    fn another_pods_pin_is_refused_to_a_member() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        let sandbox = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        assert_delegated(&create(&berth, &sandbox, "s1"));
        fs::remove_file("/run/record.status").unwrap();
        let member = bundle("c2", &containerd("container", "s2"), &network(&engine));
        let before = text(&member);
        let told = refused(&create(&berth, &member, "c2"));
        assert!(told.contains("is the one pinned for sandbox s1"), "{told}");
        assert_eq!(text(&member), before);
    }

    fn a_pin_whose_engine_file_is_gone_goes_with_the_next_creation() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        assert_delegated(&create(&berth, &bundle("s1", &containerd("sandbox", "s1"), &network(&engine)), "s1"));
        assert!(Command::new("umount").arg(&engine).status().unwrap().success());
        fs::remove_file(&engine).unwrap();
        let next = bundle("s2", &containerd("sandbox", "s2"), &network(&netns("cni-2")));
        assert_delegated(&create(&berth, &next, "s2"));
        assert!(!Path::new(PIN).exists() && Path::new("/run/netns/berth-s2").exists());
        assert!(!Path::new("/run/berth/sandboxes/berth-s1.json").exists());
        assert!(log().contains("event=Release pin=berth-s1 why="), "{}", log());
    }

    fn a_sandbox_that_is_created_again_in_a_new_network_is_pinned_there_however_many_others_there_are() {
        delegate("runc");
        let berth = interposer("berth-runc");
        for number in 0..30 {
            let (id, engine) = (format!("other-{number}"), netns(&format!("other-{number}")));
            let dir = bundle(&id, &containerd("sandbox", "any"), &network(&engine));
            assert_delegated(&create(&berth, &dir, &id));
        }
        for name in ["cni-1", "cni-2", "cni-3"] {
            let engine = netns(name);
            assert_delegated(&create(&berth, &bundle("s1", &containerd("sandbox", "s1"), &network(&engine)), "s1"));
            assert_eq!(inode(PIN), inode(&engine), "{}", log());
            assert!(Command::new("umount").arg(&engine).status().unwrap().success());
            fs::remove_file(&engine).unwrap();
        }
    }

    fn a_record_of_a_later_berth_is_left_to_it() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let [mine, others] = ["s1", "s2"].map(|id| (id, netns(&format!("cni-{id}"))));
        let dir = |(id, engine): &(&'static str, String)| bundle(id, &containerd("sandbox", id), &network(engine));
        assert_delegated(&create(&berth, &dir(&mine), "s1"));
        let record = "/run/berth/sandboxes/berth-s1.json";
        let later = fs::read_to_string(record).unwrap().replace(r#""version":1"#, r#""version":2"#);
        fs::write(record, &later).unwrap();
        // Its pod is gone, and another one is created: an occasion, but not for this one.
        assert!(Command::new("umount").arg(&mine.1).status().unwrap().success());
        fs::remove_file(&mine.1).unwrap();
        assert_delegated(&create(&berth, &dir(&others), "s2"));
        assert!(Path::new(PIN).exists() && fs::read_to_string(record).unwrap() == later);
        assert!(log().contains("berth-s1.json: has version 2, newer than 1"), "{}", log());

        fs::remove_file("/run/record.status").unwrap();
        let told = refused(&create(&berth, &dir(&("s1", netns("cni-again"))), "s1"));
        assert!(told.contains("has version 2, newer than 1; it is left to the berth that wrote it"), "{told}");
        assert_eq!(fs::read_to_string(record).unwrap(), later);
    }

    fn a_lock_that_is_never_given_back_costs_a_second_and_then_the_policy_speaks() {
        delegate("runc");
        let (berth, engine) = (interposer("berth-runc"), netns("cni-1"));
        fs::create_dir_all("/run/berth/locks").unwrap();
        for dir in ["/run/berth", "/run/berth/locks"] {
            fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        let lock = fs::File::create("/run/berth/locks/berth-s1").unwrap();
        lock.lock().unwrap();
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let started = Instant::now();
        let told = refused(&create(&berth, &dir, "s1"));
        assert!(told.contains("lock of berth-s1 is held by another berth"), "{told}");
        assert!(started.elapsed() < Duration::from_secs(4));
        assert_eq!(path(&dir).as_deref(), Some(engine.as_str()));
    }
}
