//! The configuration: one YAML file, good without any.
//!
//! Reading never stops at the first mistake: every unknown key and every wrong value is reported with the file,
//! its path in the file and what was expected. A file with a mistake is not used in part.

mod interposers;
mod line;
mod read;
#[cfg(test)]
mod tests;
mod walk;

use self::read::Reader;
use crate::address::Address;
use crate::decide::policy::Policy;
use crate::fsutil::{self, FileError};
use crate::identity::{Engine, fnv1a};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the configuration is looked for unless told otherwise. It may be absent.
pub const DEFAULT_PATH: &str = "/etc/berth/config.yaml";

/// What holds without a file; also what `berth config default` prints.
pub const DEFAULT_TEXT: &str = include_str!("default.yaml");

/// In the state directory: the configuration that the daemon last found good. Interposers fall back on it.
pub const PUBLISHED: &str = "config.yaml";

/// The origin of what holds without a file.
const BUILT_IN: &str = "built-in default";

/// Larger files are refused before they are parsed: a real one has a few kilobytes, and what is mounted at the
/// path by mistake may be anything.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration without mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which pods, and how.
    pub policy: Policy,
    /// Interposers by the name under which they are run.
    pub interposers: BTreeMap<String, Interposer>,
    /// Where the daemon's health and metrics are to be read, if anywhere.
    pub listen: Option<Address>,
    /// Where it came from: a file, or in words.
    pub origin: Cow<'static, str>,
    /// The text it was read from.
    pub text: Cow<'static, str>,
    /// Names this configuration in records: the same text gives the same name in every build.
    pub hash: u64,
}

/// What is behind a name under which berth is run in front of a shim or an OCI runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interposer {
    /// The engine that runs it, whose keys are trusted.
    pub engine: Engine,
    /// What berth becomes, an absolute path; `None`: found by the interposer's name.
    pub delegate: Option<PathBuf>,
    /// The runtime handler it stands for; `None`: not told.
    pub handler: Option<String>,
    /// The profile, by name; `None`: the first that matches.
    pub profile: Option<String>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file, like `profiles[0].netns`; empty for the file itself.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// On which line, where the message does not say it.
    pub line: Option<usize>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message, line } = self;
        let colon = if path.is_empty() { "" } else { ": " };
        write!(f, "{path}{colon}{message}")?;
        line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("config {path}: {step}")]
    Io {
        /// The file.
        path: String,
        /// What was being done.
        step: &'static str,
        /// Why it could not.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("config {path}: has more than {MAX_BYTES} bytes; is it the right file?")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// The text has mistakes: all of them.
    #[error("config {path}: {}", list(problems))]
    Invalid {
        /// The file.
        path: String,
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Config {
    /// Reads the file at `path`; without one, at [`DEFAULT_PATH`], where absence means the defaults.
    ///
    /// # Errors
    /// A named file that is absent, and any file that cannot be read or has mistakes.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        match path {
            Some(path) => Self::parse(&read_text(path)?, &path.display().to_string()),
            None => match read_text(Path::new(DEFAULT_PATH)) {
                Ok(text) => Self::parse(&text, DEFAULT_PATH),
                Err(error) if error.is_not_found() => Ok(Self::built_in()),
                Err(error) => Err(error),
            },
        }
    }

    /// What holds without a file. Holds: it is what [`DEFAULT_TEXT`] says. Not read from there, because interposers start
    /// for every single command of an engine, and parsing would be a good part of what that takes.
    #[must_use]
    pub fn built_in() -> Self {
        const HASH: u64 = fnv1a(DEFAULT_TEXT.as_bytes());
        let (policy, interposers) = (read::default_policy(), BTreeMap::new());
        Self { policy, interposers, listen: None, origin: BUILT_IN.into(), text: DEFAULT_TEXT.into(), hash: HASH }
    }

    /// Whether somebody wrote it, rather than nobody.
    #[must_use]
    pub fn is_from_file(&self) -> bool {
        self.origin != BUILT_IN
    }

    /// Leaves this configuration in `state_dir` for interposers, which may see another `/etc`; what holds without a file
    /// is not left there, and what an earlier daemon has left goes.
    ///
    /// # Errors
    /// The file cannot be written or removed.
    pub fn publish(&self, state_dir: &Path) -> Result<(), FileError> {
        let path = state_dir.join(PUBLISHED);
        match self.is_from_file() {
            true => fsutil::replace_file(&path, self.text.as_bytes()),
            false => fsutil::remove_file(&path).map(drop),
        }
    }

    /// Reads what a daemon has left in `state_dir`: profiles and interposers. While a node is upgraded that daemon is of
    /// another version; keys beside these are of no concern to interposers, and need not be known.
    ///
    /// # Errors
    /// As [`Self::load`] of a named file.
    pub fn load_published(state_dir: &Path) -> Result<Self, ConfigError> {
        let path = state_dir.join(PUBLISHED);
        Self::parse_for(Reader::Interposer, &read_text(&path)?, &path.display().to_string())
    }

    /// Parses `text`, which errors call `origin`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every mistake.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        Self::parse_for(Reader::Anyone, text, origin)
    }

    fn parse_for(reader: Reader, text: &str, origin: &str) -> Result<Self, ConfigError> {
        let invalid = |problems| ConfigError::Invalid { path: origin.to_owned(), problems };
        let value: serde_yaml::Value =
            serde_yaml::from_str(text).map_err(|error| invalid(vec![unreadable(text, &error)]))?;
        let located = |problem: Problem| Problem { line: line::of(text, &problem.path), ..problem };
        let read::Parts { policy, interposers, listen } =
            read::config(&value, reader).map_err(|problems| invalid(problems.into_iter().map(located).collect()))?;
        Ok(Self {
            policy,
            interposers,
            listen,
            origin: origin.to_owned().into(),
            text: text.to_owned().into(),
            hash: fnv1a(text.as_bytes()),
        })
    }
}

/// What is no YAML. The parser tells the line in its own words, but for the very first one and for characters that YAML has
/// not.
fn unreadable(text: &str, error: &serde_yaml::Error) -> Problem {
    let message = error.to_string();
    let line = match message.contains(" line ") {
        true => None,
        false => line::of_forbidden(text).or_else(|| Some(error.location()?.line())),
    };
    Problem { path: String::new(), message, line }
}

impl fmt::Display for Config {
    /// The whole configuration on one line, for the log: what holds, not what was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, profile) in self.policy.profiles.iter().enumerate() {
            let dialects: Vec<_> = profile.dialects.iter().map(|dialect| dialect.as_str()).collect();
            let keys: Vec<_> = profile.annotations.keys().map(String::as_str).collect();
            write!(
                f,
                "{}{}{{handlers:{} namespaces:{} dialects:{} annotations:{} drop:{} netns:{:?} onFailure:{:?} onContradiction:{:?}}}",
                if at == 0 { "" } else { " " },
                profile.name,
                profile.handlers,
                profile.namespaces,
                dialects.join(","),
                keys.join(","),
                profile.drop_annotations,
                profile.netns,
                profile.on_failure,
                profile.on_contradiction
            )?;
        }
        for (name, interposer) in &self.interposers {
            let delegate = interposer.delegate.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            let [handler, profile] =
                [&interposer.handler, &interposer.profile].map(|name| name.as_deref().unwrap_or_default());
            write!(
                f,
                " {name}{{engine:{} delegate:{delegate} handler:{handler} profile:{profile}}}",
                interposer.engine
            )?;
        }
        self.listen.as_ref().map_or(Ok(()), |address| write!(f, " listen:{address}"))
    }
}

/// Whether the file at `path` could say anything of `name`: it stands there as it is, or could in other characters. What
/// cannot be read says nothing.
#[must_use]
pub fn mentions(path: &Path, name: &str) -> bool {
    read_text(path).is_ok_and(|text| text.contains(name) || text.contains('\\'))
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let io = |step| move |source| ConfigError::Io { path: path.display().to_string(), step, source };
    let file = std::fs::File::open(path).map_err(io("open"))?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(io("read"))?;
    if u64::try_from(text.len()).is_ok_and(|len| len > MAX_BYTES) {
        return Err(ConfigError::TooLarge { path: path.display().to_string() });
    }
    Ok(text)
}
