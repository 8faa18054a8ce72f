//! What cannot be used: refused with one sentence where the engine reads it, or passed over where the profile says so;
//! never half done.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::isolated;
use crate::stage::{
    assert_delegated, bundle, command, configured, containerd, create, delegate, interposer, netns, network, refused,
    run, text,
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

    fn a_broken_configuration_stops_creations_and_nothing_else() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        let yaml = configured("profiles: [{name: a, netns: swp}]");
        let creating = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        let told = refused(&command(&berth, &creating).env("BERTH_CONFIG", yaml).output().unwrap());
        assert!(told.contains("config /run/config.yaml: profiles[0].netns: expected swap or create or leave"), "{told}");
        assert_delegated(&command(&berth, &["state", "s1"]).env("BERTH_CONFIG", yaml).output().unwrap());

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
        assert!(told.contains("config /run/config.yaml"), "{told}");
    }
}
