//! The kernel, and what this process may ask of it.

use super::Node;
use crate::exit::chain;
use crate::finding::Finding;
use crate::netns;
use std::path::Path;

pub(super) const PRIVILEGES: &str = "privileges";

/// Numbers of capabilities (linux/capability.h). A daemon keeps these two ([`crate::confine::needed`]).
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;

/// NS_GET_NSTYPE, by which berth tells a network namespace from another file, came with this one.
const OLDEST_KERNEL: (u64, u64) = (4, 11);

/// The kernel has what berth needs, and this process may use it. What a process of another user may do is not the question.
pub(super) fn privileges(node: &Node) -> Vec<Finding> {
    let kernel = kernel();
    if release(&kernel).is_some_and(|release| release < OLDEST_KERNEL) {
        let message = format!("kernel {kernel}: cannot tell what a namespace is");
        return vec![Finding::fail(PRIVILEGES, message, "upgrade the kernel: 4.11 is the first that can")];
    }
    if let Err(error) = netns::id_of(Path::new("/proc/thread-self/ns/net")) {
        let message = format!("kernel {kernel}: network namespaces cannot be used: {}", chain(&error));
        return vec![Finding::fail(PRIVILEGES, message, "boot a kernel with CONFIG_NET_NS, and mount /proc")];
    }
    let has = node.privileges;
    if !has.root {
        return vec![Finding::skip(PRIVILEGES, format!("kernel {kernel}; run as root to see what berth may do"))];
    }
    let filter = if has.filtered {
        "; a seccomp filter is on, which must let mount, umount2 and unshare through (the engine's default one does with CAP_SYS_ADMIN)"
    } else {
        ""
    };
    let lacks = |capability| !has.has(capability);
    vec![if lacks(CAP_SYS_ADMIN) {
        let hint = "give it to the container (securityContext.capabilities.add: SYS_ADMIN), or run as root on the node";
        Finding::fail(PRIVILEGES, format!("CAP_SYS_ADMIN is not there: nothing can be pinned{filter}"), hint)
    } else if lacks(CAP_SYS_PTRACE) {
        let hint = "add SYS_PTRACE to securityContext.capabilities.add";
        let message = format!("CAP_SYS_PTRACE is not there: whose namespaces tasks are in is told less surely{filter}");
        Finding::warn(PRIVILEGES, message, hint)
    } else {
        Finding::pass(PRIVILEGES, format!("kernel {kernel}; root with all that berth needs{filter}"))
    }]
}

/// The release of the running kernel.
pub(super) fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn release(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_read() {
        assert_eq!(release("6.18.5-cloud-amd64"), Some((6, 18)));
        assert_eq!(release("3.10.0-1160.el7.x86_64"), Some((3, 10)));
        assert_eq!(release(""), None);
    }
}
