//! Two questions to a CRI: which handlers do you have, and which pods (`runtime.v1.RuntimeService`, `Status` and
//! `ListPodSandbox`).
//!
//! A socket that can be connected to says little: the engine makes it before its CRI works, and what it was configured
//! with is known only to itself. gRPC is HTTP/2 with a message in each body; for calls with fixed headers, whose answers'
//! headers nobody reads, that is a handful of frames (RFC 9113), so no library for it is worth its size.

use protobuf::CodedInputStream;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a CRI says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// It runs containers.
    pub(super) ready: bool,
    /// Its handlers; empty where it does not say.
    pub(super) handlers: BTreeSet<String>,
}

/// A pod as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    /// Its sandbox.
    pub(super) id: String,
    /// Kubernetes namespace and name.
    pub(super) name: String,
    /// The handler.
    pub(super) handler: String,
}

/// The longest answer; containerd's, with its whole configuration in it, is a few ten kilobytes.
const MAX_ANSWER: usize = 8 << 20;
/// Longer frames than that were not allowed to the server (RFC 9113, 4.2).
const MAX_FRAME: usize = 16_384;
const STREAM: u32 = 1;
const WINDOW: u32 = 0x7fff_ffff;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// Asks the CRI at `socket`, with its configuration: before CRI 1.30 the handlers are told there alone.
///
/// # Errors
/// Nobody listens, or there was no answer within `patience`, or it is none.
pub(super) fn status(socket: &Path, patience: Duration) -> io::Result<Status> {
    // StatusRequest{verbose: true}
    read_status(&call(socket, "Status", &[0x08, 1], patience)?)
}

/// The pods of the CRI at `socket`, ready or not.
///
/// # Errors
/// As [`status`].
pub(super) fn pods(socket: &Path, patience: Duration) -> io::Result<Vec<Pod>> {
    read_pods(&call(socket, "ListPodSandbox", &[], patience)?)
}

fn call(socket: &Path, method: &str, request: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let mut stream = crate::unix::connect(socket, patience)?;
    stream.write_all(&question(method, request))?;
    message(answer(&mut stream, deadline)?)
}

fn question(method: &str, request: &[u8]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let window = [&[0, 4][..], &WINDOW.to_be_bytes()].concat();
    frame(&mut bytes, SETTINGS, 0, 0, &window);
    frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(WINDOW - 65_535).to_be_bytes());
    frame(&mut bytes, HEADERS, END_HEADERS, STREAM, &headers(&format!("/runtime.v1.RuntimeService/{method}")));
    // Behind "not compressed" and its length.
    let length = u32::try_from(request.len()).unwrap_or_default().to_be_bytes();
    frame(&mut bytes, DATA, END_STREAM, STREAM, &[&[0][..], &length, request].concat());
    bytes
}

/// Literal fields that are not to be remembered (RFC 7541, 6.2.2); names by their number in the static table.
fn headers(path: &str) -> Vec<u8> {
    // :method POST, :scheme http
    let mut block = vec![0x83, 0x86];
    let mut field = |name: &[u8], value: &str| {
        block.extend(name);
        block.extend(u8::try_from(value.len()));
        block.extend(value.as_bytes());
    };
    field(&[4], path); // :path
    field(&[1], "localhost"); // :authority
    field(&[0x0f, 31 - 0x0f], "application/grpc"); // content-type
    field(&[0, 2, b't', b'e'], "trailers");
    block
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    bytes.extend(&length[1..]);
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// The answer's body.
fn answer(stream: &mut UnixStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).unwrap_or(usize::MAX);
        let number = u32::from_be_bytes([s0, s1, s2, s3]) & WINDOW;
        if length > MAX_FRAME || body.len() + length > MAX_ANSWER {
            return Err(invalid("answered more than a CRI does"));
        }
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        let mut reply = Vec::new();
        match (kind, number) {
            (SETTINGS, _) if flags & ACK == 0 => frame(&mut reply, SETTINGS, ACK, 0, &[]),
            (PING, _) if flags & ACK == 0 => frame(&mut reply, PING, ACK, 0, &payload),
            (GOAWAY, _) | (RST_STREAM, STREAM) => return Err(invalid("broke the call off")),
            (DATA, STREAM) => body.extend(unpadded(flags, &payload)),
            _ => {}
        }
        stream.write_all(&reply)?;
        if number == STREAM && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            return Ok(body);
        }
    }
}

fn unpadded(flags: u8, payload: &[u8]) -> &[u8] {
    match payload.split_first() {
        Some((pad, rest)) if flags & PADDED != 0 => {
            rest.get(..rest.len().saturating_sub(usize::from(*pad))).unwrap_or_default()
        }
        _ => payload,
    }
}

/// The message in a body; an error of gRPC's comes without one.
fn message(mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    match body[..] {
        [] => Err(invalid("serves no CRI")),
        [0, l0, l1, l2, l3, ref message @ ..]
            if u32::try_from(message.len()).is_ok_and(|len| len == u32::from_be_bytes([l0, l1, l2, l3])) =>
        {
            Ok(body.split_off(5))
        }
        _ => Err(invalid("did not answer as a CRI does")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// `StatusResponse`: conditions, a map of further information, and, since CRI 1.30, the handlers.
fn read_status(bytes: &[u8]) -> io::Result<Status> {
    let (mut status, mut config) = (Status::default(), None);
    fields(bytes, |number, value| {
        match number {
            1 => fields(value, |number, condition| {
                status.ready |= number == 1 && is_ready(condition)?;
                Ok(())
            })?,
            2 => config = config.take().or(config_of(value)?),
            3 => status.handlers.extend(text(value, 1)?.filter(|name| !name.is_empty())),
            _ => {}
        }
        Ok(())
    })?;
    if status.handlers.is_empty() {
        status.handlers = config.map(|config| runtimes(&config)).unwrap_or_default();
    }
    Ok(status)
}

/// `ListPodSandboxResponse`: of each, id, metadata (name and, third, namespace), and, seventh, handler.
fn read_pods(bytes: &[u8]) -> io::Result<Vec<Pod>> {
    let mut pods = Vec::new();
    fields(bytes, |number, pod| {
        let told = |number| Ok::<_, io::Error>(text(pod, number)?.unwrap_or_default());
        let mut name = String::new();
        fields(pod, |number, metadata| {
            if number == 2 {
                let part = |number| Ok::<_, io::Error>(text(metadata, number)?.unwrap_or_default());
                name = format!("{}/{}", part(3)?, part(1)?);
            }
            Ok(())
        })?;
        if number == 1 {
            pods.push(Pod { id: told(1)?, name, handler: told(7)? });
        }
        Ok(())
    })?;
    Ok(pods)
}

fn is_ready(condition: &[u8]) -> io::Result<bool> {
    let mut input = CodedInputStream::from_bytes(condition);
    let (mut kind, mut holds) = (String::new(), false);
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        match (tag >> 3, tag & 7) {
            (1, 2) => kind = input.read_string()?,
            (2, 0) => holds = input.read_bool()?,
            _ => skip(&mut input, tag)?,
        }
    }
    Ok(kind == "RuntimeReady" && holds)
}

fn config_of(entry: &[u8]) -> io::Result<Option<String>> {
    Ok(if text(entry, 1)?.as_deref() == Some("config") { text(entry, 2)? } else { None })
}

/// The handlers in containerd's own account of its configuration.
fn runtimes(config: &str) -> BTreeSet<String> {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    let runtimes = config.pointer("/containerd/runtimes").and_then(serde_json::Value::as_object);
    runtimes.map(|runtimes| runtimes.keys().cloned().collect()).unwrap_or_default()
}

fn text(bytes: &[u8], wanted: u32) -> io::Result<Option<String>> {
    let mut found = None;
    fields(bytes, |number, value| {
        if number == wanted {
            found = Some(String::from_utf8_lossy(value).into_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// Each field of the message that has a length.
fn fields(bytes: &[u8], mut each: impl FnMut(u32, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut input = CodedInputStream::from_bytes(bytes);
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        if tag & 7 == 2 { each(tag >> 3, &input.read_bytes()?)? } else { skip(&mut input, tag)? }
    }
    Ok(())
}

fn skip(input: &mut CodedInputStream<'_>, tag: u32) -> io::Result<()> {
    match tag & 7 {
        0 => drop(input.read_raw_varint64()?),
        1 => drop(input.read_fixed64()?),
        2 => drop(input.read_bytes()?),
        5 => drop(input.read_fixed32()?),
        _ => return Err(invalid("did not answer as a CRI does")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_read_from_either_place() {
        // One condition, one handler of each name.
        let new = b"\x0a\x12\x0a\x10\x0a\x0cRuntimeReady\x10\x01\x1a\x06\x0a\x04kata\x1a\x00";
        let status = read_status(new).expect("a status");
        assert_eq!(status, Status { ready: true, handlers: ["kata".to_owned()].into() });
        let json = r#"{"containerd":{"runtimes":{"a":{},"b":{}}}}"#;
        let value = [b"\x0a\x06config\x12", &[u8::try_from(json.len()).expect("short")][..], json.as_bytes()].concat();
        let old = [&[0x12, u8::try_from(value.len()).expect("short")][..], &value].concat();
        let status = read_status(&old).expect("a status");
        assert_eq!(status, Status { ready: false, handlers: ["a".to_owned(), "b".to_owned()].into() });
    }

    #[test]
    fn pods_are_read_with_their_handlers() {
        let pod = b"\x0a\x02id\x12\x0b\x0a\x03web\x1a\x04demo\x18\x00\x3a\x04kata";
        let list = [&[0x0a, u8::try_from(pod.len()).expect("short")][..], pod].concat();
        let wanted = Pod { id: "id".into(), name: "demo/web".into(), handler: "kata".into() };
        assert_eq!(read_pods(&list).expect("pods"), [wanted]);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for length in 0..64_u8 {
            for byte in [0, 0x0a, 0x12, 0x7f, 0x80, 0xff] {
                let bytes: Vec<u8> = (0..length).map(|at| at ^ byte).collect();
                assert!(message(bytes.clone()).is_err() || bytes[0] == 0);
                drop((read_status(&bytes), read_pods(&bytes)));
            }
        }
    }
}
