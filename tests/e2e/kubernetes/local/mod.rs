//! A cluster from plain programs, where nothing can be downloaded: a rig as the node, and beside its containerd etcd, the
//! control plane and a kubelet, all on one address in the rig's network namespace.
//!
//! There is no kube-proxy and no DNS: a pod is reached by its address.

mod files;
mod parts;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::provider::Provider;
use crate::rig::Rig;
use crate::rig::containerd::{SHIMMED, VM, WRAPPED, usual_config};
use crate::rig::node::RESTART_COMMAND;
use crate::rig::place::Place;
use crate::rig::process::Process;
use crate::rig::provision::components;
use crate::rig::wait::within;

/// What a start takes on a busy machine with two processors.
const START: Duration = Duration::from_secs(120);

/// How a cluster differs from the usual one.
pub(crate) struct Settings {
    /// Makes the configuration of containerd from the usual one.
    pub(crate) containerd: fn(String) -> String,
    /// Fields of the kubelet's configuration, in the place of the usual ones.
    pub(crate) kubelet: Value,
    /// Static pods, by the names of their files.
    pub(crate) static_pods: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { containerd: |usual| usual, kubelet: Value::Null, static_pods: Vec::new() }
    }
}

/// The cluster. Fields are in the order in which they must go.
#[derive(Debug)]
pub(crate) struct Local {
    parts: Vec<Process>,
    rig: Rig,
}

impl Local {
    /// A cluster whose node is ready.
    #[track_caller]
    pub(crate) fn start(settings: &Settings) -> Self {
        let given = components(&["kubernetes"]);
        let programs = Path::new(&given["BERTH_RIG_KUBERNETES_DIR"]);
        let etcd = Path::new(&given["BERTH_RIG_ETCD"]).parent().expect("etcd is in a directory");
        let config = (settings.containerd)(usual_config());
        let rig = Rig::node_with(Some(&config), &[("kubernetes", programs), ("etcd", etcd)]);
        rig.make_cgroup();
        files::furnish(&rig, settings);
        let mut local = Self { parts: Vec::new(), rig };
        local.start_parts();
        local
    }

    /// For a cluster in a static: see [`Rig::sweep_at_exit`].
    pub(crate) fn sweep_at_exit(mut self) -> Self {
        self.rig.sweep_at_exit();
        self
    }

    fn start_parts(&mut self) {
        self.start_part(parts::etcd());
        self.start_part(parts::apiserver());
        self.rig.restart_node();
        self.rig.bring_images();
        self.await_part("the API server is ready", &["get", "--raw", "/readyz"], |answer| answer == "ok");
        for part in [parts::controller_manager(), parts::scheduler(), parts::kubelet()] {
            self.start_part(part);
        }
        let ready = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        self.await_part("the node is ready", &["get", "node", parts::NODE, ready], |answer| answer == "True");
    }

    fn start_part(&mut self, part: parts::Part) {
        let mut command = self.rig.command(part.program);
        command.args(&part.args);
        self.parts.push(Process::start(part.name, command, self.rig.log_file(part.name)));
    }

    /// Waits for an answer of kubectl; panics when a part ends before, or never gives it.
    #[track_caller]
    fn await_part(&mut self, what: &str, args: &[&str], wanted: impl Fn(&str) -> bool) {
        let came = within(START, || {
            for part in &mut self.parts {
                assert!(part.is_running(), "a part of the cluster ended before {what}");
            }
            let answer = self.kubectl().args(args).output().expect("nsenter (util-linux) runs");
            wanted(&String::from_utf8_lossy(&answer.stdout)).then_some(())
        });
        assert!(came.is_some(), "waited {START:?} in vain: {what}");
    }
}

impl Provider for Local {
    fn kubectl(&self) -> Command {
        let programs = self.rig.path("/run/rig/kubernetes");
        let mut command = self.rig.in_network(programs.join("kubectl"));
        command.env("KUBECONFIG", self.rig.path(files::ADMIN)).env("HOME", self.rig.path("/run/rig/tmp"));
        command
    }

    fn node(&self) -> Place {
        *self.rig
    }

    fn restart_engine(&self) {
        self.rig.run(RESTART_COMMAND, &[]).expect("restart the engine");
        self.rig.await_engine();
    }

    fn load_images(&self, archive: &Path) {
        let archive = std::fs::File::open(archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
        let mut import = self.rig.command("ctr");
        import.args(["--namespace", "k8s.io", "images", "import", "-"]).stdin(archive);
        let done = import.output().expect("nsenter (util-linux) runs");
        assert!(done.status.success(), "ctr images import: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn handlers(&self) -> &[&str] {
        &[VM, WRAPPED, SHIMMED]
    }

    fn logs(&self) -> Vec<(String, String)> {
        let parts = self.parts.iter().map(|part| (part.name().to_owned(), part.log()));
        parts.chain([("containerd".to_owned(), self.rig.node_log())]).collect()
    }
}
