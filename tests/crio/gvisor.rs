//! gVisor on CRI-O, by its shim: what makes a pod's containers share one sandbox is what berth tells its runtime.
//!
//! Not as an OCI runtime: runsc hands a member the standard streams of its `start`, and CRI-O waits for the end of those.

use super::{assert_nothing_left_after_gc, pod_of_two};
use crate::rig::Rig;
use crate::rig::berth::CONFIG;
use crate::rig::containerd::{NAMES, PROGRAMS};
use crate::rig::crio::{Handler, Infra, berths_config, put_behind, put_runtime_behind};
use crate::rig::holds::assert_joined_pin;
use crate::rig::provision::components;
use crate::rig::wait::eventually;

const HANDLER: &str = "gvisor";
/// Under a name that CRI-O takes for a shim's; gVisor's own is not one.
const INTERPOSER: &str = "containerd-shim-berth-runsc-v2";
const SHIM: &str = "containerd-shim-runsc-v1";

/// The shim prints what containerd 2 reads, and CRI-O 1.36 takes all that is printed for the address. That is in a file of
/// the bundle too.
const PLAIN: &str = r#"#!/bin/sh
for word; do :; done
[ "$word" = start ] || exec SHIM "$@"
SHIM "$@" >/dev/null && cat address
"#;

fn started() -> Rig {
    let gvisor = components(&["gvisor"]);
    let mut rig = Rig::crio_with(Infra::Dropped, &[Handler::vm(HANDLER, &format!("{NAMES}/{INTERPOSER}"))]);
    rig.name_berth(INTERPOSER);
    rig.install("runsc", &gvisor["BERTH_RIG_RUNSC"]);
    rig.install(SHIM, &gvisor["BERTH_RIG_RUNSC_SHIM"]);
    // The shim finds runsc by its name. CRI-O unmounts a root directory before the container is deleted, and gVisor would
    // miss the file that it has there for what is written.
    put_runtime_behind(&rig, "runsc", &format!("{PROGRAMS}/runsc --overlay2=none"));
    let shim = put_behind(&rig, SHIM, &PLAIN.replace("SHIM", &format!("{PROGRAMS}/{SHIM}")));
    // Nothing but containerd's words: what gVisor acts upon is what was written.
    let config = berths_config().replace(
        "dialects: [ocid, containerd, cri-o]",
        "dialects: [containerd], dropAnnotations: ['io.kubernetes.cri-o.*']",
    );
    rig.write(CONFIG, &format!("{config}  {INTERPOSER}: {{engine: cri-o, delegate: {shim}}}\n"));
    rig.start_engine();
    rig
}

/// gVisor's processes of this kind.
fn processes(rig: &Rig, name: &str) -> usize {
    rig.command_lines().into_iter().filter(|line| line.starts_with(name)).count()
}

#[test]
fn a_pods_containers_run_in_one_sandbox_by_the_written_dialect_of_containerd() {
    let rig = started();
    let (pod, members) = pod_of_two(&rig, HANDLER);
    for (container, kind) in [(&pod.id, "sandbox"), (&members[0], "container"), (&members[1], "container")] {
        let annotations = rig.annotations(container);
        assert_eq!(annotations["io.kubernetes.cri.container-type"], kind);
        assert_eq!(annotations["io.kubernetes.cri.sandbox-id"], pod.id);
        assert!(!annotations.keys().any(|key| key.starts_with("io.kubernetes.cri-o.")), "{annotations:?}");
        assert_eq!(rig.netns_path(container), Some(Rig::pin_path(&pod.id)));
    }
    members.iter().for_each(|member| assert_joined_pin(&rig, &pod, member));
    assert_eq!((processes(&rig, "runsc-sandbox"), processes(&rig, "runsc-gofer")), (1, 3), "{:?}", rig.command_lines());
    rig.assert_served(&members[1], &rig.cri().sandbox_state(&pod.id).address);
    let kernel = || rig.cri().exec(&members[0], &["dmesg"]).ok().filter(|said| said.contains("Starting gVisor"));
    eventually("the container says that its kernel is gVisor", kernel);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    eventually("nothing of gVisor runs", || (processes(&rig, "runsc") == 0).then_some(()));
    assert_nothing_left_after_gc(&rig);
}
