//! What podman's user is told.

use super::node::{IDLE, IMAGE, Node};

const CONFIG: &str =
    "interposers: {berth-runc: {engine: podman}}\nprofiles: [{name: strict, onContradiction: Refuse}]\n";

/// One sentence, whether podman reads the OCI runtime's standard error or its log.
#[test]
fn a_refusal_is_what_podman_says() {
    for engine in ["", "runtime_supports_json = [\"berth-runc\"]"] {
        let node = Node::with(CONFIG, engine);
        let pod = node.pod("web", &[]);
        let forged = ["--annotation", "ocid/sandbox_id=victim"];
        let run = [&["run", "--detach", "--pod", &pod.name], &forged[..], &[IMAGE], IDLE].concat();
        let said = node.try_podman(&run).expect_err("the container is refused");
        let sentence = "berth: its annotations ocid/sandbox_id contradict the engine and the profile refuses that";
        assert_eq!(said.matches(sentence).count(), 1, "{engine:?}: {said}");
        assert!(said.lines().count() == 1, "{engine:?}: {said}");
        assert!(
            node.said(&node.podman(&["container", "ls", "--latest", "--quiet", "--no-trunc"]))
                .contains("verdict=refuse")
        );
    }
}
