//! Directories of berth's that somebody else could write to, or could exchange.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::isolated;
use crate::node::{Pod, command};
use crate::stage::{
    annotation, assert_delegated, bundle, containerd, delegate, interposer, netns, network, refused, run,
};

fn mode(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What the daemon says of a state directory before it ends; a command ends as well.
fn unsafe_state(dir: &str) -> String {
    // First who ends in any case.
    let list = command(&["list", "--state-dir", dir]);
    assert_eq!(list.status.code(), Some(1), "{list:?}");
    let told = command(&["nri", "--state-dir", dir]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    String::from_utf8(told.stderr).unwrap()
}

isolated! {
    fn a_state_directory_that_others_can_write_or_own_is_refused_and_so_are_its_parts() {
        for part in ["", "/sandboxes", "/locks"] {
            for unsafe_mode in [0o777, 0o1777, 0o770, 0o702] {
                let path = format!("/run/state{part}");
                fs::create_dir_all(&path).unwrap();
                mode("/run/state", 0o700);
                mode(&path, unsafe_mode);
                if part != "/locks" {
                    assert!(unsafe_state("/run/state").contains(&format!("state directory {path} can be written by others")));
                }
                mode(&path, 0o700);
                chown(&path, Some(1234), None).unwrap();
                if part != "/locks" {
                    assert!(unsafe_state("/run/state").contains(&format!("state directory {path} belongs to uid 1234")));
                }
                fs::remove_dir_all("/run/state").unwrap();
            }
        }
    }

    fn one_below_a_directory_in_which_others_could_exchange_it_is_refused() {
        fs::create_dir_all("/run/above/below/state").unwrap();
        mode("/run/above/below/state", 0o700);
        let told = |why: &str| {
            let told = unsafe_state("/run/above/below/state");
            assert!(told.contains(&format!("state directory /run/above/below/state: /run/above above it {why}")), "{told}");
        };
        mode("/run/above", 0o777);
        told("can be written by others (mode 777)");
        mode("/run/above", 0o775);
        told("can be written by others (mode 775)");
        mode("/run/above", 0o755);
        chown("/run/above", Some(1234), None).unwrap();
        told("belongs to uid 1234");
        // Whoever owns a directory may do all that in it, sticky or not.
        mode("/run/above", 0o1777);
        told("belongs to uid 1234");
    }

    fn one_in_a_directory_like_tmp_is_the_one_that_berth_has_made_or_none() {
        fs::create_dir("/run/tmp").unwrap();
        mode("/run/tmp", 0o1777);
        assert!(command(&["list", "--state-dir", "/run/tmp/state"]).status.success());
        // Somebody was there before.
        fs::create_dir("/run/tmp/state").unwrap();
        chown("/run/tmp/state", Some(1234), None).unwrap();
        assert!(unsafe_state("/run/tmp/state").contains("belongs to uid 1234"));
        fs::remove_dir("/run/tmp/state").unwrap();
        symlink("/run/elsewhere", "/run/tmp/state").unwrap();
        fs::create_dir("/run/elsewhere").unwrap();
        assert!(unsafe_state("/run/tmp/state").contains("is not a directory"));
        assert_eq!(fs::read_dir("/run/elsewhere").unwrap().count(), 0);
    }

    fn a_link_on_the_way_to_it_is_followed_and_where_it_leads_is_looked_at() {
        fs::create_dir_all("/run/real/inside").unwrap();
        symlink("/run/real/inside", "/run/link").unwrap();
        assert!(command(&["list", "--state-dir", "/run/link/state"]).status.success());
        mode("/run/real", 0o777);
        let told = unsafe_state("/run/link/state");
        assert!(told.contains("state directory /run/link/state: /run/real above it can be written by others"), "{told}");
    }

    fn an_interposer_creates_nothing_by_such_a_directory() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        fs::create_dir("/run/berth").unwrap();
        fs::rename("/run/berth", "/run/aside").unwrap();
        symlink("/run/aside", "/run/berth").unwrap();
        let create = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        let told = refused(&run(&berth, &create));
        assert!(told.contains("state directory /run/berth is not a directory"), "{told}");
        assert!(fs::read_dir("/run/aside").unwrap().count() == 0 && !Path::new("/run/netns/berth-s1").exists());
        fs::remove_file("/run/berth").unwrap();
        assert_delegated(&run(&berth, &create));
        assert_eq!(annotation(&dir, "ocid/sandbox_id").as_deref(), Some("s1"));
    }

    fn a_netns_directory_that_others_can_write_own_or_have_linked_gets_no_pin() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let pod = Pod::new("s1");
        fs::create_dir("/run/engine").unwrap();
        let create = |why: &str| {
            let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&pod.file));
            let told = refused(&run(&berth, &["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"]));
            assert!(told.contains(why), "{told}");
            assert!(!pod.pin().exists());
        };
        mode("/run/netns", 0o777);
        create("others may write to it");
        mode("/run/netns", 0o1777);
        create("others may write to it");
        mode("/run/netns", 0o755);
        chown("/run/netns", Some(1234), None).unwrap();
        create("belongs to another user");
        chown("/run/netns", Some(0), None).unwrap();
        // A link at the pin's place leads berth nowhere.
        fs::write("/run/victim", "").unwrap();
        symlink("/run/victim", pod.pin()).unwrap();
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&pod.file));
        let told = refused(&run(&berth, &["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"]));
        assert!(told.contains("symbolic link"), "{told}");
        assert!(pod.pin().is_symlink() && fs::read("/run/victim").unwrap().is_empty());
    }
}
