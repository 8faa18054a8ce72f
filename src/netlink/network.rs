//! From messages to interfaces with their addresses, and routes. Pure.

use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The table that the kernel keeps by itself: own addresses, broadcasts (RT_TABLE_LOCAL, linux/rtnetlink.h).
const LOCAL: u32 = 255;

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Its number in the namespace.
    pub index: u32,
    /// Its name: text of whoever has the namespace.
    pub name: String,
    /// What made it (`veth`, `tun`, `vlan`); absent where the kernel tells none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Switched on by an administrator (`IFF_UP`).
    pub up: bool,
    /// Its operational state (RFC 2863): `up`, `down`, `unknown`.
    pub state: String,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Its hardware address, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Addresses with their prefix length.
    pub addresses: Vec<String>,
}

/// One route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Where to: `default`, or a prefix.
    pub destination: String,
    /// `unicast`; others say that packets go nowhere.
    pub kind: String,
    /// By which ways; more than one share the traffic.
    pub hops: Vec<NextHop>,
    /// The address that packets are sent from, where the route says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The lower, the better; absent where it is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// The table, by number: 254 is `main`.
    pub table: u32,
    /// `inet` or `inet6`.
    pub family: &'static str,
}

/// One way of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextHop {
    /// The gateway; absent where the destination is on the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The interface, by name, or by number where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// Puts three lists together. Messages of other kinds are left out.
pub(super) fn compose(
    links: &[RouteNetlinkMessage],
    addresses: &[RouteNetlinkMessage],
    routes: &[RouteNetlinkMessage],
) -> (Vec<Interface>, Vec<Route>) {
    let mut interfaces = BTreeMap::new();
    for message in links {
        if let RouteNetlinkMessage::NewLink(link) = message {
            interfaces.insert(link.header.index, interface(link));
        }
    }
    for message in addresses {
        if let RouteNetlinkMessage::NewAddress(message) = message
            && let Some(interface) = interfaces.get_mut(&message.header.index)
            && let Some(address) = address(message)
        {
            interface.addresses.push(address);
        }
    }
    let device = |index: u32| interfaces.get(&index).map_or_else(|| format!("#{index}"), |found| found.name.clone());
    let routes = routes.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewRoute(message) => route(message, &device),
        _ => None,
    });
    let routes = routes.collect();
    (interfaces.into_values().collect(), routes)
}

fn interface(link: &LinkMessage) -> Interface {
    let mut found = Interface { index: link.header.index, state: word(State::Unknown), ..Interface::default() };
    found.up = link.header.flags.contains(LinkFlags::Up);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => found.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => found.mtu = *mtu,
            LinkAttribute::OperState(state) => found.state = word(*state),
            LinkAttribute::Address(bytes) if bytes.iter().any(|byte| *byte != 0) => found.mac = Some(mac(bytes)),
            LinkAttribute::LinkInfo(infos) => {
                found.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    found
}

fn word(state: State) -> String {
    state.to_string().to_lowercase()
}

fn mac(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// On a point-to-point link `Address` is the other end's, and `Local` its own (linux/if_addr.h).
fn address(message: &AddressMessage) -> Option<String> {
    let own = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(address),
        _ => None,
    });
    let any = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(address),
        _ => None,
    });
    own.or(any).map(|address: &IpAddr| format!("{address}/{}", message.header.prefix_len))
}

/// The kernel's own table is left out, and what is not of the Internet: the dump is of all families.
fn route(message: &RouteMessage, device: &impl Fn(u32) -> String) -> Option<Route> {
    let RouteHeader { address_family, destination_prefix_length, .. } = message.header;
    let family = match address_family {
        AddressFamily::Inet => "inet",
        AddressFamily::Inet6 => "inet6",
        _ => return None,
    };
    let mut found = Route {
        destination: "default".to_owned(),
        kind: kind(message.header.kind),
        table: u32::from(message.header.table),
        family,
        ..Route::default()
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => {
                found.destination = format!("{}/{destination_prefix_length}", ip(to)?);
            }
            RouteAttribute::PrefSource(from) => found.source = ip(from),
            RouteAttribute::Priority(metric) if *metric != 0 => found.metric = Some(*metric),
            RouteAttribute::Table(table) => found.table = *table,
            RouteAttribute::MultiPath(hops) => {
                found.hops.extend(hops.iter().map(|hop: &RouteNextHop| NextHop {
                    device: Some(device(hop.interface_index)),
                    ..next_hop(&hop.attributes, device)
                }));
            }
            _ => {}
        }
    }
    let single = next_hop(&message.attributes, device);
    if found.hops.is_empty() && single != NextHop::default() {
        found.hops.push(single);
    }
    (found.table != LOCAL).then_some(found)
}

fn next_hop(attributes: &[RouteAttribute], device: &impl Fn(u32) -> String) -> NextHop {
    let mut hop = NextHop::default();
    for attribute in attributes {
        match attribute {
            RouteAttribute::Gateway(gateway) => hop.gateway = ip(gateway),
            // An IPv6 gateway of an IPv4 route.
            RouteAttribute::Via(RouteVia::Inet(via)) => hop.gateway = Some(via.to_string()),
            RouteAttribute::Via(RouteVia::Inet6(via)) => hop.gateway = Some(via.to_string()),
            RouteAttribute::Oif(index) => hop.device = Some(device(*index)),
            _ => {}
        }
    }
    hop
}

fn ip(address: &RouteAddress) -> Option<String> {
    match address {
        RouteAddress::Inet(address) => Some(address.to_string()),
        RouteAddress::Inet6(address) => Some(address.to_string()),
        _ => None,
    }
}

fn kind(kind: RouteType) -> String {
    match kind {
        RouteType::Unicast => "unicast".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
