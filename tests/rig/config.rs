//! containerd's configuration, in the words of its version.
//!
//! Everything that is not set here is containerd's own default, sockets and directories included: they are the rig's
//! because `/run` and `/var/lib` are.

use super::containerd::Handler;
use super::provision::Provision;

pub(crate) fn config(components: &Provision, handlers: &[Handler]) -> String {
    let cri =
        if components.containerd_version >= (2, 0) { of_2(components, handlers) } else { of_1(components, handlers) };
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
fn of_2(components: &Provision, handlers: &[Handler]) -> String {
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
        handlers = tables("io.containerd.cri.v1.runtime", handlers),
    )
}

/// The CRI is one plugin.
fn of_1(components: &Provision, handlers: &[Handler]) -> String {
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
        handlers = tables("io.containerd.grpc.v1.cri", handlers),
    )
}

fn tables(plugin: &str, handlers: &[Handler]) -> String {
    let key = |name: &str, value: &str| format!("\n  {name} = '{value}'");
    let table = |handler: &Handler| {
        let path = handler.shim.as_ref().map(|path| key("runtime_path", path)).unwrap_or_default();
        let options: String = handler.options.iter().map(|(name, value)| key(name, value)).collect();
        format!(
            r"
[plugins.'{plugin}'.containerd.runtimes.{name}]
  runtime_type = '{kind}'{path}
[plugins.'{plugin}'.containerd.runtimes.{name}.options]{options}
",
            name = handler.name,
            kind = handler.kind,
        )
    };
    handlers.iter().map(table).collect()
}
