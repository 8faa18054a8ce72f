//! The overlay `host`: berth put on the node by its DaemonSet, and taken away again by the Job, as the manifests say it.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::berth::{NAMESPACE, daemonset};
use super::cluster::Cluster;
use super::holds::{assert_in_berth, assert_sandbox_in_berth, assert_serves};
use super::kubectl::Object;
use super::local::Settings;
use super::pod::{Pod, statuses};
use super::pods::deploy;
use super::scene::Scene;
use crate::rig::containerd::VM;
use crate::rig::node::{RESTART_COMMAND, assert_restored, assert_untouched};
use crate::rig::place::outcome;
use crate::rig::process::Process;

/// The handler that comes of [`VM`], and its RuntimeClass.
const NEW: &str = "vm-berth";
/// How the kustomization of the Job has the nodes uninstalled, in its comment; the path in it is from the checkout's root.
const UNINSTALL: &str = include_str!("../../../manifests/uninstall/kustomization.yaml");
/// What asks the node's systemctl writes here.
const SYSTEMD: &str = "/run/rig/systemd";
/// The Job's pods.
const TRIES: &str = "app.kubernetes.io/component=uninstall";

/// An operator's directory: the manifests, and kustomizations on top of them.
struct Desk {
    directory: TempDir,
    kubectl: Command,
}

impl Desk {
    /// With a kustomization on top of the overlay, and one on top of the Job; `component` goes into both.
    fn new(cluster: &Cluster, component: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("make a directory");
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
        outcome(Command::new("cp").arg("-r").arg(manifests).arg(directory.path()), "cp").expect("copy the manifests");
        let components = component.map(|name| format!("components: [../manifests/components/{name}]\n"));
        let components = components.unwrap_or_default();
        let write = |name: &str, text: String| {
            std::fs::create_dir(directory.path().join(name)).expect("make a directory");
            std::fs::write(directory.path().join(name).join("kustomization.yaml"), text)
                .expect("write a kustomization");
        };
        // As the overlay's own comment says it.
        write(
            "install",
            format!(
                "resources: [../manifests/overlays/host]
{components}patches:
- target: {{kind: DaemonSet, name: berth}}
  patch: |-
    - {{op: add, path: /spec/template/spec/containers/0/args/-, value: --handler={VM}}}
"
            ),
        );
        write("uninstall", format!("resources: [../manifests/uninstall]\n{components}"));
        Self { directory, kubectl: cluster.kubectl_command() }
    }

    fn install(&self, cluster: &Cluster) {
        cluster.apply_directory(&self.directory.path().join("install"));
    }

    /// The commands of the comment: that which deletes the installer, that which makes the Jobs, that which waits for them.
    fn commands() -> [String; 3] {
        let lines = UNINSTALL.lines().filter_map(|line| line.strip_prefix("#   "));
        let mut commands = Vec::<String>::new();
        let mut goes_on = false;
        for line in lines {
            match commands.last_mut() {
                Some(last) if goes_on => *last += &format!("\n{line}"),
                _ => commands.push(line.to_owned()),
            }
            goes_on = line.ends_with('|') || line.ends_with("do") || line.starts_with("    ");
        }
        commands.try_into().unwrap_or_else(|found| panic!("not three commands but {found:#?}"))
    }

    /// Runs a command of the comment, word for word but for the kustomization on top.
    #[track_caller]
    fn run(&self, command: &str) -> String {
        let mut words = vec![self.kubectl.get_program().to_str().expect("text").to_owned()];
        words.extend(self.kubectl.get_args().map(|word| word.to_str().expect("text").to_owned()));
        let script = format!("kubectl() {{ {} \"$@\"; }}\n{}", words.join(" "), command.replace("manifests/", ""));
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(self.directory.path());
        for (name, value) in self.kubectl.get_envs() {
            shell.env(name, value.expect("a value"));
        }
        outcome(&mut shell, command).unwrap_or_else(|e| panic!("{e}"))
    }
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
        let body = body
            .replace("\n       ", " ")
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
            .collect::<String>();
        (found == status && body.contains(wanted)).then_some(body)
    })
}

/// The RuntimeClass of the new handler.
fn make_class(cluster: &Cluster) {
    cluster.apply(&format!(
        "{{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {{name: {NEW}}}, handler: {NEW}}}"
    ));
}

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
    cluster.eventually(&format!("the Job's pod says {wanted:?}"), &tries, |list| {
        let pods = list["items"].as_array()?;
        let ends = pods.iter().flat_map(statuses).map(|status| &status["state"]["terminated"]);
        let messages = ends.filter(|end| end["exitCode"] == 1).filter_map(|end| end["message"].as_str());
        messages.into_iter().any(|message| message.contains(wanted)).then_some(())
    });
}

#[track_caller]
fn undeploy(scene: &Scene<'_>, name: &str, pod: &Pod) {
    scene.cluster.delete(&scene.object("deployment", name));
    scene.cluster.kubectl(&pod.object().after(&["wait", "--for=delete", "--timeout=90s"])).expect("the pod goes");
}

#[test]
fn the_overlay_host_installs_waits_for_a_restart_stays_and_the_job_takes_all_of_it_away() {
    let cluster = Cluster::own(&Settings::default());
    let scene = Scene::on(&cluster, "host");
    let desk = Desk::new(&cluster, None);
    let before = cluster.node().see();
    make_class(&cluster);

    desk.install(&cluster);
    let said = await_health(&cluster, 503, "FAIL handlers");
    assert!(
        said.contains("containerd does not know vm-berth: it reads its configuration at its start -> restart"),
        "{said}"
    );
    assert!(said.contains(&format!("PASS install berth {}", berth::VERSION)), "{said}");
    let pod = cluster.get(&cluster.berth().object()).expect("the installer's pod is there");
    assert!(!super::scene::is_ready(&pod), "ready before the engine has read anything");

    cluster.restart_engine();
    cluster.await_rollout(&daemonset());
    let said = await_health(&cluster, 200, "PASS handlers");
    assert!(said.contains("PASS plugin it says that it is ready"), "{said}");
    let stays = assert_comes_through_berth(&scene, "stays");

    // Deleting the installer takes nothing away.
    let [delete, make, wait] = Desk::commands();
    let installed = cluster.node().see();
    desk.run(&delete);
    cluster
        .kubectl(&Object::labelled(NAMESPACE, "pods", super::berth::SELECTOR).after(&[
            "wait",
            "--for=delete",
            "--timeout=90s",
        ]))
        .expect("the installer goes");
    assert_untouched(&installed, &cluster.node().see());
    assert_serves(&scene, &stays, "server", "stays serves");
    let later = assert_comes_through_berth(&scene, "later");

    desk.run(&make);
    await_refusal(&cluster, &format!("{}/{} ({NEW})", later.namespace, later.name));
    await_refusal(&cluster, &format!("{}/{} ({NEW})", stays.namespace, stays.name));
    undeploy(&scene, "later", &later);
    undeploy(&scene, "stays", &stays);
    // The engine has read what is to go; its files are left until it has read again.
    await_refusal(&cluster, "restart");
    cluster.restart_engine();
    desk.run(&wait);
    assert_restored(&before, &cluster.node().see());
    cluster.delete(&Object::of_cluster("namespace", NAMESPACE));
}

#[test]
fn with_the_component_restart_nobody_has_to_touch_the_node() {
    let cluster = Cluster::own(&Settings::default());
    let scene = Scene::on(&cluster, "restart");
    let logs = tempfile::tempdir().expect("make a directory");
    let systemd = systemd(&cluster, &logs);
    let desk = Desk::new(&cluster, Some("restart"));
    let before = cluster.node().see();
    make_class(&cluster);

    desk.install(&cluster);
    cluster.await_rollout(&daemonset());
    assert_eq!(systemd.log(), "restart containerd\n");
    let pod = assert_comes_through_berth(&scene, "web");

    let [delete, make, wait] = Desk::commands();
    desk.run(&delete);
    desk.run(&make);
    await_refusal(&cluster, &format!("{}/{} ({NEW})", pod.namespace, pod.name));
    undeploy(&scene, "web", &pod);
    desk.run(&wait);
    assert_eq!(systemd.log(), "restart containerd\n".repeat(2));
    assert_restored(&before, &cluster.node().see());
    cluster.delete(&Object::of_cluster("namespace", NAMESPACE));
    systemd.kill();
}
