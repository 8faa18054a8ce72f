use crate::door::interpose::podman::infra;
use crate::oci::Bundle;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const INFRA: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const MEMBER: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const OTHER: &str = "3333333333333333333333333333333333333333333333333333333333333333";
const POD: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const VICTIM: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// podman's directory of bundles.
struct Storage(TempDir);

impl Storage {
    /// A pod with its infra container and a container on its own, as podman leaves them.
    fn new() -> Self {
        let storage = Self(tempfile::tempdir().expect("a directory"));
        storage.bundle(INFRA, &in_pod(POD, INFRA), None);
        storage.bundle(OTHER, &format!("/libpod_parent/libpod-{OTHER}"), None);
        storage
    }

    fn bundle(&self, id: &str, cgroup: &str, sandbox: Option<&str>) -> PathBuf {
        let dir = self.0.path().join(id).join("userdata");
        fs::create_dir_all(&dir).expect("make the bundle");
        let key = sandbox.map(|id| format!(r#""io.kubernetes.cri-o.SandboxID":"{id}""#)).unwrap_or_default();
        let text = format!(r#"{{"annotations":{{{key}}},"linux":{{"cgroupsPath":"{cgroup}"}}}}"#);
        fs::write(dir.join("config.json"), text).expect("write config.json");
        dir
    }

    /// The infra container of a container that is created now.
    fn ask(&self, id: &str, cgroup: &str, sandbox: Option<&str>) -> Option<String> {
        ask(&self.bundle(id, cgroup, sandbox), id)
    }
}

fn ask(bundle: &Path, id: &str) -> Option<String> {
    let read = Bundle::open(bundle).expect("read").expect("is there");
    infra(bundle, id, &read.scan().expect("scan")).map(|infra| infra.to_string())
}

fn in_pod(pod: &str, id: &str) -> String {
    format!("/libpod_parent/{pod}/libpod-{id}")
}

#[test]
fn a_container_in_a_pods_cgroup_belongs_to_its_infra_container() {
    let storage = Storage::new();
    for cgroup in [in_pod(POD, MEMBER), format!("/any/parent/{POD}/libpod-{MEMBER}")] {
        assert_eq!(storage.ask(MEMBER, &cgroup, Some(INFRA)).as_deref(), Some(INFRA), "{cgroup}");
    }
    assert_eq!(storage.ask(INFRA, &in_pod(POD, INFRA), None).as_deref(), Some(INFRA));
    // berth has been here before.
    assert_eq!(storage.ask(INFRA, &in_pod(POD, INFRA), Some(INFRA)).as_deref(), Some(INFRA));
}

#[test]
fn systemd_has_other_words_for_the_same_cgroups() {
    let storage = Storage::new();
    let cgroup = |id: &str| format!("machine-libpod_pod_{POD}.slice:libpod:{id}");
    storage.bundle(INFRA, &cgroup(INFRA), None);
    assert_eq!(storage.ask(MEMBER, &cgroup(MEMBER), Some(INFRA)).as_deref(), Some(INFRA));
    assert_eq!(storage.ask(OTHER, &format!("machine.slice:libpod:{OTHER}"), Some(INFRA)), None);
}

#[test]
fn what_an_author_writes_changes_neither_who_is_infra_nor_whose_a_container_is() {
    let storage = Storage::new();
    storage.bundle(VICTIM, &in_pod(VICTIM, VICTIM), None);
    // Of its own pod, but a member as well; of another pod; of none; of nothing.
    let sibling = "4444444444444444444444444444444444444444444444444444444444444444";
    storage.bundle(sibling, &in_pod(POD, sibling), Some(INFRA));
    for claim in [sibling, VICTIM, OTHER, MEMBER.trim_end_matches('2'), "../x", "victim", ""] {
        assert_eq!(storage.ask(MEMBER, &in_pod(POD, MEMBER), Some(claim)).as_deref(), Some(INFRA), "{claim:?}");
    }
}

#[test]
fn a_container_in_no_pods_cgroup_is_in_no_pod() {
    let storage = Storage::new();
    for cgroup in [
        "",
        &format!("/libpod_parent/libpod-{MEMBER}"),
        &format!("/libpod_parent/{}/libpod-{MEMBER}", &POD[1..]),
        &format!("/libpod_parent/{}/libpod-{MEMBER}", POD.to_uppercase()),
        &format!("/libpod_parent/{POD}/other-{MEMBER}"),
        &format!("/libpod_parent/{POD}/libpod-{OTHER}"),
        &format!("/system.slice/x.service/libpod-payload-{MEMBER}"),
        &format!("user.slice:libpod:{MEMBER}"),
        &format!("machine-libpod_pod_{POD}:libpod:{MEMBER}"),
    ] {
        for claim in [None, Some(INFRA), Some(MEMBER)] {
            assert_eq!(storage.ask(MEMBER, cgroup, claim), None, "{cgroup} {claim:?}");
        }
    }
}

#[test]
fn a_pod_whose_infra_container_cannot_be_read_has_none() {
    let storage = Storage::new();
    let bundle = storage.bundle(MEMBER, &in_pod(POD, MEMBER), Some(INFRA));
    let infra = storage.0.path().join(INFRA).join("userdata/config.json");
    fs::write(&infra, "{").expect("break it");
    assert_eq!(ask(&bundle, MEMBER), None);
    fs::remove_file(infra).expect("remove it");
    assert_eq!(ask(&bundle, MEMBER), None);
}
