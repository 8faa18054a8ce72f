//! A node whose engine requires berth of every container: from zero, through ends of the engine and of berth, and with all
//! its containers dead at once.

use serde_json::{Value, json};

use super::super::berth::{NAMESPACE, daemonset};
use super::super::cluster::Cluster;
use super::super::holds::assert_in_berth;
use super::super::kubectl::{Object, PATIENCE};
use super::super::pod::Pod;
use super::super::scene::{Scene, is_ready};
use super::{TOLERATE, assert_refused, mirror, pod, requiring_cluster};
use crate::rig::berth::binary;
use crate::rig::containerd::{NAMES, VM, WRAPPED};
use crate::rig::wait::within;

/// A pod whose init container asks `berth check` about the node before anything else of it runs.
fn checking(name: &str) -> Value {
    let mut checking = pod(name, None, Some((TOLERATE, "true")));
    let mount = json!({"name": "host", "mountPath": "/host", "readOnly": true, "mountPropagation": "HostToContainer"});
    checking["spec"]["volumes"] = json!([{"name": "host", "hostPath": {"path": "/", "type": "Directory"}}]);
    checking["spec"]["initContainers"] = json!([{
        "name": "check",
        "image": "berth:dev",
        "imagePullPolicy": "IfNotPresent",
        "args": ["check", "--host-root=/host", "--output=json"],
        "securityContext": {"privileged": true},
        "volumeMounts": [mount],
    }]);
    checking["spec"]["restartPolicy"] = "Never".into();
    checking
}

/// The line about required plugins in what `berth check` printed: its grade and its message.
#[track_caller]
fn about_required(printed: &str) -> (String, String) {
    let document: Value = serde_json::from_str(printed).unwrap_or_else(|e| panic!("{e}: {printed}"));
    let mut findings = document["findings"].as_array().expect("findings").iter();
    let finding = findings.find(|finding| finding["check"] == "nri-required-plugins").expect("the finding");
    let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
    (text("grade"), text("message"))
}

/// `berth check` of an init container says what is required, and whether it is there.
#[track_caller]
fn assert_init_container_finds(scene: &Scene<'_>, name: &str, grade: &str, words: &str) {
    scene.apply(&checking(name).to_string());
    let pod = scene.await_object("the init container has ended", "pod", name, |pod| {
        let ended = &pod["status"]["initContainerStatuses"][0]["state"]["terminated"];
        ended.is_object().then(|| Pod::of(pod))
    });
    let printed = scene.logs(&pod, "check").expect("the init container's log");
    let (found, message) = about_required(&printed);
    assert!(found == grade && message.contains(words) && message.contains(TOLERATE), "{found} {message}\n{printed}");
    scene.cluster.delete(&pod.object());
}

/// Ends the engine and everything that it runs, and forgets all that a node forgets with its memory.
const POWER_CUT: &str = "
read -r engine </run/rig/engine.pid
kill -KILL $engine
while kill -0 $engine 2>/dev/null; do sleep 0.02; done
# No line ends in these files. The shims that outlive it have nothing to do any more.
for task in /run/containerd/io.containerd.runtime.v2.task/k8s.io/*/init.pid; do kill -KILL $(cat $task); done
awk '$5 ~ \"^/run/(containerd|netns)/\" {print $5}' /proc/self/mountinfo | while read -r point; do umount -l $point; done
rm -rf /run/containerd/* /run/netns/* /run/berth/*
: >/run/rig/engine.pid
";

/// The static pod, when it is ready.
#[track_caller]
pub(super) fn ready_mirror(cluster: &Cluster, name: &str) -> Pod {
    ready_mirror_after(cluster, name, None)
}

/// The same with another container than it had before.
#[track_caller]
fn ready_mirror_after(cluster: &Cluster, name: &str, before: Option<&Pod>) -> Pod {
    cluster.eventually(&format!("static pod {name} is ready"), &mirror(name), |pod| {
        let is_other = |pod: &Pod| before.is_none_or(|before| before.containers != pod.containers);
        is_ready(pod).then(|| Pod::of(pod)).filter(is_other)
    })
}

/// berth's pod, when it is ready and its container was started so many times again.
#[track_caller]
fn ready_berth(cluster: &Cluster, name: &str, restarts: u64) -> Pod {
    cluster.eventually("berth is back", &Object::new(NAMESPACE, "pod", name), |pod| {
        let started = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
        (is_ready(pod) && started == Some(restarts)).then(|| Pod::of(pod))
    })
}

/// Every pod of the cluster is ready.
#[track_caller]
pub(super) fn assert_all_ready(cluster: &Cluster) {
    let said = cluster.kubectl(&["get", "pods", "--all-namespaces", "--output=json"]).expect("the pods");
    let list: Value = serde_json::from_str(&said).expect("kubectl prints JSON");
    let pods = list["items"].as_array().expect("a list");
    let waiting: Vec<_> = pods.iter().filter(|pod| !is_ready(pod)).map(|pod| &pod["metadata"]["name"]).collect();
    assert!(waiting.is_empty() && !pods.is_empty(), "not ready: {waiting:?}");
}

/// Takes the static pods off the node.
#[track_caller]
pub(super) fn remove_static_pods(cluster: &Cluster) {
    for name in ["tolerant", "strict"] {
        let file = cluster.node().path(format!("/etc/kubernetes/manifests/{name}.json"));
        std::fs::remove_file(file).expect("remove the static pod's file");
    }
    let gone = || ["tolerant", "strict"].iter().all(|name| cluster.get(&mirror(name)).is_none()).then_some(());
    assert!(within(PATIENCE, gone).is_some(), "the static pods do not go");
}

/// The node boots with nothing but what tolerates, and is complete with berth.
#[track_caller]
fn boot(cluster: &Cluster, overlay: &str) -> Pod {
    let tolerant = ready_mirror(cluster, "tolerant");
    assert_refused(cluster, &mirror("strict"));
    cluster.apply_overlay(overlay);
    cluster.await_rollout(&daemonset());
    ready_mirror(cluster, "strict");
    assert_eq!(ready_mirror(cluster, "tolerant").containers, tolerant.containers, "it was started again");
    assert_all_ready(cluster);
    cluster.berth()
}

/// Everything that runs on the node dies at once, and it comes back without anybody's doing.
#[track_caller]
pub(super) fn cut_power(scene: &Scene<'_>) {
    let cluster = scene.cluster;
    let [tolerant, strict] = ["tolerant", "strict"].map(|name| ready_mirror(cluster, name));
    let berth = cluster.berth();
    cluster.node().run("sh", &["-c", POWER_CUT]).expect("end everything on the node");
    cluster.restart_engine();
    ready_mirror_after(cluster, "tolerant", Some(&tolerant));
    assert_in_berth(scene, &ready_mirror_after(cluster, "strict", Some(&strict)));
    let after = ready_berth(cluster, &berth.name, 1);
    assert_ne!(after.containers, berth.containers);
}

#[test]
fn a_node_that_requires_berth_boots_from_zero_and_comes_back_by_itself() {
    let cluster = requiring_cluster(VM);
    let scene = Scene::on(&cluster, "boot");
    ready_mirror(&cluster, "tolerant");
    assert_init_container_finds(&scene, "without", "WARN", "berth is required and no berth runs");
    let berth = boot(&cluster, "plugin");
    assert_in_berth(&scene, &ready_mirror(&cluster, "strict"));
    let printed = scene.exec(&berth, "berth", &["/berth", "check", "--output=json"]);
    let (grade, message) = about_required(&printed.expect("berth check finds nothing that fails"));
    assert!(grade == "PASS" && message.contains("berth is required") && message.contains(TOLERATE), "{message}");
    assert_init_container_finds(&scene, "with", "PASS", "berth is required: no container is created without it");

    // The engine ends: berth finds it again.
    cluster.restart_engine();
    scene.apply(&pod("after-engine", Some(VM), None).to_string());
    assert_in_berth(&scene, &scene.ready_pod("after-engine"));
    ready_berth(&cluster, &berth.name, 0);

    // berth ends: its container is made anew while no berth is there.
    let task = berth.bundle(&cluster, "berth").pid();
    cluster.node().run("kill", &["-KILL", &task.to_string()]).expect("kill berth");
    ready_berth(&cluster, &berth.name, 1);
    scene.apply(&pod("after-berth", Some(VM), None).to_string());
    assert_in_berth(&scene, &scene.ready_pod("after-berth"));

    // berth is taken away, and put back.
    cluster.remove_overlay();
    scene.apply(&pod("between", Some(VM), None).to_string());
    assert_refused(&cluster, &scene.object("pod", "between"));
    cluster.apply_overlay("plugin");
    assert_in_berth(&scene, &scene.ready_pod("between"));
    assert_all_ready(&cluster);
    remove_static_pods(&cluster);
}

#[test]
fn a_node_that_requires_berth_comes_back_when_everything_on_it_has_died() {
    let cluster = requiring_cluster(VM);
    let scene = Scene::on(&cluster, "dead");
    boot(&cluster, "plugin");
    cut_power(&scene);
    assert_all_ready(&cluster);
    remove_static_pods(&cluster);
}

#[test]
fn so_it_does_where_interposers_pin_and_berth_has_no_privilege() {
    let cluster = requiring_cluster(WRAPPED);
    let scene = Scene::on(&cluster, "interposed");
    boot(&cluster, "interposed");
    assert_in_berth(&scene, &ready_mirror(&cluster, "strict"));
    cut_power(&scene);
    assert_all_ready(&cluster);
    remove_static_pods(&cluster);
    // What is marked goes with the next creation, and here there is none.
    let program = format!("{NAMES}/../berth/{}", binary().file_name().expect("a name").to_string_lossy());
    let left = || cluster.node().run(&program, &["gc"]).is_ok_and(|_| cluster.node().left_of_pods().is_empty());
    assert!(within(PATIENCE, || left().then_some(())).is_some(), "{:?}", cluster.node().left_of_pods());
}
