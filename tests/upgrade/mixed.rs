//! A daemon and interposers of different versions, as they are while a node is upgraded.

use super::node::{HANDLERS, Node, Version};
use super::run_pod;

/// Both pin the same sandboxes, and one releases what the other has pinned.
fn mix(interposers: Version, daemon: Version) {
    let node = Node::start(interposers);
    let _daemon = node.daemon(&daemon.path(), daemon);
    for handler in HANDLERS {
        let (pod, pin) = run_pod(&node, handler, handler);
        // The daemon has been told of the pod by now, and has found the pin to be its own.
        assert_eq!(node.rig.pin(&pod.id), Some(pin));
        let door = if handler == HANDLERS[0] { "runtime" } else { "shim" };
        assert!(node.record(&pod.id).contains(&format!(r#""door":"{door}""#)), "{}", node.record(&pod.id));
        node.rig.cri().stop_pod(&pod.id).expect("stop the pod");
        node.assert_nothing_left_of(&pod.id);
        node.rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn earlier_interposers_and_a_later_daemon_keep_the_same_pins() {
    mix(Version::Before, Version::Now);
}

#[test]
fn later_interposers_and_an_earlier_daemon_keep_the_same_pins() {
    mix(Version::Now, Version::Before);
}
