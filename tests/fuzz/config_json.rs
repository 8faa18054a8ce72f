//! `config.json`: an edit does what it says, and no byte besides.
//!
//! Input: a line of changes, which are `+key=value`, `-key` and `@path` with tabs between them; then the specification.

use berth::oci::{Changes, EditError, edit, scan};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

pub(crate) fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let changes = changes(&data[..end]);
    let text = data.get(end + 1..).unwrap_or_default();
    let Ok(spec) = scan(text) else { return };
    let text = std::str::from_utf8(text).expect("what is scanned is text");
    let edited = match edit(&spec, &changes) {
        Ok(edited) => edited,
        Err(EditError::NoNetwork) => return assert!(changes.network_path.is_some() && spec.network.is_none()),
    };

    let again = scan(edited.as_bytes()).expect("an edit of what was read can be read");
    let mut values = spec.values.clone();
    values.retain(|key, _| !changes.remove.contains(key));
    values.extend(changes.set.clone());
    assert_eq!(again.values, values);
    let path = |scan: &berth::oci::Scan<'_>| scan.network.as_ref().and_then(|entry| entry.path.clone());
    assert_eq!(path(&again), changes.network_path.clone().or(path(&spec)));
    assert_eq!((again.user_namespace, &again.cgroups_path), (spec.user_namespace, &spec.cgroups_path));
    assert_eq!(edit(&again, &changes).expect("again"), edited, "editing twice is editing once");

    assert_eq!(rest(&edited, &changes), rest(text, &changes));
    same_to_another_reader(text, &edited, &changes);
    let nothing = edit(&spec, &Changes::default()).expect("nothing to do");
    assert_eq!(nothing, text);
}

fn changes(line: &[u8]) -> Changes {
    let mut changes = Changes::default();
    for word in String::from_utf8_lossy(line).split('\t') {
        match word.split_at_checked(1) {
            Some(("+", pair)) => {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                changes.set.insert(key.to_owned(), value.to_owned());
            }
            Some(("-", key)) => drop(changes.remove.insert(key.to_owned())),
            Some(("@", path)) if !path.is_empty() => changes.network_path = Some(path.to_owned()),
            _ => {}
        }
    }
    changes
}

/// Everything that is not to be changed, as it is written and in its order; numbers too.
fn rest(text: &str, changes: &Changes) -> Vec<(String, String)> {
    let mut rest = Vec::new();
    for (key, value) in members(text) {
        match key.as_str() {
            "annotations" if value.starts_with('{') => {
                let changed = |key: &String| changes.set.contains_key(key) || changes.remove.contains(key);
                let kept = members(value).into_iter().filter(|(key, _)| !changed(key));
                rest.extend(kept.map(|(key, value)| (format!("annotations {key}"), value.to_owned())));
            }
            "annotations" => {}
            "linux" if value.starts_with('{') => rest.extend(linux(value)),
            _ => rest.push((key, value.to_owned())),
        }
    }
    // An object that is made where none was goes to the end, and has nothing in it but what was set.
    rest
}

fn linux(text: &str) -> Vec<(String, String)> {
    let mut rest = Vec::new();
    for (key, value) in members(text) {
        match key.as_str() {
            "namespaces" if value.starts_with('[') => {
                let entries: Vec<&RawValue> = serde_json::from_str(value).expect("a list");
                for (at, entry) in entries.iter().enumerate() {
                    let entry = members(entry.get());
                    let kind = entry.iter().find(|(key, _)| key == "type").expect("a type").1;
                    let network = serde_json::from_str::<String>(kind).expect("text") == "network";
                    let kept = entry.iter().filter(|(key, _)| !network || key != "path");
                    rest.extend(kept.map(|(key, value)| (format!("namespace {at} {key}"), (*value).to_owned())));
                }
            }
            _ => rest.push((format!("linux {key}"), value.to_owned())),
        }
    }
    rest
}

/// The same by a reader that has its own idea of objects and numbers; where that reads the text at all.
fn same_to_another_reader(before: &str, after: &str, changes: &Changes) {
    let Ok(mut before) = serde_json::from_str::<Value>(before) else { return };
    let mut after: Value = serde_json::from_str(after).expect("as before");
    for value in [&mut before, &mut after] {
        let object = value.as_object_mut().expect("an object");
        let annotations = object.remove("annotations").unwrap_or_default();
        let mut annotations = annotations.as_object().cloned().unwrap_or_default();
        annotations.retain(|key, _| !changes.set.contains_key(key) && !changes.remove.contains(key));
        object.insert("annotations".to_owned(), annotations.into());
        let entries =
            object.get_mut("linux").and_then(|linux| linux.get_mut("namespaces")).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten().filter(|entry| entry["type"] == "network") {
            entry.as_object_mut().expect("an object").remove("path");
        }
    }
    assert_eq!(before, after);
}

/// The members of an object: keys as they mean, values as they are written.
fn members(text: &str) -> Vec<(String, &str)> {
    let Members(members) = serde_json::from_str(text).expect("an object");
    members.into_iter().map(|(key, value)| (key, value.get())).collect()
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Members)
    }
}
