use crate::door::interpose::name::Grammar;
use crate::door::interpose::trust::{Unclear, Who, engine, scope, who};
use crate::identity::{Engine, Role, SandboxId, Scope};
use std::collections::BTreeMap;

pub(super) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// On podman the infra container is `infra`, whatever is written.
fn ask(engine: Engine, pairs: &[(&str, &str)]) -> Result<Who, Unclear> {
    let scope = match engine {
        Engine::Containerd | Engine::CriO => Scope::cri(engine),
        Engine::Podman | Engine::Other => Scope { engine, root: "/run/crun".into() },
    };
    who(&scope, "own", false, &map(pairs), || SandboxId::try_from("infra").ok())
}

const TYPE: &str = "io.kubernetes.cri.container-type";
const ID: &str = "io.kubernetes.cri.sandbox-id";
const NAME: &str = "io.kubernetes.container.name";
const CRIO_ID: &str = "io.kubernetes.cri-o.SandboxID";

/// The engine, what is written, and who that is.
type Case = (Engine, &'static [(&'static str, &'static str)], Role, &'static str);

#[test]
fn each_engine_is_believed_by_its_own_keys_alone() {
    use Role::{Member, Sandbox, Standalone};
    let cases: &[Case] = &[
        (Engine::Containerd, &[(TYPE, "sandbox"), (ID, "own")], Sandbox, "own"),
        (Engine::Containerd, &[(TYPE, "container"), (ID, "s1")], Member, "s1"),
        (Engine::Containerd, &[(NAME, "POD"), (CRIO_ID, "s1")], Standalone, "own"),
        (Engine::Containerd, &[(ID, "s1")], Standalone, "own"),
        (Engine::Containerd, &[], Standalone, "own"),
        (Engine::CriO, &[(NAME, "POD")], Sandbox, "own"),
        (Engine::CriO, &[(NAME, "POD"), (CRIO_ID, "s1"), (TYPE, "container")], Sandbox, "own"),
        (Engine::CriO, &[(NAME, "app"), (CRIO_ID, "s1")], Member, "s1"),
        // Of a client other than the kubelet, which gives its containers no such label.
        (Engine::CriO, &[(CRIO_ID, "s1")], Member, "s1"),
        (Engine::CriO, &[(TYPE, "sandbox"), (ID, "own")], Standalone, "own"),
        (Engine::Podman, &[(CRIO_ID, "s1"), (TYPE, "sandbox"), (ID, "own"), (NAME, "POD")], Member, "infra"),
        (Engine::Other, &[(TYPE, "container"), (ID, "s1"), (NAME, "app"), (CRIO_ID, "s1")], Standalone, "own"),
    ];
    for (engine, pairs, role, sandbox) in cases {
        let who = ask(*engine, pairs).expect("clear");
        assert_eq!((who.role, who.sandbox.as_str()), (*role, *sandbox), "{engine} {pairs:?}");
    }
}

#[test]
fn podmans_containers_are_what_its_infra_containers_say() {
    let scope = Scope { engine: Engine::Podman, root: String::new() };
    let claims = map(&[(CRIO_ID, "s1"), (TYPE, "sandbox")]);
    for (infra, role, sandbox) in
        [(Some("own"), Role::Sandbox, "own"), (Some("infra"), Role::Member, "infra"), (None, Role::Standalone, "own")]
    {
        let who =
            who(&scope, "own", false, &claims, || infra.and_then(|id| SandboxId::try_from(id).ok())).expect("clear");
        assert_eq!((who.role, who.sandbox.as_str()), (role, sandbox), "{infra:?}");
    }
}

#[test]
fn the_pod_is_the_engines_word() {
    let containerd = [
        (TYPE, "container"),
        (ID, "s1"),
        ("io.kubernetes.cri.sandbox-name", "web"),
        ("io.kubernetes.cri.sandbox-namespace", "ns"),
        ("io.kubernetes.cri.sandbox-uid", "u1"),
        ("io.kubernetes.pod.name", "forged"),
        ("io.kubernetes.cri-o.Namespace", "forged"),
    ];
    let crio = [
        (NAME, "POD"),
        ("io.kubernetes.pod.name", "web"),
        ("io.kubernetes.pod.namespace", "ns"),
        ("io.kubernetes.pod.uid", "u1"),
        ("io.kubernetes.cri-o.Namespace", "forged"),
        ("io.kubernetes.cri.sandbox-namespace", "forged"),
    ];
    for (engine, pairs) in [(Engine::Containerd, &containerd[..]), (Engine::CriO, &crio[..])] {
        let pod = ask(engine, pairs).expect("clear").pod;
        assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.uid.as_str()), ("ns", "web", "u1"));
    }
}

#[test]
fn what_makes_no_sense_is_said_and_not_guessed() {
    let text = |engine, pairs: &[(&str, &str)]| ask(engine, pairs).expect_err("unclear").to_string();
    assert!(text(Engine::Containerd, &[(TYPE, "pod")]).contains("expected sandbox or container, found \"pod\""));
    assert!(text(Engine::Containerd, &[(TYPE, "container")]).contains("sandbox-id: is missing"));
    assert!(text(Engine::CriO, &[(NAME, "app"), (CRIO_ID, "own")]).contains("names the container itself"));
    assert!(text(Engine::CriO, &[(NAME, "app"), (CRIO_ID, "../x")]).contains("has '.' at position 0"));
    assert!(who(&Scope::cri(Engine::CriO), "a/b", false, &map(&[]), || None).is_err());
}

#[test]
fn what_goes_on_from_a_checkpoint_on_cri_o_is_no_sandbox() {
    let claims = map(&[(NAME, "POD"), (CRIO_ID, "s1")]);
    let restored = who(&Scope::cri(Engine::CriO), "own", true, &claims, || None).expect("clear");
    assert_eq!((restored.role, restored.sandbox.as_str()), (Role::Member, "s1"));
}

#[test]
fn containerds_keys_count_in_its_cri_namespace_alone() {
    let claims = map(&[(TYPE, "container"), (ID, "s1")]);
    for root in ["moby", "default", ""] {
        let scope = Scope { engine: Engine::Containerd, root: root.into() };
        assert_eq!(who(&scope, "own", false, &claims, || None).expect("clear").role, Role::Standalone, "{root}");
    }
}

#[test]
fn scope_and_engine_come_from_the_command_line() {
    use Grammar::{Runtime, Shim};
    for (grammar, root, expected) in [
        (Shim, "k8s.io", Engine::Containerd),
        (Shim, "default", Engine::Other),
        (Shim, "/x/k8s.io", Engine::Other),
        (Runtime, "/run/containerd/runc/k8s.io", Engine::Containerd),
        (Runtime, "/run/runc", Engine::Other),
        (Runtime, "", Engine::Other),
    ] {
        assert_eq!(engine(grammar, root, None), expected, "{root}");
        let told = if expected == Engine::Other { Engine::CriO } else { expected };
        assert_eq!(engine(grammar, root, Some(Engine::CriO)), told, "{root}");
    }
    assert_eq!(scope(Engine::Containerd, Runtime, "/run/x/k8s.io"), Scope::cri(Engine::Containerd));
    assert_eq!(scope(Engine::Containerd, Runtime, "/run/x/moby").root, "moby");
    assert_eq!(scope(Engine::CriO, Runtime, "/run/runc"), Scope::cri(Engine::CriO));
    assert_eq!(scope(Engine::Podman, Runtime, "/run/crun").root, "/run/crun");
}
