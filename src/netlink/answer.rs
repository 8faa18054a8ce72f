//! From the bytes of one datagram to messages. Pure.

use netlink_packet_core::{NLM_F_DUMP_INTR, NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;

/// Messages begin at multiples of it (NLMSG_ALIGNTO, netlink(3)).
const ALIGN: usize = 4;

/// What a datagram of an answer has brought.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The messages that were understood.
    pub(super) messages: Vec<RouteNetlinkMessage>,
    /// How many were not: of a newer kernel, or with a name that is no text.
    pub(super) not_understood: usize,
    /// What is listed has changed meanwhile, so the list may lack some and have others twice (NLM_F_DUMP_INTR).
    pub(super) interrupted: bool,
    /// It was the last one; and with which error number the kernel ended, 0 for none.
    pub(super) end: Option<i32>,
}

/// Reads a datagram that answers the request `sequence`; messages that answer another are left out.
///
/// # Errors
/// Bytes that are no netlink message, with the reason.
pub(super) fn part(bytes: &[u8], sequence: u32) -> Result<Part, String> {
    let mut part = Part::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let header = NetlinkBuffer::new_checked(rest).map_err(|error| error.to_string())?;
        let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
        let message = rest.get(..length).ok_or("a message is longer than its datagram")?;
        if header.sequence_number() == sequence {
            part.interrupted |= header.flags() & NLM_F_DUMP_INTR != 0;
            part.take(message);
        }
        rest = rest.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    Ok(part)
}

impl Part {
    fn take(&mut self, message: &[u8]) {
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message).map(|message| message.payload) {
            Ok(NetlinkPayload::InnerMessage(message)) => self.messages.push(message),
            Ok(NetlinkPayload::Done(done)) => self.end = Some(done.code.saturating_neg()),
            Ok(NetlinkPayload::Error(error)) => self.end = Some(error.raw_code().saturating_neg()),
            Ok(NetlinkPayload::Noop) => {}
            Ok(_) | Err(_) => self.not_understood += 1,
        }
    }
}
