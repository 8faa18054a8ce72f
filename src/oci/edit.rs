//! Changing a specification by splicing its text: annotations and the network namespace's path, nothing else. Pure.
//!
//! What is added is written the way its neighbour is, with the same white space before the key and before the value.
//! A value that is right already keeps its bytes, so editing twice is editing once.

use super::scan::{Annotations, Member, Object, Scan};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Annotations to write.
    pub set: BTreeMap<String, String>,
    /// Annotations to remove; one that is to be written as well is written.
    pub remove: BTreeSet<String>,
    /// The path of the network namespace to join.
    pub network_path: Option<String>,
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no entry whose path could be changed; making one would give the container another network.
    #[error("linux.namespaces: has no entry of type \"network\"")]
    NoNetwork,
}

/// One change of the text. Splices do not overlap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) span: Range<usize>,
    pub(super) with: String,
}

/// The text with `changes` made. Holds: it is a specification again, says what `changes` say, and is the old text
/// outside of the changed values and the removed or added members.
///
/// # Errors
/// [`EditError::NoNetwork`].
pub fn edit(scan: &Scan<'_>, changes: &Changes) -> Result<String, EditError> {
    let splices = splices(scan, changes)?;
    let added: usize = splices.iter().map(|splice| splice.with.len()).sum();
    let mut text = String::with_capacity(scan.text.len() + added);
    let mut at = 0;
    for splice in splices {
        text.push_str(&scan.text[at..splice.span.start]);
        text.push_str(&splice.with);
        at = splice.span.end;
    }
    text.push_str(&scan.text[at..]);
    Ok(text)
}

/// All splices, in their order in the text.
pub(super) fn splices(scan: &Scan<'_>, changes: &Changes) -> Result<Vec<Splice>, EditError> {
    let mut splices = Vec::new();
    match &scan.annotations {
        Annotations::Object(object) => in_annotations(scan, object, changes, &mut splices),
        _ if changes.set.is_empty() => {}
        Annotations::Null(span) => splices.push(Splice { span: span.clone(), with: whole(&changes.set) }),
        Annotations::Absent => splices.push(added(scan.text, &scan.root, &[("annotations", whole(&changes.set))])),
    }
    if let Some(path) = &changes.network_path {
        let entry = scan.network.as_ref().ok_or(EditError::NoNetwork)?;
        match &entry.value {
            _ if entry.path.as_ref() == Some(path) => {}
            Some(span) => splices.push(Splice { span: span.clone(), with: quoted(path) }),
            None => splices.push(added(scan.text, &entry.object, &[("path", quoted(path))])),
        }
    }
    splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
    Ok(splices)
}

fn in_annotations(scan: &Scan<'_>, object: &Object<'_>, changes: &Changes, splices: &mut Vec<Splice>) {
    let goes = |member: &Member<'_>| {
        changes.remove.contains(member.name.as_ref()) && !changes.set.contains_key(member.name.as_ref())
    };
    for member in &object.members {
        if let Some(value) = changes.set.get(member.name.as_ref())
            && scan.values.get(member.name.as_ref()) != Some(value)
        {
            splices.push(Splice { span: member.value.clone(), with: quoted(value) });
        }
    }
    let new: Vec<_> = changes
        .set
        .iter()
        .filter(|(key, _)| !scan.values.contains_key(*key))
        .map(|(key, value)| (key.as_str(), quoted(value)))
        .collect();
    let kept = object.members.iter().rposition(|member| !goes(member));
    removed(object, kept, goes, splices);
    if new.is_empty() {
        return;
    }
    match (kept, &object.members[..]) {
        (Some(last), _) => splices.push(after(scan.text, object, last, &new)),
        (None, []) => splices.push(added(scan.text, object, &new)),
        // All of them go: the new ones come in their place.
        (None, _) => splices.iter_mut().last().into_iter().for_each(|gap| gap.with = listed(&new, "", "")),
    }
}

/// Removes members with the comma that belongs to each: the one before it, or, of the first ones, the one after.
fn removed(object: &Object<'_>, kept: Option<usize>, goes: impl Fn(&Member<'_>) -> bool, splices: &mut Vec<Splice>) {
    let members = &object.members;
    let gap = |span| Splice { span, with: String::new() };
    let first_kept = members.iter().position(|member| !goes(member)).unwrap_or(members.len());
    match (members.first(), members.get(first_kept), members.last()) {
        (Some(first), Some(next), _) if first_kept > 0 => splices.push(gap(first.key.start..next.key.start)),
        (Some(first), None, Some(last)) if kept.is_none() => splices.push(gap(first.key.start..last.value.end)),
        _ => {}
    }
    for pair in members.get(first_kept..).unwrap_or_default().windows(2).filter(|pair| goes(&pair[1])) {
        splices.push(gap(pair[0].value.end..pair[1].value.end));
    }
}

/// New members at the end of `object`.
fn added(text: &str, object: &Object<'_>, new: &[(&str, String)]) -> Splice {
    match object.members.len() {
        0 => Splice { span: object.inside..object.inside, with: listed(new, "", "") },
        members => after(text, object, members - 1, new),
    }
}

/// New members behind the one at index `last`, written as that one is.
fn after(text: &str, object: &Object<'_>, last: usize, new: &[(&str, String)]) -> Splice {
    let member = &object.members[last];
    let before = match last.checked_sub(1).and_then(|previous| object.members.get(previous)) {
        Some(previous) => &text[previous.value.end..member.key.start],
        None => &text[object.inside..member.key.start],
    };
    let lead = before.rsplit(',').next().unwrap_or_default();
    let gap = text[member.key.end..member.value.start].rsplit(':').next().unwrap_or_default();
    Splice { span: member.value.end..member.value.end, with: format!(",{lead}{}", listed(new, lead, gap)) }
}

/// Members with commas between them; the first one's lead is already there.
fn listed(new: &[(&str, String)], lead: &str, gap: &str) -> String {
    let members: Vec<_> = new.iter().map(|(key, value)| format!("{}:{gap}{value}", quoted(key))).collect();
    members.join(&format!(",{lead}"))
}

/// A whole object of annotations.
fn whole(set: &BTreeMap<String, String>) -> String {
    let members: Vec<_> = set.iter().map(|(key, value)| (key.as_str(), quoted(value))).collect();
    format!("{{{}}}", listed(&members, "", ""))
}

/// A JSON text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
