//! Properties of edits over generated specifications, and of the scanner over damaged ones.

use super::{COMPACT, PRETTY};
use crate::oci::edit::splices;
use crate::oci::{Changes, edit, scan};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// White space as it may stand between any two tokens.
fn space() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["", " ", "\n", "\t", "\r\n  "]), 0..3)
        .prop_map(|parts| parts.concat())
}

/// An annotation: its key, its value, and how the value's text is written.
fn annotation() -> impl Strategy<Value = (String, String)> {
    (prop::sample::select(vec!["a", "b", "io.kubernetes.cri.sandbox-id", "ocid/x", "ü", "q\"\\"]), ".{0,12}")
        .prop_map(|(key, value)| (key.to_owned(), value))
}

fn written(text: &str, escaped: bool) -> String {
    let escape = |unit: u16| format!("\\u{unit:04X}");
    if escaped {
        format!("\"{}\"", text.encode_utf16().map(escape).collect::<String>())
    } else {
        Value::from(text).to_string()
    }
}

prop_compose! {
    /// A specification: members in any order, with or without each part, white space anywhere.
    fn specification()(
        annotations in prop::option::of(prop::collection::btree_map(annotation().prop_map(|pair| pair.0), ".{0,12}", 0..6)),
        null in any::<bool>(), escaped in any::<bool>(),
        path in prop::option::of("[/a-z]{0,9}"),
        unknown in prop::sample::select(vec!["18446744073709551617", "1.0e+2", "-0", "[{\"annotations\":1}]", "\"\\u003c\""]),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
        s in prop::collection::vec(space(), 4),
    ) -> String {
        let member = |(key, value): (String, String)| format!("{}{}:{}{}{}", written(&key, escaped), s[0], s[1], written(&value, escaped), s[2]);
        let annotations = annotations.map_or_else(
            || if null { "null".to_owned() } else { String::new() },
            |map| format!("{{{}{}}}", s[3], map.into_iter().map(member).collect::<Vec<_>>().join(&format!(",{}", s[1]))),
        );
        let path = path.map_or(String::new(), |path| format!("\"path\"{}:\"{path}\",{}", s[2], s[0]));
        let parts = [
            if annotations.is_empty() { "\"y\":0".to_owned() } else { format!("\"annotations\":{}{annotations}", s[0]) },
            format!("\"linux\":{}{{\"namespaces\":[{{{path}\"type\":\"network\"{}}},{{\"type\":\"ipc\"}}],\"u\":{unknown}}}", s[1], s[3]),
            format!("\"ociVersion\":\"1.0.2\",\"x\"{}:{unknown}", s[3]),
        ];
        format!("{}{{{}{}}}{}", s[0], s[1], order.iter().map(|at| parts[*at].clone()).collect::<Vec<_>>().join(&format!("{},", s[2])), s[3])
    }
}

fn some_changes() -> impl Strategy<Value = Changes> {
    let set = prop::collection::btree_map(annotation().prop_map(|pair| pair.0), ".{0,8}", 0..4);
    let remove = prop::collection::btree_set(annotation().prop_map(|pair| pair.0), 0..4);
    (set, remove, prop::option::of("/[a-z]{0,8}")).prop_map(|(set, remove, network_path)| Changes {
        set,
        remove,
        network_path,
    })
}

/// The specification that should come out, by way of a model.
fn model(text: &str, changes: &Changes) -> (BTreeMap<String, String>, Value) {
    let spec = scan(text.as_bytes()).expect("scan");
    let mut values = spec.values;
    values.retain(|key, _| !changes.remove.contains(key));
    values.extend(changes.set.clone());
    let mut rest: Value = serde_json::from_str(text).expect("json");
    rest.as_object_mut().expect("object").remove("annotations");
    if let Some(path) = &changes.network_path {
        rest["linux"]["namespaces"][0]["path"] = path.as_str().into();
    }
    (values, rest)
}

proptest! {
    #[test]
    fn an_edit_changes_what_it_should_and_no_byte_besides(text in specification(), changes in some_changes()) {
        let spec = scan(text.as_bytes()).expect("scan");
        let edited = edit(&spec, &changes).expect("edit");
        let (values, rest) = model(&text, &changes);
        let again = scan(edited.as_bytes()).expect(&edited);
        prop_assert_eq!(&again.values, &values);
        let mut left: Value = serde_json::from_str(&edited).expect("json");
        left.as_object_mut().expect("object").remove("annotations");
        prop_assert_eq!(left, rest);
        prop_assert_eq!(&edit(&again, &changes).expect("again"), &edited);
        // What is outside of the splices follows in the same order, untouched.
        let mut at = 0;
        let mut old = 0;
        for splice in splices(&spec, &changes).expect("splices") {
            prop_assert!(old <= splice.span.start && splice.span.start <= splice.span.end);
            let kept = &text[old..splice.span.start];
            prop_assert_eq!(&edited[at..at + kept.len()], kept);
            at += kept.len() + splice.with.len();
            old = splice.span.end;
        }
        prop_assert_eq!(&edited[at..], &text[old..]);
    }

    #[test]
    fn what_the_specifications_own_types_load_they_load_after_an_edit(changes in some_changes()) {
        for text in [COMPACT.replace("1e3", "1000"), PRETTY.replace("1.2.0", "1.0.2")] {
            prop_assert!(serde_json::from_str::<oci_spec::runtime::Spec>(&text).is_ok());
            let edited = edit(&scan(text.as_bytes()).expect("scan"), &changes).expect("edit");
            let spec: oci_spec::runtime::Spec = serde_json::from_str(&edited).expect(&edited);
            let found: BTreeMap<_, _> = spec.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(found, model(&text, &changes).0);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_and_never_more(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), changes in some_changes(),
    ) {
        for text in [COMPACT, PRETTY] {
            let mut bytes = text.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let cut = cut.index(bytes.len());
            for bytes in [&bytes[..], &bytes[..cut]] {
                if let Ok(spec) = scan(bytes) && let Ok(edited) = edit(&spec, &changes) {
                    let values = scan(edited.as_bytes()).expect("an edit of what was read can be read").values;
                    let expected: BTreeSet<_> = changes.set.keys().collect();
                    prop_assert!(expected.iter().all(|key| values[*key] == changes.set[*key]));
                }
            }
        }
    }

    #[test]
    fn any_bytes_at_all_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = scan(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
