//! Walking a YAML tree while collecting mistakes instead of stopping at the first.

use super::Problem;
use serde_yaml::Value;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
}

/// The mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Problem { path: path.to_owned(), message: message.into(), line: None });
    }

    fn expected(&mut self, node: &Node<'_>, what: &str) {
        self.add(&node.path, format!("expected {what}, got {}", show(node.value)));
    }
}

/// The path of a mapping's entry.
pub(super) fn entry(mapping: &str, key: &str) -> String {
    let dot = if mapping.is_empty() { "" } else { "." };
    format!("{mapping}{dot}{key}")
}

/// A value as a person would recognise it, shortened.
fn show(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(_) => "a tagged value".to_owned(),
    }
}

impl<'a> Node<'a> {
    /// The entries of a mapping whose keys are all in `known`; others are mistakes. Absent reads as empty.
    pub(super) fn entries(&self, known: &[&str], problems: &mut Problems) -> Vec<(&'a str, Node<'a>)> {
        let entries = self.mapping(problems);
        let (good, unknown): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| known.contains(key));
        for (_, node) in unknown {
            problems.add(&node.path, format!("unknown key, expected one of {}", known.join(", ")));
        }
        good
    }

    /// The entries of a mapping with any keys that are text.
    pub(super) fn mapping(&self, problems: &mut Problems) -> Vec<(&'a str, Node<'a>)> {
        let Value::Mapping(mapping) = self.value else {
            if !self.value.is_null() {
                problems.expected(self, "a mapping");
            }
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (key, value) in mapping {
            match key.as_str() {
                Some(key) => entries.push((key, Node { value, path: entry(&self.path, key) })),
                None => problems.add(&self.path, format!("expected keys that are text, got {}", show(key))),
            }
        }
        entries
    }

    /// The items of a list.
    pub(super) fn items(&self, problems: &mut Problems) -> Vec<Node<'a>> {
        let Value::Sequence(items) = self.value else {
            problems.expected(self, "a list");
            return Vec::new();
        };
        let item = |(at, value)| Node { value, path: format!("{}[{at}]", self.path) };
        items.iter().enumerate().map(item).collect()
    }

    /// A text.
    pub(super) fn text(&self, what: &str, problems: &mut Problems) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            problems.expected(self, what);
        }
        text
    }

    /// One of the named choices.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let found = self
            .value
            .as_str()
            .and_then(|text| choices.iter().find(|(name, _)| *name == text))
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            problems.expected(self, &names.join(" or "));
        }
        found
    }
}
