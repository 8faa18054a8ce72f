//! A node with podman, in the rig's namespaces. Its OCI runtime is berth, its storage is the rig's `/var/lib`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use berth::identity::{Engine, SandboxId, Scope};
use berth::pin::PinName;
use serde_json::Value;

use crate::rig::Rig;
use crate::rig::cgroup::Cgroup;
use crate::rig::provision::components;
use crate::rig::read::{NetnsId, netns_path};

/// The OCI runtime that podman is given.
const BERTH: &str = "/run/rig/names/berth-runc";
const CONTAINERS_CONF: &str = "/run/rig/containers.conf";
const BERTH_CONFIG: &str = "/run/rig/berth.yaml";
const BUNDLES: &str = "/var/lib/containers/storage/overlay-containers";
/// berth's image, as the rig has it.
pub(super) const IMAGE: &str = "localhost/berth/busybox:1";
const INFRA_IMAGE: &str = "localhost/berth/pause:1";

/// podman's pods are known by nothing that is in a command line or in the environment: an entry says whose they are.
const CONFIG: &str = "interposers: {berth-runc: {engine: podman}}\n";

/// A process that is only there.
pub(super) const IDLE: &[&str] = &["sh", "-c", crate::rig::IDLE];
/// A web server that answers with one known line.
pub(super) const SERVE: &[&str] = &["sh", "-c", crate::rig::SERVE];

#[derive(Debug)]
pub(super) struct Node {
    pub(super) rig: Rig,
    podman: String,
}

/// A pod of podman.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) infra: String,
}

impl Node {
    pub(super) fn start() -> Self {
        Self::with(CONFIG, "")
    }

    /// A node with berth's configuration, and with further lines of podman's.
    pub(super) fn with(berth: &str, engine: &str) -> Self {
        let podman = components(&["basics", "podman"])["BERTH_RIG_PODMAN"].clone();
        let node = Self { rig: Rig::furnished(), podman };
        node.rig.write(BERTH_CONFIG, berth);
        node.rig.write(CONTAINERS_CONF, &containers_conf(engine));
        for image in [IMAGE, INFRA_IMAGE] {
            node.podman(&["pull", "--quiet", &format!("oci-archive:/run/rig/images.tar:{image}")]);
        }
        node
    }

    /// Runs podman; what it printed.
    #[track_caller]
    pub(super) fn podman(&self, args: &[&str]) -> String {
        self.try_podman(args).unwrap_or_else(|error| panic!("podman {args:?}: {error}"))
    }

    /// Runs podman; what it printed, or what it said instead.
    pub(super) fn try_podman(&self, args: &[&str]) -> Result<String, String> {
        let done = self.command().args(args).output().expect("nsenter (util-linux) runs");
        let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        if done.status.success() { Ok(out) } else { Err(err) }
    }

    fn command(&self) -> Command {
        let mut command = self.rig.command(&self.podman);
        command.env("CONTAINERS_CONF", CONTAINERS_CONF).args(["--runtime", BERTH]);
        command
    }

    /// A pod with its infra container, which runs.
    pub(super) fn pod(&self, name: &str, further: &[&str]) -> Pod {
        let create = ["pod", "create", "--name", name, "--cgroup-parent", self.rig.cgroup_parent()];
        self.podman(&[&create, further].concat());
        self.podman(&["pod", "start", name]);
        let infra = self.podman(&["pod", "inspect", "--format", "{{.InfraContainerID}}", name]);
        Pod { name: name.into(), infra }
    }

    /// A container of the pod, which runs; its id.
    #[track_caller]
    pub(super) fn member(&self, pod: &Pod, further: &[&str], command: &[&str]) -> String {
        self.podman(&[&["run", "--detach", "--pod", &pod.name], further, &[IMAGE], command].concat())
    }

    /// A container of no pod, which runs; its id.
    #[track_caller]
    pub(super) fn container(&self, further: &[&str]) -> String {
        let run = ["run", "--detach", "--cgroup-parent", self.rig.cgroup_parent()];
        self.podman(&[&run, further, &[IMAGE], IDLE].concat())
    }

    /// What podman's `inspect` says of a container.
    #[track_caller]
    pub(super) fn inspect(&self, container: &str, format: &str) -> String {
        self.podman(&["container", "inspect", "--format", format, container])
    }

    /// The process of a container that runs.
    #[track_caller]
    pub(super) fn pid(&self, container: &str) -> u32 {
        self.inspect(container, "{{.State.Pid}}").parse().expect("a pid")
    }

    #[track_caller]
    pub(super) fn netns_of(&self, container: &str) -> NetnsId {
        self.rig.netns_of_pid(self.pid(container))
    }

    /// The specification that the OCI runtime was given.
    #[track_caller]
    pub(super) fn spec(&self, container: &str) -> Value {
        let path = self.rig.path(format!("{BUNDLES}/{container}/userdata/config.json"));
        let text = std::fs::read(&path).unwrap_or_else(|e| panic!("config.json of {container}: {e}"));
        serde_json::from_slice(&text).expect("config.json is JSON")
    }

    #[track_caller]
    pub(super) fn annotations(&self, container: &str) -> BTreeMap<String, String> {
        serde_json::from_value(self.spec(container)["annotations"].clone()).expect("annotations are a map of strings")
    }

    #[track_caller]
    pub(super) fn netns_path(&self, container: &str) -> Option<String> {
        netns_path(&self.spec(container))
    }

    pub(super) fn pin_path(&self, sandbox: &str) -> String {
        Rig::pin_path(&key(sandbox))
    }

    /// The namespace that a sandbox's pin keeps.
    pub(super) fn pin(&self, sandbox: &str) -> Option<NetnsId> {
        self.rig.pin(&key(sandbox))
    }

    /// What berth has said of its creations.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.rig.path("/run/berth/interpose.log")).expect("read the interposers' log")
    }

    /// What berth has said of the creation of a container.
    #[track_caller]
    pub(super) fn said(&self, container: &str) -> String {
        let log = self.log();
        let line = log.lines().rfind(|line| line.contains(&format!("event=Create as=berth-runc id={container} ")));
        line.unwrap_or_else(|| panic!("nothing was said of {container}:\n{log}")).to_owned()
    }

    /// `berth gc` leaves nothing of any pod.
    #[track_caller]
    pub(super) fn assert_gc_leaves_nothing(&self) {
        let gc = self.rig.berth_command(&["gc"]);
        assert!(gc.status.success(), "{gc:?}");
        assert_eq!(self.rig.left_of_pods(), Vec::<String>::new());
    }
}

/// The cgroup below which podman puts what nobody has named another for. It is the machine's: one test at a time has it,
/// and takes it away.
#[derive(Debug)]
pub(super) struct DefaultCgroup {
    _cgroup: Cgroup,
    _turn: MutexGuard<'static, ()>,
}

impl DefaultCgroup {
    /// Waits for its turn. To be taken before the node, so that it goes after it.
    pub(super) fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _cgroup: Cgroup::of_engine("/libpod_parent"), _turn: turn }
    }
}

/// A sandbox's key among pins and records: outside the CRI, where ids are not alone, it says the scope.
fn key(sandbox: &str) -> String {
    let scope = Scope { engine: Engine::Podman, root: String::new() };
    let name = PinName::of(&scope, &SandboxId::try_from(sandbox).expect("podman's id is one"));
    name.as_str().strip_prefix("berth-").expect("berth's own name").to_owned()
}

/// podman's configuration, with nothing of the machine's. conmon hands its environment on to the OCI runtime.
fn containers_conf(engine: &str) -> String {
    format!(
        r#"[containers]
default_sysctls = []

[engine]
cgroup_manager = "cgroupfs"
conmon_env_vars = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "BERTH_CONFIG={BERTH_CONFIG}"]
events_logger = "file"
infra_image = "{INFRA_IMAGE}"
{engine}

[network]
network_backend = "netavark"
"#
    )
}
