//! The command lines of both interposers: read as a plain reader reads them, and passed on as they came.
//!
//! Input: the words with a zero byte between them, the first of which is the name that berth is run by.

use berth::door::exec::command_line;
use berth::door::interpose::argv::{Call, Create, Format, Log, read};
use berth::door::interpose::{Grammar, grammar, wrapped};
use berth::identity::Engine;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

type Word<'a> = &'a [u8];

pub(crate) fn run(data: &[u8]) {
    let mut words = data.split(|byte| *byte == 0);
    let name = words.next().unwrap_or_default();
    let words: Vec<Word<'_>> = words.collect();
    let args: Vec<OsString> = words.iter().map(|word| OsString::from_vec(word.to_vec())).collect();

    let program = Path::new("/opt/kata/bin/containerd-shim-kata-v2");
    let given = command_line(program, &args).expect("words without zero bytes");
    let given: Vec<_> = given.iter().map(|word| word.as_bytes()).collect();
    assert_eq!(given[0], program.as_os_str().as_bytes());
    assert_eq!(given[1..], words[..]);

    if let Ok(name) = std::str::from_utf8(name) {
        names(name);
    }
    assert_eq!(read(Grammar::Shim, &args), shim(&words).map_or(Call::Pass, Call::Create));
    assert_eq!(read(Grammar::Runtime, &args), runtime(&words).map_or(Call::Pass, Call::Create));
}

fn names(name: &str) {
    let expected = match name.strip_prefix("containerd-shim-berth-") {
        Some(rest) => is_shim(&format!("containerd-shim-{rest}")).then(|| format!("containerd-shim-{rest}")),
        None => name.strip_prefix("berth-").filter(|rest| !rest.is_empty()).map(str::to_owned),
    };
    assert_eq!(wrapped(name), expected);
    let shim = is_shim(name) || expected.is_some_and(|wrapped| is_shim(&wrapped));
    assert_eq!(grammar(name, None), if shim { Grammar::Shim } else { Grammar::Runtime });
    let delegate = Path::new("/opt").join(name);
    if delegate.file_name().is_some_and(|last| last == name) {
        assert_eq!(grammar("x", Some(&delegate)), if is_shim(name) { Grammar::Shim } else { Grammar::Runtime });
    }
}

/// `containerd-shim-`, something, `-v`, digits.
fn is_shim(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("containerd-shim-") else { return false };
    let stem = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.len() < rest.len() && stem.ends_with("-v") && stem.len() > 2
}

/// A word by itself.
enum Part<'a> {
    /// A flag's name, without dashes, and what is behind its `=`.
    Flag(Word<'a>, Option<Word<'a>>),
    End,
    Plain,
}

fn part(word: Word<'_>) -> Part<'_> {
    if word == b"--" {
        return Part::End;
    }
    if word.len() < 2 || word[0] != b'-' {
        return Part::Plain;
    }
    let flag = if word[1] == b'-' { &word[2..] } else { &word[1..] };
    match flag.iter().position(|byte| *byte == b'=') {
        Some(at) => Part::Flag(&flag[..at], Some(&flag[at + 1..])),
        None => Part::Flag(flag, None),
    }
}

/// Go's flags, up to the first word that is none: the action.
fn shim(words: &[Word<'_>]) -> Option<Create> {
    const VALUED: &[&[u8]] = &[b"namespace", b"id", b"address", b"publish-binary", b"socket", b"bundle"];
    const QUESTIONS: &[&[u8]] = &[b"v", b"version", b"info", b"h", b"help"];
    let (mut namespace, mut id, mut publisher, mut at, mut plain) = (None, None, None, 0, false);
    loop {
        let word = *words.get(at)?;
        at += 1;
        match part(word) {
            Part::End if !plain => plain = true,
            Part::Flag(name, value) if !plain => {
                if QUESTIONS.contains(&name) {
                    return None;
                }
                if !VALUED.contains(&name) {
                    continue;
                }
                let value = match value {
                    Some(value) => value,
                    None => {
                        at += 1;
                        *words.get(at - 1)?
                    }
                };
                match name {
                    b"namespace" => namespace = Some(value),
                    b"id" => id = Some(value),
                    b"publish-binary" => publisher = Some(value),
                    _ => {}
                }
            }
            _ if word == b"start" => break,
            _ => return None,
        }
    }
    let last = |path: Word<'_>| {
        path.split(|byte| *byte == b'/').rfind(|part| !part.is_empty() && *part != b".") == Some(b"crio")
    };
    let engine = publisher.filter(|path| last(path)).map(|_| Engine::CriO);
    Some(create(b".", id?, namespace, None, false, engine))
}

/// Global flags, one of the three commands, its flags and the id.
fn runtime(words: &[Word<'_>]) -> Option<Create> {
    const VALUED: &[&[u8]] = &[b"root", b"log", b"log-format", b"criu", b"rootless", b"cgroup-manager"];
    const OTHERS: &[u8] =
        b" checkpoint delete events exec features help init kill list pause ps resume spec start state update ";
    let (mut root, mut log, mut json, mut at, mut plain, mut skip) = (None, None, false, 0, false, false);
    let restores = loop {
        let word = *words.get(at)?;
        at += 1;
        match part(word) {
            Part::End if !plain => plain = true,
            Part::Flag(name, value) if !plain => {
                skip = !VALUED.contains(&name) && value.is_none();
                let value = match value {
                    None if !skip => {
                        at += 1;
                        *words.get(at - 1)?
                    }
                    value => value.unwrap_or_default(),
                };
                match name {
                    b"root" => root = Some(value),
                    b"log" => log = Some(value),
                    b"log-format" => json = value == b"json",
                    _ => {}
                }
            }
            _ if [&b"create"[..], b"run", b"restore"].contains(&word) => break word == b"restore",
            _ => {
                let command = [b" ", word, b" "].concat();
                let is_command = !word.contains(&b' ') && OTHERS.windows(command.len()).any(|window| window == command);
                if is_command || !skip {
                    return None;
                }
                skip = false;
            }
        }
    };
    let log = log.filter(|log| !log.is_empty() && !log.starts_with(b"journald:") && !log.starts_with(b"syslog:"));
    let log = log.map(|log| Log {
        path: OsStr::from_bytes(log.strip_prefix(b"file:").unwrap_or(log)).into(),
        format: if json { Format::Json } else { Format::Text },
    });
    let (bundle, id) = creating(&words[at..])?;
    Some(create(bundle.unwrap_or(b"."), id, root, log, restores, None))
}

/// The bundle and the id. The id is the last plain word, unless a flag follows that it could be before.
fn creating<'a>(words: &[Word<'a>]) -> Option<(Option<Word<'a>>, Word<'a>)> {
    const VALUED: &[&[u8]] = &[
        b"bundle",
        b"b",
        b"console-socket",
        b"pid-file",
        b"preserve-fds",
        b"image-path",
        b"work-path",
        b"parent-path",
        b"manage-cgroups-mode",
        b"empty-ns",
        b"lsm-profile",
        b"lsm-mount-context",
        b"status-fd",
    ];
    let (mut bundle, mut id, mut at, mut plain) = (None, None, 0, false);
    while let Some(word) = words.get(at) {
        at += 1;
        match part(word) {
            Part::End if !plain => plain = true,
            Part::Flag(b"help" | b"h", _) if !plain => return None,
            Part::Flag(name, mut value) if !plain => {
                if value.is_none() && VALUED.contains(&name) {
                    let Some(next) = words.get(at) else { break };
                    at += 1;
                    value = Some(next);
                }
                if name == b"bundle" || name == b"b" {
                    bundle = value;
                } else {
                    id = None;
                }
            }
            _ => id = Some(*word),
        }
    }
    Some((bundle, id?))
}

fn create(
    bundle: Word<'_>,
    id: Word<'_>,
    root: Option<Word<'_>>,
    log: Option<Log>,
    restores: bool,
    engine: Option<Engine>,
) -> Create {
    let text = |word: Word<'_>| String::from_utf8_lossy(word).into_owned();
    let bundle = OsStr::from_bytes(bundle).into();
    Create { bundle, id: text(id), root: root.map(text).unwrap_or_default(), log, restores, engine }
}
