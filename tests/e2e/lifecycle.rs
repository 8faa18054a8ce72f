//! When a pin goes: not before its pod, and then for good.

use std::time::Duration;

use super::{assert_identity, assert_joined_pin, assert_networked, assert_nothing_left, await_pin, await_settled};
use crate::rig::containerd::VM;
use crate::rig::cri::Pod;
use crate::rig::wait::{always_for, eventually};
use crate::rig::{IDLE, Rig, SERVE};

#[test]
fn stopping_a_pod_five_times_leaves_nothing_and_removing_it_afterwards_neither() {
    let rig = Rig::start();
    let mut berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "main", IDLE);
    await_settled(&rig, &pod);

    for _ in 0..5 {
        rig.cri().stop_pod(&pod.id).expect("stop the pod");
    }
    assert_nothing_left(&rig);
    for _ in 0..2 {
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    assert_nothing_left(&rig);
    assert!(berth.is_running());
}

#[test]
fn removing_a_pod_that_was_not_stopped_leaves_nothing() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "main", IDLE);
    await_settled(&rig, &pod);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn a_task_that_outlives_the_stop_keeps_the_namespace_as_long_as_it_lives() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let pod = rig.pod("vm", VM);
    rig.container(&pod, "main", IDLE);
    let pin = await_pin(&rig, &pod);
    let task = rig.task_in(&Rig::pin_path(&pod.id));

    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    always_for(Duration::from_secs(10), "the pin keeps the task's namespace", || rig.pin(&pod.id) == Some(pin));
    task.kill();
    assert_nothing_left(&rig);
}

#[test]
fn a_pod_whose_sandbox_process_was_killed_keeps_its_network_until_it_is_removed() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    let state = rig.cri().sandbox_state(&pod.id);
    let server = rig.container(&pod, "server", SERVE);
    let pin = await_pin(&rig, &pod);

    rig.run("kill", &["-9", &state.pid.to_string()]).expect("kill the sandbox's process");
    eventually("the sandbox's process is gone", || (!rig.tasks_in(pin).contains(&state.pid)).then_some(()));
    assert_joined_pin(&rig, &pod, &server);
    rig.assert_served(&server, &state.address);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn a_pin_that_somebody_removed_is_made_again_for_the_next_container() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    let pin = await_pin(&rig, &pod);
    rig.run("ip", &["netns", "delete", &format!("berth-{}", pod.id)]).expect("delete the pin");
    let container = rig.container(&pod, "main", IDLE);

    assert_joined_pin(&rig, &pod, &container);
    assert_eq!(rig.pin(&pod.id), Some(pin));
}

#[test]
fn berth_started_on_a_node_with_fifty_pods_takes_care_of_all_of_them() {
    const PODS: usize = 50;
    let rig = Rig::start();
    let pods = in_parallel(PODS, |number| {
        let pod = Pod::new(&format!("old-{number}"), VM);
        rig.connect().run_pod(&pod, rig.cgroup_parent()).expect("run the pod")
    });
    let _berth = rig.berth().start();

    for pod in &pods {
        await_settled(&rig, pod);
    }
    assert_eq!(rig.pins().len(), if rig.can_swap() { PODS } else { 0 });
    let last = &pods[PODS - 1];
    let container = rig.container(last, "late", IDLE);
    assert_identity(&rig, last, &format!("old-{}", PODS - 1), &container);
    assert_networked(&rig, last, &container);

    in_parallel(PODS, |number| rig.connect().remove_pod(&pods[number].id).expect("remove the pod"));
    assert_nothing_left(&rig);
}

/// The results for 0 to `count`, by a few threads; an engine serves several calls at once.
fn in_parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    const THREADS: usize = 4;
    let share = |thread: usize| (thread..count).step_by(THREADS).map(|number| (number, work(number))).collect();
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || share(thread))).collect();
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().expect("a thread failed") }).collect()
    });
    results.sort_by_key(|&(number, _)| number);
    results.into_iter().map(|(_, result)| result).collect()
}
