//! CRI-O in a rig: its handlers, how it is started, and the images it needs.
//!
//! Everything that is not set here is CRI-O's own default, but for directories in `/etc` and `/usr`, which are the host's.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use ::berth::nri::Level;

use super::containerd::{NAMES, VM};
use super::engine::{Engine, NETWORK};
use super::provision::{components, provision};
use super::space::Space;
use super::{Rig, berth};

/// What the NRI of CRI-O 1.34 and newer can do.
pub(crate) const LEVEL: Level = Level::Namespaces;

/// A handler whose OCI runtime is berth's interposer in front of runc.
pub(crate) const WRAPPED: &str = "wrapped";

/// A handler of the type `vm` whose shim is berth's interposer in front of containerd's runc shim.
pub(crate) const SHIMMED: &str = "shimmed";

/// What stands behind berth.
pub(crate) const BEHIND: &str = "/run/rig/behind";
pub(crate) const CONFIG: &str = "/run/rig/crio.conf";
/// Where further files of its configuration go.
pub(crate) const DROP_INS: &str = "/run/rig/crio.conf.d";

/// What becomes of a sandbox's own container where the pod does not need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Infra {
    /// It runs.
    Kept,
    /// There is none: CRI-O's default.
    Dropped,
}

/// A runtime handler in CRI-O's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    pub(crate) name: String,
    /// `runtime_type`.
    pub(crate) kind: &'static str,
    /// `runtime_path`.
    pub(crate) path: String,
}

impl Handler {
    pub(crate) fn oci(name: &str, path: &str) -> Self {
        Self { name: name.into(), kind: "oci", path: path.into() }
    }

    pub(crate) fn vm(name: &str, path: &str) -> Self {
        Self { name: name.into(), kind: "vm", path: path.into() }
    }
}

/// The default handler, the one that berth's daemon selects, and those with berth in front.
fn standing() -> [Handler; 4] {
    let runc = format!("{BEHIND}/runc");
    [
        Handler::oci("runc", &runc),
        Handler::oci(VM, &runc),
        Handler::oci(WRAPPED, &format!("{NAMES}/berth-runc")),
        Handler::vm(SHIMMED, &format!("{NAMES}/containerd-shim-berth-runc-v2")),
    ]
}

/// berth's configuration: everything it can write, and of each interposer that it is CRI-O's, which nothing else says.
pub(crate) fn berths_config() -> String {
    format!(
        "profiles: [{{name: all, dialects: [ocid, containerd, cri-o]}}]
interposers:
  berth-runc: {{engine: cri-o, delegate: {BEHIND}/runc}}
  containerd-shim-berth-runc-v2: {{engine: cri-o, delegate: {BEHIND}/containerd-shim-runc-v2}}
"
    )
}

impl Rig {
    /// A rig whose CRI-O runs and has its images.
    pub(crate) fn crio(infra: Infra) -> Self {
        let mut rig = Self::crio_with(infra, &[]);
        rig.start_engine();
        rig
    }

    /// A rig that can be installed on, whose CRI-O has its configuration where every CRI-O has it, comments and all, and
    /// two handlers: `plain`, and `machine` of the type `vm`. It is still to be started.
    pub(crate) fn crio_node() -> Self {
        let further = [Handler::oci("plain", &format!("{BEHIND}/runc")), shim("machine")];
        let rig = Self::crio_with(Infra::Kept, &further);
        let environment = "env CONTAINERS_REGISTRIES_CONF=/run/rig/registries.conf";
        rig.own_directories(&format!("{environment} PATH={BEHIND}:$PATH /run/rig/crio/crio"));
        rig.run("mkdir", &["-p", "/etc/crio/crio.conf.d"]).expect("make a directory");
        let config = std::fs::read_to_string(rig.path(CONFIG)).expect("the rig has a configuration");
        // Neither berth's handlers of the other tests, nor their configuration of berth.
        let config = config.replace(&format!("monitor_env = [\"BERTH_CONFIG={}\"]\n", berth::CONFIG), "");
        rig.write("/etc/crio/crio.conf", &format!("# The operator's own.\n{config}"));
        rig
    }

    /// A rig with handlers of the test's own, whose CRI-O is still to be started.
    pub(crate) fn crio_with(infra: Infra, further: &[Handler]) -> Self {
        let given = given();
        let [programs, shims] = ["BERTH_RIG_CRIO_DIR", "BERTH_RIG_CRIO_SHIMS"].map(|key| Path::new(&given[key]));
        let rig = Self::furnish(Engine::CriO, &[("crio", programs), ("shims", shims)]);
        behind(&rig.space);
        let handlers = [&standing(), further].concat();
        rig.write(CONFIG, &config(infra, &handlers));
        std::fs::create_dir(rig.path(DROP_INS)).expect("make the directory of drop-ins");
        rig.write(berth::CONFIG, &berths_config());
        rig.write("/run/rig/policy.json", r#"{"default": [{"type": "insecureAcceptAnything"}]}"#);
        rig.write("/run/rig/registries.conf", "");
        rig.write("/run/rig/cni/10-rig.conflist", NETWORK);
        rig
    }
}

fn shim(name: &str) -> Handler {
    Handler::vm(name, &format!("{BEHIND}/containerd-shim-runc-v2"))
}

fn given() -> &'static HashMap<String, String> {
    static GIVEN: OnceLock<HashMap<String, String>> = OnceLock::new();
    GIVEN.get_or_init(|| components(&["crio"]))
}

/// runc, and the shim, which finds it by its name.
fn behind(space: &Space) {
    std::fs::create_dir(space.path(BEHIND)).expect("make a directory for what is behind berth");
    script(space, "runc", provision().runc.to_str().expect("runc's path is text"));
    let shim = format!("{BEHIND}/containerd-shim-runc-v2");
    std::os::unix::fs::symlink("../shims/containerd-shim-runc-v2", space.path(&shim)).expect("name the shim");
}

/// Puts an executable text behind berth; its path there.
pub(crate) fn put_behind(rig: &Rig, name: &str, text: &str) -> String {
    write(&rig.space, name, text)
}

/// Puts another OCI runtime behind berth, as `runtime` with what belongs to every command line of it.
pub(crate) fn put_runtime_behind(rig: &Rig, name: &str, runtime: &str) -> String {
    script(&rig.space, name, runtime)
}

/// An OCI runtime in a script that takes the sandbox's adjustment of the OOM killer away: some machines lack
/// CAP_SYS_RESOURCE, and CRI-O has no setting for that.
fn script(space: &Space, name: &str, runtime: &str) -> String {
    write(space, name, &RUNTIME.replace("RUNTIME", runtime))
}

fn write(space: &Space, name: &str, text: &str) -> String {
    let path = format!("{BEHIND}/{name}");
    space.write(&path, text);
    std::fs::set_permissions(space.path(&path), PermissionsExt::from_mode(0o755)).expect("make it executable");
    path
}

const RUNTIME: &str = r#"#!/bin/sh
before=
for word; do
    [ "$before" != --bundle ] || sed -i -z 's/,\s*"oomScoreAdj":\s*[-0-9]*//' "$word/config.json"
    before=$word
done
exec RUNTIME "$@"
"#;

pub(crate) fn command(space: &Space) -> Command {
    let mut command = space.command("/run/rig/crio/crio");
    command.args(["--config", CONFIG, "--config-dir", DROP_INS]);
    // Its shims have its environment.
    command.env("PATH", format!("{BEHIND}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    command.env("BERTH_CONFIG", berth::CONFIG).env("TMPDIR", "/run/rig/tmp");
    command.env("CONTAINERS_REGISTRIES_CONF", "/run/rig/registries.conf");
    command
}

pub(crate) fn import_images(space: &Space) {
    for image in [&provision().image_busybox, &provision().image_pause] {
        copy(space, &format!("oci-archive:/run/rig/images.tar:{image}"), image);
    }
}

/// Brings an image of the test's own.
pub(crate) fn copy_image(rig: &Rig, from: &str, image: &str) {
    copy(&rig.space, from, image);
}

fn copy(space: &Space, from: &str, image: &str) {
    run(space
        .command("/run/rig/crio/copyimg")
        .args(["--root", "/var/lib/containers/storage", "--runroot", "/run/containers/storage"])
        .args(["--storage-driver", "overlay", "--signature-policy", "/run/rig/policy.json"])
        .args(["--import-from", from, "--image-name", image])
        .env("TMPDIR", "/run/rig/tmp"));
}

fn run(command: &mut Command) {
    let done = command.output().expect("nsenter (util-linux) runs");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn config(infra: Infra, handlers: &[Handler]) -> String {
    let given = given();
    let tables: String = handlers
        .iter()
        .map(|Handler { name, kind, path }| {
            format!(
                r#"
[crio.runtime.runtimes.{name}]
runtime_type = "{kind}"
runtime_path = "{path}"
runtime_root = "/run/rig/roots/{name}"
monitor_path = "{conmon}"
monitor_cgroup = "pod"
monitor_env = ["BERTH_CONFIG={berth}"]
"#,
                conmon = given["BERTH_RIG_CONMON"],
                berth = berth::CONFIG,
            )
        })
        .collect();
    format!(
        r#"
[crio]
storage_driver = "overlay"
log_dir = "/run/rig/logs"

[crio.api]
stream_port = "0"

[crio.image]
pause_image = "{pause}"
pause_command = ""
signature_policy_dir = "/run/rig/policies"
namespaced_auth_dir = "/run/rig/auth"

[crio.network]
network_dir = "/run/rig/cni"
plugin_dirs = ["{cni}"]

[crio.nri]
nri_plugin_dir = "/run/rig/nri/plugins"
nri_plugin_config_dir = "/run/rig/nri/conf.d"

[crio.runtime]
cgroup_manager = "cgroupfs"
default_runtime = "runc"
drop_infra_ctr = {drop}
hooks_dir = ["/run/rig/hooks"]
irqbalance_config_restore_file = "disable"
pinns_path = "/run/rig/crio/pinns"
{tables}"#,
        pause = provision().image_pause,
        cni = provision().cni_dir.display(),
        drop = infra == Infra::Dropped,
    )
}
