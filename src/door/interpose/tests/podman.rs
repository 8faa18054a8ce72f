use crate::door::interpose::podman::infra;
use crate::oci::Bundle;
use std::fs;
use tempfile::TempDir;

const INFRA: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const MEMBER: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const SERVER: &str = "3333333333333333333333333333333333333333333333333333333333333333";
const ALONE: &str = "4444444444444444444444444444444444444444444444444444444444444444";
const POD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Processes by number: of the infra container, of a member, of a container of no pod.
const PROCESSES: [(u32, &str); 3] = [(11, INFRA), (33, SERVER), (44, ALONE)];

/// podman's bundles and `/proc`.
struct Node(TempDir);

impl Node {
    /// A pod of two containers and one of no pod, as podman leaves them.
    fn new() -> Self {
        let node = Self(tempfile::tempdir().expect("a directory"));
        node.bundle(INFRA, &in_pod(INFRA), None, &[]);
        node.bundle(SERVER, &in_pod(SERVER), Some(INFRA), &[11]);
        node.bundle(ALONE, &format!("/libpod_parent/libpod-{ALONE}"), None, &[]);
        for (pid, id) in PROCESSES {
            let path = if id == ALONE { format!("/libpod_parent/libpod-{id}") } else { in_pod(id) };
            node.process(pid, &format!("9:name=systemd:{path}\n8:pids:{path}\n0::{path}\n"));
        }
        node
    }

    fn process(&self, pid: u32, cgroup: &str) {
        let dir = self.0.path().join("proc").join(pid.to_string());
        fs::create_dir_all(&dir).expect("make the process");
        fs::write(dir.join("cgroup"), cgroup).expect("write its cgroup");
    }

    /// A bundle of a container that joins namespaces of processes.
    fn bundle(&self, id: &str, cgroup: &str, sandbox: Option<&str>, joins: &[u32]) {
        let dir = self.0.path().join(id).join("userdata");
        fs::create_dir_all(&dir).expect("make the bundle");
        let key = sandbox.map(|id| format!(r#""io.kubernetes.cri-o.SandboxID":"{id}""#)).unwrap_or_default();
        let joins: Vec<_> = joins.iter().map(|pid| format!(r#"{{"type":"t","path":"/proc/{pid}/ns/t"}}"#)).collect();
        let linux = format!(r#"{{"cgroupsPath":"{cgroup}","namespaces":[{}]}}"#, joins.join(","));
        fs::write(dir.join("config.json"), format!(r#"{{"annotations":{{{key}}},"linux":{linux}}}"#)).expect("write");
    }

    /// The infra container of a container that is created now.
    fn ask(&self, id: &str, cgroup: &str, sandbox: Option<&str>, joins: &[u32]) -> Option<String> {
        self.bundle(id, cgroup, sandbox, joins);
        let dir = self.0.path().join(id).join("userdata");
        let bundle = Bundle::open(&dir).expect("read").expect("is there");
        let spec = bundle.scan().expect("scan");
        infra(&self.0.path().join("proc"), &dir, id, &spec).map(|infra| infra.to_string())
    }

    fn ask_member(&self, sandbox: Option<&str>, joins: &[u32]) -> Option<String> {
        self.ask(MEMBER, &in_pod(MEMBER), sandbox, joins)
    }
}

fn in_pod(id: &str) -> String {
    format!("/libpod_parent/{POD}/libpod-{id}")
}

#[test]
fn the_container_of_a_pods_cgroup_without_the_key_is_the_infra_container() {
    let node = Node::new();
    for cgroup in
        [in_pod(INFRA), format!("/a/b/{POD}/libpod-{INFRA}"), format!("x-libpod_pod_{POD}.slice:libpod:{INFRA}")]
    {
        assert_eq!(node.ask(INFRA, &cgroup, None, &[]).as_deref(), Some(INFRA), "{cgroup}");
    }
    // berth has been here before.
    assert_eq!(node.ask(INFRA, &in_pod(INFRA), Some(INFRA), &[]).as_deref(), Some(INFRA));
    assert_eq!(node.ask(INFRA, &in_pod(INFRA), Some("victim"), &[]), None);
}

#[test]
fn another_cgroup_is_no_pods() {
    let node = Node::new();
    for cgroup in [
        "",
        &format!("/libpod_parent/libpod-{INFRA}"),
        &format!("/libpod_parent/{}/libpod-{INFRA}", &POD[1..]),
        &format!("/libpod_parent/{}/libpod-{INFRA}", POD.to_uppercase()),
        &format!("/libpod_parent/{POD}/other-{INFRA}"),
        &format!("/libpod_parent/{POD}/libpod-{MEMBER}"),
        &format!("/system.slice/x.service/libpod-payload-{INFRA}"),
        &format!("user.slice:libpod:{INFRA}"),
        &format!("x-libpod_pod_{POD}:libpod:{INFRA}"),
    ] {
        assert_eq!(node.ask(INFRA, cgroup, None, &[]), None, "{cgroup}");
        assert_eq!(node.ask(INFRA, cgroup, Some(INFRA), &[44]), None, "{cgroup}");
    }
}

#[test]
fn who_is_given_namespaces_of_the_infra_container_is_of_its_pod_whatever_it_claims() {
    let node = Node::new();
    for claim in [Some(INFRA), None, Some(SERVER), Some(ALONE), Some("../x"), Some("victim"), Some("")] {
        // In a cgroup of its own, so that what claims nothing is no infra container.
        let split = format!("/system.slice/app.service/libpod-payload-{MEMBER}");
        assert_eq!(node.ask(MEMBER, &split, claim, &[11]).as_deref(), Some(INFRA), "{claim:?}");
        // The network of another member, and the rest of the infra container's.
        assert_eq!(node.ask(MEMBER, &split, claim, &[33, 11]).as_deref(), Some(INFRA), "{claim:?}");
    }
    assert_eq!(node.ask_member(Some("victim"), &[11]).as_deref(), Some(INFRA));
}

#[test]
fn who_is_given_no_namespace_of_an_infra_container_is_of_no_pod_whatever_it_claims() {
    let node = Node::new();
    for claim in [Some(INFRA), Some(SERVER), Some("victim"), Some("")] {
        for joins in [&[][..], &[33], &[44], &[99]] {
            assert_eq!(node.ask_member(claim, joins), None, "{claim:?} {joins:?}");
        }
    }
}

#[test]
fn a_pod_outside_of_its_cgroup_has_members_by_their_word_and_their_namespaces() {
    let node = Node::new();
    let own = format!("/libpod_parent/libpod-{MEMBER}");
    assert_eq!(node.ask(MEMBER, &own, Some(ALONE), &[44]).as_deref(), Some(ALONE));
    assert_eq!(node.ask(MEMBER, &own, Some(INFRA), &[44]), None);
    assert_eq!(node.ask(MEMBER, &own, None, &[44]), None, "--network container:<id>");
}

#[test]
fn a_process_is_of_the_container_whose_cgroup_it_is_in() {
    let node = Node::new();
    for (cgroup, infra) in [
        (format!("0::/machine.slice/machine-libpod_pod_{POD}.slice/libpod-{INFRA}.scope\n"), Some(INFRA)),
        (format!("0::/machine.slice/machine-libpod_pod_{POD}.slice/libpod-{INFRA}.scope/container\n"), Some(INFRA)),
        (format!("0::/user.slice/x.service/libpod-payload-{INFRA}\n"), Some(INFRA)),
        // A controller that is not used, or a name that the container has given a cgroup of its own.
        (format!("4:memory:/elsewhere\n0::/p/{POD}/libpod-{INFRA}\n"), Some(INFRA)),
        (format!("0::/p/{POD}/libpod-{SERVER}/libpod-{INFRA}\n"), None),
        ("0::/\n".to_owned(), None),
        (String::new(), None),
    ] {
        node.process(11, &cgroup);
        assert_eq!(node.ask_member(Some(INFRA), &[11]).as_deref(), infra, "{cgroup}");
    }
}

#[test]
fn an_infra_container_whose_bundle_cannot_be_read_is_none() {
    let node = Node::new();
    let config = node.0.path().join(INFRA).join("userdata/config.json");
    fs::write(&config, "{").expect("break it");
    assert_eq!(node.ask_member(Some(INFRA), &[11]), None);
    fs::remove_file(config).expect("remove it");
    assert_eq!(node.ask_member(Some(INFRA), &[11]), None);
}
