//! containerd's configuration, in the words of its version.
//!
//! Everything that is not set here is containerd's own default, sockets and directories included: they are the rig's
//! because `/run` and `/var/lib` are.

use std::path::Path;

use super::containerd::{SHIMMED, VM, WRAPPED};
use super::provision::Provision;

/// berth under its interposers' names.
const NAMES: &str = "/run/rig/names";

pub(crate) fn config(components: &Provision) -> String {
    let cri = if components.containerd_version >= (2, 0) { of_2(components) } else { of_1(components) };
    format!(
        "{cri}
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  plugin_path = '/run/rig/nri/plugins'
  plugin_config_path = '/run/rig/nri/conf.d'

[plugins.'io.containerd.internal.v1.opt']
  path = '/var/lib/containerd/opt'
"
    )
}

/// The CRI is two plugins, one for images and one for everything else.
fn of_2(components: &Provision) -> String {
    format!(
        r"version = {version}

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
{handlers}
# The rig's disk is memory.
[plugins.'io.containerd.metadata.v1.bolt']
  no_sync = true
",
        version = if components.containerd_version >= (2, 3) { 4 } else { 3 },
        pause = components.image_pause,
        cni = components.cni_dir.display(),
        handlers = handlers("io.containerd.cri.v1.runtime", components),
    )
}

/// The CRI is one plugin.
fn of_1(components: &Provision) -> String {
    format!(
        r"version = 2

[plugins.'io.containerd.grpc.v1.cri']
  sandbox_image = '{pause}'
  # Some machines lack CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true

[plugins.'io.containerd.grpc.v1.cri'.cni]
  bin_dir = '{cni}'
  conf_dir = '/run/rig/cni'

[plugins.'io.containerd.grpc.v1.cri'.containerd]
  default_runtime_name = 'runc'
{handlers}",
        pause = components.image_pause,
        cni = components.cni_dir.display(),
        handlers = handlers("io.containerd.grpc.v1.cri", components),
    )
}

/// The default handler, the one that berth selects, and those with berth in front of the OCI runtime or of the shim.
fn handlers(plugin: &str, components: &Provision) -> String {
    let (runc, names) = (components.runc.as_path(), Path::new(NAMES));
    let (wrapped, shim) = (names.join("berth-runc"), names.join("containerd-shim-berth-runc-v2"));
    [("runc", runc, None), (VM, runc, None), (WRAPPED, &wrapped, None), (SHIMMED, runc, Some(&shim))]
        .map(|(name, runc, shim)| {
            let shim = shim.map(|path| format!("\n  runtime_path = '{}'", path.display())).unwrap_or_default();
            format!(
                r"
[plugins.'{plugin}'.containerd.runtimes.{name}]
  runtime_type = 'io.containerd.runc.v2'{shim}
[plugins.'{plugin}'.containerd.runtimes.{name}.options]
  BinaryName = '{}'
",
                runc.display()
            )
        })
        .concat()
}
