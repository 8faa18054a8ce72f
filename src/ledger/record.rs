//! A record and its bytes. Pure.
//!
//! One JSON object with a version. Readers accept the version before their own and leave newer ones alone, so
//! that two builds of berth can share a node during an upgrade. Fields that a reader does not know are ignored.

use crate::clock::Boottime;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version this build writes.
pub const VERSION: u32 = 1;

/// The oldest version it reads.
const OLDEST: u32 = 1;

/// How a configuration of this hash is named in [`Record::config`], and in the log.
#[must_use]
pub fn config_name(hash: u64) -> String {
    format!("{hash:016x}")
}

/// A file as the kernel names it. Comparable only while something keeps the file alive: numbers are reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

/// Where the pinned namespace came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The engine made it; `source` is its file of it.
    Adopted,
    /// berth made it; `source` is the bundle it was made for.
    Created,
}

/// The pod, as far as the door knew it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

/// The engine's own file of the namespace, whose end is the pin's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its path.
    pub path: PathBuf,
    /// The directory it was seen in, to tell "gone" from "looked for in the wrong place".
    pub parent: FileId,
    /// A bundle's own directory: another one at the same path is another container's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<FileId>,
}

/// Everything known of one pin that the mount itself does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Format.
    pub version: u32,
    /// Engine: `containerd`, `cri-o`, `podman`, `none`.
    pub engine: String,
    /// The engine's namespace or root in which the id is unique.
    pub scope: String,
    /// Sandbox id.
    pub sandbox: String,
    /// The pod.
    pub pod: Pod,
    /// Runtime handler, empty for the default one.
    pub handler: String,
    /// The door that pinned.
    pub door: String,
    /// Further doors that have acted on the pod and found the pin right, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<String>,
    /// A member has come by a shim that found the pin standing, so all of them do: by its version, a shim is run for each
    /// container of a pod or for its sandbox alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub members: bool,
    /// The profile under which it did.
    pub profile: String,
    /// What had been decided, in a word.
    pub verdict: String,
    /// The configuration it had, by hash.
    pub config: String,
    /// Adopted or created.
    pub origin: Origin,
    /// From where.
    pub source: Source,
    /// The namespace.
    pub netns: FileId,
    /// When it was pinned.
    pub since: Boottime,
    /// The pid namespace in which the pod's tasks can be seen, by inode; absent where the door could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_ns: Option<u64>,
    /// Since when the source is known to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Boottime>,
    /// When the engine said that the pod was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Boottime>,
}

/// Why bytes are not a record for this build.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, cut off, or a field is missing or wrong.
    #[error("is not a record")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer build; left alone.
    #[error("has version {0}, newer than {VERSION}; it is left to the berth that wrote it")]
    Newer(u32),
    /// Written by a build too old to be read.
    #[error("has version {0}, older than {OLDEST}; end the pod to be rid of it")]
    TooOld(u32),
}

impl RecordError {
    /// Whether it is another berth's to read, and no fault.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer(_))
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Record {
    /// Every door that has acted on the pod, the one that pinned first.
    #[must_use]
    pub fn doors(&self) -> Vec<&str> {
        std::iter::once(&self.door).chain(&self.doors).map(String::as_str).collect()
    }

    /// This record, with `door` among those that have acted on the pod.
    #[must_use]
    pub fn with_door(mut self, door: &str) -> Self {
        if !self.doors().contains(&door) {
            self.doors.push(door.to_owned());
        }
        self
    }

    /// The bytes of the record.
    ///
    /// # Errors
    /// A path that is not UTF-8: JSON cannot carry it.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// Anything but a whole record of a version this build reads.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: Result<Self, _> = serde_json::from_slice(bytes);
        // Of another version it need not have the shape of this one, nor need it be none if it has.
        let version = match &record {
            Ok(record) => record.version,
            Err(_) => serde_json::from_slice::<Versioned>(bytes)?.version,
        };
        match version {
            newer if newer > VERSION => Err(RecordError::Newer(newer)),
            old if old < OLDEST => Err(RecordError::TooOld(old)),
            _ => Ok(record?),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample() -> Record {
        Record {
            version: VERSION,
            engine: "containerd".into(),
            scope: "k8s.io".into(),
            sandbox: "s1".into(),
            pod: Pod { namespace: "ns".into(), name: "web".into(), uid: "u1".into() },
            handler: "kata".into(),
            door: "nri".into(),
            doors: vec!["runtime".into()],
            members: true,
            profile: "default".into(),
            verdict: "identity-and-netns".into(),
            config: "0123456789abcdef".into(),
            origin: Origin::Adopted,
            source: Source { path: "/run/netns/cni-1".into(), parent: FileId { dev: 1, ino: 2 }, bundle: None },
            netns: FileId { dev: 4, ino: 4026532000 },
            since: Boottime(12),
            pid_ns: Some(4026531836),
            gone: None,
            removed: Some(Boottime(99)),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(name in ".*", path in "/[^\0]*", gone in proptest::option::of(any::<u64>())) {
            let mut record = sample();
            record.pod.name = name;
            record.source.path = path.into();
            record.gone = gone.map(Boottime);
            prop_assert_eq!(Record::decode(&record.encode().expect("encode")).expect("decode"), record);
        }

        #[test]
        fn no_truncation_is_a_record(keep in 0.0f64..1.0) {
            let bytes = sample().encode().expect("encode");
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a length")]
            let cut = (bytes.len() as f64 * keep) as usize;
            prop_assert!(Record::decode(&bytes[..cut]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Record::decode(&bytes).is_err());
        }
    }

    /// As the first build with interposers left it on a node. Whoever changes the format adds the text of the version
    /// before, and keeps this one for as long as it is read.
    const FIRST: &str = r#"{"version":1,"engine":"containerd","scope":"k8s.io","sandbox":"s1","pod":{"namespace":"ns","name":"web","uid":"u1"},"handler":"","door":"runtime","profile":"default","verdict":"identity-and-netns","config":"178f4c5abadd6704","origin":"adopted","source":{"path":"/run/netns/cni-1","parent":{"dev":52,"ino":8}},"netns":{"dev":4,"ino":4026540887},"since":15803525,"pid_ns":4026531836}"#;

    #[test]
    fn what_an_earlier_build_has_left_is_read_and_written_as_it_was() {
        let record = Record::decode(FIRST.as_bytes()).expect("readable");
        assert_eq!((record.netns.ino, record.since, record.gone), (4026540887, Boottime(15803525), None));
        assert_eq!(record.source.path, PathBuf::from("/run/netns/cni-1"));
        assert_eq!(String::from_utf8(record.encode().expect("encode")).expect("utf-8"), FIRST);
        let older = FIRST.replacen("\"version\":1", "\"version\":0", 1);
        assert!(matches!(Record::decode(older.as_bytes()), Err(RecordError::TooOld(0))));
    }

    #[test]
    fn further_doors_come_once_each_and_no_earlier_build_has_to_know_them() {
        let record = Record::decode(FIRST.as_bytes()).expect("readable");
        let record = record.with_door("runtime").with_door("nri").with_door("nri");
        assert_eq!(record.doors(), ["runtime", "nri"]);
        let text = String::from_utf8(Record { members: true, ..record }.encode().expect("encode")).expect("utf-8");
        assert_eq!(text.replacen(r#""doors":["nri"],"members":true,"#, "", 1), FIRST);
    }

    #[test]
    fn unknown_fields_are_ignored_and_newer_versions_left_alone() {
        let text = String::from_utf8(sample().encode().expect("encode")).expect("utf-8");
        let more = text.replacen('{', r#"{"tomorrow":[1,2],"#, 1);
        assert_eq!(Record::decode(more.as_bytes()).expect("readable"), sample());
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert!(matches!(Record::decode(newer.as_bytes()), Err(RecordError::Newer(2))));
        let newest = r#"{"version":3,"shape":"unknown"}"#;
        assert!(matches!(Record::decode(newest.as_bytes()), Err(RecordError::Newer(3))));
    }
}
