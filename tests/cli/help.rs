//! Help, version, and mistakes on the command line.

use crate::commands::{Node, all};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_is_the_same_by_word_and_by_flag_and_names_every_flag() {
    let node = Node::new();
    for (way, command) in all() {
        let words: Vec<_> = way.iter().map(String::as_str).collect();
        let by_flag = node.run(&[words.as_slice(), &["--help"]].concat());
        let by_word = node.run(&[&["help"], words.as_slice()].concat());
        assert_eq!(text(&by_flag.stdout), text(&by_word.stdout), "{way:?}");
        for flag in crate::commands::long_flags(&command) {
            assert!(text(&by_flag.stdout).contains(&flag), "{way:?} {flag}");
        }
    }
}

#[test]
fn the_version_names_the_commit() {
    let output = Node::new().run(&["-V"]);
    let version = format!("berth {} ({})\n", berth::VERSION, berth::COMMIT);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (version.as_str(), ""));
}

#[test]
fn a_mistake_ends_with_2_and_says_on_standard_error_what_was_meant() {
    let node = Node::new();
    for (args, told) in [
        (&["lst"][..], "a similar subcommand exists: 'list'"),
        (&["list", "--ouput", "json"], "a similar argument exists: '--output'"),
        (&["list", "-o", "jsn"], "a similar value exists: 'json'"),
        (&["gc", "everything"], "unexpected argument 'everything' found"),
        (&["check", "--index", "9"], "invalid value '9' for '--index <NN>'"),
        (&["config"], "Usage: berth config <COMMAND>"),
        (&[], "Usage: berth <COMMAND>"),
    ] {
        let output = node.run(args);
        let remarks = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{args:?}");
        assert!(remarks.contains(told) && remarks.ends_with('\n') && !remarks.ends_with("\n\n"), "{args:?}: {remarks}");
    }
}
