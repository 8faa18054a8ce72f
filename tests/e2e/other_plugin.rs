//! berth is not the only plugin, and a pod whose start fails after berth has pinned it must not leave its pin.

use std::time::Duration;

use super::assert_nothing_left;
use crate::rig::containerd::VM;
use crate::rig::cri::Pod;
use crate::rig::plugin::{FailingPlugin, REFUSAL};
use crate::rig::wait::always_for;
use crate::rig::{Rig, SERVE};

#[test]
fn the_pin_of_a_pod_that_another_plugin_fails_goes_but_not_before_its_tasks() {
    let rig = Rig::start();
    let _berth = rig.berth().args(&["--index", "10"]).start();
    let other = FailingPlugin::start(&rig, "99");

    let (task, pin, id) = std::thread::scope(|scope| {
        let run = scope.spawn(|| rig.connect().run_pod(&Pod::new("web", VM), rig.cgroup_parent()));
        let id = other.await_pod();
        let pin = rig.pin(&id).expect("berth, asked first, has pinned the pod");
        let task = rig.task_in(&Rig::pin_path(&id));
        other.refuse();
        let failed = run.join().expect("the call does not panic").expect_err("the pod's start fails");
        assert!(failed.message().contains(REFUSAL), "{failed}");
        (task, pin, id)
    });
    clean_up_as_the_kubelet(&rig);
    always_for(Duration::from_secs(2), "the pin keeps the task's namespace", || rig.pin(&id) == Some(pin));
    task.kill();
    assert_nothing_left(&rig);
}

#[test]
fn pods_that_another_plugin_fails_leave_nothing_and_the_next_one_works() {
    let rig = Rig::start();
    let _berth = rig.berth().args(&["--index", "10"]).start();
    let other = FailingPlugin::start(&rig, "99");
    for name in ["first", "second"] {
        other.refuse();
        rig.run_pod(&Pod::new(name, VM)).expect_err("the pod's start fails");
        other.await_pod();
        clean_up_as_the_kubelet(&rig);
        assert_nothing_left(&rig);
    }
    drop(other);

    let pod = rig.pod("third", VM);
    let server = rig.container(&pod, "server", SERVE);
    super::assert_networked(&rig, &pod, &server);
}

/// containerd takes a pod back whose start failed. Where it does not come through with that (the shim may be gone
/// before the task is deleted), it keeps the pod in an unknown state, and the kubelet removes it later.
fn clean_up_as_the_kubelet(rig: &Rig) {
    for id in rig.cri().list_pods() {
        rig.cri().remove_pod(&id).expect("remove the pod");
    }
}
