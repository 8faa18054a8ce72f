//! The two command lines, read as far as needed and never rebuilt: whether a bundle is about to be used, and which.
//! Pure. What is not understood passes through: the delegate knows better what to say about it.

use super::name::Grammar;
use crate::identity::Engine;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Nothing that berth has a part in.
    Pass,
    /// A container is about to be created from a bundle.
    Create(Create),
}

/// A creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Its bundle; relative ones start at the working directory.
    pub bundle: PathBuf,
    /// The id it is created under.
    pub id: String,
    /// In which ids are unique: containerd's namespace, or an OCI runtime's root directory.
    pub root: String,
    /// Where the engine reads what went wrong.
    pub log: Option<Log>,
    /// It goes on from a checkpoint.
    pub restores: bool,
    /// The engine that says of itself that it runs this. A command line says so of shims, by the program that is to be
    /// given their events.
    pub engine: Option<Engine>,
}

/// An OCI runtime's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The file.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
}

/// How an OCI runtime's log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Text,
    /// An object on each line.
    Json,
}

/// Flags of a shim that take a value (containerd `pkg/shim/shim.go`).
const SHIM_VALUES: &[&str] = &["namespace", "id", "address", "publish-binary", "socket", "bundle"];
/// Flags that ask a shim for something about itself.
const SHIM_QUESTIONS: &[&str] = &["v", "version", "info", "h", "help"];
/// CRI-O's own program.
const CRIO: &str = "crio";
/// Global flags of OCI runtimes that take a value.
const GLOBAL_VALUES: &[&str] = &["root", "log", "log-format", "criu", "rootless", "cgroup-manager"];
/// Commands that create from a bundle.
const CREATING: &[&str] = &["create", "run", RESTORE];
/// That of them which goes on from a checkpoint.
const RESTORE: &str = "restore";
/// Other commands of OCI runtimes.
const COMMANDS: &[&str] = &[
    "checkpoint",
    "delete",
    "events",
    "exec",
    "features",
    "help",
    "init",
    "kill",
    "list",
    "pause",
    "ps",
    "resume",
    "spec",
    "start",
    "state",
    "update",
];
/// Flags of the creating commands that take a value.
const CREATING_VALUES: &[&str] = &[
    "bundle",
    "b",
    "console-socket",
    "pid-file",
    "preserve-fds",
    "image-path",
    "work-path",
    "parent-path",
    "manage-cgroups-mode",
    "empty-ns",
    "lsm-profile",
    "lsm-mount-context",
    "status-fd",
];

/// Reads the arguments behind the program's name.
#[must_use]
pub fn read(grammar: Grammar, args: &[OsString]) -> Call {
    match grammar {
        Grammar::Shim => shim(args),
        Grammar::Runtime => runtime(args),
    }
}

/// `-namespace NS -address A -publish-binary P -id ID [-bundle B] [-debug] start`, in the bundle (Go's flags: one dash or
/// two, the value behind `=` or in the next argument).
fn shim(args: &[OsString]) -> Call {
    let mut words = Words::new(args, SHIM_VALUES);
    let (mut namespace, mut id, mut publisher) = (None, None, None);
    loop {
        let Some(word) = words.next() else { return Call::Pass };
        match word {
            Word::Flag("namespace", value) => namespace = value,
            Word::Flag("id", value) => id = value,
            Word::Flag("publish-binary", value) => publisher = value,
            Word::Flag(name, _) if SHIM_QUESTIONS.contains(&name) => return Call::Pass,
            Word::Flag(..) => {}
            Word::Plain(action) if action == "start" => break,
            Word::Plain(_) => return Call::Pass,
        }
    }
    let Some(id) = id else { return Call::Pass };
    let root = namespace.map(text).unwrap_or_default();
    let engine = publisher.filter(|path| Path::new(path).ends_with(CRIO)).map(|_| Engine::CriO);
    Call::Create(Create { bundle: PathBuf::from("."), id: text(id), root, log: None, restores: false, engine })
}

/// `[global flags] create|run|restore [flags] ID`. Of a global flag that nobody here knows, the next argument is taken
/// for its value unless that is a command.
fn runtime(args: &[OsString]) -> Call {
    let mut words = Words::new(args, GLOBAL_VALUES);
    let (mut root, mut log, mut format, mut unknown) = (None, None, Format::Text, false);
    let command = loop {
        let Some(word) = words.next() else { return Call::Pass };
        let known = matches!(&word, Word::Flag(name, _) if GLOBAL_VALUES.contains(name));
        match word {
            Word::Flag("root", value) => root = value,
            Word::Flag("log", value) => log = value,
            Word::Flag("log-format", value) if value == Some(OsStr::new("json")) => format = Format::Json,
            Word::Flag("log-format", _) => format = Format::Text,
            Word::Flag(_, value) => {
                unknown = !known && value.is_none();
                continue;
            }
            Word::Plain(word) if CREATING.iter().any(|command| word == *command) => break word,
            Word::Plain(word) if COMMANDS.iter().any(|command| word == *command) => return Call::Pass,
            Word::Plain(_) if unknown => {}
            Word::Plain(_) => return Call::Pass,
        }
        unknown = false;
    };
    let log = log.and_then(log_file).map(|path| Log { path, format });
    create(words.rest, root.map(text).unwrap_or_default(), log, command == RESTORE)
}

/// What follows the command: flags, then the id. A plain word before a flag can be the value of one nobody here knows.
fn create(args: &[OsString], root: String, log: Option<Log>, restores: bool) -> Call {
    let mut words = Words::new(args, CREATING_VALUES);
    let (mut bundle, mut id) = (None, None);
    while let Some(word) = words.next() {
        match word {
            Word::Flag("bundle" | "b", value) => bundle = value,
            Word::Flag("help" | "h", _) => return Call::Pass,
            Word::Flag(..) => id = None,
            Word::Plain(word) => id = Some(word),
        }
    }
    let Some(id) = id else { return Call::Pass };
    let bundle = bundle.map_or_else(|| PathBuf::from("."), PathBuf::from);
    Call::Create(Create { bundle, id: text(id), root, log, restores, engine: None })
}

/// crun also knows `file:PATH`, and two services by other prefixes.
fn log_file(value: &OsStr) -> Option<PathBuf> {
    let value = value.as_bytes();
    if value.starts_with(b"journald:") || value.starts_with(b"syslog:") || value.is_empty() {
        return None;
    }
    Some(PathBuf::from(OsStr::from_bytes(value.strip_prefix(b"file:").unwrap_or(value))))
}

/// For names that are checked later; what is no text cannot pass that check.
fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

#[derive(Debug)]
enum Word<'a> {
    /// A flag with the value that goes with it.
    Flag(&'a str, Option<&'a OsStr>),
    Plain(&'a OsStr),
}

/// Arguments, one flag with its value at a time. `--` ends the flags.
struct Words<'a> {
    rest: &'a [OsString],
    valued: &'static [&'static str],
    plain: bool,
}

impl<'a> Words<'a> {
    fn new(rest: &'a [OsString], valued: &'static [&'static str]) -> Self {
        Self { rest, valued, plain: false }
    }

    fn next(&mut self) -> Option<Word<'a>> {
        let (word, rest) = self.rest.split_first()?;
        self.rest = rest;
        let bytes = word.as_bytes();
        let Some(flag) = bytes.strip_prefix(b"-").filter(|flag| !self.plain && !flag.is_empty()) else {
            return Some(Word::Plain(word));
        };
        let flag = flag.strip_prefix(b"-").unwrap_or(flag);
        if flag.is_empty() {
            self.plain = true;
            return self.next();
        }
        let (name, value) = match flag.iter().position(|byte| *byte == b'=') {
            Some(at) => (&flag[..at], Some(OsStr::from_bytes(&flag[at + 1..]))),
            None => (flag, None),
        };
        let name = std::str::from_utf8(name).unwrap_or_default();
        if value.is_none() && self.valued.contains(&name) {
            let (value, rest) = self.rest.split_first()?;
            self.rest = rest;
            return Some(Word::Flag(name, Some(value)));
        }
        Some(Word::Flag(name, value))
    }
}
