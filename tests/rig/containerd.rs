//! containerd in a rig: its configuration, its start, and the images it needs.

use std::path::{Path, PathBuf};

use super::cri::Cri;
use super::process::Process;
use super::provision::{Provision, provision};
use super::space::Space;
use super::wait::eventually;

/// The handler that berth selects by default, as it does every handler with a name.
pub(crate) const VM: &str = "vm";

/// A handler whose OCI runtime is berth's interposer in front of runc, by `BinaryName`.
pub(crate) const WRAPPED: &str = "wrapped";

/// A handler whose shim is berth's interposer in front of containerd's runc shim, by `runtime_path`.
pub(crate) const SHIMMED: &str = "shimmed";

/// berth under its interposers' names.
const NAMES: &str = "/run/rig/names";

pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";
const CONFIG: &str = "/run/rig/containerd.toml";

/// Writes the configuration of containerd and of the pod network.
pub(crate) fn configure(space: &Space) {
    space.write(CONFIG, &config(provision()));
    space.write("/run/rig/cni/10-rig.conflist", NETWORK);
}

/// Starts containerd and returns when its CRI service answers.
pub(crate) fn start(space: &Space, log: PathBuf) -> Process {
    let mut command = space.command("/run/rig/containerd/containerd");
    command.args(["--config", CONFIG]).env("TMPDIR", "/run/rig/tmp");
    let mut containerd = Process::start("containerd", command, log);
    eventually("containerd's CRI service answers", || {
        assert!(containerd.is_running(), "containerd ended at its start; the end of its log:\n{}", tail(&containerd));
        Cri::connect(&space.path(SOCKET)).ok()?.is_ready().then_some(())
    });
    containerd
}

/// Imports the images and returns when the CRI knows them.
pub(crate) fn import_images(space: &Space, cri: &Cri) {
    let done = space
        .command("/run/rig/containerd/ctr")
        .args(["--namespace", "k8s.io", "images", "import", "/run/rig/images.tar"])
        .output()
        .expect("nsenter (util-linux) runs");
    assert!(done.status.success(), "ctr images import: {}", String::from_utf8_lossy(&done.stderr));
    for image in [&provision().image_busybox, &provision().image_pause] {
        eventually(&format!("the CRI knows {image}"), || cri.has_image(image).then_some(()));
    }
}

fn tail(containerd: &Process) -> String {
    let log = containerd.log();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// Everything that is not set here is containerd's own default, sockets and directories included: they are the
/// rig's because `/run` and `/var/lib` are.
fn config(components: &Provision) -> String {
    let version = if components.containerd_version >= (2, 3) { 4 } else { 3 };
    let runtime = |name: &str| runtime(name, &components.runc, "");
    format!(
        r#"version = {version}

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause}'

[plugins.'io.containerd.cri.v1.runtime']
  # Some machines lack CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{cni}']
  conf_dir = '/run/rig/cni'

[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'
{runc}{vm}{wrapped}{shimmed}
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  plugin_path = '/run/rig/nri/plugins'
  plugin_config_path = '/run/rig/nri/conf.d'

# The rig's disk is memory.
[plugins.'io.containerd.metadata.v1.bolt']
  no_sync = true

[plugins.'io.containerd.internal.v1.opt']
  path = '/var/lib/containerd/opt'
"#,
        pause = components.image_pause,
        cni = components.cni_dir.display(),
        runc = runtime("runc"),
        vm = runtime(VM),
        wrapped = self::runtime(WRAPPED, &Path::new(NAMES).join("berth-runc"), ""),
        shimmed = self::runtime(
            SHIMMED,
            &components.runc,
            &format!("  runtime_path = '{NAMES}/containerd-shim-berth-runc-v2'\n")
        ),
    )
}

fn runtime(name: &str, runc: &Path, more: &str) -> String {
    format!(
        r"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}]
  runtime_type = 'io.containerd.runc.v2'
{more}[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}.options]
  BinaryName = '{}'
",
        runc.display()
    )
}

/// Each rig has a network namespace of its own, so all of them can have the same bridge and addresses.
const NETWORK: &str = r#"{
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
