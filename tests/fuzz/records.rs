//! Records: what is read is written the same, and what another version wrote is left alone.
//!
//! Input: the bytes of a pin's record or an install's.

use berth::{install, ledger};
use serde_json::Value;

pub(crate) fn run(data: &[u8]) {
    pin(data);
    install(data);
}

fn pin(data: &[u8]) {
    use ledger::record::{Record, RecordError, VERSION};
    match Record::decode(data) {
        Ok(record) => {
            let bytes = record.encode().expect("what was JSON can be JSON");
            assert_eq!(record.version, VERSION);
            assert_eq!(Record::decode(&bytes).expect("again"), record);
            assert_eq!(Record::decode(&bytes).and_then(|again| again.encode()).expect("again"), bytes);
            assert_eq!(Record::decode(&with_field(&bytes)).expect("a field more"), record);
            assert!(matches!(Record::decode(&of_version(&bytes, 2)), Err(RecordError::Newer(2))));
            assert!(matches!(Record::decode(&of_version(&bytes, 0)), Err(RecordError::TooOld(0))));
            assert!(Record::decode(&bytes[..bytes.len() - 1]).is_err(), "cut off");
            let doors = record.clone().with_door("nri").with_door("nri");
            assert_eq!(doors.doors().iter().filter(|door| **door == "nri").count(), nri_doors(&record).max(1));
        }
        Err(error) => {
            assert_eq!(error.is_newer(), version(data).is_some_and(|version| version > VERSION), "{error}");
        }
    }
}

/// A record that somebody else has written may name a door twice.
fn nri_doors(record: &ledger::record::Record) -> usize {
    record.doors().iter().filter(|door| **door == "nri").count()
}

fn install(data: &[u8]) {
    use install::record::{Record, RecordError, VERSION};
    match Record::decode(data) {
        Ok(record) => {
            let bytes = record.encode().expect("what was JSON can be JSON");
            assert_eq!(Record::decode(&bytes).expect("again"), record);
            assert_eq!(Record::decode(&with_field(&bytes)).expect("a field more"), record);
            assert!(matches!(Record::decode(&of_version(&bytes, 2)), Err(RecordError::Newer(2))));
        }
        Err(error) => {
            let newer = matches!(error, RecordError::Newer(_));
            assert_eq!(newer, version(data).is_some_and(|version| version > VERSION), "{error}");
        }
    }
}

/// The version that the bytes say, to a reader that wants nothing else of them.
fn version(data: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    serde_json::from_slice(data).ok().map(|Versioned { version }| version)
}

fn with_field(bytes: &[u8]) -> Vec<u8> {
    [br#"{"tomorrow":[1,{"version":9}],"#, &bytes[1..]].concat()
}

fn of_version(bytes: &[u8], version: u32) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(bytes).expect("an object");
    value["version"] = version.into();
    value.to_string().into_bytes()
}
