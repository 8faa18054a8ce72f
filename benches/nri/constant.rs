//! A plugin that answers from constants and decodes nothing: what a call costs before a plugin has done anything. Two
//! system calls for each.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use berth::nri::api;
use protobuf::Message;

const PLUGIN: u32 = 1;
const RUNTIME: u32 = 2;
const FRAME: usize = 8;
/// Of a ttrpc message.
const HEADER: usize = 10;
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// A message of ttrpc in a frame of the multiplexer.
fn framed(connection: u32, stream: [u8; 4], kind: u8, body: &[u8]) -> Vec<u8> {
    let length = |of: usize| u32::try_from(of).unwrap().to_be_bytes();
    let header =
        [&connection.to_be_bytes()[..], &length(HEADER + body.len()), &length(body.len()), &stream, &[kind, 0]];
    [&header.concat(), body].concat()
}

fn response(payload: &impl Message) -> Vec<u8> {
    let mut response = ttrpc::proto::Response::new();
    response.payload = payload.write_to_bytes().unwrap();
    response.write_to_bytes().unwrap()
}

fn registration() -> Vec<u8> {
    let mut plugin = api::RegisterPluginRequest::new();
    plugin.plugin_name = "constant".into();
    plugin.plugin_idx = "10".into();
    let mut request = ttrpc::proto::Request::new();
    request.service = "nri.pkg.api.v1alpha1.Runtime".into();
    request.method = "RegisterPlugin".into();
    request.payload = plugin.write_to_bytes().unwrap();
    request.write_to_bytes().unwrap()
}

/// What is answered to which method; the last to all others.
fn answers() -> [(&'static str, Vec<u8>); 3] {
    let mut configured = api::ConfigureResponse::new();
    // RunPodSandbox and CreateContainer.
    configured.events = 1 | 1 << 3;
    let mut created = api::CreateContainerResponse::new();
    let adjust = created.adjust.mut_or_insert_default();
    let annotations = [("container_type", "container"), ("sandbox_id", "sandbox"), ("sandbox_name", "name")];
    adjust.annotations = annotations.map(|(key, value)| (format!("ocid/{key}"), value.to_owned())).into();
    let mut namespace = api::LinuxNamespace::new();
    (namespace.type_, namespace.path) = ("network".into(), "/run/netns/pin".into());
    adjust.linux.mut_or_insert_default().namespaces.push(namespace);
    [("Configure", response(&configured)), ("CreateContainer", response(&created)), ("", response(&api::Empty::new()))]
}

/// Serves until the runtime hangs up.
pub(crate) fn serve(socket: &Path) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(&framed(RUNTIME, 1_u32.to_be_bytes(), REQUEST, &registration())).unwrap();
    let answers = answers();
    let (mut buffer, mut have, mut message) = (vec![0; 1 << 20], 0, Vec::new());
    loop {
        match stream.read(&mut buffer[have..]) {
            Ok(0) | Err(_) => return,
            Ok(read) => have += read,
        }
        let mut at = 0;
        while let Some((connection, payload)) = frame(&buffer[at..have]) {
            at += FRAME + payload.len();
            if connection == PLUGIN {
                message.extend_from_slice(payload);
            }
        }
        buffer.copy_within(at..have, 0);
        have -= at;
        while let Some(length) = whole(&message) {
            let text = String::from_utf8_lossy(&message[HEADER..length.min(100)]).into_owned();
            let (_, body) = answers.iter().find(|(method, _)| is(&text, method)).unwrap();
            let stream_id = message[4..8].try_into().unwrap();
            stream.write_all(&framed(PLUGIN, stream_id, RESPONSE, body)).unwrap();
            message.drain(..length);
        }
    }
}

/// A request begins with its service and its method, whose length stands before it.
fn is(request: &str, method: &str) -> bool {
    let length = char::from(u8::try_from(method.len()).unwrap());
    method.is_empty() || request.contains(&format!("{length}{method}"))
}

/// The frame that `bytes` begin with: its connection and what is in it.
fn frame(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (connection, length) = (number(0)?, usize::try_from(number(4)?).ok()?);
    Some((connection, bytes.get(FRAME..FRAME + length)?))
}

/// The length of the message that `bytes` begin with, if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let length = HEADER + usize::try_from(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    (bytes.len() >= length).then_some(length)
}
