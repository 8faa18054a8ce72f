//! A cluster that kind has made: `scripts/test-kind` makes it, says its name and deletes it. Its node is a container.

use std::path::Path;
use std::process::Command;

use super::provider::Provider;
use crate::rig::containerd::{SHIMMED, VM, WRAPPED};
use crate::rig::cri::Cri;
use crate::rig::place::{Place, outcome};
use crate::rig::wait::eventually;

const CRI_SOCKET: &str = "/run/containerd/containerd.sock";

/// `kubectl` and `kind` are on the PATH, and `KUBECONFIG` is set.
#[derive(Debug)]
pub(crate) struct Kind {
    name: String,
    node: Place,
}

impl Kind {
    /// The cluster of this name, of one node, with the handlers of `kind.yaml`.
    #[track_caller]
    pub(crate) fn of(name: &str) -> Self {
        let engine = std::env::var("KIND_EXPERIMENTAL_PROVIDER").unwrap_or_else(|_| "docker".to_owned());
        let node = format!("{name}-control-plane");
        let inspect = ["container", "inspect", "--format", "{{.State.Pid}}", &node];
        let said = outcome(Command::new(&engine).args(inspect), &engine)
            .unwrap_or_else(|e| panic!("kind cluster {name}: {e}"));
        let kind = Self { name: name.to_owned(), node: Place::new(said.trim().parse().expect("a process id")) };
        // The engine's numbers are others where it runs in another machine or pid namespace.
        let seen = std::fs::read_to_string(kind.node.path("/etc/hostname")).unwrap_or_default();
        assert_eq!(
            seen.trim(),
            node,
            "process {} is not the node's first one: {engine} does not run here",
            said.trim()
        );
        kind
    }
}

impl Provider for Kind {
    fn kubectl(&self) -> Command {
        Command::new("kubectl")
    }

    fn node(&self) -> Place {
        self.node
    }

    fn restart_engine(&self) {
        self.node.run("systemctl", &["restart", "containerd"]).expect("restart the engine");
        let socket = self.node.path(CRI_SOCKET);
        eventually("the engine's CRI answers", || Cri::connect(&socket).ok().filter(Cri::is_up));
    }

    fn load_images(&self, archive: &Path) {
        let mut load = Command::new("kind");
        load.args(["load", "image-archive", "--name", &self.name]).arg(archive);
        outcome(&mut load, "kind load image-archive").unwrap_or_else(|e| panic!("{e}"));
    }

    fn handlers(&self) -> &[&str] {
        &[VM, WRAPPED, SHIMMED]
    }

    fn logs(&self) -> Vec<(String, String)> {
        let journal = |unit: &&str| self.node.run("journalctl", &["--no-pager", "--output=cat", "--unit", unit]);
        ["containerd", "kubelet"].map(|unit| (unit.to_owned(), journal(&unit).unwrap_or_else(|e| e))).into()
    }
}
