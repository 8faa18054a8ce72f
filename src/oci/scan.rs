//! Finding what matters in the text of a `config.json`, each value with its place. Pure.
//!
//! Strict where readers differ: a key that occurs twice in an object berth looks into, or that differs from one of
//! the specification's only by case (Go's encoding/json takes it for the same), is refused, because which of the two a
//! runtime believes cannot be known. What is not looked into is checked to be JSON and nothing more.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// The type of the network's entry in `linux.namespaces`.
const NETWORK: &str = "network";
/// The type of the user namespace's.
const USER: &str = "user";

/// Why a text is no specification that can be edited. Names places and keys, never values: those can be secrets.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// No text at all.
    #[error("is empty")]
    Empty,
    /// Bytes that are no text.
    #[error("is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// The first of them.
        at: usize,
    },
    /// Not JSON; also what breaks off.
    #[error("is not JSON")]
    Json(#[source] serde_json::Error),
    /// A text with escapes that mean nothing.
    #[error("{place}: is not a text")]
    Text {
        /// Where.
        place: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A value of another kind than the specification says.
    #[error("{place}: expected {expected}, found {found}")]
    Kind {
        /// Where.
        place: String,
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: &'static str,
    },
    /// A key that occurs twice.
    #[error("{place}: key {key:?} occurs twice")]
    Duplicate {
        /// In which object.
        place: String,
        /// The key.
        key: String,
    },
    /// A key that some readers take for another.
    #[error("{place}: key {key:?} is taken for {meant:?} by some runtimes")]
    Ambiguous {
        /// In which object.
        place: String,
        /// The key.
        key: String,
        /// The specification's.
        meant: &'static str,
    },
    /// More than one network entry.
    #[error("linux.namespaces: has {0} entries of type \"network\"")]
    SeveralNetworks(usize),
}

/// A specification, as far as berth looks at it, over its text.
#[derive(Debug)]
pub struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) root: Object<'a>,
    pub(super) annotations: Annotations<'a>,
    /// The annotations; none where there is no such object.
    pub values: BTreeMap<String, String>,
    /// The network's entry in `linux.namespaces`; without one the container has the network of whoever starts it.
    pub network: Option<NetworkEntry<'a>>,
    /// Whether there is a `user` entry in `linux.namespaces`.
    pub user_namespace: bool,
    /// The paths of all entries in `linux.namespaces` that have one.
    pub joined: Vec<String>,
    /// `linux.cgroupsPath`.
    pub cgroups_path: Option<String>,
}

/// The network's entry in `linux.namespaces`.
#[derive(Debug)]
pub struct NetworkEntry<'a> {
    /// The namespace to join; `None`: a new one is to be made.
    pub path: Option<String>,
    pub(super) object: Object<'a>,
    pub(super) value: Option<Range<usize>>,
}

/// What stands under the key `annotations`.
#[derive(Debug)]
pub(super) enum Annotations<'a> {
    Absent,
    Null(Range<usize>),
    Object(Object<'a>),
}

/// An object's members in their order.
#[derive(Debug)]
pub(super) struct Object<'a> {
    /// Behind its opening brace.
    pub(super) inside: usize,
    pub(super) members: Vec<Member<'a>>,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    raw: &'a str,
}

/// Reads the bytes of a `config.json`.
///
/// # Errors
/// [`ScanError`]: it is no JSON object, or something berth needs is not as the specification says.
pub fn scan(bytes: &[u8]) -> Result<Scan<'_>, ScanError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ScanError::NotUtf8 { at: error.valid_up_to() })?;
    if text.trim_ascii().is_empty() {
        return Err(ScanError::Empty);
    }
    let root = whole(text)?;
    let (annotations, values) = annotations(text, root.get("annotations"))?;
    let linux = linux(text, root.get("linux"))?;
    let namespaces = linux.as_ref().map_or(Ok(Vec::new()), namespaces)?;
    let cgroups_path = linux.as_ref().map_or(Ok(None), |linux| optional(linux, "cgroupsPath", "linux"))?;
    let (network, user_namespace, joined) = (None, false, Vec::new());
    let mut scan = Scan { text, root, annotations, values, network, user_namespace, joined, cgroups_path };
    let mut networks = 0;
    for (at, entry) in namespaces.into_iter().enumerate() {
        let place = format!("linux.namespaces[{at}]");
        let entry = object(text, entry.get(), &place, &["type", "path"])?;
        let path = optional(&entry, "path", &place)?;
        scan.joined.extend(path.clone());
        match kind_of_namespace(&entry, &place)?.as_ref() {
            NETWORK => {
                networks += 1;
                let value = entry.get("path").map(|member| member.value.clone());
                scan.network = Some(NetworkEntry { path, object: entry, value });
            }
            USER => scan.user_namespace = true,
            _ => {}
        }
    }
    if networks > 1 { Err(ScanError::SeveralNetworks(networks)) } else { Ok(scan) }
}

/// The object that the text is, in one pass over it.
fn whole(text: &str) -> Result<Object<'_>, ScanError> {
    let raw = text.trim_matches([' ', '\t', '\r', '\n']);
    if !raw.starts_with('{') {
        // Whether it is JSON at all has to be known only for what is said of it.
        let _: &RawValue = serde_json::from_str(text).map_err(ScanError::Json)?;
    }
    object(text, raw, "config.json", &["annotations", "linux"])
}

fn annotations<'a>(
    text: &'a str,
    member: Option<&Member<'a>>,
) -> Result<(Annotations<'a>, BTreeMap<String, String>), ScanError> {
    let mut values = BTreeMap::new();
    let Some(member) = member else { return Ok((Annotations::Absent, values)) };
    if member.raw == "null" {
        return Ok((Annotations::Null(member.value.clone()), values));
    }
    let object = object(text, member.raw, "annotations", &[])?;
    for member in &object.members {
        let value = string(member.raw, || format!("annotations[{:?}]", member.name))?;
        values.insert(member.name.clone().into_owned(), value.into_owned());
    }
    Ok((Annotations::Object(object), values))
}

fn linux<'a>(text: &'a str, member: Option<&Member<'a>>) -> Result<Option<Object<'a>>, ScanError> {
    let member = member.filter(|member| member.raw != "null");
    member.map(|member| object(text, member.raw, "linux", &["namespaces", "cgroupsPath"])).transpose()
}

/// The elements of `linux.namespaces`; none where there is no such list.
fn namespaces<'a>(linux: &Object<'a>) -> Result<Vec<&'a RawValue>, ScanError> {
    let Some(list) = linux.get("namespaces").filter(|list| list.raw != "null") else { return Ok(Vec::new()) };
    expect(list.raw, "a list", || "linux.namespaces".to_owned())?;
    serde_json::from_str(list.raw).map_err(ScanError::Json)
}

fn kind_of_namespace<'a>(entry: &Object<'a>, place: &str) -> Result<Cow<'a, str>, ScanError> {
    let place = || format!("{place}.type");
    let absent = || ScanError::Kind { place: place(), expected: "a text", found: "nothing" };
    string(entry.get("type").ok_or_else(absent)?.raw, place)
}

/// The text under `name`; none where that is absent, null or empty.
fn optional(object: &Object<'_>, name: &str, place: &str) -> Result<Option<String>, ScanError> {
    let Some(member) = object.get(name).filter(|member| member.raw != "null") else { return Ok(None) };
    let text = string(member.raw, || format!("{place}.{name}"))?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// The object at `raw`, which is a part of `text`. Its keys are `known` ones or others, each once.
fn object<'a>(text: &'a str, raw: &'a str, place: &str, known: &[&'static str]) -> Result<Object<'a>, ScanError> {
    expect(raw, "an object", || place.to_owned())?;
    let Members(pairs) = serde_json::from_str(raw).map_err(ScanError::Json)?;
    let mut members = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let name = string(key.get(), || place.to_owned())?;
        let meant = known.iter().find(|meant| name != **meant && folded(&name) == folded(meant));
        if let Some(meant) = meant {
            return Err(ScanError::Ambiguous { place: place.to_owned(), key: name.into_owned(), meant });
        }
        members.push(Member { name, key: span(text, key.get()), value: span(text, value.get()), raw: value.get() });
    }
    let mut names: Vec<&str> = members.iter().map(|member| member.name.as_ref()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ScanError::Duplicate { place: place.to_owned(), key: pair[0].to_owned() }),
        None => Ok(Object { inside: span(text, raw).start + 1, members }),
    }
}

/// A key as Go's encoding/json compares it: ASCII letters and the two that Unicode folds to such (`foldName`).
fn folded(name: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

fn string(raw: &str, place: impl Fn() -> String) -> Result<Cow<'_, str>, ScanError> {
    expect(raw, "a text", &place)?;
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => {
            let text = serde_json::from_str(raw).map_err(|source| ScanError::Text { place: place(), source })?;
            Ok(Cow::Owned(text))
        }
    }
}

fn expect(raw: &str, expected: &'static str, place: impl Fn() -> String) -> Result<(), ScanError> {
    let found = match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a truth value",
        _ => "a number",
    };
    if found == expected { Ok(()) } else { Err(ScanError::Kind { place: place(), expected, found }) }
}

/// Where `part`, which is a part of `text`, stands in it.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

/// Keys and values as they are written, in order, repeated ones too.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

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
