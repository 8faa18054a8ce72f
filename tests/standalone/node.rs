//! A node on which containers are run by hand.

use std::process::Command;

use serde_json::Value;

use super::docker;
use crate::TOOL;
use crate::rig::Rig;
use crate::rig::process::Process;
use crate::rig::provision::{components, provision};
use crate::rig::read::{NetnsId, netns_path};

/// berth's image, as the rig has it.
const IMAGE: &str = "localhost/berth/busybox:1";
const IMAGES: &str = "/run/rig/images.tar";
/// Where nerdctl keeps the configurations of the networks that it makes.
const NERDCTL_NETWORKS: &str = "/run/rig/nerdctl-networks";

/// A process that is only there.
pub(super) const IDLE: &[&str] = &["sh", "-c", crate::rig::IDLE];
/// A web server that answers with one known line.
pub(super) const SERVE: &[&str] = &["sh", "-c", crate::rig::SERVE];

/// What containers are run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test crate is about one of them")]
pub(crate) enum Tool {
    Docker,
    Nerdctl,
}

/// Its fields are in the order in which they must go.
#[derive(Debug)]
pub(super) struct Node {
    _dockerd: Option<Process>,
    pub(super) rig: Rig,
    program: String,
    annotates: bool,
}

/// Which OCI runtime a container is run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Runc,
    Berth,
}

/// A container that runs, or ran.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) id: String,
}

impl Node {
    pub(super) fn start() -> Self {
        let rig = Rig::start();
        let node = match TOOL {
            Tool::Docker => Self::with_docker(rig),
            Tool::Nerdctl => Self::with_nerdctl(rig),
        };
        node.tool(&["load", "--input", IMAGES]);
        node
    }

    fn with_docker(rig: Rig) -> Self {
        let given = components(&["docker"]);
        rig.install("docker", &given["BERTH_RIG_DOCKER"]);
        rig.install("dockerd", &given["BERTH_RIG_DOCKERD"]);
        // Where this docker needs a newer one than the distribution's; that one is built without seccomp.
        let seccomp = given.get("BERTH_RIG_NEW_RUNC").map(|runc| rig.install("runc", runc)).is_none();
        let program = "/run/rig/bin/docker".to_owned();
        let dockerd = docker::start(&rig, "/run/rig/bin/dockerd", &program, seccomp);
        let version = given["BERTH_RIG_DOCKER_VERSION"].split('.').next().and_then(|major| major.parse().ok());
        let annotates = version.is_some_and(|major: u32| major >= 24);
        Self { _dockerd: Some(dockerd), rig, program, annotates }
    }

    fn with_nerdctl(rig: Rig) -> Self {
        rig.install("nerdctl", &components(&["nerdctl"])["BERTH_RIG_NERDCTL"]);
        Self { _dockerd: None, rig, program: "/run/rig/bin/nerdctl".into(), annotates: true }
    }

    /// It can be told annotations; docker can from 24 on.
    pub(super) fn annotates(&self) -> bool {
        self.annotates
    }

    /// Runs the tool; what it printed.
    #[track_caller]
    pub(super) fn tool(&self, args: &[&str]) -> String {
        self.try_tool(args).unwrap_or_else(|error| panic!("{TOOL:?} {args:?}: {error}"))
    }

    /// Runs the tool; what it printed, or what it said instead.
    pub(super) fn try_tool(&self, args: &[&str]) -> Result<String, String> {
        let done = self.command().args(args).output().expect("nsenter (util-linux) runs");
        let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        if done.status.success() { Ok(out) } else { Err(err) }
    }

    fn command(&self) -> Command {
        let mut command = self.rig.command(&self.program);
        if TOOL == Tool::Nerdctl {
            command.arg("--cni-path").arg(&provision().cni_dir);
            command.args(["--cni-netconfpath", NERDCTL_NETWORKS, "--cgroup-manager", "cgroupfs"]);
        }
        command
    }

    /// A container that runs.
    #[track_caller]
    pub(super) fn run(&self, name: &str, by: By, further: &[&str], command: &[&str]) -> Container {
        let runtime: &[&str] = match (by, TOOL) {
            (By::Runc, _) => &[],
            (By::Berth, Tool::Docker) => &["--runtime", docker::RUNTIME],
            (By::Berth, Tool::Nerdctl) => &["--runtime", "/run/rig/names/berth-runc"],
        };
        // docker's daemon has it in its configuration.
        let cgroup: &[&str] = if TOOL == Tool::Nerdctl { &["--cgroup-parent", self.rig.cgroup_parent()] } else { &[] };
        let run = ["run", "--detach", "--name", name];
        let id = self.tool(&[&run, cgroup, runtime, further, &[IMAGE], command].concat());
        Container { name: name.into(), id }
    }

    /// What a command in the container printed.
    pub(super) fn exec(&self, container: &Container, command: &[&str]) -> Result<String, String> {
        self.try_tool(&[&["exec", &container.name], command].concat())
    }

    #[track_caller]
    pub(super) fn inspect(&self, container: &Container, format: &str) -> String {
        self.tool(&["container", "inspect", "--format", format, &container.id])
    }

    #[track_caller]
    pub(super) fn pid(&self, container: &Container) -> u32 {
        self.inspect(container, "{{.State.Pid}}").parse().expect("a pid")
    }

    #[track_caller]
    pub(super) fn address(&self, container: &Container) -> String {
        self.inspect(container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    }

    #[track_caller]
    pub(super) fn netns_of(&self, container: &Container) -> NetnsId {
        self.rig.netns_of_pid(self.pid(container))
    }

    fn bundle(container: &Container) -> String {
        let namespace = match TOOL {
            Tool::Docker => "moby",
            Tool::Nerdctl => "default",
        };
        format!("/run/containerd/io.containerd.runtime.v2.task/{namespace}/{}", container.id)
    }

    /// The specification that the OCI runtime was given, byte for byte.
    #[track_caller]
    pub(super) fn config_json(&self, container: &Container) -> String {
        let path = self.rig.path(format!("{}/config.json", Self::bundle(container)));
        std::fs::read_to_string(path).unwrap_or_else(|e| panic!("config.json of {}: {e}", container.name))
    }

    #[track_caller]
    pub(super) fn spec(&self, container: &Container) -> Value {
        serde_json::from_str(&self.config_json(container)).expect("config.json is JSON")
    }

    /// The specification with words in place of what is each container's own: its id, its name, its root directory.
    #[track_caller]
    pub(super) fn config_of_any(&self, container: &Container) -> String {
        let root = self.spec(container)["root"]["path"].as_str().expect("a root directory").to_owned();
        let text = self.config_json(container).replace(&root, "ROOT").replace(&container.id, "ID");
        text.replace(&container.id[..12], "SHORT").replace(&format!("\"{}\"", container.name), "\"NAME\"")
    }

    #[track_caller]
    pub(super) fn netns_path(&self, container: &Container) -> Option<String> {
        netns_path(&self.spec(container))
    }

    /// What berth has said of the last creation of a container.
    #[track_caller]
    pub(super) fn said(&self, container: &Container) -> String {
        let log = std::fs::read_to_string(self.rig.path("/run/berth/interpose.log")).expect("the interposers' log");
        let line = log.lines().rfind(|line| line.contains(&format!("event=Create as=berth-runc id={} ", container.id)));
        line.unwrap_or_else(|| panic!("nothing was said of {}:\n{log}", container.name)).to_owned()
    }
}
