//! Containers outside of every CRI that ask for a new network namespace: berth makes it where the operator wants that.

use std::os::unix::fs::PermissionsExt;

use super::assert_goes;
use crate::rig::read::netns_path;
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

const CTR: &str = "/run/rig/containerd/ctr";
const RUNC: &str = "/run/rig/names/berth-runc";
const IMAGE: &str = "localhost/berth/busybox:1";

#[test]
fn ctr_runs_a_container_in_a_namespace_of_berths_making_that_goes_with_it() {
    let rig = Rig::start();
    rig.publish("profiles: [{name: p, netns: create}]");
    rig.run(CTR, &["images", "import", "/run/rig/images.tar"]).expect("import the image");
    rig.run(CTR, &["run", "--detach", "--runc-binary", RUNC, IMAGE, "one", "sh", "-c", IDLE]).expect("run");

    let bundle = "/run/containerd/io.containerd.runtime.v2.task/default/one";
    let spec = std::fs::read_to_string(rig.path(format!("{bundle}/config.json"))).expect("config.json");
    let spec = serde_json::from_str(&spec).expect("config.json is JSON");
    let pin = netns_path(&spec).expect("a network entry");
    assert!(pin.starts_with("/run/netns/berth-one-"), "{pin}");
    assert_eq!(spec["annotations"]["ocid/container_type"], serde_json::Value::Null, "it is never stamped");
    let listed = rig.run(CTR, &["tasks", "list"]).expect("list the tasks");
    let pid = listed.lines().find_map(|line| line.strip_prefix("one")?.split_whitespace().next()?.parse().ok());
    let netns = rig.netns_of_file(&pin).expect("the pin is there");
    assert_eq!(rig.netns_of_pid(pid.expect("the task has a pid")), netns);
    assert_ne!(netns, rig.netns_of_node());

    let gc = rig.berth_command(&["gc"]);
    assert!(gc.status.success() && rig.netns_of_file(&pin) == Some(netns), "the container runs: {gc:?}");
    rig.run(CTR, &["tasks", "kill", "--signal", "KILL", "one"]).expect("kill");
    eventually("the task is removed", || rig.run(CTR, &["tasks", "rm", "one"]).ok());
    // The next creation is the occasion on which it goes.
    rig.run(CTR, &["run", "--rm", "--runc-binary", RUNC, IMAGE, "two", "true"]).expect("run");
    assert_eq!(rig.netns_of_file(&pin), None, "the namespace of the container that is gone");
    let gc = rig.berth_command(&["gc"]);
    assert!(gc.status.success(), "{gc:?}");
    assert_goes(|| rig.left_of_pods());
}

#[test]
fn plain_runc_runs_a_bundle_again_in_the_namespace_that_was_made_for_it() {
    let rig = Rig::furnished();
    rig.publish("profiles: [{name: p, netns: create}]");
    let bundle = "/run/rig/tmp/bundle";
    let bin = rig.path(format!("{bundle}/rootfs/bin"));
    std::fs::create_dir_all(&bin).expect("make a root directory");
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect("copy busybox");
    let spec = r#"{"ociVersion":"1.0.2","process":{"cwd":"/","args":["/bin/busybox","readlink","/proc/self/ns/net"]},
        "root":{"path":"rootfs"},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
        "linux":{"cgroupsPath":"CGROUP","namespaces":[{"type":"mount"},{"type":"pid"},{"type":"network"}]}}"#;
    rig.write(&format!("{bundle}/config.json"), &spec.replace("CGROUP", &format!("{}/runc", rig.cgroup_parent())));
    let run = || rig.run(RUNC, &["--root", "/run/rig/tmp/runc", "run", "--bundle", bundle, "again"]).expect("run");
    let first = run();
    assert!(first.starts_with("net:["), "{first}");
    assert_eq!(run(), first, "the same bundle, the same namespace");

    std::fs::remove_dir_all(rig.path(bundle)).expect("remove the bundle");
    let gc = rig.berth_command(&["gc"]);
    assert!(gc.status.success(), "{gc:?}");
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
    let mode = std::fs::metadata(rig.path("/run/berth")).expect("the state directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
