//! What is made of answers that are not what one would like.

use netlink_packet_core::{NLM_F_DUMP_INTR, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use proptest::prelude::*;

use super::super::answer::{Part, part};
use super::super::network::compose;
use super::super::socket::{Dump, undisturbed};
use super::hop;

#[test]
fn messages_are_kept_up_to_a_size() {
    let mut dump = Dump::default();
    let part = || Part { messages: vec![vec![0; 1 << 20]], ..Part::default() };
    let kept = (0..).take_while(|_| dump.take(part()).is_none()).count();
    assert_eq!((kept, dump.messages.len()), (32, 32));
    assert_eq!(dump.problems("interfaces"), ["there are more interfaces than the 32 that were read"]);
}

fn interrupted(times: &mut usize) -> Part {
    let interrupted = *times > 0;
    *times = times.saturating_sub(1);
    Part { interrupted, end: Some(0), ..Part::default() }
}

fn dumped(part: Part) -> Dump {
    let mut dump = Dump::default();
    assert_eq!(dump.take(part), Some(0));
    dump
}

#[test]
fn a_list_that_changed_while_it_was_given_is_asked_for_again_but_not_for_ever() {
    let mut times = 3;
    let dump = undisturbed(|| Ok::<_, ()>(dumped(interrupted(&mut times)))).unwrap();
    assert_eq!((dump.problems("routes").len(), times), (0, 0));
    let mut times = 100;
    let dump = undisturbed(|| Ok::<_, ()>(dumped(interrupted(&mut times)))).unwrap();
    assert_eq!(times, 92);
    assert_eq!(dump.problems("routes"), ["routes changed each of 8 times that they were read; some may be missing"]);
}

/// A datagram of one message.
pub(super) fn datagram(sequence: u32, flags: u16, message: RouteNetlinkMessage) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    (header.sequence_number, header.flags) = (sequence, flags);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// One that names an interface.
pub(super) fn link() -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName("eth0".into()));
    RouteNetlinkMessage::NewLink(link)
}

fn address() -> RouteNetlinkMessage {
    let mut address = AddressMessage::default();
    address.attributes.push(AddressAttribute::Local([10, 1, 0, 5].into()));
    RouteNetlinkMessage::NewAddress(address)
}

fn a_route() -> RouteNetlinkMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = netlink_packet_route::AddressFamily::Inet;
    route.attributes.push(RouteAttribute::Oif(7));
    RouteNetlinkMessage::NewRoute(route)
}

/// What is behind the header.
fn payload(message: RouteNetlinkMessage) -> Vec<u8> {
    part(&datagram(1, 0, message), 1).unwrap().messages.remove(0)
}

#[test]
fn what_is_parsed_is_what_others_write() {
    let (interfaces, routes) = compose(&[payload(link())], &[payload(address())], &[payload(a_route())]);
    assert_eq!((interfaces[0].name.as_str(), &*interfaces[0].addresses), ("eth0", &["10.1.0.5/0".to_owned()][..]));
    assert_eq!((routes[0].destination.as_str(), &routes[0].hops[0]), ("default", &hop(None, Some("#7"))));
}

#[test]
fn an_answer_to_another_question_is_left_out_and_an_interruption_is_seen() {
    let both = [datagram(7, NLM_F_DUMP_INTR, link()), datagram(8, 0, link())].concat();
    let (seven, eight) = (part(&both, 7).unwrap(), part(&both, 8).unwrap());
    assert_eq!((seven.messages.len(), seven.interrupted, seven.end), (1, true, None));
    assert_eq!((eight.messages.len(), eight.interrupted), (1, false));
    assert_eq!(part(&both, 9).unwrap().messages.len(), 0);
}

#[test]
fn the_kernels_error_ends_a_list_with_its_number() {
    // nlmsghdr: length 20, NLMSG_ERROR, flags, sequence 1, port; then -1 as an int.
    let mut bytes = [20u32.to_ne_bytes(), [2, 0, 0, 0], 1u32.to_ne_bytes(), [0; 4], (-1i32).to_ne_bytes()].concat();
    bytes.extend([0; 16]);
    bytes[0] = 36;
    assert_eq!(part(&bytes, 1).unwrap().end, Some(1));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _outcome = part(&bytes, 1);
    }

    #[test]
    fn no_change_of_a_byte_and_no_truncation_makes_it_panic(at in 0usize..36, value in any::<u8>(), keep in 0usize..44) {
        let mut bytes = datagram(1, 0, link());
        bytes[at] = value;
        bytes.truncate(keep);
        let _outcome = part(&bytes, u32::from(value));
        let _outcome = part(&bytes, 1);
    }

    #[test]
    fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let messages = [bytes];
        let _outcome = compose(&messages, &messages, &messages);
    }

    #[test]
    fn no_attributes_of_a_route_make_it_panic(kind in 1u16..20, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let length = u16::try_from(bytes.len() + 4).expect("small");
        let attribute = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &bytes].concat();
        let message = [&payload(a_route())[..12], &attribute].concat();
        let _outcome = compose(&[], &[], &[message]);
    }
}
