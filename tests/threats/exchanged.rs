//! A network namespace path that comes to mean another one between two looks at it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};

use crate::isolated;
use crate::stage::{bundle, containerd, create, delegate, inode, interposer, netns, network, path};

/// A process that ends with the test, however that ends.
pub(crate) struct Racer(Child);

impl Racer {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A process that has `/run/way` lead to one directory and to another, over and over, by rename(2).
fn exchanging(one: &str, other: &str) -> Racer {
    let script = "import os, sys\n\
        while True:\n\
        \tfor to in sys.argv[1:]:\n\
        \t\tos.symlink(to, '/run/next')\n\
        \t\tos.rename('/run/next', '/run/way')\n";
    symlink(one, "/run/way").unwrap();
    Racer::start(Command::new("python3").args(["-c", script, one, other]))
}

fn mount(from: &str, onto: &str) {
    fs::create_dir_all(Path::new(onto).parent().unwrap()).unwrap();
    fs::write(onto, "").unwrap();
    assert!(Command::new("mount").args(["--bind", from, onto]).status().unwrap().success());
}

/// Nothing is pinned under the name of `s1`, so that the next creation does so.
fn forget() {
    if Path::new("/run/netns/berth-s1").exists() {
        assert!(Command::new("umount").arg("/run/netns/berth-s1").status().unwrap().success());
        fs::remove_file("/run/netns/berth-s1").unwrap();
        fs::remove_file("/run/berth/sandboxes/berth-s1.json").unwrap();
    }
}

isolated! {
    fn what_is_pinned_is_what_was_looked_at_and_never_the_hosts() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let own = netns("cni-1");
        mount(&own, "/run/own/ns");
        mount("/proc/self/ns/net", "/run/hosts/ns");
        let hosts = inode("/run/hosts/ns");
        let _racing = exchanging("/run/own", "/run/hosts");
        let (mut pinned, mut others) = (0, 0);
        for _ in 0..400 {
            forget();
            let dir = bundle("s1", &containerd("sandbox", "s1"), &network("/run/way/ns"));
            create(&berth, &dir, "s1");
            if path(&dir).as_deref() == Some("/run/netns/berth-s1") {
                pinned += 1;
                let pin = inode("/run/netns/berth-s1");
                assert!(pin == inode(&own) && pin != hosts, "the host's network was pinned");
                let record = fs::read_to_string("/run/berth/sandboxes/berth-s1.json").unwrap();
                let record: serde_json::Value = serde_json::from_str(&record).unwrap();
                assert_eq!(record["netns"]["ino"], pin);
            } else {
                others += 1;
            }
            if pinned >= 15 && others >= 5 {
                break;
            }
        }
        assert!(pinned > 0 && others > 0, "{pinned} were pinned and {others} were not: the race was not there");
    }
}
