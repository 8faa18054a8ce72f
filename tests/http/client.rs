//! Clients of the listener, well-behaved and not.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use berth::http::{AskError, Reply, ask};

use crate::node::{Berth, eventually};

/// Where the tests have it listen; each has a network of its own.
pub(crate) const TCP: &str = "127.0.0.1:9464";
pub(crate) const UNIX: &str = "unix:/run/http.sock";

/// How long any single answer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace begins with its loopback down.
pub(crate) fn loopback() {
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
}

/// `berth nri` that listens at [`TCP`].
pub(crate) fn listening() -> Berth {
    loopback();
    Berth::start(&["--listen", TCP])
}

pub(crate) fn try_get(at: &str, path: &str) -> Result<Reply, AskError> {
    ask(&at.parse().unwrap(), path, PATIENCE)
}

pub(crate) fn get(path: &str) -> Reply {
    try_get(TCP, path).unwrap()
}

/// A text without what makes columns of it.
pub(crate) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits until it answers with this status; what it says, squeezed.
pub(crate) async fn answers(at: &str, path: &str, status: u16) -> String {
    let asked = || try_get(at, path).ok().filter(|reply| reply.status == status).map(|reply| squeezed(&reply.body));
    eventually(&format!("{path} at {at} answers {status}"), asked).await
}

/// A connection on which the test writes what it likes.
pub(crate) fn connect() -> TcpStream {
    let stream = TcpStream::connect(TCP).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes back for these bytes until the connection ends; a reset ends it too.
pub(crate) fn raw(bytes: &[u8]) -> String {
    let mut stream = connect();
    // It may be closed before all is written.
    stream.write_all(bytes).unwrap_or_default();
    rest(&mut stream)
}

pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Ok(more) => all.extend_from_slice(&piece[..more]),
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The samples of /metrics, by name with labels.
pub(crate) fn samples() -> BTreeMap<String, f64> {
    let reply = get("/metrics");
    assert_eq!(reply.status, 200, "{}", reply.body);
    parse(&reply.body)
}

pub(crate) fn parse(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        })
        .collect()
}

/// Waits until a sample has this value.
pub(crate) async fn shows(name: &str, value: f64) {
    let mut seen = None;
    let asked = || {
        seen = samples().get(name).copied();
        (seen == Some(value)).then_some(())
    };
    eventually(&format!("{name} is {value}"), asked).await;
}
