//! What an operator sees of real pods, with a daemon and without one, and what is run in their networks.

use serde_json::Value;

use super::{assert_nothing_left, await_settled};
use crate::rig::containerd::{SHIMMED, VM, WRAPPED};
use crate::rig::cri::Pod;
use crate::rig::holds::{Pair, assert_collected};
use crate::rig::wait::eventually;
use crate::rig::{Rig, SERVE};

/// Runs berth; how it ended, and what it printed.
fn berth(rig: &Rig, args: &[&str]) -> (Option<i32>, String, String) {
    let output = rig.berth_command(args);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("text"));
    (output.status.code(), out, err)
}

fn json(rig: &Rig, args: &[&str]) -> Value {
    let (code, out, err) = berth(rig, &[args, &["-o", "json"]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    serde_json::from_str(&out).expect("JSON")
}

fn list<'a>(value: &'a Value, what: &str) -> Vec<&'a Value> {
    value[what].as_array().unwrap_or_else(|| panic!("no {what} in {value:#}")).iter().collect()
}

/// The report shows the pod's address and way out, and each of its processes.
#[track_caller]
fn assert_inspected(rig: &Rig, web: &Pair) -> Value {
    let report = json(rig, &["inspect", &web.name]);
    let state = rig.cri().sandbox_state(&web.pod.id);
    let interfaces = list(&report["network"], "interfaces");
    let eth0 = interfaces.iter().find(|interface| interface["name"] == "eth0").expect("the pod has eth0");
    let addresses = list(eth0, "addresses");
    let is_the_pods = |text: &&str| text.split('/').next() == Some(&state.address);
    assert!(addresses.iter().filter_map(|text| text.as_str()).any(|text| is_the_pods(&text)), "{addresses:?}");
    let routes = list(&report["network"], "routes");
    let default = routes.iter().find(|route| route["destination"] == "default").expect("the pod has a default route");
    assert_eq!(default["hops"][0]["device"], "eth0");
    assert!(default["hops"][0]["gateway"].is_string(), "{default}");

    let mut pids: Vec<_> = web.containers().map(|container| rig.cri().container_pid(container)).to_vec();
    pids.push(state.pid);
    let found: Vec<_> = list(&report, "processes").into_iter().map(|process| process["pid"].clone()).collect();
    assert!(pids.iter().all(|pid| found.contains(&Value::from(*pid))), "{pids:?} in {found:?}");
    assert_eq!((&report["state"], &report["lifecycle"]["reason"]), (&"pinned".into(), &"engine-holds-it".into()));
    assert_eq!(report["source"]["found"], "there");
    report
}

/// The bundles that were found are the pod's: its sandbox, and its containers by name.
#[track_caller]
fn assert_containers(report: &Value, web: &Pair) {
    let found: Vec<_> =
        list(report, "containers").iter().map(|found| (&found["id"], &found["facts"]["role"])).collect();
    assert_eq!(found[0], (&Value::from(web.pod.id.clone()), &"sandbox".into()));
    assert_eq!(found.len(), 3, "{found:?}");
    for container in web.containers() {
        assert!(found.contains(&(&Value::from(container.clone()), &"container".into())), "{found:?}");
    }
}

/// Nothing is left to be done with a container's specification.
fn is_settled(container: &Value) -> bool {
    container["pathBefore"] == container["pathAfter"]
        && list(container, "removed").is_empty()
        && ["written", "corrected"].iter().all(|what| container[*what].as_object().expect("an object").is_empty())
}

/// Commands of the node see the pod's network and nothing else of it.
#[track_caller]
fn assert_executes(rig: &Rig, pod: &str) {
    let exec = |words: &[&str]| berth(rig, &[&["exec", pod, "--"], words].concat());
    assert_eq!(exec(&["ls", "/sys/class/net"]), (Some(0), "eth0\nlo\n".into(), String::new()));
    let links = exec(&["sh", "-c", "ip -o link | cut -d' ' -f2 | cut -d@ -f1 | tr -d : | sort"]).1;
    assert_eq!(links, "eth0\nlo\n");
    // Its own server listens on every address.
    let page =
        || Some(exec(&["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1/"]).1).filter(|page| !page.is_empty());
    assert_eq!(eventually("the pod's server answers on 127.0.0.1", page), "berth\n");
    let node = rig.fetch_from_node("http://127.0.0.1/");
    assert!(node.is_err(), "the node has a server there, too: {node:?}");
    assert_eq!(exec(&["sh", "-c", "exit 42"]).0, Some(42));
    assert_eq!(exec(&["nowhere"]).0, Some(127));
    assert_eq!(exec(&["/etc/passwd"]).0, Some(126));
    assert_eq!(rig.mounts().iter().filter(|point| *point == "/sys").count(), 1, "a view of /sys has come out");
}

#[test]
fn without_a_daemon_a_pod_is_listed_inspected_entered_and_collected() {
    let rig = Rig::start();
    assert_eq!(berth(&rig, &["list"]), (Some(0), String::new(), "No pins found.\n".into()));
    let web = Pair::run(&rig, &Pod::new("web", WRAPPED));
    let other = rig.run_pod(&Pod { namespace: "other".into(), ..Pod::new("web", WRAPPED) }).expect("run the pod");

    let listed = json(&rig, &["list", "-n", "default"]);
    let item = &list(&listed, "items")[0];
    assert_eq!((&item["doors"], &item["state"]), (&vec!["runtime"].into(), &"pinned".into()));
    assert!(item["processes"].as_u64() >= Some(3), "{item}");
    let (code, _, told) = berth(&rig, &["inspect", "web"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("default/web") && told.contains("other/web") && told.contains(&other.id), "{told}");
    rig.cri().remove_pod(&other.id).expect("remove the pod");
    let (_, collected, _) = berth(&rig, &["gc"]);
    assert!(collected.contains(&format!("released  berth-{}", other.id)), "{collected}");
    assert!(collected.contains(&format!("keep      berth-{}", web.pod.id)), "{collected}");

    let report = assert_inspected(&rig, &web);
    assert_containers(&report, &web);
    assert!(list(&report, "containers").into_iter().all(is_settled), "{report:#}");
    assert_executes(&rig, "default/web");
    assert_executes(&rig, &web.pod.id[..12]);
    rig.cri().remove_pod(&web.pod.id).expect("remove the pod");
    assert_collected(&rig);
    let (code, _, told) = berth(&rig, &["inspect", "web"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("no pin on this node is \"web\""), "{told}");
}

#[test]
fn with_a_daemon_a_pod_is_listed_inspected_and_entered() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let web = Pair::run(&rig, &Pod::new("web", VM));
    if await_settled(&rig, &web.pod).is_none() {
        let (code, _, told) = berth(&rig, &["inspect", "web"]);
        assert_eq!(code, Some(1));
        assert!(told.contains("no pin on this node is \"web\""), "{told}");
        return;
    }
    let report = assert_inspected(&rig, &web);
    assert_eq!((&report["doors"], &report["record"]["handler"]), (&vec!["nri"].into(), &VM.into()));
    assert_containers(&report, &web);
    let (sandbox, members): (Vec<_>, Vec<_>) =
        list(&report, "containers").into_iter().partition(|found| found["facts"]["role"] == "sandbox");
    assert!(members.into_iter().all(is_settled), "{report:#}");
    // NRI cannot change a sandbox, and it is shown what that comes to.
    assert!(sandbox[0]["written"]["ocid/container_type"] == "sandbox" && !is_settled(sandbox[0]), "{report:#}");
    assert_executes(&rig, "web");
    rig.cri().remove_pod(&web.pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn every_door_that_has_a_part_in_a_pod_is_shown() {
    let rig = Rig::start();
    let _berth = rig.has_nri().then(|| rig.berth().start());
    let pod = rig.pod("web", SHIMMED);
    rig.container(&pod, "server", SERVE);
    let doors = if rig.can_swap() { vec!["shim", "nri"] } else { vec!["shim"] };
    let shown = || Some(json(&rig, &["inspect", "web"])).filter(|report| report["doors"] == Value::from(doors.clone()));
    let report = eventually("every door is shown", shown);
    // The interposer was not told it; the runtime tells its plugins.
    assert_eq!(report["record"]["handler"], if rig.can_swap() { SHIMMED } else { "" });
}

#[test]
fn pins_without_records_stay_where_it_is_not_shown_that_nobody_needs_them() {
    let rig = Rig::start();
    let pod = rig.pod("web", WRAPPED);
    rig.run("rm", &["-r", "/run/berth"]).expect("lose the state directory");
    rig.write("/run/netns/berth-0123", "");
    let pin = format!("berth-{}", pod.id);
    let collected = || {
        let report = json(&rig, &["gc"]);
        let of = |name: &str| {
            let item = list(&report, "items").into_iter().find(|item| item["name"] == name).cloned();
            item.map(|item| (item["action"].clone(), item["reason"].clone()))
        };
        (of(&pin), of("berth-0123"))
    };
    let word = |action: &str, reason: &str| Some((Value::from(action), Value::from(reason)));
    assert_eq!(collected(), (word("keep", "engine-holds-it"), word("release", "gone-and-empty")));
    assert!(rig.pin(&pod.id).is_some());

    // Whose processes are seen is in the record; without one that none is left is shown only in the machine's first process
    // id namespace, which the rig's is not. A daemon knows that it sees the engine's.
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_eq!(collected().0, word("keep", "unobservable"));
    assert!(rig.pin(&pod.id).is_some());
}

#[test]
fn a_daemon_lets_pins_without_records_go_when_nobody_needs_them() {
    let rig = Rig::start();
    let pod = rig.pod("web", WRAPPED);
    rig.run("rm", &["-r", "/run/berth"]).expect("lose the state directory");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert!(rig.pin(&pod.id).is_some());
    let _berth = rig.berth().start();
    assert_nothing_left(&rig);
}
