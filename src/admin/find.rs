//! Which pin is meant. Pure.

use super::AdminError;
use super::output::{age, indented, none};
use super::survey::Entry;

/// What stands before a sandbox id where only that can be meant, as `berth list -o name` writes it.
pub(super) const SANDBOX: &str = "sandbox/";

/// As short as this, the beginning of a sandbox id does not compete with a pod of that name: a pod may well be called `db`.
const SHORT: usize = 3;

/// The pins that `query` can mean: those it names in full, if any; else those of a pod of that name and those whose sandbox
/// id begins so. Both, because whoever may create a pod may give it the name that somebody else's id begins with.
pub(super) fn matching<'a>(entries: &'a [Entry], query: &str) -> Vec<&'a Entry> {
    let all = |is: fn(&Entry, &str) -> bool| entries.iter().filter(|entry| is(entry, query)).collect::<Vec<_>>();
    let exact = all(is_exactly);
    if !exact.is_empty() {
        return exact;
    }
    let named = all(is_named);
    if !named.is_empty() && query.len() <= SHORT {
        return named;
    }
    all(|entry, query| is_named(entry, query) || begins(entry, query))
}

/// The one pin that `query` means.
///
/// # Errors
/// [`AdminError::Unknown`], [`AdminError::Ambiguous`] with the candidates.
pub(super) fn find<'a>(entries: &'a [Entry], query: &str) -> Result<&'a Entry, AdminError> {
    match matching(entries, query)[..] {
        [] => Err(unknown(query)),
        [one] => Ok(one),
        ref several => Err(AdminError::Ambiguous { query: query.to_owned(), candidates: candidates(several) }),
    }
}

/// What is said where nothing is meant.
pub(super) fn unknown(query: &str) -> AdminError {
    AdminError::Unknown { query: query.to_owned() }
}

fn is_exactly(entry: &Entry, query: &str) -> bool {
    let by_record = entry.record.as_ref().is_some_and(|record| {
        let (id, pod) = (query.strip_prefix(SANDBOX).unwrap_or(query), &record.pod);
        id == record.sandbox || query.split_once('/') == Some((pod.namespace.as_str(), pod.name.as_str()))
    });
    by_record || query == entry.name.as_str()
}

fn is_named(entry: &Entry, query: &str) -> bool {
    entry.record.as_ref().is_some_and(|record| !query.is_empty() && query == record.pod.name)
}

/// A pin without a record has its sandbox's id in its name.
fn begins(entry: &Entry, query: &str) -> bool {
    match &entry.record {
        Some(record) => record.sandbox.starts_with(query),
        None => entry.name.id().starts_with(query),
    }
}

fn candidates(entries: &[&Entry]) -> String {
    let row = |entry: &&Entry| {
        vec![
            entry.pod().unwrap_or_else(none),
            entry.record.as_ref().map_or_else(|| entry.name.to_string(), |record| record.sandbox.clone()),
            entry.state.as_str().to_owned(),
            entry.age().map_or_else(none, age),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    let mut text = Vec::new();
    // Writing to memory does not fail.
    indented(&mut text, "  ", &rows)
        .map_or_else(|error| error.to_string(), |()| String::from_utf8_lossy(&text).trim_end().to_owned())
}
