//! From a YAML tree to profiles: one function per object of the file.

use super::interposers::interposers;
use super::walk::{Node, Problems};
use super::{Interposer, Problem};
use crate::address::{Address, AddressError};
use crate::decide::policy::{NetnsPolicy, OnContradiction, OnFailure, Patterns, Policy, Profile};
use crate::decide::template::Template;
use crate::dialect::{Dialect, identity_key};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Longest annotation key Kubernetes accepts: a prefix of 253, a slash, a name of 63.
const MAX_KEY: usize = 317;

/// What a file says.
pub(super) struct Parts {
    pub(super) policy: Policy,
    pub(super) interposers: BTreeMap<String, Interposer>,
    pub(super) listen: Option<Address>,
}

/// Who reads, and so which keys of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Whoever is given the file: all of them, and no other may be there.
    Anyone,
    /// An interposer what a daemon has left: its own. What others are, that daemon knows.
    Interposer,
}

pub(super) fn config(value: &Value, reader: Reader) -> Result<Parts, Vec<Problem>> {
    let mut problems = Problems::default();
    let root = Node { value, path: String::new() };
    let mut profiles = None;
    let mut listen = None;
    let mut wrapping = None;
    let entries = match reader {
        Reader::Anyone => root.entries(&["profiles", "interposers", "listen"], &mut problems),
        Reader::Interposer => root.mapping(&mut problems),
    };
    for (key, node) in entries {
        match key {
            "profiles" => {
                profiles = Some(node.items(&mut problems).iter().map(|item| profile(item, &mut problems)).collect())
            }
            "interposers" => wrapping = Some(node),
            "listen" if reader == Reader::Anyone => listen = address(&node, &mut problems),
            _ => {}
        }
    }
    let profiles: Vec<Profile> = profiles.unwrap_or_else(|| default_policy().profiles);
    unique_names(&profiles, &mut problems);
    let interposers = wrapping.map(|node| interposers(&node, &profiles, &mut problems)).unwrap_or_default();
    if problems.0.is_empty() { Ok(Parts { policy: Policy { profiles }, interposers, listen }) } else { Err(problems.0) }
}

/// What holds where no profile is written.
pub(super) fn default_policy() -> Policy {
    Policy { profiles: vec![default_profile()] }
}

/// What a profile says that says nothing. The same as the file `default.yaml`, which a test compares.
fn default_profile() -> Profile {
    Profile {
        name: "default".to_owned(),
        handlers: patterns_of(&["?*"]),
        namespaces: patterns_of(&["*"]),
        dialects: vec![Dialect::Ocid, Dialect::Containerd],
        annotations: BTreeMap::new(),
        drop_annotations: Patterns::default(),
        netns: NetnsPolicy::Swap,
        on_failure: OnFailure::Fail,
        on_contradiction: OnContradiction::Correct,
    }
}

fn patterns_of(texts: &[&str]) -> Patterns {
    Patterns::parse(texts.iter().copied()).unwrap_or_default()
}

fn unique_names(profiles: &[Profile], problems: &mut Problems) {
    for (at, profile) in profiles.iter().enumerate().filter(|(_, profile)| !profile.name.is_empty()) {
        if let Some(first) = profiles[..at].iter().position(|other| other.name == profile.name) {
            problems.add(
                &format!("profiles[{at}].name"),
                format!("{:?} is the name of profiles[{first}] too", profile.name),
            );
        }
    }
}

pub(super) fn absolute(node: &Node<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let path = PathBuf::from(node.text("an absolute path", problems)?);
    if !path.is_absolute() {
        problems.add(&node.path, format!("expected an absolute path, got {:?}", path.display().to_string()));
        return None;
    }
    Some(path)
}

fn address(node: &Node<'_>, problems: &mut Problems) -> Option<Address> {
    let address = node.text("an address like 127.0.0.1:9464 or unix:/run/berth/http.sock", problems)?.parse();
    address.map_err(|error: AddressError| problems.add(&node.path, error.to_string())).ok()
}

fn profile(node: &Node<'_>, problems: &mut Problems) -> Profile {
    const KEYS: [&str; 8] =
        ["name", "match", "dialects", "annotations", "dropAnnotations", "netns", "onFailure", "onContradiction"];
    let mut profile = Profile { name: String::new(), ..default_profile() };
    let mut named = false;
    for (key, value) in node.entries(&KEYS, problems) {
        match key {
            "name" => {
                named = true;
                profile.name = name(&value, problems).unwrap_or_default().to_owned();
            }
            "match" => matches(&value, &mut profile, problems),
            "dialects" => profile.dialects = dialects(&value, problems),
            "annotations" => profile.annotations = annotations(&value, problems),
            "dropAnnotations" => profile.drop_annotations = drops(&value, problems),
            "netns" => {
                let choices =
                    [("swap", NetnsPolicy::Swap), ("create", NetnsPolicy::Create), ("leave", NetnsPolicy::Leave)];
                profile.netns = value.choice(&choices, problems).unwrap_or(profile.netns);
            }
            "onFailure" => {
                let choices = [("Fail", OnFailure::Fail), ("Ignore", OnFailure::Ignore)];
                profile.on_failure = value.choice(&choices, problems).unwrap_or(profile.on_failure);
            }
            _ => {
                let choices = [("Correct", OnContradiction::Correct), ("Refuse", OnContradiction::Refuse)];
                profile.on_contradiction = value.choice(&choices, problems).unwrap_or(profile.on_contradiction);
            }
        }
    }
    if !named {
        problems.add(&node.path, "expected a profile with a name");
    }
    profile
}

pub(super) fn name<'a>(node: &Node<'a>, problems: &mut Problems) -> Option<&'a str> {
    let text = node.text("a name", problems)?;
    let good = (1..=63).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'));
    if !good {
        problems.add(&node.path, format!("expected 1 to 63 letters, digits, '-', '_', '.', got {text:?}"));
    }
    good.then_some(text)
}

fn matches(node: &Node<'_>, profile: &mut Profile, problems: &mut Problems) {
    for (key, value) in node.entries(&["runtimeHandlers", "namespaces"], problems) {
        let field = if key == "namespaces" { &mut profile.namespaces } else { &mut profile.handlers };
        if let Some(patterns) = patterns(&value, problems) {
            *field = patterns;
        }
    }
}

fn patterns(node: &Node<'_>, problems: &mut Problems) -> Option<Patterns> {
    let items = node.items(problems);
    let texts: Vec<_> = items.iter().map(|item| item.text("a shell pattern", problems).unwrap_or_default()).collect();
    match Patterns::parse(texts.iter().copied()) {
        Ok(patterns) => Some(patterns),
        Err(mistakes) => {
            for (index, why) in mistakes {
                problems.add(&items[index].path, format!("expected a shell pattern, got {:?}: {why}", texts[index]));
            }
            None
        }
    }
}

fn drops(node: &Node<'_>, problems: &mut Problems) -> Patterns {
    let drops = patterns(node, problems).unwrap_or_default();
    if drops.only_excludes() {
        problems.add(&node.path, "expected a pattern without !: exclusions alone would drop everything else");
    }
    drops
}

fn dialects(node: &Node<'_>, problems: &mut Problems) -> Vec<Dialect> {
    let choices = [Dialect::Ocid, Dialect::Containerd, Dialect::CriO].map(|dialect| (dialect.as_str(), dialect));
    node.items(problems).iter().filter_map(|item| item.choice(&choices, problems)).collect()
}

fn annotations(node: &Node<'_>, problems: &mut Problems) -> BTreeMap<String, Template> {
    let mut annotations = BTreeMap::new();
    for (key, value) in node.mapping(problems) {
        if let Some(mistake) = bad_annotation_key(key) {
            problems.add(&value.path, mistake);
            continue;
        }
        let Some(text) = value.text("text with placeholders", problems) else { continue };
        match Template::parse(text) {
            Ok(template) => {
                annotations.insert(key.to_owned(), template);
            }
            Err(error) => problems.add(&value.path, error.to_string()),
        }
    }
    annotations
}

/// NRI reads a key with a leading `-` as "remove", so such a key could never be written.
fn bad_annotation_key(key: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if key.is_empty() || key.len() > MAX_KEY || key.starts_with('-') || !key.chars().all(legal) {
        return Some(
            "expected an annotation key: letters, digits, '-', '_', '.', '/', not starting with '-'".to_owned(),
        );
    }
    identity_key(key).map(|(dialect, _)| format!("an identity key of the {} dialect: use `dialects`", dialect.as_str()))
}
