//! What an install has done, so that it can be undone: the record and its bytes. Pure.
//!
//! Written before anything else changes and again when all has: a kill in between leaves a record that lists more than
//! there is, and never less.

use super::object::Object;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version this build writes.
pub const VERSION: u32 = 1;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// An install was begun, and has not ended or was killed.
    Begun,
    /// It has ended well.
    Installed,
    /// An uninstall has taken berth out of the configuration; the rest waits for the engine's restart.
    Leaving,
}

/// What an object is for: in which order it goes, and what may be done where somebody else has changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A directory that was not there.
    Directory,
    /// berth's program, in a directory of its version.
    Program,
    /// berth's name, or one by which it is an interposer.
    Name,
    /// The plugin that the engine starts.
    Plugin,
    /// berth's own configuration.
    Settings,
    /// The engine's configuration.
    Configuration,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its path on the host; links in it are resolved.
    pub path: PathBuf,
    /// What it is for.
    pub role: Role,
    /// What was there before the first install.
    pub before: Object,
    /// What was put there.
    pub after: Object,
    /// What of berth's an install that has begun and not ended puts that in the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Object>,
    /// Where the bytes are that were there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<PathBuf>,
}

impl Item {
    /// What is there now is what berth has put there.
    #[must_use]
    pub fn is_ours(&self, now: &Object) -> bool {
        self.after == *now || self.replaces.as_ref() == Some(now)
    }
}

/// A handler that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handler {
    /// Its name.
    pub name: String,
    /// The handler that it stands beside.
    pub wraps: String,
    /// What the engine runs for it: berth, by this path.
    pub interposer: PathBuf,
    /// What berth becomes.
    pub delegate: PathBuf,
}

/// The engine whose configuration was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// `containerd` or `cri-o`.
    pub kind: String,
    /// Its configuration file.
    pub config: PathBuf,
    /// The directory of its drop-ins, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_ins: Option<PathBuf>,
    /// Where its CRI is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Where it keeps what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Format.
    pub version: u32,
    /// The berth that wrote it.
    pub berth: String,
    /// How far it has come.
    pub state: State,
    /// The engine.
    pub engine: Engine,
    /// Where the names are.
    pub bin_dir: PathBuf,
    /// The handlers.
    pub handlers: Vec<Handler>,
    /// The hash of what is berth's own in the engine's configuration; of each thing that it can be, while an install has
    /// begun and not ended.
    #[serde(default)]
    pub own: Vec<String>,
    /// When something was changed that the engine reads at its start only, in seconds of the Unix epoch; none if it has
    /// been restarted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_since: Option<u64>,
    /// The objects, in the order in which they were put.
    pub items: Vec<Item>,
}

/// Why bytes are not a record for this build.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, cut off, or a field is missing or wrong.
    #[error("is not a record of an install")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer build.
    #[error("has version {0}, newer than {VERSION}: use the berth that wrote it, or a newer one")]
    Newer(u32),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Record {
    /// The bytes of the record, for people too.
    ///
    /// # Errors
    /// A path that is not UTF-8: JSON cannot carry it.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// Anything but a whole record of a version that this build reads.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        match serde_json::from_slice::<Versioned>(bytes)?.version {
            newer if newer > VERSION => Err(RecordError::Newer(newer)),
            _ => Ok(serde_json::from_slice(bytes)?),
        }
    }

    /// The same when the install has ended well.
    pub fn end(&mut self) {
        self.state = State::Installed;
        self.own = self.own.pop().into_iter().collect();
        self.items.iter_mut().for_each(|item| item.replaces = None);
    }

    /// What is known of the object at `path`.
    #[must_use]
    pub fn item(&self, path: &std::path::Path) -> Option<&Item> {
        self.items.iter().find(|item| item.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record {
            version: VERSION,
            berth: "0.1.0".into(),
            state: State::Begun,
            engine: Engine {
                kind: "containerd".into(),
                config: "/etc/containerd/config.toml".into(),
                drop_ins: None,
                socket: None,
                state: None,
            },
            bin_dir: "/usr/local/bin".into(),
            handlers: vec![],
            own: vec![],
            restart_since: Some(1),
            items: vec![Item {
                path: "/usr/local/bin/berth".into(),
                role: Role::Name,
                before: Object::Absent,
                after: Object::Link("../lib/berth/x/berth".into()),
                replaces: None,
                backup: None,
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_and_no_part_of_it_is() {
        let bytes = sample().encode().expect("encode");
        assert_eq!(Record::decode(&bytes).expect("decode"), sample());
        for end in 0..bytes.len() - 2 {
            assert!(Record::decode(&bytes[..end]).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn a_newer_record_is_left_to_the_berth_that_wrote_it() {
        let error = Record::decode(br#"{"version":2,"shape":"unknown"}"#).expect_err("newer");
        assert!(matches!(error, RecordError::Newer(2)), "{error}");
    }
}
