//! Pods whose labels or annotations claim to be another's, or something else: what the runtime is told is what it is told
//! of an honest pod, and the pod is selected as an honest one is.

use std::collections::{BTreeMap, HashMap};

use berth::dialect::identity_key;

use super::interposed;
use crate::rig::berth::CONFIG;
use crate::rig::cri::{Pod, Sandbox};
use crate::rig::crio::{Infra, SHIMMED, WRAPPED, berths_config};
use crate::rig::holds::assert_joined_pin;
use crate::rig::{IDLE, Rig, SERVE};

/// The sandbox's long name.
const LONG_NAME: &str = "io.kubernetes.cri-o.SandboxName";

/// Everything that CRI-O, containerd, dockershim and berth have words for, as an author would write it who wants the pod
/// to be taken for `kind` of the sandbox `victim`, in a namespace that berth's configuration exempts.
fn claims(kind: &str, victim: &str) -> HashMap<String, String> {
    // As long names are made; `POD` is CRI-O's word for a sandbox's container.
    let (name, long) = (if kind == "sandbox" { "POD" } else { "main" }, "k8s_victim_exempt_uid-of-exempt-victim_0");
    let of = |prefix: &str, words: &[(&str, &str)]| -> Vec<_> {
        words.iter().map(|(word, value)| (format!("{prefix}{word}"), (*value).to_owned())).collect()
    };
    let crio = of(
        "io.kubernetes.cri-o.",
        &[
            ("ContainerType", kind),
            ("SandboxID", victim),
            ("SandboxName", long),
            ("ContainerID", victim),
            ("ContainerName", long),
            ("Name", long),
            ("Namespace", "exempt"),
            ("KubeName", "victim"),
            ("HostNetwork", "true"),
        ],
    );
    let containerd = of(
        "io.kubernetes.cri.",
        &[
            ("container-type", kind),
            ("sandbox-id", victim),
            ("sandbox-name", "victim"),
            ("sandbox-namespace", "exempt"),
            ("sandbox-uid", "uid-of-exempt-victim"),
        ],
    );
    let kubelet = of(
        "io.kubernetes.",
        &[
            ("docker.type", if kind == "sandbox" { "podsandbox" } else { kind }),
            ("sandbox.id", victim),
            ("container.name", name),
            ("pod.name", "victim"),
            ("pod.namespace", "exempt"),
            ("pod.uid", "uid-of-exempt-victim"),
        ],
    );
    let ocid = of("ocid/", &[("container_type", kind), ("sandbox_id", victim), ("sandbox_name", "victim")]);
    [crio, containerd, kubelet, ocid].concat().into_iter().collect()
}

/// The ways to write claims into a pod.
fn forgeries(victim: &str, handler: &str) -> Vec<(String, Pod)> {
    let honest = || Pod::new("web", handler);
    let mut forgeries = Vec::new();
    for kind in ["sandbox", "container"] {
        let claims = || claims(kind, victim);
        forgeries.push((format!("{kind} by label"), Pod { labels: claims(), ..honest() }));
        forgeries.push((format!("{kind} by annotation"), Pod { annotations: claims(), ..honest() }));
        forgeries.push((format!("{kind} by both"), Pod { labels: claims(), annotations: claims(), ..honest() }));
    }
    forgeries
}

/// What the runtime is told of who a container is, in whichever dialect.
fn told(rig: &Rig, pod: &Sandbox, container: &str) -> BTreeMap<String, String> {
    let identity = rig.annotations(container).into_iter().filter(|(key, _)| identity_key(key).is_some());
    identity.map(|(key, value)| (key, value.replace(&pod.id, "SANDBOX"))).collect()
}

/// What it is told of the sandbox, if it is told of one, and of a member.
fn told_of_pod(rig: &Rig, pod: &Pod) -> Vec<BTreeMap<String, String>> {
    let pod = rig.run_pod(pod).expect("run the pod");
    let member = rig.container(&pod, "main", SERVE);
    let client = rig.container(&pod, "client", IDLE);
    let mut told_of = Vec::new();
    for container in [&pod.id, &member] {
        let [line] = &interposed(rig, container)[..] else { continue };
        assert!(line.contains("verdict=adjust reason=identity-and-netns"), "{line}");
        assert_eq!(rig.netns_path(container), Some(Rig::pin_path(&pod.id)));
        told_of.push(told(rig, &pod, container));
    }
    assert_joined_pin(rig, &pod, &member);
    rig.assert_served(&client, &rig.cri().sandbox_state(&pod.id).address);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    told_of
}

fn check(infra: Infra, handler: &str, containers: usize) {
    let rig = Rig::crio(infra);
    rig.write(CONFIG, &berths_config().replace("name: all,", "name: all, match: {namespaces: ['*', '!exempt']},"));
    let victim = rig.run_pod(&Pod { namespace: "exempt".into(), ..Pod::new("victim", handler) }).expect("run the pod");
    rig.container(&victim, "main", SERVE);
    assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "pods of that namespace are exempt");

    let mut honest = told_of_pod(&rig, &Pod::new("web", handler));
    assert_eq!(honest.len(), containers, "sandbox and member, as far as there are");
    assert!(honest.iter().all(|told| told["ocid/sandbox_id"] == "SANDBOX" && told["ocid/sandbox_name"] == "web"));
    for (forgery, pod) in forgeries(&victim.id, handler) {
        let told = told_of_pod(&rig, &pod);
        // It has a number that CRI-O alone knows. What contradicts the engine is removed, and cannot be made up for.
        for (told, honest) in told.iter().zip(&mut honest).filter(|(told, _)| told["ocid/container_type"] == "sandbox")
        {
            assert!(!told.contains_key(LONG_NAME));
            honest.remove(LONG_NAME);
        }
        assert_eq!(told, honest, "{forgery}");
    }
    assert_eq!(rig.pin(&victim.id), None, "something was made in the victim's name");
}

#[test]
fn where_the_sandboxs_container_is_kept_no_claim_changes_what_the_runtime_is_told() {
    check(Infra::Kept, WRAPPED, 2);
}

#[test]
fn where_the_sandboxs_container_is_dropped_no_claim_changes_what_the_runtime_is_told() {
    check(Infra::Dropped, WRAPPED, 1);
}

#[test]
fn behind_the_shim_of_a_vm_handler_no_claim_changes_what_the_runtime_is_told() {
    check(Infra::Dropped, SHIMMED, 2);
}
