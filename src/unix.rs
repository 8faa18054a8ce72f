//! Reaching a socket file without waiting for ever.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as join, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Connects to the socket file at `path`. A listener that takes no connections while as many wait as it has room for is
/// waited for: connect(2) does so for as long as the socket may take to send (`unix_stream_connect` of net/unix/af_unix.c).
/// The same limit holds for what is written then, and for what is read.
///
/// # Errors
/// Nobody listens, or `TimedOut` after `limit`, which is at least a millisecond.
pub fn connect(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Nothing at all would be no limit.
    let limit = limit.max(Duration::from_millis(1));
    let time = TimeVal::milliseconds(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX / 1_000_000));
    setsockopt(&socket, sockopt::SendTimeout, &time)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &time)?;
    match join(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(nix::errno::Errno::EAGAIN) => Err(io::ErrorKind::TimedOut.into()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_listener_that_takes_nobody_is_waited_for_up_to_the_limit() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("s");
        assert_eq!(connect(&path, Duration::from_secs(1)).expect_err("none").kind(), io::ErrorKind::NotFound);
        let busy = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).expect("a socket");
        nix::sys::socket::bind(busy.as_raw_fd(), &UnixAddr::new(&path).expect("an address")).expect("bind");
        nix::sys::socket::listen(&busy, nix::sys::socket::Backlog::new(0).expect("none")).expect("listen");
        let limit = Duration::from_millis(50);
        let _first = connect(&path, limit).expect("there is room for one");
        let began = Instant::now();
        let error = connect(&path, limit).expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
        drop(busy);
        assert_eq!(connect(&path, limit).expect_err("nobody").kind(), io::ErrorKind::ConnectionRefused);
    }
}
