//! From the bytes of one datagram to messages. Pure.

use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer};

/// Messages begin at multiples of it (NLMSG_ALIGNTO, netlink(3)).
const ALIGN: usize = 4;

/// What a datagram of an answer has brought.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// What is behind each message's header.
    pub(super) messages: Vec<Vec<u8>>,
    /// What is listed has changed meanwhile (NLM_F_DUMP_INTR) or was lost: the list may lack some and have others twice.
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
        let message = NetlinkBuffer::new_checked(rest).map_err(|error| error.to_string())?;
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        if message.sequence_number() == sequence {
            part.interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
            part.take(message.message_type(), message.payload());
        }
        rest = rest.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    Ok(part)
}

impl Part {
    fn take(&mut self, kind: u16, payload: &[u8]) {
        match kind {
            NLMSG_NOOP => {}
            NLMSG_OVERRUN => self.interrupted = true,
            // Both begin with an error number, negated. (The kernel also ends lists with nothing behind the header.)
            NLMSG_DONE | NLMSG_ERROR => {
                let number = payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                self.end = Some(number.saturating_neg());
            }
            _ => self.messages.push(payload.to_vec()),
        }
    }
}
