//! One dump: a request, and the datagrams that answer it.

use super::NetlinkError;
use super::answer::{Part, part};
use netlink_packet_core::{Emitable, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader};
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvmsg, send, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};

/// How often a list is asked for that changes while it is given.
const ATTEMPTS: usize = 8;

/// The most messages that are kept of a list, and the most bytes of them.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 32 << 20;

/// The kernel fills datagrams of a dump up to 32 KiB where the reader has that much room (`netlink_dump`).
const ROOM: usize = 64 << 10;

/// The kernel answers at once; what keeps it longer than this is a lock that somebody holds.
const PATIENCE_SECONDS: i64 = 5;

/// Any number: each socket asks once.
const SEQUENCE: u32 = 1;

/// A list as the kernel gave it.
#[derive(Debug, Default)]
pub(super) struct Dump {
    /// Its messages without their headers, up to [`MOST`].
    pub(super) messages: Vec<Vec<u8>>,
    bytes: usize,
    interrupted: bool,
    cut: bool,
}

impl Dump {
    /// What is wrong with the list of `what`, in words.
    pub(super) fn problems(&self, what: &str) -> Vec<String> {
        let mut problems = Vec::new();
        if self.cut {
            let read = self.messages.len();
            problems.push(format!("there are more {what} than the {read} that were read"));
        }
        if self.interrupted {
            problems.push(format!("{what} changed each of {ATTEMPTS} times that they were read; some may be missing"));
        }
        problems
    }
}

/// Asks for everything of a kind (`RTM_GET*`); `header` is that of its messages, with nothing in it that would narrow the
/// list. One that changes while it is given is asked for again.
///
/// # Errors
/// [`NetlinkError`].
pub(super) fn dump(what: &'static str, kind: u16, header: &impl Emitable) -> Result<Dump, NetlinkError> {
    let request = encoded(kind, header);
    undisturbed(|| attempt(what, &request))
}

/// What an attempt gives that was not interrupted, or the last one.
pub(super) fn undisturbed<E>(mut attempt: impl FnMut() -> Result<Dump, E>) -> Result<Dump, E> {
    let mut dump = Dump::default();
    for _ in 0..ATTEMPTS {
        dump = attempt()?;
        // One that was cut is not whole anyway.
        if !dump.interrupted || dump.cut {
            break;
        }
    }
    Ok(dump)
}

pub(super) fn encoded(kind: u16, header: &impl Emitable) -> Vec<u8> {
    let mut outer = NetlinkHeader::default();
    let length = outer.buffer_len() + header.buffer_len();
    outer.length = u32::try_from(length).unwrap_or_default();
    outer.message_type = kind;
    outer.flags = NLM_F_REQUEST | NLM_F_DUMP;
    outer.sequence_number = SEQUENCE;
    let mut bytes = vec![0; length];
    let (first, second) = bytes.split_at_mut(outer.buffer_len());
    outer.emit(first);
    header.emit(second);
    bytes
}

/// On a socket of its own, so that what is left of a list that was cut answers nobody else.
fn attempt(what: &'static str, request: &[u8]) -> Result<Dump, NetlinkError> {
    let on = |op| move |source| NetlinkError::Socket { op, source };
    let socket = open().map_err(on("open"))?;
    send(socket.as_raw_fd(), request, MsgFlags::empty()).map_err(on("send on"))?;
    let mut buffer = vec![0; ROOM];
    let mut dump = Dump::default();
    loop {
        let length = match receive(&socket, &mut buffer) {
            Err(Errno::EINTR) => continue,
            received => match received.map_err(on("receive from"))? {
                (length, true) => length,
                // Whoever administers the namespace can send to this socket, too.
                (_, false) => continue,
            },
        };
        let malformed = |why: &str| NetlinkError::Malformed { what, why: why.to_owned() };
        let bytes = buffer.get(..length).ok_or_else(|| malformed("a datagram is larger than 64 KiB"))?;
        if bytes.is_empty() {
            return Err(malformed("an empty datagram"));
        }
        let part = part(bytes, SEQUENCE).map_err(|why| malformed(&why))?;
        match dump.take(part) {
            Some(0) => return Ok(dump),
            Some(code) => return Err(NetlinkError::Refused { what, source: Errno::from_raw(code) }),
            None => {}
        }
    }
}

/// The next datagram: how long it is, whatever the room, and whether the kernel has sent it.
pub(super) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, bool), Errno> {
    let mut room = [IoSliceMut::new(buffer)];
    // With MSG_TRUNC the length is the datagram's.
    let received = recvmsg::<NetlinkAddr>(socket.as_raw_fd(), &mut room, None, MsgFlags::MSG_TRUNC)?;
    Ok((received.bytes, received.address.is_some_and(|address| address.pid() == 0)))
}

pub(super) fn open() -> Result<OwnedFd, Errno> {
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
    Ok(socket)
}

impl Dump {
    /// Adds a part; the error number with which the list has ended, if it has.
    pub(super) fn take(&mut self, part: Part) -> Option<i32> {
        self.interrupted |= part.interrupted;
        for message in part.messages {
            self.bytes += message.len();
            if self.messages.len() == MOST || self.bytes > MOST_BYTES {
                self.cut = true;
                return Some(0);
            }
            self.messages.push(message);
        }
        part.end
    }
}
