//! The overlay `host`: berth put on the node by its DaemonSet, and taken away again by the Job, as the manifests say it.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::berth::{NAMESPACE, SELECTOR, daemonset};
use super::cluster::Cluster;
use super::desk::Desk;
use super::holds::{assert_in_berth, assert_sandbox_in_berth, assert_serves};
use super::kubectl::Object;
use super::local::Settings;
use super::pod::{Pod, statuses};
use super::pods::{deploy, undeploy};
use super::scene::{Scene, is_ready};
use crate::rig::containerd::VM;
use crate::rig::node::{RESTART_COMMAND, assert_restored, assert_untouched};
use crate::rig::process::Process;
use crate::rig::wait::eventually;

/// The handler that comes of [`VM`], and its RuntimeClass.
const NEW: &str = "vm-berth";
/// The kustomization of the Job; its comment says how nodes are uninstalled.
const UNINSTALL: &str = include_str!("../../../manifests/uninstall/kustomization.yaml");
/// What asks the node's systemctl writes here.
const SYSTEMD: &str = "/run/rig/systemd";
/// Within what time a Job's third or fourth try comes, and is over; each comes twice as long after the one before it as that
/// one did.
const NEXT_TRY: Duration = Duration::from_secs(240);
/// The Job's pods.
const TRIES: &str = "app.kubernetes.io/component=uninstall";

/// The operator's kustomizations on top of the overlay and of the Job.
struct Operator<'cluster> {
    cluster: &'cluster Cluster,
    desk: Desk,
    install: PathBuf,
}

impl<'cluster> Operator<'cluster> {
    /// `component` goes into both.
    fn new(cluster: &'cluster Cluster, component: Option<&str>) -> Self {
        let desk = Desk::new();
        let components = component.map(|name| format!("components: [../manifests/components/{name}]\n"));
        let components = components.unwrap_or_default();
        // As the overlay's own comment says it.
        let install = desk.write(
            "install",
            &format!(
                "resources: [../manifests/overlays/host]
{components}patches:
- target: {{kind: DaemonSet, name: berth}}
  patch: |-
    - {{op: add, path: /spec/template/spec/containers/0/args/-, value: --handler={VM}}}
"
            ),
        );
        desk.write("uninstall", &format!("resources: [../manifests/uninstall]\n{components}"));
        cluster.apply(&format!(
            "{{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {{name: {NEW}}}, handler: {NEW}}}"
        ));
        Self { cluster, desk, install }
    }

    fn install(&self) {
        self.cluster.apply_directory(&self.install);
    }

    /// Runs a command of the Job's comment, word for word, but for the kustomization, which is the one on top.
    #[track_caller]
    fn run(&self, command: &str) {
        let command = command.replace("manifests/uninstall", "uninstall");
        self.desk.shell(self.cluster, &command).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Leaves the cluster as it was.
    fn leave(&self) {
        self.cluster.delete(&Object::of_cluster("namespace", NAMESPACE));
        self.cluster.delete(&Object::of_cluster("runtimeclass", NEW));
    }
}

/// The commands of the comment: what deletes the installer, what makes the Jobs, what waits for them.
fn commands() -> [String; 3] {
    let lines: Vec<_> = UNINSTALL.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let [delete, first, .., wait] = &lines[..] else { panic!("three commands are there, not {lines:?}") };
    assert!(first.starts_with("kubectl get nodes") && wait.contains(" wait "), "{lines:?}");
    [(*delete).to_owned(), lines[1..lines.len() - 1].join("\n"), (*wait).to_owned()]
}

/// What stands for the node's systemd: it restarts the engine as a unit of its own, not as a child of whoever asks.
fn systemd(cluster: &Cluster, logs: &TempDir) -> Process {
    let node = cluster.node();
    node.write("/usr/local/bin/systemctl", &format!("#!/bin/sh\necho \"$*\" >{SYSTEMD}\n"));
    node.run("sh", &["-c", &format!("chmod 755 /usr/local/bin/systemctl; mkfifo {SYSTEMD}")])
        .expect("furnish the node");
    let mut systemd = node.command("sh");
    systemd.args(["-c", &format!("while read -r asked <{SYSTEMD}; do echo \"$asked\"; {RESTART_COMMAND}; done")]);
    Process::start("systemd", systemd, logs.path().join("systemd"))
}

/// Waits until berth on the node answers with this status, and with this in what it says.
#[track_caller]
fn await_health(cluster: &Cluster, status: u16, wanted: &str) -> String {
    cluster.eventually(&format!("/readyz says {status} with {wanted:?}"), &daemonset(), |_| {
        let (found, body) = cluster.health("/readyz")?;
        // Each finding on one line.
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let body = body.replace("\n       ", " ").lines().map(words).collect::<Vec<_>>().join("\n");
        (found == status && body.contains(wanted)).then_some(body)
    })
}

/// A pod of the new handler's RuntimeClass is in berth, with its sandbox.
#[track_caller]
fn assert_comes_through_berth(scene: &Scene<'_>, name: &str) -> Pod {
    let pod = deploy(scene, name, Some(NEW));
    assert_sandbox_in_berth(scene, &pod);
    assert_in_berth(scene, &pod);
    assert_serves(scene, &pod, "server", &format!("{name} serves"));
    pod
}

/// Waits for a try of the Job that has failed with this as its last words, which `kubectl describe pod` shows.
#[track_caller]
fn await_refusal(cluster: &Cluster, wanted: &str) {
    let tries = Object::labelled(NAMESPACE, "pods", TRIES);
    cluster.eventually_within(NEXT_TRY, &format!("the Job's pod says {wanted:?}"), &tries, |list| {
        let pods = list["items"].as_array()?;
        let ends = pods.iter().flat_map(statuses).map(|status| &status["state"]["terminated"]);
        let messages = ends.filter(|end| end["exitCode"] == 1).filter_map(|end| end["message"].as_str());
        messages.into_iter().any(|message| message.contains(wanted)).then_some(())
    });
}

/// Has a pod go while there is still a berth, which then has nothing of it any more.
#[track_caller]
fn send_away(scene: &Scene<'_>, name: &str, pod: &Pod) {
    let sandbox = pod.sandbox(scene.cluster).id;
    undeploy(scene, name, pod);
    let left = || scene.cluster.node().left_of_pods().into_iter().any(|left| left.contains(&sandbox));
    eventually("nothing is left of it", || (!left()).then_some(()));
}

#[test]
fn the_overlay_host_installs_and_stays_and_its_job_takes_all_of_it_away() {
    let scene = Scene::bare("host");
    let cluster = scene.cluster;
    let before = cluster.node().see();
    let operator = Operator::new(cluster, None);
    let [delete, make, wait] = commands();

    operator.install();
    let said = await_health(cluster, 503, "FAIL handlers");
    let why =
        "containerd does not know vm-berth: it reads its configuration at its start -> restart containerd on this node";
    assert!(said.contains(why), "{said}");
    assert!(said.contains(&format!("PASS install berth {}", berth::VERSION)), "{said}");
    let pod = cluster.get(&cluster.berth().object()).expect("the installer's pod is there");
    assert!(!is_ready(&pod), "ready before the engine has read anything");

    cluster.restart_engine();
    cluster.await_rollout(&daemonset());
    let said = await_health(cluster, 200, "PASS handlers");
    assert!(said.contains("PASS plugin it says that it is ready"), "{said}");
    let stays = assert_comes_through_berth(&scene, "stays");

    // In the wrong order nothing is taken away.
    operator.run(&make);
    await_refusal(cluster, "delete its DaemonSet");
    cluster.delete(&Object::labelled(NAMESPACE, "jobs", TRIES));

    // Deleting the installer takes nothing away either.
    let installed = cluster.node().see();
    operator.run(&delete);
    cluster.await_gone(&Object::labelled(NAMESPACE, "pods", SELECTOR));
    assert_untouched(&installed, &cluster.node().see());
    assert_serves(&scene, &stays, "server", "stays serves");
    let later = assert_comes_through_berth(&scene, "later");

    operator.run(&make);
    for pod in [&later, &stays] {
        await_refusal(cluster, &format!("{}/{} ({NEW})", pod.namespace, pod.name));
    }
    assert_untouched(&installed, &cluster.node().see());
    send_away(&scene, "later", &later);
    send_away(&scene, "stays", &stays);
    // The engine has read what is to go; the last files are left until it has read again.
    await_refusal(cluster, "restart containerd");
    cluster.restart_engine();
    operator.run(&wait);
    assert_restored(&before, &cluster.node().see());
    operator.leave();
}

#[test]
fn with_the_component_restart_nobody_has_to_touch_the_node() {
    let cluster = Cluster::own(&Settings::default());
    let scene = Scene::on(&cluster, "restart");
    let logs = tempfile::tempdir().expect("make a directory");
    let systemd = systemd(&cluster, &logs);
    let before = cluster.node().see();
    let operator = Operator::new(&cluster, Some("restart"));
    let [delete, make, wait] = commands();

    operator.install();
    cluster.await_rollout(&daemonset());
    assert_eq!(systemd.log(), "restart containerd\n");
    let pod = assert_comes_through_berth(&scene, "web");

    operator.run(&delete);
    operator.run(&make);
    await_refusal(&cluster, &format!("{}/{} ({NEW})", pod.namespace, pod.name));
    send_away(&scene, "web", &pod);
    operator.run(&wait);
    assert_eq!(systemd.log(), "restart containerd\n".repeat(2));
    assert_restored(&before, &cluster.node().see());
    operator.leave();
    systemd.kill();
}
