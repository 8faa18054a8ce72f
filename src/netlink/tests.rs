//! What is read of real namespaces.

use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use netlink_packet_route::link::LinkHeader;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, send, sendto};

use super::socket::{encoded, open, receive};
use super::{Network, NextHop, Route, read};
use crate::netns::testing::{isolated, join, new_netns, on_thread};

mod answers;

use answers::{datagram, link};

/// Runs `ip` in the calling thread's namespace.
fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().expect("ip (iproute2) runs");
    assert!(status.success(), "ip {words}");
}

fn batch(lines: String) {
    use std::io::Write;
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip (iproute2) runs");
    ip.stdin.take().expect("stdin").write_all(lines.as_bytes()).expect("write");
    assert!(ip.wait().expect("wait").success());
}

fn furnished() {
    ip("link set lo up");
    ip("link add eth0 address 02:00:00:00:00:01 mtu 1400 type veth peer name peer0 address 02:00:00:00:00:02");
    ip("address add 10.1.0.5/24 dev eth0");
    ip("-6 address add fd00::5/64 dev eth0 nodad");
    ip("link set eth0 up");
    ip("link set peer0 up");
    ip("route add default via 10.1.0.1");
    ip("route add 10.7.0.0/16 nexthop via 10.1.0.2 nexthop dev eth0");
    ip("route add blackhole 10.8.0.0/16 table 100");
    ip("route add 10.9.0.0/16 via inet6 fd00::1 dev eth0 metric 7");
    ip("-6 route add default via fd00::1");
}

fn to<'a>(network: &'a Network, destination: &str, family: &str) -> &'a Route {
    let mut found = network.routes.iter().filter(|route| route.destination == destination && route.family == family);
    let route = found.next().unwrap_or_else(|| panic!("{destination}: {:#?}", network.routes));
    assert_eq!(found.next(), None);
    route
}

fn hop(gateway: Option<&str>, device: Option<&str>) -> NextHop {
    NextHop { gateway: gateway.map(str::to_owned), device: device.map(str::to_owned) }
}

#[test]
fn interfaces_addresses_and_routes_are_those_of_the_threads_namespace() {
    isolated(|| {
        furnished();
        let network = read().unwrap();
        assert_eq!(network.problems, Vec::<String>::new());
        let names: Vec<_> = network.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(names, ["lo", "peer0", "eth0"]);
        let eth0 = &network.interfaces[2];
        assert_eq!(
            (eth0.mtu, eth0.mac.as_deref(), eth0.kind.as_deref()),
            (1400, Some("02:00:00:00:00:01"), Some("veth"))
        );
        assert!(eth0.up && eth0.addresses.starts_with(&["10.1.0.5/24".into(), "fd00::5/64".into()]), "{eth0:?}");
        assert_eq!((network.interfaces[0].mac.as_deref(), network.interfaces[0].up), (None, true));

        assert_eq!(to(&network, "default", "inet").hops, [hop(Some("10.1.0.1"), Some("eth0"))]);
        assert_eq!(to(&network, "default", "inet6").hops, [hop(Some("fd00::1"), Some("eth0"))]);
        let shared = &to(&network, "10.7.0.0/16", "inet").hops;
        assert_eq!(*shared, [hop(Some("10.1.0.2"), Some("eth0")), hop(None, Some("eth0"))]);
        let blackhole = to(&network, "10.8.0.0/16", "inet");
        assert_eq!((blackhole.kind.as_str(), blackhole.table, &*blackhole.hops), ("blackhole", 100, &[][..]));
        let mixed = to(&network, "10.9.0.0/16", "inet");
        assert_eq!((&mixed.hops[0], mixed.metric), (&hop(Some("fd00::1"), Some("eth0")), Some(7)));
        let link = to(&network, "10.1.0.0/24", "inet");
        assert_eq!((link.source.as_deref(), &link.hops[0]), (Some("10.1.0.5"), &hop(None, Some("eth0"))));
        assert!(network.routes.iter().all(|route| route.table != 255), "{:#?}", network.routes);
    });
}

#[test]
fn a_namespace_is_read_from_a_thread_that_has_entered_it_and_that_nobody_else_holds() {
    isolated(|| {
        ip("link add outside type bridge");
        let netns = new_netns();
        on_thread(|| {
            join(&netns);
            ip("link add inside type bridge");
        });
        let network = netns.within(read).unwrap().unwrap();
        let names: Vec<_> = network.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(names, ["lo", "inside"]);
        assert!(read().unwrap().interfaces.iter().any(|interface| interface.name == "outside"), "still outside");
    });
}

#[test]
fn a_name_that_is_no_text_is_shown_as_such() {
    isolated(|| {
        use std::os::unix::ffi::OsStrExt;
        let odd = std::ffi::OsStr::from_bytes(b"\xffodd");
        let add = |name| Command::new("ip").args(["link", "add"]).arg(name).args(["type", "bridge"]).status().unwrap();
        assert!(add(odd).success() && add(std::ffi::OsStr::new("plain\x1b[2J")).success());
        let network = read().unwrap();
        let names: Vec<_> = network.interfaces.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(names, ["lo", "\u{fffd}odd", "plain\x1b[2J"]);
    });
}

#[test]
fn many_routes_are_read_and_too_many_are_cut_and_that_is_said() {
    isolated(|| {
        ip("link add d0 type bridge");
        ip("link set d0 up");
        let routes = |range: std::ops::Range<u32>| -> String {
            range.map(|n| format!("route add 10.{}.{}.{}/32 dev d0\n", n >> 16, n >> 8 & 255, n & 255)).collect()
        };
        batch(routes(0..5000));
        let network = read().unwrap();
        let of_d0 = |network: &Network| network.routes.iter().filter(|route| route.family == "inet").count();
        assert_eq!((of_d0(&network), network.problems.len()), (5000, 0));
        batch(routes(5000..11_000));
        let network = read().unwrap();
        assert_eq!(network.problems, ["there are more routes than the 10000 that were read"]);
        assert!(network.routes.len() <= 10_000 && of_d0(&network) > 9_000);
    });
}

#[test]
fn what_the_kernel_sends_is_told_from_what_others_in_the_namespace_do() {
    isolated(|| {
        let (ours, others) = (open().unwrap(), open().unwrap());
        let at = NetlinkAddr::new(4711, 0);
        bind(ours.as_raw_fd(), &at).unwrap();
        let forged = datagram(1, 0, link());
        sendto(others.as_raw_fd(), &forged, &at, MsgFlags::empty()).unwrap();
        let mut buffer = vec![0; 1 << 16];
        assert_eq!(receive(&ours, &mut buffer), Ok((forged.len(), false)));
        let request = encoded(nix::libc::RTM_GETLINK, &LinkHeader::default());
        send(ours.as_raw_fd(), &request, MsgFlags::empty()).unwrap();
        let (length, from_kernel) = receive(&ours, &mut buffer).unwrap();
        assert!(from_kernel && length > request.len(), "{length}");
    });
}

#[test]
fn routes_that_change_all_the_time_are_read_in_bounded_time() {
    isolated(|| {
        ip("link add d0 type bridge");
        ip("link set d0 up");
        let (netns, done) = (crate::netns::Netns::current().unwrap(), AtomicBool::new(false));
        let lines: String =
            (0..200).map(|n| format!("route add 10.3.{n}.0/24 dev d0\nroute del 10.3.{n}.0/24 dev d0\n")).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                join(&netns);
                while !done.load(Ordering::Relaxed) {
                    batch(lines.clone());
                }
            });
            for _ in 0..50 {
                let network = read().unwrap();
                assert!(network.interfaces.iter().any(|interface| interface.name == "d0"));
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}
