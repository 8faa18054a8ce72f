//! Asking such a listener for a page, from a process without an event loop.

use crate::address::Address;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longer answers are not berth's.
const MAX_ANSWER: u64 = 1 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its text.
    pub body: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there, or does not answer in time.
    #[error("ask http at {address}: {step}")]
    Io {
        /// Where.
        address: Address,
        /// What was being done.
        step: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
    /// Whoever listens there does not speak HTTP.
    #[error("ask http at {0}: what answers there does not speak HTTP")]
    NotHttp(Address),
}

trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// Asks for the page at `path`, and waits at most `limit` for each step. A listener at every address is asked on this
/// machine.
///
/// # Errors
/// There is no answer, or what came is none.
pub fn ask(address: &Address, path: &str, limit: Duration) -> Result<Reply, AskError> {
    let failed = |step| move |source| AskError::Io { address: address.clone(), step, source };
    let mut stream = connect(address, limit).map_err(failed("connect"))?;
    // HTTP/1.0: the answer comes in one piece, and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nhost: berth\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed("send the request"))?;
    let deadline = Instant::now() + limit;
    let text = read(stream.as_mut(), deadline).map_err(failed("read the answer"))?;
    parse(&text).ok_or_else(|| AskError::NotHttp(address.clone()))
}

fn connect(address: &Address, limit: Duration) -> io::Result<Box<dyn Connection>> {
    let tcp = |at: SocketAddr| -> io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect_timeout(&at, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Box::new(stream))
    };
    match address {
        Address::Tcp(at) if at.ip().is_unspecified() => tcp(SocketAddr::new(loopback(at.ip()), at.port())),
        Address::Tcp(at) => tcp(*at),
        Address::Port(port) => tcp((Ipv4Addr::LOCALHOST, *port).into()),
        Address::Unix(path) => Ok(Box::new(crate::unix::connect(path, limit)?)),
    }
}

fn loopback(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() }
}

fn read(stream: &mut dyn Connection, deadline: Instant) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    loop {
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match stream.read(&mut piece)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            more => bytes.extend_from_slice(&piece[..more]),
        }
        if bytes.len() as u64 > MAX_ANSWER {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

fn parse(text: &str) -> Option<Reply> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (version, rest) = head.lines().next()?.split_once(' ')?;
    let status = rest.split(' ').next()?.parse().ok().filter(|_| version.starts_with("HTTP/1."))?;
    Some(Reply { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let reply = parse("HTTP/1.0 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nno\n");
        assert_eq!(reply, Some(Reply { status: 503, body: "no\n".into() }));
        for text in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
