//! From messages to interfaces with their addresses, and routes. Pure.

use netlink_packet_core::{NlaBuffer, NlasIterator};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressHeader;
use netlink_packet_route::link::{LinkFlags, LinkHeader, State};
use netlink_packet_route::route::{RouteHeader, RouteType};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Lengths of what is in front of a message's attributes: ifinfomsg, ifaddrmsg, rtmsg, rtnexthop (linux/rtnetlink.h).
const LINK: usize = 16;
const ADDRESS: usize = 8;
const ROUTE: usize = 12;
const NEXT_HOP: usize = 8;

/// Attributes of a link (linux/if_link.h).
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;

/// Attributes of an address (linux/if_addr.h).
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Attributes of a route (linux/rtnetlink.h).
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;

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

/// Puts three lists together. What is too short to be of its list is left out.
pub(super) fn compose(links: &[Vec<u8>], addresses: &[Vec<u8>], routes: &[Vec<u8>]) -> (Vec<Interface>, Vec<Route>) {
    let mut interfaces: BTreeMap<u32, Interface> =
        links.iter().filter_map(|message| interface(message)).map(|found| (found.index, found)).collect();
    for (index, address) in addresses.iter().filter_map(|message| address(message)) {
        if let Some(interface) = interfaces.get_mut(&index) {
            interface.addresses.push(address);
        }
    }
    let device = |index: u32| interfaces.get(&index).map_or_else(|| format!("#{index}"), |found| found.name.clone());
    let routes = routes.iter().filter_map(|message| route(message, &device)).collect();
    (interfaces.into_values().collect(), routes)
}

/// The attributes behind the first `skip` bytes, up to one that is cut off.
fn attributes(bytes: &[u8], skip: usize) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes.get(skip..).unwrap_or_default()).map_while(Result::ok)
}

fn interface(message: &[u8]) -> Option<Interface> {
    let header = LinkHeader::parse(message).ok()?;
    let up = header.flags.contains(LinkFlags::Up);
    let mut found = Interface { index: header.index, up, state: word(State::Unknown), ..Interface::default() };
    for attribute in attributes(message, LINK) {
        let value = attribute.value();
        match attribute.kind() {
            IFLA_IFNAME => found.name = text(value),
            IFLA_MTU => found.mtu = number(value).unwrap_or_default(),
            IFLA_OPERSTATE => found.state = word(State::from(value.first().copied().unwrap_or_default())),
            IFLA_ADDRESS if value.iter().any(|byte| *byte != 0) => found.mac = Some(mac(value)),
            IFLA_LINKINFO => {
                let kind = attributes(value, 0).find(|info| info.kind() == IFLA_INFO_KIND);
                found.kind = kind.map(|kind| text(kind.value()));
            }
            _ => {}
        }
    }
    Some(found)
}

/// A name is what its maker chose, up to a zero byte; what is no text is shown as such.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn word(state: State) -> String {
    state.to_string().to_lowercase()
}

fn mac(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// An address, and of which interface. On a point-to-point link the one attribute is the other end's, and the other its own
/// (linux/if_addr.h).
fn address(message: &[u8]) -> Option<(u32, String)> {
    let header = AddressHeader::parse(message).ok()?;
    let of = |kind| attributes(message, ADDRESS).find(|found| found.kind() == kind).and_then(|found| ip(found.value()));
    let address = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS))?;
    Some((header.index, format!("{address}/{}", header.prefix_len)))
}

/// The kernel's own table is left out, and what is not of the Internet: the dump is of all families.
fn route(message: &[u8], device: &impl Fn(u32) -> String) -> Option<Route> {
    let header = RouteHeader::parse(message).ok()?;
    let family = match header.address_family {
        AddressFamily::Inet => "inet",
        AddressFamily::Inet6 => "inet6",
        _ => return None,
    };
    let mut found = Route {
        destination: "default".to_owned(),
        kind: kind(header.kind),
        table: u32::from(header.table),
        family,
        ..Route::default()
    };
    for attribute in attributes(message, ROUTE) {
        let value = attribute.value();
        match attribute.kind() {
            RTA_DST => found.destination = format!("{}/{}", ip(value)?, header.destination_prefix_length),
            RTA_PREFSRC => found.source = ip(value),
            RTA_PRIORITY => found.metric = number(value).filter(|metric| *metric != 0),
            RTA_TABLE => found.table = number(value)?,
            RTA_MULTIPATH => found.hops = next_hops(value, device),
            _ => {}
        }
    }
    let single = next_hop(attributes(message, ROUTE), device);
    if found.hops.is_empty() && single != NextHop::default() {
        found.hops.push(single);
    }
    (found.table != LOCAL).then_some(found)
}

/// `struct rtnexthop`: length, flags, weight, interface; then attributes.
fn next_hops(mut bytes: &[u8], device: &impl Fn(u32) -> String) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some(length) = bytes.first_chunk().map(|length| usize::from(u16::from_ne_bytes(*length))) {
        let Some(hop) = bytes.get(..length).filter(|hop| hop.len() >= NEXT_HOP) else { break };
        let index = hop.get(4..).and_then(number).unwrap_or_default();
        hops.push(NextHop { device: Some(device(index)), ..next_hop(attributes(hop, NEXT_HOP), device) });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

fn next_hop<'a>(attributes: impl Iterator<Item = NlaBuffer<&'a [u8]>>, device: &impl Fn(u32) -> String) -> NextHop {
    let mut hop = NextHop::default();
    for attribute in attributes {
        let value = attribute.value();
        match attribute.kind() {
            RTA_GATEWAY => hop.gateway = ip(value),
            // Of another family than the route: two bytes say which, and the length says it, too.
            RTA_VIA => hop.gateway = value.get(2..).and_then(ip),
            RTA_OIF => hop.device = number(value).map(device),
            _ => {}
        }
    }
    hop
}

fn ip(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}

fn kind(kind: RouteType) -> String {
    match kind {
        RouteType::Unicast => "unicast".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
