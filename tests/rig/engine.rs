//! What engines have in common for a rig, and where they differ.

use std::path::PathBuf;

use berth::nri::Level;

use super::cri::Cri;
use super::process::Process;
use super::provision::provision;
use super::space::Space;
use super::wait::eventually;
use super::{containerd, crio};

/// Which engine a rig has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Containerd,
    CriO,
}

impl Engine {
    /// Its name, as it tells it to NRI plugins.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
        }
    }

    /// Where its CRI is served.
    pub(crate) fn socket(self) -> &'static str {
        match self {
            Self::Containerd => "/run/containerd/containerd.sock",
            Self::CriO => "/run/crio/crio.sock",
        }
    }

    /// The bundle of a container.
    pub(crate) fn bundle(self, container: &str) -> String {
        match self {
            Self::Containerd => format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container}"),
            Self::CriO => format!("/run/containers/storage/overlay-containers/{container}/userdata"),
        }
    }

    /// What its NRI can do.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::Containerd => provision().level(),
            Self::CriO => crio::LEVEL,
        }
    }

    /// Starts it and returns when its CRI service answers.
    pub(crate) fn start(self, space: &Space, log: PathBuf) -> Process {
        let command = match self {
            Self::Containerd => containerd::command(space),
            Self::CriO => crio::command(space),
        };
        let name = self.name();
        let mut engine = Process::start(name, command, log);
        eventually(&format!("{name}'s CRI service answers"), || {
            assert!(engine.is_running(), "{name} ended at its start; the end of its log:\n{}", tail(&engine));
            Cri::connect(&space.path(self.socket())).ok()?.is_ready().then_some(())
        });
        engine
    }

    /// Imports the images and returns when the CRI knows them.
    pub(crate) fn import_images(self, space: &Space, cri: &Cri) {
        match self {
            Self::Containerd => containerd::import_images(space),
            Self::CriO => crio::import_images(space),
        }
        for image in [&provision().image_busybox, &provision().image_pause] {
            eventually(&format!("the CRI knows {image}"), || cri.has_image(image).then_some(()));
        }
    }
}

fn tail(engine: &Process) -> String {
    let log = engine.log();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// The pod network. Each rig has a network namespace of its own, so all of them can have the same bridge and addresses.
pub(crate) const NETWORK: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "rig",
  "plugins": [{
    "type": "bridge",
    "bridge": "rig0",
    "isGateway": true,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}
"#;
