//! Containers that nobody made for Kubernetes: plain `ctr`. They are of no pod, and nothing makes them look so. (Whoever
//! reaches containerd's socket can write the CRI's own keys in the CRI's own namespace, and is root on the node.)

use super::recorded::network_of;
use crate::rig::Rig;
use crate::rig::containerd::NAMES;

const IMAGE: &str = "localhost/berth/busybox:1";
/// Every key by which a container could claim to be of a pod.
const CLAIMS: [&str; 6] = [
    "io.kubernetes.cri.container-type=sandbox",
    "io.kubernetes.cri.sandbox-id=victim",
    "io.kubernetes.cri-o.ContainerType=sandbox",
    "io.kubernetes.cri-o.SandboxID=victim",
    "ocid/container_type=container",
    "ocid/sandbox_id=victim",
];
/// What `ctr run` is told, by which berth stands in front of the OCI runtime or of the shim.
const WRAPPED: [(&str, &str); 2] = [("--runc-binary", "berth-runc"), ("--runtime", "containerd-shim-berth-runc-v2")];

/// Runs a container in one of containerd's namespaces until it is removed with the rig; its config.json.
fn run(rig: &Rig, namespace: &str, id: &str, further: &[&str]) -> String {
    let ctr = "/run/rig/containerd/ctr";
    rig.run(ctr, &["--namespace", namespace, "images", "import", "/run/rig/images.tar"]).expect("import the images");
    let cgroup = format!("{}/{id}", rig.cgroup_parent());
    let run = ["--namespace", namespace, "run", "--detach", "--cgroup", &cgroup];
    rig.run(ctr, &[&run, further, &[IMAGE, id, "sleep", "3600"]].concat()).expect("run the container");
    let path = rig.path(format!("/run/containerd/io.containerd.runtime.v2.task/{namespace}/{id}/config.json"));
    std::fs::read_to_string(path).expect("read config.json")
}

fn log(rig: &Rig) -> String {
    std::fs::read_to_string(rig.path("/run/berth/interpose.log")).expect("read the interposers' log")
}

#[test]
fn a_plain_container_is_left_as_it_is_in_whichever_namespace() {
    let rig = Rig::start();
    for namespace in ["default", "k8s.io"] {
        let without = run(&rig, namespace, "without", &[]).replace("without", "ID");
        for (number, (flag, name)) in WRAPPED.into_iter().enumerate() {
            let id = format!("with{number}");
            let with = run(&rig, namespace, &id, &[flag, &format!("{NAMES}/{name}")]).replace(&id, "ID");
            assert_eq!(with, without, "{namespace} {name}");
            let said = format!("as={name} id={id} verdict=leave reason=standalone");
            assert!(log(&rig).contains(&said), "{said}\n{}", log(&rig));
        }
    }
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn a_plain_container_that_claims_to_be_of_a_pod_is_cleaned_of_the_claims() {
    let rig = Rig::start();
    let without = run(&rig, "default", "without", &[]).replace("without", "ID");
    for (number, (flag, name)) in WRAPPED.into_iter().enumerate() {
        let id = format!("with{number}");
        let program = format!("{NAMES}/{name}");
        let mut further = vec![flag, &program, "--annotation", "app=x"];
        further.extend(CLAIMS.into_iter().flat_map(|claim| ["--annotation", claim]));
        let with = run(&rig, "default", &id, &further).replace(&id, "ID");
        assert_eq!(with.replacen(r#""annotations":{"app":"x"},"#, "", 1), without, "{name}");
        assert_eq!(network_of(&with), "", "a new one, made by the runtime");
        assert!(
            log(&rig).contains(&format!("id={id} verdict=adjust reason=standalone contradictions=")),
            "{}",
            log(&rig)
        );
    }
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
}
