//! containerd in a rig: its handlers, how it is started, and the images it needs.

use std::process::Command;

use super::config::config;
use super::engine::NETWORK;
use super::provision::provision;
use super::space::Space;

/// The handler that berth selects by default, as it does every handler with a name.
pub(crate) const VM: &str = "vm";

/// A handler whose OCI runtime is berth's interposer in front of runc, by `BinaryName`.
pub(crate) const WRAPPED: &str = "wrapped";

/// A handler whose shim is berth's interposer in front of containerd's runc shim, by `runtime_path`.
pub(crate) const SHIMMED: &str = "shimmed";

/// berth under its interposers' names.
pub(crate) const NAMES: &str = "/run/rig/names";

/// A runtime handler in containerd's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    pub(crate) name: String,
    /// containerd's `runtime_type`, which says how the shim's options are to be read.
    pub(crate) kind: String,
    /// The shim, if it is not the one that belongs to the type.
    pub(crate) shim: Option<String>,
    /// The shim's options that are strings.
    pub(crate) options: Vec<(String, String)>,
}

impl Handler {
    /// A handler whose OCI runtime is run by containerd's runc shim.
    pub(crate) fn oci(name: &str, runtime: &str) -> Self {
        let options = vec![("BinaryName".into(), runtime.into())];
        Self { name: name.into(), kind: "io.containerd.runc.v2".into(), shim: None, options }
    }

    /// A handler of this type with its shim at a path.
    pub(crate) fn shim(name: &str, kind: &str, shim: &str) -> Self {
        Self { name: name.into(), kind: kind.into(), shim: Some(shim.into()), options: Vec::new() }
    }
}

/// The default handler, the one that berth selects, and those with berth in front of the OCI runtime or of the shim.
fn standing() -> [Handler; 4] {
    let runc = provision().runc.to_str().expect("runc's path is text");
    let shim = Some(format!("{NAMES}/containerd-shim-berth-runc-v2"));
    [
        Handler::oci("runc", runc),
        Handler::oci(VM, runc),
        Handler::oci(WRAPPED, &format!("{NAMES}/berth-runc")),
        Handler { shim, ..Handler::oci(SHIMMED, runc) },
    ]
}

/// Further programs, on the rig's PATH.
pub(crate) const PROGRAMS: &str = "/run/rig/bin";

pub(crate) const CONFIG: &str = "/run/rig/containerd.toml";

/// Writes the configuration of containerd, with further handlers, and of the pod network.
pub(crate) fn configure(space: &Space, further: &[Handler]) {
    let handlers = [&standing(), further].concat();
    space.write(CONFIG, &config(provision(), &handlers));
    space.write("/run/rig/cni/10-rig.conflist", NETWORK);
}

pub(crate) fn command(space: &Space) -> Command {
    let mut command = space.command("/run/rig/containerd/containerd");
    command.args(["--config", CONFIG]).env("TMPDIR", "/run/rig/tmp");
    command
}

pub(crate) fn import_images(space: &Space) {
    let done = space
        .command("/run/rig/containerd/ctr")
        .args(["--namespace", "k8s.io", "images", "import", "/run/rig/images.tar"])
        .output()
        .expect("nsenter (util-linux) runs");
    assert!(done.status.success(), "ctr images import: {}", String::from_utf8_lossy(&done.stderr));
}
