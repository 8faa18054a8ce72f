//! Properties of edits over generated root files, and over text that is none.

use super::super::node::Node;
use super::super::{Input, changes, patterns, verify};
use super::{Change, applied, containerd_1, containerd_2, kata, runc};
use crate::engine::Kind;
use proptest::prelude::*;
use std::path::Path;

const CRI: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];

fn blank() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", " ", "\t", "  "]).prop_map(str::to_owned)
}

/// What may stand between lines.
fn filler() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec!["", "  ", "# a comment", "\t# imports = ['x']", "#version = 1", "# 'ü\" ]"]);
    prop::collection::vec(line, 0..3).prop_map(|lines| lines.into_iter().map(|line| format!("{line}\n")).collect())
}

prop_compose! {
    /// An array of strings with any space, comments and commas.
    fn array()(
        entries in prop::collection::vec((prop::sample::select(vec!["'a.toml'", "\"/b/*.toml\"", "'''c'''", "\"\\u0064\""]), 0..6_usize, 0..6_usize), 0..4),
        trailing in any::<bool>(), end in 0..6_usize, s in blank(),
    ) -> String {
        let space = |which: usize| ["", " ", "\n", "\n  ", " # c, ]\n", "\n\t# d\n\t"][which];
        let count = entries.len();
        let written = entries.into_iter().enumerate().map(|(at, (entry, before, after))| {
            let comma = if at + 1 < count || trailing { "," } else { "" };
            format!("{}{entry}{}{comma}", space(before), space(after))
        });
        format!("{s}[{}{}]", written.collect::<String>(), space(end))
    }
}

prop_compose! {
    /// A root file, and whether it says a version.
    fn root()(
        version in prop::option::of(2..4_i64),
        imports in prop::option::of(array()),
        first in any::<bool>(),
        f in prop::collection::vec(filler(), 5),
        tables in prop::sample::subsequence(vec![0, 1, 2, 3], 0..=4),
        crlf in any::<bool>(), cut in any::<bool>(), s in blank(),
    ) -> (Option<i64>, String) {
        let version_line = version.map_or(String::new(), |version| format!("{s}version{s}={s}{version}{s}# v\n"));
        let imports = imports.map_or(String::new(), |imports| format!("imports ={imports}{s}# i\n"));
        let (one, two) = if first { (imports, version_line) } else { (version_line, imports) };
        let section = CRI[usize::from(version.unwrap_or(3) > 2)];
        let table = |at: usize| match at {
            0 => "[debug]\n  level = 'info'\n".to_owned(),
            1 => format!("[plugins.\"{section}\"]\n  sandbox_image = \"x\" # y\n"),
            2 => format!("[plugins.'{section}'.containerd.runtimes.runc]\nruntime_type = 'io.containerd.runc.v2'\n"),
            _ => "[timeouts]\n\"a.b\" = '5s'\n".to_owned(),
        };
        let tables: String = tables.into_iter().map(table).collect::<Vec<_>>().join(&f[3]);
        let mut text = format!("{}{one}{}{two}{}{tables}{}", f[0], f[1], f[2], f[4]);
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if cut && text.ends_with('\n') {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        (version, text)
    }
}

/// Everything but imports and berth's handlers.
fn rest(text: &str) -> Node {
    let mut node = Node::parse(text).expect(text);
    node.remove(&["imports"]);
    for cri in CRI {
        for handler in ["kata-berth", "runc-berth", "runc", "kata"] {
            node.remove(&["plugins", cri, "containerd", "runtimes", handler]);
        }
        node.remove(&["plugins", cri]);
    }
    node
}

/// There and back, byte for byte; and at rest in between.
fn check(input: &Input) -> Result<Option<Input>, TestCaseError> {
    let Ok(added) = changes(input, &[kata(), runc()]) else { return Ok(None) };
    let with = applied(input, &added);
    prop_assert!(changes(&with, &[kata(), runc()]).expect("again").iter().all(|change| !change.is_needed()));
    let fewer = applied(&with, &changes(&with, &[runc()]).expect("fewer"));
    for from in [&with, &fewer] {
        let without = applied(from, &changes(from, &[]).expect("without"));
        prop_assert_eq!(&without.root, &input.root);
        prop_assert_eq!(&without.dropin, &input.dropin);
    }
    Ok(Some(with))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

    #[test]
    fn an_import_is_added_and_taken_out_and_nothing_else((_, text) in root()) {
        let input = containerd_2(Some(&text));
        let with = check(&input)?.expect(&text);
        let after = with.root.text.expect("root");
        prop_assert_eq!(rest(&after), rest(&text));
        let path = Path::new("/etc/containerd/config.toml");
        let (mut expected, found) = (patterns(path, &text).expect("before"), patterns(path, &after).expect("after"));
        expected.push("/etc/containerd/conf.d/50-berth*.toml".into());
        prop_assert_eq!(found, expected);
        // Every line of before is there, in its order, but for those of arrays.
        let mut lines = after.lines();
        for line in text.lines().filter(|line| !line.contains(['[', ']', '\'', '"', ','])) {
            prop_assert!(lines.any(|found| found == line), "{line:?} of {text:?} in {after:?}");
        }
    }

    #[test]
    fn a_block_is_added_and_taken_out_and_nothing_else((version, text) in root()) {
        let keys = Node::parse(&text).expect("toml") != Node::parse("").expect("toml");
        match check(&containerd_1(Some(&text)))? {
            Some(with) => {
                let after = with.root.text.expect("root");
                prop_assert!(after.starts_with(&text));
                let mut node = rest(&after);
                if version.is_none() {
                    prop_assert!(!keys);
                    node.remove(&["version"]);
                }
                prop_assert_eq!(node, rest(&text));
            }
            None => prop_assert!(version.is_none() && keys, "refused: {text:?}"),
        }
    }

    #[test]
    fn text_of_any_kind_does_no_harm(text in ".{0,200}", other in "[a-z=\\[\\]'\"#.,{} \n\r]{0,60}") {
        for text in [text, other] {
            for mut input in [containerd_1(Some(&text)), containerd_2(Some(&text))] {
                check(&input)?;
                input.others = vec![input.root.clone()];
                input.dropin.text = Some(text.clone());
                for wraps in [&[kata()][..], &[]] {
                    let planned = changes(&input, wraps).unwrap_or_default();
                    prop_assert!(planned.iter().all(|change| change.is_needed() != change.diff().is_empty()));
                }
                drop(verify(&input, &text, &[kata()]));
                input.kind = Kind::CriO;
                drop(changes(&input, &[kata()]));
                input.dump.clone_from(&text);
                drop((changes(&input, &[kata()]), verify(&input, &text, &[kata()])));
            }
        }
    }

    #[test]
    fn damaged_files_are_refused_or_kept((_, text) in root(), at in any::<prop::sample::Index>(), with in ".{1,2}") {
        let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        let mut damaged = text.clone();
        if !places.is_empty() {
            let from = places[at.index(places.len())];
            let to = from + damaged[from..].chars().next().map_or(0, char::len_utf8);
            damaged.replace_range(from..to, &with);
        }
        for input in [containerd_1(Some(&damaged)), containerd_2(Some(&damaged))] {
            check(&input)?;
        }
    }
}

#[test]
fn a_change_that_is_none_has_no_diff() {
    let change = Change { path: "/x".into(), before: None, after: None };
    assert!(!change.is_needed() && change.diff().is_empty());
}
