//! A runtime that means no good, and the daemon afterwards: it is there with bounded memory, comes back and serves; or,
//! started by that runtime, it has ended with the right code and sentence.
//!
//! `BERTH_HOSTILE=long` cuts the recorded session after every byte, and sends more garbage; `BERTH_HOSTILE_SEED` chooses it.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;

use crate::chance::Chance;
use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, SOCKET, block_on, swapped};
use crate::session::{Heard, Message, SESSION, frame_starts, messages, up_to};

/// What a daemon may grow by under any load; it has a few MB.
const GROWTH: u64 = 24 << 20;

/// What a peer that reads nothing can send before it is made to wait: the sockets' and the trunk's buffers, and what
/// little is read before the first answer waits.
const ACCEPTED: usize = 8 << 20;

fn is_long() -> bool {
    std::env::var_os("BERTH_HOSTILE").is_some_and(|form| form == "long")
}

fn chance() -> Chance {
    let seed = std::env::var("BERTH_HOSTILE_SEED").map_or(u64::from(std::process::id()), |seed| seed.parse().unwrap());
    eprintln!("BERTH_HOSTILE_SEED={seed}");
    Chance::of(seed)
}

fn frame(conn: u32, payload: &[u8]) -> Vec<u8> {
    [&conn.to_be_bytes()[..], &u32::try_from(payload.len()).unwrap().to_be_bytes(), payload].concat()
}

/// A ttrpc request of the plugin's service whose message is `body`.
fn request(stream: u32, method: &str, body: &[u8]) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let mut length = bytes.len();
        let mut text = vec![number << 3 | 2];
        while length > 0x7f {
            text.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        text.push(u8::try_from(length).unwrap());
        [text, bytes.to_vec()].concat()
    };
    let message = [field(1, b"nri.pkg.api.v1alpha1.Plugin"), field(2, method.as_bytes()), field(3, body)].concat();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    frame(1, &[&length[..], &stream.to_be_bytes(), &[1, 0], &message].concat())
}

/// Resident memory, in bytes.
fn memory(berth: &Berth) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", berth.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// The daemon comes back to a runtime that means well, and serves it.
fn serves(berth: &Berth) {
    block_on(async {
        let runtime = FakeRuntime::listen(SOCKET.as_ref());
        let session = runtime.accept_ready(Profile::containerd_2_3()).await;
        let pod = Pod::new("good");
        let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
        assert!(swapped(&answer).is_some() && pod.is_pinned());
        pod.engine_lets_go();
        pod.gone().await;
    });
    assert!(!berth.log().contains("panicked"), "{}", berth.log());
}

/// The next connection. Whoever was there before is not any more.
fn accept() -> UnixStream {
    drop(fs::remove_file(SOCKET));
    UnixListener::bind(SOCKET).unwrap().accept().unwrap().0
}

/// Says these messages, or as much of them as comes before `cut`, each when it may follow.
fn say(peer: &mut UnixStream, messages: &[Message], cut: usize) {
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut heard = Heard::default();
    for message in messages.iter().filter(|message| message.place.start < cut) {
        while !message.may_follow(&heard) {
            let mut bytes = [0; 4096];
            let length = peer.read(&mut bytes).expect("it answers in time");
            assert!(length > 0, "it has hung up");
            heard.hear(&bytes[..length]);
        }
        peer.write_all(&SESSION[message.place.start..message.place.end.min(cut)]).unwrap();
    }
}

/// A session that has come as far as the first of these words; the message with them.
fn shaken(words: &str) -> (UnixStream, &'static [u8]) {
    let (messages, last) = up_to(words);
    let mut peer = accept();
    say(&mut peer, &messages, SESSION.len());
    (peer, last.bytes())
}

/// Sends the message again and again, from where it was left off, until so much is `sent` or nobody takes anything for a
/// second.
fn send_until_full(peer: &mut UnixStream, message: &[u8], sent: &mut usize, most: usize) {
    peer.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    while *sent < most {
        match peer.write(&message[*sent % message.len()..]) {
            Ok(length) => *sent += length,
            // Full, or hung up on.
            Err(_) => return,
        }
    }
}

/// Takes and forgets what the plugin says.
fn drain(peer: &UnixStream) {
    let mut peer = peer.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut peer, &mut std::io::sink()));
}

isolated! {
    fn started_by_a_runtime_that_closes_after_any_byte_it_ends_with_the_right_code_and_sentence() {
        let frames = frame_starts();
        let near = |cut: usize| frames.iter().any(|start| start.abs_diff(cut) < 2);
        for cut in (0..=SESSION.len()).filter(|cut| is_long() || (near(*cut) && cut % 3 == 0) || cut % 997 == 0) {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
            command.env("NRI_PLUGIN_NAME", "berth").env("NRI_PLUGIN_IDX", "10").env("BERTH_LOG", "info");
            command.env("NRI_PLUGIN_SOCKET", theirs.as_raw_fd().to_string());
            let berth = command.arg("nri").stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            drop(theirs);
            say(&mut ours, &messages(), cut);
            ours.shutdown(std::net::Shutdown::Write).unwrap();
            ours.read_to_end(&mut Vec::new()).unwrap();
            let output = berth.wait_with_output().unwrap();
            let log = fs::read_to_string("/run/berth/berth.log").unwrap_or_default();
            let said = [String::from_utf8_lossy(&output.stderr).as_ref(), &log].concat();
            let start = frames.iter().rfind(|start| **start <= cut).unwrap();
            let (code, words) = match cut - start {
                0 => (0, "msg=ended"),
                1..8 => (1, "of a frame header"),
                _ => (1, "inside a frame for connection"),
            };
            assert_eq!(output.status.code(), Some(code), "cut at {cut}: {said}");
            assert!(said.contains(words), "cut at {cut}: {said}");
            fs::write("/run/berth/berth.log", "").unwrap_or_default();
        }
    }

    fn a_runtime_that_never_reads_is_made_to_wait_and_costs_no_memory() {
        let berth = Berth::start(&[]);
        let (mut peer, event) = shaken("RunPodSandbox");
        let before = memory(&berth);
        let mut sent = 0;
        send_until_full(&mut peer, event, &mut sent, 64 << 20);
        let grown = memory(&berth).saturating_sub(before);
        eprintln!("never reads: {sent} bytes taken, {} KiB grown", grown >> 10);
        assert!(sent > 100 << 10, "it was served to begin with: {sent}");
        assert!(sent < ACCEPTED, "{sent} bytes were taken");
        assert!(grown < GROWTH, "{grown} bytes more");
        drop(peer);
        serves(&berth);
    }

    fn a_flood_costs_no_memory() {
        let berth = Berth::start(&[]);
        let event = up_to("RunPodSandbox").1.bytes();
        let unknown = frame(77, &[b'x'; 60_000]);
        let sizeable = request(9, "CreateContainer", &[0x0a; 1 << 20]);
        let nobody = request(9, "NoSuchMethod", &[0; 1000]);
        for flood in [event, &unknown, &sizeable, &nobody] {
            let (mut peer, _) = shaken("RunPodSandbox");
            drain(&peer);
            let before = memory(&berth);
            let time = Instant::now();
            let (mut sent, mut most) = (0, 0);
            while sent < 24 << 20 && time.elapsed() < Duration::from_secs(4) {
                let next = sent + (1 << 20);
                send_until_full(&mut peer, flood, &mut sent, next);
                most = most.max(memory(&berth).saturating_sub(before));
            }
            eprintln!("flood of {} bytes each: {sent} bytes sent, {} KiB grown", flood.len(), most >> 10);
            assert!(sent > 1 << 20 && most < GROWTH, "{sent} bytes sent, {most} more in memory");
        }
        serves(&berth);
    }

    fn garbage_in_every_place_is_answered_or_hung_up_on() {
        let mut chance = chance();
        let berth = Berth::start(&[]);
        let methods = [
            "Configure", "Synchronize", "Shutdown", "CreateContainer", "UpdateContainer", "StopContainer", "StateChange",
            "RunPodSandbox", "UpdatePodSandbox", "ValidateContainerAdjustment", "PostCreateContainer", "StopPodSandbox",
        ];
        for _ in 0..if is_long() { 60 } else { 4 } {
            let mut peer = if chance.one_in(4) { accept() } else { shaken("Synchronize").0 };
            drain(&peer);
            peer.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
            for number in 0..200 {
                let most = if chance.one_in(20) { 100_000 } else { 300 };
                let length = chance.below(most);
                let bytes: Vec<u8> = (0..length).map(|_| u8::try_from(chance.below(256)).unwrap()).collect();
                let method = methods[usize::try_from(chance.below(12)).unwrap()];
                let message = match chance.below(100) {
                    0 => bytes,
                    1..20 => frame(u32::try_from(chance.below(4)).unwrap(), &bytes),
                    20..40 => frame(1, &[&[0, 0, 1, 0], &bytes[..]].concat()),
                    _ => request(number * 2 + 1, method, &bytes),
                };
                if peer.write_all(&message).is_err() {
                    break;
                }
            }
        }
        assert!(memory(&berth) < 64 << 20, "{} bytes", memory(&berth));
        serves(&berth);
    }

    fn a_runtime_that_stops_inside_of_a_frame_keeps_it_from_nothing_else() {
        let mut berth = Berth::start(&[]);
        let (mut peer, event) = shaken("RunPodSandbox");
        peer.write_all(&event[..event.len() / 2]).unwrap();
        block_on(async { berth.logged("event=Synchronize").await });
        drop(peer);
        serves(&berth);
        let (messages, last) = up_to("Synchronize");
        let mut peer = accept();
        say(&mut peer, &messages, last.place.end - 3);
        let time = Instant::now();
        berth.signal(Signal::SIGTERM);
        let status = block_on(async { berth.ended().await });
        assert!(status.success() && time.elapsed() < Duration::from_secs(4), "{status} after {:?}", time.elapsed());
    }
}
