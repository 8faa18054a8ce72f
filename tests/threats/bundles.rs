//! What else could be called `config.json`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::exchanged::Racer;
use crate::isolated;
use crate::stage::{
    annotation, assert_delegated, bundle, containerd, create, delegate, interposer, netns, network, path, refused,
};

isolated! {
    fn a_device_or_a_fifo_in_its_place_is_refused_without_waiting() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        let file = dir.join("config.json");
        // zero(4) never ends, and a fifo never begins.
        for (kind, device) in [(SFlag::S_IFCHR, makedev(1, 5)), (SFlag::S_IFIFO, 0)] {
            fs::remove_file(&file).unwrap();
            mknod(&file, kind, Mode::S_IRUSR | Mode::S_IWUSR, device).unwrap();
            let told = refused(&create(&berth, &dir, "s1"));
            assert!(told.contains("is not a regular file"), "{told}");
        }
        assert!(!Path::new("/run/netns/berth-s1").exists());
    }

    fn a_hard_link_to_another_file_leaves_that_file_as_it_is() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        fs::rename(dir.join("config.json"), "/run/victim").unwrap();
        fs::hard_link("/run/victim", dir.join("config.json")).unwrap();
        let before = fs::read("/run/victim").unwrap();
        assert_delegated(&create(&berth, &dir, "s1"));
        assert_eq!(path(&dir).as_deref(), Some("/run/netns/berth-s1"));
        assert_eq!((fs::read("/run/victim").unwrap(), fs::metadata("/run/victim").unwrap().nlink()), (before, 1));
    }

    fn a_link_that_is_put_in_its_place_while_it_is_edited_is_replaced_and_not_followed() {
        delegate("runc");
        let berth = interposer("berth-runc");
        fs::write("/run/victim", "untouched").unwrap();
        let engine = netns("cni-1");
        // The racer exchanges the file and a link to another one, over and over.
        let racer = "cd \"$1\" && while :; do ln -sf /run/victim link && mv link config.json; cp ../good file && mv file config.json; done";
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        fs::copy(dir.join("config.json"), dir.parent().unwrap().join("good")).unwrap();
        let _racing = Racer::start(Command::new("sh").args(["-c", racer, "sh", dir.to_str().unwrap()]));
        let (mut refusals, mut created) = (0, 0);
        for _ in 0..400 {
            if refusals >= 5 && created >= 5 {
                break;
            }
            match create(&berth, &dir, "s1").status.code() {
                Some(3) => created += 1,
                _ => refusals += 1,
            }
        }
        assert_eq!(fs::read_to_string("/run/victim").unwrap(), "untouched");
        assert!(refusals > 0 && created > 0, "{refusals} were refused and {created} created: the race was not there");
        assert!(annotation_or_link(&dir));
    }
}

/// The racer has left one of the two, or berth what it has written.
fn annotation_or_link(dir: &Path) -> bool {
    dir.join("config.json").is_symlink() || annotation(dir, "io.kubernetes.cri.sandbox-id").as_deref() == Some("s1")
}
