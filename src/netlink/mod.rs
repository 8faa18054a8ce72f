//! What is in a network namespace: interfaces, addresses and routes, asked of the kernel over rtnetlink(7).
//!
//! Reads the namespace of the calling thread and nothing else; who wants another one enters it first, on a thread that
//! ends ([`crate::netns::Netns::within`]). Changes nothing, knows nothing of pins or pods.
//!
//! Of each message that is parsed which is shown, and no more: the kernel's messages have hundreds of attributes.
//!
//! What is read can be made by a pod that wants to make trouble: names are text of its own choosing, and it may have any
//! number of interfaces and routes, and change them all the time. So each list is bounded, each wait has an end, and what
//! was not understood or kept changing is said beside what was found.

mod answer;
mod network;
mod socket;
#[cfg(test)]
mod tests;

pub use network::{Interface, NextHop, Route};

use netlink_packet_core::Emitable;
use netlink_packet_route::address::AddressHeader;
use netlink_packet_route::link::LinkHeader;
use netlink_packet_route::route::RouteHeader;
use nix::errno::Errno;
use nix::libc::{RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE};
use serde::Serialize;

/// Why a namespace could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// A system call on the socket.
    #[error("{op} a netlink socket")]
    Socket {
        /// What was being done.
        op: &'static str,
        /// Why it did not work.
        source: Errno,
    },
    /// The kernel refuses, or gave up half way.
    #[error("list the {what} over netlink")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// An answer that is no netlink message.
    #[error("list the {what} over netlink: the kernel's answer is not understood: {why}")]
    Malformed {
        /// What was asked for.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Interfaces, by index.
    pub interfaces: Vec<Interface>,
    /// Routes of every table but `local`, which the kernel keeps by itself.
    pub routes: Vec<Route>,
    /// What is not in the two lists, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Reads the calling thread's network namespace.
///
/// # Errors
/// Links or addresses or routes cannot be listed at all.
pub fn read() -> Result<Network, NetlinkError> {
    let mut problems = Vec::new();
    let links = list("interfaces", RTM_GETLINK, &LinkHeader::default(), &mut problems)?;
    let addresses = list("addresses", RTM_GETADDR, &AddressHeader::default(), &mut problems)?;
    let routes = list("routes", RTM_GETROUTE, &RouteHeader::default(), &mut problems)?;
    let (interfaces, routes) = network::compose(&links, &addresses, &routes);
    Ok(Network { interfaces, routes, problems })
}

fn list(
    what: &'static str,
    kind: u16,
    header: &impl Emitable,
    problems: &mut Vec<String>,
) -> Result<Vec<Vec<u8>>, NetlinkError> {
    let dump = socket::dump(what, kind, header)?;
    problems.extend(dump.problems(what));
    Ok(dump.messages)
}
