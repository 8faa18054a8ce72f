//! On which line of a YAML text something stands.
//!
//! A tree of values has forgotten it. So the text is read once more, along the path, and what is found there is
//! refused: the parser says where that was.

use serde::Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor};
use std::fmt;

/// What is said of what was looked for.
const FOUND: &str = "what was looked for";

/// The line of what is at `path`, written as [`super::Problem`] does; of a mapping's entry, that of its key.
pub(super) fn of(text: &str, path: &str) -> Option<usize> {
    let seek = Seek { here: String::new(), target: path };
    let refused = seek.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    let location = refused.location().filter(|_| refused.to_string().contains(FOUND))?;
    Some(location.line())
}

/// The line of the first character that YAML has not (YAML 1.2, 5.1).
pub(super) fn of_forbidden(text: &str) -> Option<usize> {
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' => true,
        c => c >= '\u{a0}' && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}'),
    };
    let at = text.find(|c| !allowed(c))?;
    Some(text[..at].matches('\n').count() + 1)
}

/// A value on the way to the target.
struct Seek<'a> {
    here: String,
    target: &'a str,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.here == self.target {
            deserializer.deserialize_any(Refuse)
        } else if self.target.starts_with(&self.here) {
            deserializer.deserialize_any(self)
        } else {
            deserializer.deserialize_any(IgnoredAny).map(drop)
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a mapping")
    }

    // On the way to a path that begins like another there are values that are no way.
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let item = |at| Seek { here: format!("{}[{at}]", self.here), target: self.target };
        let mut at = 0;
        while list.next_element_seed(item(at))?.is_some() {
            at += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key(&self))? {
            match key {
                Some(here) => map.next_value_seed(Seek { here, target: self.target })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    // A tagged value is no mapping and no list to who reads the tree.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        IgnoredAny.visit_enum(tagged).map(drop)
    }
}

/// A key of the mapping that was reached; gives the path of its value, if it is text.
struct Key<'a>(&'a Seek<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let Seek { here, target } = self.0;
        let path = super::walk::entry(here, key);
        // Here, because the value can begin on the next line.
        if path == *target { Err(E::custom(FOUND)) } else { Ok(Some(path)) }
    }

    // A key that is no text is a mistake by itself; others are looked for behind it.
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
    }

    // A text with a tag is read as text.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Self::Value, A::Error> {
        let (IgnoredAny, text) = tagged.variant()?;
        text.newtype_variant_seed(self)
    }
}

/// Takes nothing.
struct Refuse;

impl Visitor<'_> for Refuse {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    const TEXT: &str = "# a comment\nprofiles:\n  - name: a\n    netns: swp\n  - {name: b, match: {namespaces: [x,\n      y]}}\n  - 7\n'a.b':\n  c:\n  - 1\n";

    #[test]
    fn every_place_has_its_line() {
        for (path, line) in [
            ("profiles", 2),
            ("profiles[0]", 3),
            ("profiles[0].name", 3),
            ("profiles[0].netns", 4),
            ("profiles[1].match.namespaces[0]", 5),
            ("profiles[1].match.namespaces[1]", 6),
            ("profiles[2]", 7),
            ("a.b", 8),
            ("a.b.c", 9),
            ("a.b.c[0]", 10),
        ] {
            assert_eq!(of(TEXT, path), Some(line), "{path}");
        }
    }

    #[test]
    fn a_path_that_begins_like_another_is_found_behind_it() {
        let text = "l: [a, 1, 1.5, true, ~, f, g, h, i, j,\n  k]\nname: x\nnames:\n- y\n";
        assert_eq!(of(text, "l[10]"), Some(2));
        assert_eq!((of(text, "names"), of(text, "names[0]")), (Some(4), Some(5)));
    }

    #[test]
    fn keys_that_are_no_text_and_tagged_values_are_gone_past() {
        for before in [
            "5: x",
            "true: x",
            "1.5: x",
            "-1: x",
            "~: x",
            "? [a, {b: c}]\n: x",
            "? {a: b}\n: x",
            "a: !t {b: c}",
            "p: !t x",
        ] {
            assert_eq!(of(&format!("{before}\npath:\n- 1\n"), "path[0]"), Some(before.lines().count() + 2), "{before}");
        }
        assert_eq!(of("!t a: 1\n!t b: 2\n", "b"), Some(2));
        assert_eq!(of("l: [!t {x: y}, 1, 2, 3, 4, 5, 6, 7, 8, 9,\n k]", "l[10]"), Some(2));
    }

    #[test]
    fn what_is_not_there_has_none() {
        for path in ["profiles[3]", "profiles[0].nets", "profiles[2].name", "x", "a"] {
            assert_eq!(of(TEXT, path), None, "{path}");
        }
        assert_eq!((of("profiles: [", "profiles[0]"), of("5: x", "x"), of("", "x")), (None, None, None));
    }
}
