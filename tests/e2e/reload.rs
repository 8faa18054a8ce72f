//! The configuration changes under a node that works, and the daemon ends under one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{assert_networked, assert_nothing_left, await_settled};
use crate::rig::containerd::VM;
use crate::rig::cri::{Cri, Pod, Sandbox};
use crate::rig::process::Process;
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

const KEY: &str = "example.com/told";
const VOLUME: &str = "/run/rig/volume";

fn telling(word: &str) -> String {
    format!("profiles:\n  - name: {word}\n    annotations:\n      {KEY}: {word}\n")
}

/// As Kubernetes updates a ConfigMap's volume: a directory of its own for each state, and one rename that counts.
fn update(rig: &Rig, state: usize, text: &str) {
    rig.run("mkdir", &["-p", &format!("{VOLUME}/..{state}")]).expect("make a directory");
    rig.write(&format!("{VOLUME}/..{state}/config.yaml"), text);
    rig.run("ln", &["-s", &format!("..{state}"), &format!("{VOLUME}/..data_tmp")]).expect("make a link");
    rig.run("mv", &["-T", &format!("{VOLUME}/..data_tmp"), &format!("{VOLUME}/..data")]).expect("swap the link");
}

fn start(rig: &Rig) -> Process {
    update(rig, 0, &telling("one"));
    rig.run("ln", &["-s", "..data/config.yaml", &format!("{VOLUME}/config.yaml")]).expect("make a link");
    rig.berth().args(&["--config", &format!("{VOLUME}/config.yaml")]).start()
}

fn told(rig: &Rig, pod: &Sandbox, name: &str) -> Option<String> {
    let container = rig.container(pod, name, IDLE);
    assert_networked(rig, pod, &container);
    rig.annotations(&container).remove(KEY)
}

#[test]
fn a_volume_that_kubernetes_updates_tells_later_containers_and_a_broken_one_changes_nothing() {
    let rig = Rig::start();
    let mut berth = start(&rig);
    let pod = rig.pod("web", VM);
    let pin = await_settled(&rig, &pod);
    assert_eq!(told(&rig, &pod, "first").as_deref(), Some("one"));

    update(&rig, 2, &telling("two"));
    berth.await_line("the reload", |line| line.contains("configuration reloaded") && line.contains("two{"));
    assert_eq!(told(&rig, &pod, "second").as_deref(), Some("two"));

    update(&rig, 3, "profiles:\n  - name: three\n    netns: swp\n");
    let line = berth.await_line("what is wrong", |line| line.contains("configuration not reloaded"));
    assert!(line.contains("profiles[0].netns") && line.contains("(line 3)"), "{line}");
    assert_eq!(told(&rig, &pod, "third").as_deref(), Some("two"));
    assert_eq!(rig.pin(&pod.id), pin);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
    berth.signal(Signal::SIGTERM);
    assert_eq!(berth.wait(Duration::from_secs(2)).code(), Some(0));
    assert!(berth.log().contains("config_reloads/ok=1 config_reloads/failed=1"), "{}", berth.log());
}

/// Pods with a container each, started by two threads that go on when one of them has taken a step.
fn start_pods(rig: &Rig, meanwhile: impl FnOnce(&dyn Fn() -> usize)) -> Vec<(Sandbox, String)> {
    const PODS: usize = 16;
    let started = AtomicUsize::new(0);
    let start = |cri: &Cri, number: usize| {
        let pod = cri.run_pod(&Pod::new(&format!("web-{number}"), VM), rig.cgroup_parent()).expect("run the pod");
        let container = cri.create_container(&pod, "main", IDLE).expect("create the container");
        cri.start_container(&container).expect("start the container");
        started.fetch_add(1, Ordering::Relaxed);
        (pod, container)
    };
    std::thread::scope(|scope| {
        let work =
            |half: usize| (0..PODS / 2).map(|number| start(&rig.connect(), 2 * number + half)).collect::<Vec<_>>();
        let threads = [0, 1].map(|half| scope.spawn(move || work(half)));
        meanwhile(&|| PODS - started.load(Ordering::Relaxed));
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread failed")).collect()
    })
}

#[test]
fn pods_that_start_while_two_configurations_take_turns_are_each_told_one_of_them() {
    let rig = Rig::start();
    let mut berth = start(&rig);
    let mut reloads = 0;
    let pods = start_pods(&rig, |left| {
        while left() > 0 {
            let word = ["two", "one"][reloads % 2];
            reloads += 1;
            update(&rig, reloads, &telling(word));
            berth.signal(Signal::SIGHUP);
            let said = |log: &str| log.matches("msg=\"configuration reloaded\"").count();
            berth.await_log("the reload", |log| (said(log) >= reloads).then_some(()));
        }
    });
    assert!(reloads > 3, "the configuration changed {reloads} times while pods were started");
    for (pod, container) in &pods {
        assert_networked(&rig, pod, container);
        let told = rig.annotations(container).remove(KEY);
        assert!(matches!(told.as_deref(), Some("one" | "two")), "{told:?}");
    }
    // An engine whose NRI cannot change a namespace is warned of, once a session.
    let warned = berth.log().lines().any(|line| line.contains("WARN") && !line.contains("can_swap_netns=false"));
    assert!(!berth.log().contains("verdict=refuse") && !warned, "{}", berth.log());
}

#[test]
fn pods_that_start_while_the_daemon_ends_all_run_and_those_that_it_answered_are_whole() {
    let rig = Rig::start();
    let mut berth = start(&rig);
    let pods = start_pods(&rig, |left| {
        // Amid them, and amid events, as far as chance has it.
        let all = left();
        eventually("some pods run", || (left() + 4 < all).then_some(()));
        berth.signal(Signal::SIGTERM);
        assert_eq!(berth.wait(Duration::from_secs(2)).code(), Some(0));
    });
    let (answered, not): (Vec<_>, Vec<_>) =
        pods.iter().partition(|(_, container)| rig.annotations(container).contains_key(KEY));
    assert!(answered.len() > 4 && !not.is_empty(), "{} of {} were answered", answered.len(), pods.len());
    for (pod, container) in answered {
        assert_networked(&rig, pod, container);
    }
    assert!(!berth.log().contains("verdict=refuse"), "{}", berth.log());
    // What it has left is cleared up without it.
    for (pod, _) in &pods {
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    assert!(rig.berth_command(&["gc"]).status.success());
    assert_nothing_left(&rig);
}
