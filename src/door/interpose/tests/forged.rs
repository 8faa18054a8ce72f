//! Pods whose labels and annotations claim to be something else: what the runtime is told, for every claim on its own
//! and for all of them together, does not change.

use super::trust::map;
use crate::config::{Config, DEFAULT_TEXT};
use crate::decide::decide;
use crate::decide::facts::{Door, Facts, Lead, Network, Swap};
use crate::decide::verdict::{Netns, Verdict};
use crate::dialect::{Identity, identity_key};
use crate::door::interpose::trust::who;
use crate::identity::{Engine, SandboxId, Scope};
use std::collections::BTreeMap;

/// Everything an author can write that the engine does not overwrite afterwards.
const CLAIMS: &[(&str, &str)] = &[
    ("io.kubernetes.cri-o.ContainerType", "container"),
    ("io.kubernetes.cri-o.SandboxID", "victim"),
    ("io.kubernetes.cri-o.Namespace", "kube-system"),
    ("io.kubernetes.cri-o.KubeName", "victim"),
    ("io.kubernetes.cri-o.SandboxName", "k8s_victim_kube-system_u9_0"),
    ("io.kubernetes.cri.container-type", "container"),
    ("io.kubernetes.cri.sandbox-id", "victim"),
    ("io.kubernetes.cri.sandbox-namespace", "kube-system"),
    ("io.kubernetes.docker.type", "container"),
    ("io.kubernetes.sandbox.id", "victim"),
    ("ocid/container_type", "container"),
    ("ocid/sandbox_id", "victim"),
];

/// Asked on podman alone.
fn infra() -> Option<SandboxId> {
    SandboxId::try_from("s1").ok()
}

/// What a runtime reads in the end.
fn told(engine: Engine, id: &str, annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let who = who(&Scope::cri(engine), id, false, annotations, infra).expect("the engine's keys stand");
    let facts = Facts {
        door: Door::Runtime,
        engine,
        role: who.role,
        sandbox: &who.sandbox,
        pod: &who.pod,
        handler: None,
        group: None,
        annotations,
        network: Network::Own { lead: Lead::Own },
        swap: Swap::Possible,
        pin_path: "/run/netns/berth-x",
    };
    let config = Config::parse(DEFAULT_TEXT, "default").expect("default");
    let profile = config.policy.interposed(None, None, &who.pod.namespace);
    let Verdict::Adjust(plan) = decide(&facts, profile) else { panic!("selected whatever it claims") };
    assert_eq!(plan.netns, Netns::Swap);
    let mut told = annotations.clone();
    told.retain(|key, _| !plan.remove.contains(key));
    told.extend(plan.set);
    told
}

fn check(engine: Engine, id: &str, trusted: &[(&str, &str)]) {
    let honest = told(engine, id, &map(trusted));
    let who = who(&Scope::cri(engine), id, false, &map(trusted), infra).expect("clear");
    let identity = Identity { role: who.role, sandbox: &who.sandbox, pod: &who.pod };
    let claims: Vec<_> = CLAIMS.iter().filter(|(key, _)| !trusted.iter().any(|(own, _)| own == key)).copied().collect();
    let mut forgeries: Vec<Vec<_>> = claims.iter().map(|claim| vec![*claim]).collect();
    forgeries.push(claims);
    for forgery in forgeries {
        let seen = told(engine, id, &map(&[trusted, &forgery].concat()));
        for (key, value) in &seen {
            assert!(!value.contains("victim") && value != "kube-system", "{engine} {key}={value} by {forgery:?}");
            let agrees = identity_key(key).is_none_or(|(dialect, known)| dialect.agrees(known.field, value, &identity));
            assert!(agrees, "{engine} {key}={value} by {forgery:?}");
        }
        assert!(honest.iter().all(|(key, value)| seen.get(key) == Some(value)), "{engine} {forgery:?}: {seen:?}");
    }
}

#[test]
fn a_sandbox_of_cri_o_stays_one_whatever_its_labels_say() {
    // Labels and annotations come last in CRI-O's sandbox: of its own identity keys nothing is certain.
    let trusted = [
        ("io.kubernetes.container.name", "POD"),
        ("io.kubernetes.pod.namespace", "ns"),
        ("io.kubernetes.pod.name", "web"),
        ("io.kubernetes.pod.uid", "u1"),
    ];
    check(Engine::CriO, "s1", &trusted);
}

#[test]
fn a_member_of_cri_o_joins_its_own_sandbox() {
    let trusted = [
        ("io.kubernetes.container.name", "app"),
        ("io.kubernetes.pod.namespace", "ns"),
        ("io.kubernetes.pod.name", "web"),
        ("io.kubernetes.pod.uid", "u1"),
        ("io.kubernetes.cri-o.SandboxID", "s1"),
        ("io.kubernetes.cri-o.ContainerType", "container"),
    ];
    check(Engine::CriO, "c1", &trusted);
}

#[test]
fn containers_of_containerd_are_what_containerd_wrote_last() {
    for (kind, id) in [("sandbox", "s1"), ("container", "c1")] {
        let trusted = [
            ("io.kubernetes.cri.container-type", kind),
            ("io.kubernetes.cri.sandbox-id", "s1"),
            ("io.kubernetes.cri.sandbox-name", "web"),
            ("io.kubernetes.cri.sandbox-namespace", "ns"),
            ("io.kubernetes.cri.sandbox-uid", "u1"),
        ];
        check(Engine::Containerd, id, &trusted);
    }
}

#[test]
fn containers_of_podman_are_what_the_infra_container_says() {
    // Of an author's annotations podman overwrites none.
    for id in ["s1", "c1"] {
        check(Engine::Podman, id, &[]);
    }
}
