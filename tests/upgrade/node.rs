//! A node on which two versions of berth lie side by side, behind a path that stays.
//!
//! ```text
//! bin/berth                             -> ../versions/<one of the two>/berth
//! bin/berth-runc                        -> berth
//! bin/containerd-shim-berth-runc-v2     -> berth
//! ```

use std::os::unix::fs::symlink;

use crate::rig::Rig;
use crate::rig::berth::{await_synchronized, binary};
use crate::rig::containerd::Handler;
use crate::rig::process::Process;
use crate::rig::provision::{components, provision};
use crate::rig::wait::eventually;

const ROOT: &str = "/run/rig/opt";
const SHIM: &str = "containerd-shim-berth-runc-v2";

/// One of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Before,
    Now,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Now => "now",
        }
    }

    /// Its own path, past the one that stays.
    pub(super) fn path(self) -> String {
        format!("{ROOT}/versions/{}/berth", self.name())
    }
}

/// The handlers with berth in front of the OCI runtime, and in front of the shim.
pub(super) const HANDLERS: [&str; 2] = ["runtime", "shim"];

/// What is started and configured, whichever version is behind it.
pub(super) const PATH: &str = "/run/rig/opt/bin/berth";

pub(super) struct Node {
    pub(super) rig: Rig,
    before_commit: String,
}

impl Node {
    /// A node with this version behind the path.
    pub(super) fn start(version: Version) -> Self {
        let given = components(&["berth_before"]);
        let runc = provision().runc.to_str().expect("a path");
        let wrapped = Handler::oci(HANDLERS[0], &format!("{ROOT}/bin/berth-runc"));
        let shimmed = Handler { shim: Some(format!("{ROOT}/bin/{SHIM}")), ..Handler::oci(HANDLERS[1], runc) };
        let mut rig = Rig::with_handlers(&[wrapped, shimmed]);
        for (version, from) in
            [(Version::Before, given["BERTH_RIG_BERTH_BEFORE"].clone().into()), (Version::Now, binary())]
        {
            let to = rig.path(version.path());
            std::fs::create_dir_all(to.parent().expect("a directory")).expect("make the version's directory");
            std::fs::copy(from, to).expect("install the version");
        }
        rig.run("mkdir", &[&format!("{ROOT}/bin")]).expect("make the directory of names");
        for name in ["berth-runc", SHIM] {
            symlink("berth", rig.path(format!("{ROOT}/bin/{name}"))).expect("name berth");
        }
        rig.start_engine();
        let node = Self { rig, before_commit: given["BERTH_RIG_BERTH_BEFORE_COMMIT"].clone() };
        node.exchange(version);
        node
    }

    /// Puts a version behind the path, in one step.
    pub(super) fn exchange(&self, version: Version) {
        let next = self.rig.path(format!("{ROOT}/bin/.next"));
        symlink(format!("../versions/{}/berth", version.name()), &next).expect("make the link");
        std::fs::rename(next, self.rig.path(PATH)).expect("put it in place");
    }

    /// The daemon by this path, which is of this version and says so.
    pub(super) fn daemon(&self, path: &str, version: Version) -> Process {
        let log = format!("berth-{}", version.name());
        let mut daemon = self.rig.berth().program(path).launch_as(&log);
        await_synchronized(&mut daemon, 1);
        let is_before = daemon.log().contains(&format!("commit={}", &self.before_commit[..12]));
        assert_eq!(is_before, version == Version::Before, "another version than was meant:\n{}", daemon.log());
        daemon
    }

    /// The sandbox's record, as it is written.
    pub(super) fn record(&self, sandbox: &str) -> String {
        let path = self.rig.path(format!("/run/berth/sandboxes/berth-{sandbox}.json"));
        std::fs::read_to_string(path).expect("the sandbox has a record")
    }

    #[track_caller]
    pub(super) fn assert_nothing_left_of(&self, sandbox: &str) {
        eventually(&format!("nothing is left of {sandbox}"), || {
            let left = self.rig.left_of_pods();
            left.iter().all(|path| !path.contains(sandbox)).then_some(())
        });
    }
}
