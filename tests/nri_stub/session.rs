//! A session of a real engine, as it was recorded (`tests/e2e/wiretap.rs`): what it said, message by message. Each is said
//! when the plugin has answered the one before, as the engine did it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

/// containerd 2.3.4: from the answer to the registration to RemovePodSandbox.
pub(crate) const SESSION: &[u8] = include_bytes!("recorded/containerd-2.3.bin");

/// What a trunk's frame begins with: the number of a connection, and a length.
pub(crate) const HEADER: usize = 8;

/// The connection on which the plugin answers; on the other one it registers.
pub(crate) const PLUGIN: u32 = 1;
pub(crate) const RUNTIME: u32 = 2;

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn size(length: u32) -> usize {
    usize::try_from(length).unwrap()
}

/// The whole frames of a stream: connection and place.
fn frames_of(bytes: &[u8]) -> Vec<(u32, std::ops::Range<usize>)> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while at + HEADER <= bytes.len() {
        let end = at + HEADER + size(number(&bytes[at + 4..]));
        if end > bytes.len() {
            break;
        }
        frames.push((number(&bytes[at..]), at..end));
        at = end;
    }
    frames
}

/// Where the frames of the session begin; the last one is where it ends.
pub(crate) fn frame_starts() -> Vec<usize> {
    let mut starts: Vec<_> = frames_of(SESSION).into_iter().map(|(_, place)| place.start).collect();
    starts.push(frames_of(SESSION).last().unwrap().1.end);
    assert_eq!(starts.last(), Some(&SESSION.len()), "the record is whole");
    starts
}

/// One message of the session.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) place: std::ops::Range<usize>,
    /// How many frames the plugin has to have said before it, on each connection.
    after: [usize; 2],
}

impl Message {
    pub(crate) fn bytes(&self) -> &'static [u8] {
        &SESSION[self.place.clone()]
    }

    pub(crate) fn may_follow(&self, heard: &Heard) -> bool {
        heard.frames(PLUGIN) >= self.after[0] && heard.frames(RUNTIME) >= self.after[1]
    }
}

/// The messages, each in its frames.
pub(crate) fn messages() -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let (mut requests, mut missing) = (0, 0);
    for (conn, place) in frames_of(SESSION) {
        if missing > 0 {
            missing -= place.len() - HEADER;
            messages.last_mut().unwrap().place.end = place.end;
            continue;
        }
        // A ttrpc header: length, stream, type, flags.
        let whole = 10 + size(number(&SESSION[place.start + HEADER..]));
        missing = whole - (place.len() - HEADER);
        messages.push(Message { place, after: [requests, 1] });
        requests += usize::from(conn == PLUGIN);
    }
    messages
}

/// The messages up to and with the first in which these words are, and that one.
pub(crate) fn up_to(words: &str) -> (Vec<Message>, Message) {
    let mut messages = messages();
    let has = |message: &Message| message.bytes().windows(words.len()).any(|part| part == words.as_bytes());
    let which = messages.iter().position(has).unwrap();
    messages.truncate(which + 1);
    let last = messages[which].clone();
    (messages, last)
}

/// What the plugin has said.
#[derive(Debug, Default)]
pub(crate) struct Heard(Vec<u8>);

impl Heard {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn frames(&self, conn: u32) -> usize {
        frames_of(&self.0).iter().filter(|frame| frame.0 == conn).count()
    }
}
