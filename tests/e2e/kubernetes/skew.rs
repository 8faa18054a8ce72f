//! Two versions of berth on one node: interposers of one beside a daemon of the other, and a rolling update while pods run.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::berth::{NAMESPACE, daemonset};
use super::cluster::Cluster;
use super::holds::assert_in_berth;
use super::kubectl::PATIENCE;
use super::local::Settings;
use super::pod::Pod;
use super::scene::{Scene, is_ready};
use crate::rig::IDLE;
use crate::rig::berth::binary;
use crate::rig::containerd::{NAMES, SHIMMED, VM, WRAPPED};
use crate::rig::place::outcome;
use crate::rig::provision::{components, provision};
use crate::rig::read::{NetnsId, pin_path};
use crate::rig::wait::within;

/// Where the node has the binary of the earlier version.
const BEFORE: &str = "/run/rig/previous";

/// On top of the overlay `plugin`, what a cluster had of the earlier version: it is told by its configuration where the
/// host's processes are, knows nothing of `BERTH_HOST_PROC`, and the oldest have no pages for probes either.
const KUSTOMIZATION: &str = r"
resources: [../manifests/overlays/plugin]
images: [{name: berth, newTag: previous}]
configMapGenerator:
- name: berth-config
  namespace: berth-system
  behavior: replace
  literals: ['config.yaml=hostProc: /host/proc']
generatorOptions: {disableNameSuffixHash: true}
patches:
- target: {kind: DaemonSet, name: berth}
  patch: |-
    - {op: remove, path: /spec/template/spec/containers/0/startupProbe}
    - {op: remove, path: /spec/template/spec/containers/0/livenessProbe}
    - {op: remove, path: /spec/template/spec/containers/0/readinessProbe}
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Before,
    Now,
}

/// A cluster of its own whose node has both versions.
struct Node {
    cluster: Cluster,
    commit: String,
    before: TempDir,
}

impl Node {
    fn start() -> Self {
        let given = components(&["berth_previous"]);
        let cluster = Cluster::own(&Settings::default());
        cluster.load_images(Path::new(&given["BERTH_RIG_BERTH_PREVIOUS_IMAGE"]));
        let directory = cluster.node().path(BEFORE);
        std::fs::create_dir(&directory).expect("make a directory");
        std::fs::copy(&given["BERTH_RIG_BERTH_PREVIOUS"], directory.join("berth")).expect("install the version");
        let before = tempfile::tempdir().expect("make a directory");
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
        let mut copy = std::process::Command::new("cp");
        outcome(copy.arg("-r").arg(manifests).arg(before.path()), "cp").expect("copy the manifests");
        std::fs::create_dir(before.path().join("before")).expect("make a directory");
        std::fs::write(before.path().join("before/kustomization.yaml"), KUSTOMIZATION).expect("write a kustomization");
        Self { cluster, commit: given["BERTH_RIG_BERTH_PREVIOUS_COMMIT"][..12].to_owned(), before }
    }

    /// Has the wrapped handlers run this version, from their next command on.
    fn interpose(&self, version: Version) {
        let target = match version {
            Version::Before => format!("{BEFORE}/berth"),
            Version::Now => format!("/run/rig/berth/{}", binary().file_name().expect("a name").to_string_lossy()),
        };
        let said = self.cluster.node().run(&target, &["--version"]).expect("it runs");
        assert_eq!(said.contains(&self.commit), version == Version::Before, "another version than was meant: {said}");
        for name in ["berth-runc", "containerd-shim-berth-runc-v2"] {
            let next = format!("{NAMES}/.next");
            std::os::unix::fs::symlink(&target, self.cluster.node().path(&next)).expect("make the link");
            let path = self.cluster.node().path(format!("{NAMES}/{name}"));
            std::fs::rename(self.cluster.node().path(next), path).expect("put it in place");
        }
    }

    /// Rolls the DaemonSet out in this version, which says so and serves the engine.
    #[track_caller]
    fn roll_out(&self, version: Version, overlay: &str) {
        match version {
            Version::Before => self.cluster.apply_directory(&self.before.path().join("before")),
            Version::Now => self.cluster.apply_overlay(overlay),
        }
        self.cluster.await_rollout(&daemonset());
        let berth = self.cluster.berth();
        let log = within(PATIENCE, || {
            let log = self.cluster.kubectl(&["logs", "--namespace", NAMESPACE, &berth.name]).ok()?;
            log.contains("event=Synchronize").then_some(log)
        });
        let log =
            log.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain: the engine has told its pods to {berth:?}"));
        assert_eq!(log.contains(&format!("commit={}", self.commit)), version == Version::Before, "{log}");
    }
}

/// A pod of this RuntimeClass whose container ends when it is told to, and is started again.
fn run(scene: &Scene<'_>, name: &str, class: &str) -> Pod {
    let image = &provision().image_busybox;
    let container = serde_json::json!({"name": "main", "image": image, "command": ["sh", "-c", IDLE]});
    scene.apply(
        &serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"runtimeClassName": class, "containers": [container], "terminationGracePeriodSeconds": 5},
        })
        .to_string(),
    );
    let pod = scene.ready_pod(name);
    assert_in_berth(scene, &pod);
    if class != VM {
        let sandbox = pod.sandbox(scene.cluster);
        assert_eq!(sandbox.netns_path(), Some(pin_path(&sandbox.id)), "the path of the sandbox of {name}");
        assert_eq!(sandbox.annotations().get("ocid/sandbox_id"), Some(&sandbox.id));
    }
    pod
}

/// The namespace that the pod's pin keeps.
#[track_caller]
fn pin(scene: &Scene<'_>, pod: &Pod) -> NetnsId {
    let sandbox = pod.sandbox(scene.cluster).id;
    scene.cluster.node().pin(&sandbox).unwrap_or_else(|| panic!("{pod:?} has no pin"))
}

/// The pod's container ends, and the next one is in the same sandbox and joins the same pin.
#[track_caller]
fn assert_next_container_joins(scene: &Scene<'_>, pod: &Pod, kept: NetnsId) -> Pod {
    let task = pod.bundle(scene.cluster, "main").pid();
    // A first process that has not come to its trap yet would not notice another signal.
    scene.cluster.node().run("kill", &["-KILL", &task.to_string()]).expect("end the container");
    let next = scene.await_object("the next container runs", "pod", &pod.name, |object: &Value| {
        let next = is_ready(object).then(|| Pod::of(object))?;
        (next.containers != pod.containers).then_some(next)
    });
    assert_in_berth(scene, &next);
    assert_eq!(pin(scene, &next), kept, "{} has another pin", pod.name);
    next
}

/// The pod goes; its sandbox's id.
fn delete(scene: &Scene<'_>, pod: &Pod) -> String {
    let sandbox = pod.sandbox(scene.cluster).id;
    scene.cluster.delete(&pod.object());
    sandbox
}

#[track_caller]
fn assert_nothing_left_of(node: &Node, sandbox: &str) {
    let left = || node.cluster.node().left_of_pods().into_iter().filter(|path| path.contains(sandbox));
    let gone = within(PATIENCE, || left().next().is_none().then_some(()));
    assert!(gone.is_some(), "still there: {:?}", left().collect::<Vec<_>>());
}

/// Pods come and go with interposers of one version and a daemon of another.
fn mix(test: &str, interposers: Version, daemon: Version) {
    let node = Node::start();
    let scene = Scene::on(&node.cluster, test);
    node.interpose(interposers);
    node.roll_out(daemon, "plugin");
    for class in [WRAPPED, SHIMMED] {
        let pod = run(&scene, class, class);
        let kept = pin(&scene, &pod);
        let next = assert_next_container_joins(&scene, &pod, kept);
        let sandbox = delete(&scene, &next);
        assert_nothing_left_of(&node, &sandbox);
    }
}

#[test]
fn earlier_interposers_and_a_later_daemon_serve_the_same_pods() {
    mix("earlier-interposers", Version::Before, Version::Now);
}

#[test]
fn later_interposers_and_an_earlier_daemon_serve_the_same_pods() {
    mix("earlier-daemon", Version::Now, Version::Before);
}

#[test]
fn earlier_interposers_release_what_a_later_daemon_without_privilege_has_marked() {
    let node = Node::start();
    let scene = Scene::on(&node.cluster, "marked-later");
    node.interpose(Version::Before);
    node.roll_out(Version::Now, "interposed");
    let mut marked: Option<String> = None;
    for class in [WRAPPED, SHIMMED, WRAPPED] {
        let pod = run(&scene, class, class);
        if let Some(sandbox) = marked {
            assert_nothing_left_of(&node, &sandbox);
        }
        let kept = pin(&scene, &pod);
        let next = assert_next_container_joins(&scene, &pod, kept);
        let sandbox = delete(&scene, &next);
        let record = node.cluster.node().path(format!("/run/berth/sandboxes/berth-{sandbox}.json"));
        let gone = || std::fs::read_to_string(&record).is_ok_and(|text| text.contains("\"gone\":")).then_some(());
        assert!(within(PATIENCE, gone).is_some(), "the daemon does not mark the pin of {class}");
        marked = Some(sandbox);
    }
    node.cluster.node().run(&format!("{BEFORE}/berth"), &["gc"]).expect("nothing but the last is to go");
}

#[test]
fn pods_outlive_a_rolling_update_and_the_way_back() {
    let node = Node::start();
    let scene = Scene::on(&node.cluster, "rolling");
    node.interpose(Version::Before);
    node.roll_out(Version::Before, "plugin");
    let mut pods: Vec<_> = [VM, WRAPPED, SHIMMED].map(|class| run(&scene, &format!("old-{class}"), class)).into();
    let mut pins: Vec<_> = pods.iter().map(|pod| pin(&scene, pod)).collect();
    for (version, new) in [(Version::Now, "new"), (Version::Before, "again")] {
        // The daemon goes first, as a DaemonSet does where the nodes are somebody else's.
        node.roll_out(version, "plugin");
        pods = pods.iter().zip(&pins).map(|(pod, kept)| assert_next_container_joins(&scene, pod, *kept)).collect();
        node.interpose(version);
        for class in [VM, WRAPPED, SHIMMED] {
            let pod = run(&scene, &format!("{new}-{class}"), class);
            pins.push(pin(&scene, &pod));
            pods.push(pod);
        }
    }
}

/// What it does not know it says by not being ready: an update is taken back with its manifests, not by the image alone.
#[test]
fn an_earlier_image_under_the_later_manifest_is_not_ready_and_says_what_it_lacks() {
    let node = Node::start();
    node.roll_out(Version::Now, "plugin");
    let image = ["set", "image", "--namespace", NAMESPACE, "daemonset/berth", "berth=berth:previous"];
    node.cluster.kubectl(&image).expect("take the image back");
    let said = node.cluster.eventually("the earlier berth is not ready", &daemonset(), |_| {
        let (status, body) = node.cluster.health("/readyz")?;
        (status == 503 && body.contains("hostProc")).then_some(body)
    });
    assert!(said.contains("nothing is pinned or swapped"), "{said}");
}
