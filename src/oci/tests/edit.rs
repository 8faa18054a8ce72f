use super::{COMPACT, PRETTY, changes};
use crate::oci::{Changes, EditError, edit, scan};

fn edited(text: &str, changes: &Changes) -> String {
    edit(&scan(text.as_bytes()).expect("scan"), changes).expect("edit")
}

#[test]
fn nothing_to_change_changes_nothing() {
    for text in [COMPACT, PRETTY, "{}", " {\n}\n"] {
        assert_eq!(edited(text, &changes(&[], &["absent"], None)), text);
    }
    // As texts they are right already, however they are written.
    let same = changes(&[("note", "café 🚀 \"<>/")], &[], Some("/run/netns/cni-1"));
    assert_eq!(edited(COMPACT, &same), COMPACT);
}

#[test]
fn values_are_replaced_where_they_stand() {
    let text = edited(COMPACT, &changes(&[("note", "new\n")], &[], Some("/run/netns/berth-1")));
    let expected = COMPACT
        .replace(r#""caf\u00e9 \ud83d\ude80 \"<\u003e/""#, r#""new\n""#)
        .replace("/run/netns/cni-1", "/run/netns/berth-1");
    assert_eq!(text, expected);
}

/// Members, what is set, what is removed, members then.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str], &'static str);

#[test]
fn members_come_and_go_with_their_commas_and_white_space() {
    let object = |members: &str| format!("{{\"annotations\": {{{members}}}}}");
    let cases: &[Case] = &[
        ("", &[("k", "v")], &[], r#""k":"v""#),
        (r#""a":"1""#, &[("k", "v")], &[], r#""a":"1","k":"v""#),
        (r#""a":"1""#, &[], &["a"], ""),
        (r#" "a":"1" "#, &[], &["a"], "  "),
        (r#" "a":"1" "#, &[("k", "v"), ("l", "w")], &["a"], r#" "k":"v","l":"w" "#),
        (r#""a":"1", "b":"2", "c":"3""#, &[], &["a"], r#""b":"2", "c":"3""#),
        (r#""a":"1", "b":"2", "c":"3""#, &[], &["b"], r#""a":"1", "c":"3""#),
        (r#""a":"1", "b":"2", "c":"3""#, &[], &["c"], r#""a":"1", "b":"2""#),
        (r#""a":"1", "b":"2", "c":"3""#, &[], &["a", "b"], r#""c":"3""#),
        (r#""a":"1", "b":"2", "c":"3""#, &[], &["b", "c"], r#""a":"1""#),
        (r#""a":"1", "b":"2", "c":"3""#, &[("d", "4")], &["a", "c"], r#""b":"2", "d":"4""#),
        (r#""a":"1", "b":"2", "c":"3""#, &[("b", "x")], &["a", "b"], r#""b":"x", "c":"3""#),
        ("\n  \"a\": \"1\"\n", &[("b", "2"), ("c", "3")], &[], "\n  \"a\": \"1\",\n  \"b\": \"2\",\n  \"c\": \"3\"\n"),
    ];
    for (members, set, remove, expected) in cases {
        assert_eq!(
            edited(&object(members), &changes(set, remove, None)),
            object(expected),
            "{members} {set:?} {remove:?}"
        );
    }
}

#[test]
fn annotations_that_are_absent_or_null_are_made() {
    let set = changes(&[("a", "1"), ("b", "\"")], &[], None);
    let object = r#"{"a":"1","b":"\""}"#;
    assert_eq!(edited("{}", &set), format!(r#"{{"annotations":{object}}}"#));
    assert_eq!(edited(r#"{"x": 1}"#, &set), format!(r#"{{"x": 1,"annotations": {object}}}"#));
    assert_eq!(edited("{\n  \"x\": 1\n}", &set), format!("{{\n  \"x\": 1,\n  \"annotations\": {object}\n}}"));
    assert_eq!(edited(r#"{"annotations":null,"x":1}"#, &set), format!(r#"{{"annotations":{object},"x":1}}"#));
}

#[test]
fn a_path_is_added_to_an_entry_without_one() {
    let text = edited(PRETTY, &changes(&[], &[], Some("/n")));
    assert_eq!(text, PRETTY.replace(r#""type": "network" }"#, r#""type": "network", "path": "/n" }"#));
    for null in ["null", "\"\""] {
        let text = format!(r#"{{"linux":{{"namespaces":[{{"path":{null},"type":"network"}}]}}}}"#);
        assert_eq!(edited(&text, &changes(&[], &[], Some("/n"))), text.replace(null, "\"/n\""));
    }
}

#[test]
fn without_a_network_entry_no_path_is_made_up() {
    let spec = scan(b"{}").expect("scan");
    assert_eq!(edit(&spec, &changes(&[], &[], Some("/n"))), Err(EditError::NoNetwork));
}
