//! TOML as what it means: for comparing, copying and writing, not for editing.

use std::collections::BTreeMap;
use toml_edit::{Document, Item, TomlError, Value};

/// The settings of a table.
pub(super) type Map = BTreeMap<String, Node>;

/// A value without its spelling, its comments and the order of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    /// Numbers, booleans and times, as TOML writes them.
    Plain(String),
    List(Vec<Node>),
    Map(Map),
}

impl Node {
    pub(super) fn parse(text: &str) -> Result<Self, TomlError> {
        Ok(Self::of(Document::parse(text)?.as_item()))
    }

    pub(super) fn of(item: &Item) -> Self {
        match item {
            Item::None => Self::Map(Map::new()),
            Item::Value(value) => Self::of_value(value),
            Item::Table(table) => Self::Map(table.iter().map(|(key, item)| (key.to_owned(), Self::of(item))).collect()),
            Item::ArrayOfTables(tables) => {
                let table = |table: &toml_edit::Table| Self::of(&Item::Table(table.clone()));
                Self::List(tables.iter().map(table).collect())
            }
        }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.value().clone()),
            Value::Integer(number) => Self::Plain(number.value().to_string()),
            Value::Float(number) => Self::Plain(format!("{:?}", number.value()).to_lowercase()),
            Value::Boolean(truth) => Self::Plain(truth.value().to_string()),
            Value::Datetime(time) => Self::Plain(time.value().to_string()),
            Value::Array(values) => Self::List(values.iter().map(Self::of_value).collect()),
            Value::InlineTable(table) => {
                Self::Map(table.iter().map(|(key, value)| (key.to_owned(), Self::of_value(value))).collect())
            }
        }
    }

    pub(super) fn map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// What is at the end of these keys.
    pub(super) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.map()?.get(*key))
    }

    /// The table at the end of these keys.
    pub(super) fn table(&self, keys: &[&str]) -> Option<&Map> {
        self.at(keys)?.map()
    }

    /// Takes out what is at the end of these keys, and what has become empty with it.
    pub(super) fn remove(&mut self, keys: &[&str]) {
        let (Self::Map(map), Some((first, rest))) = (self, keys.split_first()) else { return };
        if rest.is_empty() {
            map.remove(*first);
        } else if let Some(inner) = map.get_mut(*first) {
            inner.remove(rest);
            if inner.map().is_some_and(BTreeMap::is_empty) {
                map.remove(*first);
            }
        }
    }

    /// Is this what Go has where nothing was said?
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Plain(text) => ["false", "0", "0.0"].contains(&text.as_str()),
            Self::List(values) => values.is_empty(),
            Self::Map(map) => map.is_empty(),
        }
    }

    /// The paths at which two of them differ, with dots. No values: a configuration may hold credentials.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differ(self, other, "", &mut found);
        found
    }

    /// As one value of a line.
    pub(super) fn inline(&self) -> String {
        let list = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Text(text) => Value::from(text.as_str()).to_string(),
            Self::Plain(text) => text.clone(),
            Self::List(values) => format!("[{}]", list(values.iter().map(Self::inline).collect())),
            Self::Map(map) => {
                let pair = |(name, value): (&String, &Self)| format!("{} = {}", key(name), value.inline());
                format!("{{{}}}", list(map.iter().map(pair).collect()))
            }
        }
    }
}

/// A table and those below it, under a header that is written already, line by line.
pub(super) fn table(header: &str, map: &Map) -> Vec<String> {
    let (tables, settings): (Vec<_>, Vec<_>) = map.iter().partition(|(_, node)| node.map().is_some());
    let mut lines = vec![format!("[{header}]")];
    lines.extend(settings.into_iter().map(|(name, value)| format!("{} = {}", key(name), value.inline())));
    let below = |(name, node): (&String, &Node)| Some(table(&format!("{header}.{}", key(name)), node.map()?));
    lines.extend(tables.into_iter().filter_map(below).flatten());
    lines
}

/// As it stands in a header or before a value, in quotes where it must.
pub(super) fn key(name: &str) -> String {
    toml_edit::Key::new(name).to_string()
}

fn differ(one: &Node, other: &Node, path: &str, found: &mut Vec<String>) {
    let (Node::Map(one), Node::Map(other)) = (one, other) else {
        if one != other {
            found.push(path.to_owned());
        }
        return;
    };
    let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for name in keys {
        let path = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
        match (one.get(name), other.get(name)) {
            (Some(one), Some(other)) => differ(one, other, &path, found),
            _ => found.push(path),
        }
    }
}
