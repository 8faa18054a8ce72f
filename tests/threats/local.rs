//! A user of the node without privileges.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Output};

use berth::nri::Event;

use crate::exchanged::Racer;
use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, Pod, block_on, ready};

/// As somebody, with nothing.
fn somebody(script: &str) -> Command {
    let mut command = Command::new("setpriv");
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"];
    command.args(nobody).args(["--", "sh", "-c", script]);
    command
}

fn tries(script: &str) -> Output {
    somebody(script).output().unwrap()
}

isolated! {
    fn nobody_but_root_reads_what_berth_knows_or_holds_its_locks() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&["--listen", "unix:/run/berth/http.sock"])).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            assert!(tries("id -u").status.success(), "they can do something");
            for script in [
                "ls /run/berth", "cat /run/berth/sandboxes/berth-s1.json", "flock -n /run/berth/locks/berth-s1 true",
                "flock -n /run/berth/daemon.lock true", "rm -f /run/netns/berth-s1", "mv /run/netns/berth-s1 /run/netns/x",
                "ln -s /etc/passwd /run/netns/berth-x", "nsenter --net=/run/netns/berth-s1 true", "umount /run/netns/berth-s1",
                "mkdir /run/berth/x", "echo > /run/berth/config.yaml",
            ] {
                assert!(!tries(script).status.success(), "{script}");
            }
            assert!(pod.is_pinned());
            // Were the directory opened to them by mistake, its files would not be.
            let mut pending = vec![PathBuf::from("/run/berth")];
            while let Some(path) = pending.pop() {
                let data = fs::symlink_metadata(&path).unwrap();
                assert_eq!((data.uid(), data.permissions().mode() & 0o077), (0, 0), "{}", path.display());
                if data.is_dir() {
                    pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                }
            }
        });
    }

    fn a_lock_on_the_netns_directory_which_anybody_can_take_holds_nothing_up() {
        fs::create_dir("/run/netns").unwrap();
        fs::set_permissions("/run/netns", fs::Permissions::from_mode(0o755)).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let _held = Racer::start(somebody("exec 9</run/netns; flock 9; echo held; exec sleep 1000").stdout(writer));
        let mut word = [0; 5];
        std::io::Read::read_exact(&mut &reader, &mut word).unwrap();
        assert!(fs::File::open("/run/netns").unwrap().try_lock().is_err());
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::at("s1", "/run/cni");
            fs::write("/run/cni", "").unwrap();
            assert!(Command::new("unshare").args(["--net=/run/cni", "true"]).status().unwrap().success());
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            assert!(pod.is_pinned());
        });
    }
}
