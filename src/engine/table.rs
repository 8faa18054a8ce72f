//! Where each engine has its files, by who has packaged it.

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// containerd.
    #[serde(rename = "containerd")]
    Containerd,
    /// CRI-O.
    #[serde(rename = "cri-o")]
    CriO,
}

impl Kind {
    /// Its name, as it tells it to NRI plugins.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
        }
    }

    /// What its program is called.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "crio",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who starts it and writes its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// The node's operator, or a package of a Linux distribution.
    Plain,
    /// k3s, which renders the configuration at each start.
    K3s,
    /// rke2, likewise.
    Rke2,
    /// k0s, which renders it, too.
    K0s,
    /// microk8s, from a template.
    MicroK8s,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) distribution: Distribution,
    /// Its name on the command line.
    pub(super) name: &'static str,
    pub(super) config: &'static str,
    pub(super) drop_ins: &'static str,
    pub(super) socket: &'static str,
    /// systemd units, the likelier one first.
    pub(super) units: &'static [&'static str],
    /// What is there where it is installed and does not run.
    pub(super) marks: &'static [&'static str],
    /// Where its program may be if it is not in the usual directories.
    pub(super) programs: &'static [&'static str],
}

/// All that are known, the distributions before the engine as it is: their files are found in its place.
pub(super) const ROWS: [Row; 6] = [
    Row {
        kind: Kind::Containerd,
        distribution: Distribution::K3s,
        name: "k3s",
        config: "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        drop_ins: "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d",
        socket: "/run/k3s/containerd/containerd.sock",
        units: &["k3s", "k3s-agent"],
        marks: &["/var/lib/rancher/k3s/agent/etc/containerd"],
        programs: &["/var/lib/rancher/k3s/data/current/bin/containerd"],
    },
    Row {
        kind: Kind::Containerd,
        distribution: Distribution::Rke2,
        name: "rke2",
        config: "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
        drop_ins: "/var/lib/rancher/rke2/agent/etc/containerd/config-v3.toml.d",
        socket: "/run/k3s/containerd/containerd.sock",
        units: &["rke2-server", "rke2-agent"],
        marks: &["/var/lib/rancher/rke2/agent/etc/containerd"],
        programs: &["/var/lib/rancher/rke2/bin/containerd"],
    },
    Row {
        kind: Kind::Containerd,
        distribution: Distribution::K0s,
        name: "k0s",
        config: "/etc/k0s/containerd.toml",
        drop_ins: "/etc/k0s/containerd.d",
        socket: "/run/k0s/containerd.sock",
        units: &["k0sworker", "k0scontroller"],
        marks: &["/etc/k0s/containerd.toml"],
        programs: &["/var/lib/k0s/bin/containerd"],
    },
    Row {
        kind: Kind::Containerd,
        distribution: Distribution::MicroK8s,
        name: "microk8s",
        config: "/var/snap/microk8s/current/args/containerd.toml",
        drop_ins: "",
        socket: "/var/snap/microk8s/common/run/containerd.sock",
        units: &["snap.microk8s.daemon-containerd"],
        marks: &["/var/snap/microk8s/current/args/containerd-template.toml"],
        programs: &["/snap/microk8s/current/bin/containerd"],
    },
    Row {
        kind: Kind::Containerd,
        distribution: Distribution::Plain,
        name: "containerd",
        config: "/etc/containerd/config.toml",
        drop_ins: "/etc/containerd/conf.d",
        socket: "/run/containerd/containerd.sock",
        units: &["containerd"],
        marks: &["/etc/containerd/config.toml"],
        programs: &[],
    },
    Row {
        kind: Kind::CriO,
        distribution: Distribution::Plain,
        name: "cri-o",
        config: "/etc/crio/crio.conf",
        drop_ins: "/etc/crio/crio.conf.d",
        socket: "/run/crio/crio.sock",
        units: &["crio"],
        marks: &["/etc/crio/crio.conf", "/etc/crio/crio.conf.d"],
        programs: &[],
    },
];

impl Row {
    /// The row of an engine, by the path of its configuration if it runs with one: each distribution has its name in it,
    /// also where its data are elsewhere.
    pub(super) fn of(kind: Kind, config: Option<&Path>) -> &'static Self {
        let named =
            |row: &&Self| config.is_some_and(|config| config.components().any(|part| part.as_os_str() == row.name));
        let special = |row: &&Self| row.kind == kind && row.distribution != Distribution::Plain;
        let plain = |row: &&Self| row.kind == kind && row.distribution == Distribution::Plain;
        ROWS.iter().filter(special).find(named).or_else(|| ROWS.iter().find(plain)).unwrap_or(&ROWS[0])
    }
}
