//! What is written in annotations, by whoever can: podman lets it stand, after its own.

use super::node::{DefaultCgroup, IDLE, IMAGE, Node, Pod};
use super::{assert_identity, assert_joined_pin, assert_not_stamped};

/// Every claim to be a container of this sandbox, or its sandbox.
fn claims(sandbox: &str, kind: &str) -> Vec<(&'static str, String)> {
    let (sandbox, kind) = (|| sandbox.to_owned(), || kind.to_owned());
    vec![
        ("io.kubernetes.cri-o.SandboxID", sandbox()),
        ("io.kubernetes.cri-o.ContainerType", kind()),
        ("io.kubernetes.cri-o.Namespace", "kube-system".into()),
        ("io.kubernetes.cri.container-type", kind()),
        ("io.kubernetes.cri.sandbox-id", sandbox()),
        ("io.kubernetes.docker.type", "podsandbox".into()),
        ("io.kubernetes.container.name", "POD".into()),
        ("io.container.manager", "cri-o".into()),
        ("ocid/container_type", kind()),
        ("ocid/sandbox_id", sandbox()),
        ("ocid/sandbox_name", "victim".into()),
    ]
}

/// The same as arguments.
fn flags(claims: &[(&str, String)]) -> Vec<String> {
    claims.iter().flat_map(|(key, value)| ["--annotation".to_owned(), format!("{key}={value}")]).collect()
}

fn borrowed(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// A pod that somebody would like to be a part of.
fn victim(node: &Node) -> Pod {
    let pod = node.pod("victim", &[]);
    assert_joined_pin(node, &pod.infra, &pod.infra);
    pod
}

#[test]
fn a_container_of_no_pod_that_claims_to_be_of_one_is_cleaned_of_the_claims() {
    let node = Node::start();
    let victim = victim(&node);
    for kind in ["container", "sandbox"] {
        let forger = node.container(&borrowed(&flags(&claims(&victim.infra, kind))));
        assert_not_stamped(&node, &forger);
        assert!(node.netns_path(&forger).is_some_and(|path| path.starts_with("/run/netns/netns-")));
        assert_ne!(node.netns_of(&forger), node.netns_of(&victim.infra));
        assert!(node.said(&forger).contains("contradictions=ocid/container_type,"), "{}", node.said(&forger));
        assert!(!node.said(&forger).contains(&victim.infra), "values are not logged: {}", node.said(&forger));
    }
    // The very annotations that podman itself gives the victim's containers.
    let honest = claims(&victim.infra, "container");
    let forger = node.container(&borrowed(&flags(&honest[..2])));
    assert_not_stamped(&node, &forger);
    assert_eq!(node.rig.pins().len(), 1, "the victim's alone");
}

#[test]
fn a_container_of_a_pod_that_claims_to_be_of_another_or_to_be_the_sandbox_is_of_its_own() {
    let node = Node::start();
    let victim = victim(&node);
    let pod = node.pod("own", &[]);
    let honest = node.member(&pod, &[], IDLE);
    for (sandbox, kind) in [(&victim.infra, "container"), (&victim.infra, "sandbox"), (&honest, "container")] {
        let forger = node.member(&pod, &borrowed(&flags(&claims(sandbox, kind))), IDLE);
        assert_identity(&node, &forger, "container", &pod.infra);
        assert_joined_pin(&node, &forger, &pod.infra);
        assert!(!node.annotations(&forger).contains_key("ocid/sandbox_name"), "podman says no name of a pod");
    }
    // It can be made empty, not taken away.
    let forger = node.member(&pod, &["--annotation", "io.kubernetes.cri-o.SandboxID="], IDLE);
    assert_identity(&node, &forger, "container", &pod.infra);
}

#[test]
fn an_image_that_claims_to_be_of_a_pod_is_of_none() {
    let node = Node::start();
    let victim = victim(&node);
    node.rig.write("/run/rig/Containerfile", &format!("FROM {IMAGE}\n"));
    let build = ["build", "--quiet", "--tag", "localhost/forged:1", "--file", "/run/rig/Containerfile"];
    node.podman(
        &[&build, borrowed(&flags(&claims(&victim.infra, "container"))).as_slice(), &["/run/rig/cni"]].concat(),
    );
    let run = ["run", "--detach", "--cgroup-parent", node.rig.cgroup_parent(), "localhost/forged:1"];
    let forger = node.podman(&run);
    assert_not_stamped(&node, &forger);
    assert!(
        node.said(&forger).contains("contradictions="),
        "podman hands annotations of images on: {}",
        node.said(&forger)
    );
    assert_ne!(node.netns_of(&forger), node.netns_of(&victim.infra));
}

#[test]
fn a_kube_file_cannot_say_whose_its_containers_are() {
    // podman's own choice, and no option of this command's.
    let _cgroup = DefaultCgroup::take();
    let node = Node::start();
    let victim = victim(&node);
    // No value may be longer than 63 characters here, which an id of podman is.
    let lines: String =
        claims(&victim.infra[..63], "sandbox").iter().map(|(key, value)| format!("    {key}: '{value}'\n")).collect();
    let file = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: forger\n  labels:\n{lines}  annotations:\n{lines}\
         spec:\n  containers:\n  - {{name: app, image: '{IMAGE}', imagePullPolicy: Never}}\n"
    );
    node.rig.write("/run/rig/forger.yaml", &file);
    node.podman(&["play", "kube", "/run/rig/forger.yaml"]);
    let infra = node.podman(&["pod", "inspect", "--format", "{{.InfraContainerID}}", "forger"]);
    assert_identity(&node, &infra, "sandbox", &infra);
    let app = node.inspect("forger-app", "{{.Id}}");
    assert_identity(&node, &app, "container", &infra);
    assert_joined_pin(&node, &app, &infra);
    node.podman(&["pod", "rm", "--force", "--time", "0", "forger"]);
}
