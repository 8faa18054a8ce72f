//! The manual: one page per command, whole, and as man(1) and mandoc(1) want it.

use std::fs;
use std::process::Command;

use crate::commands::{Node, all, long_flags};
use crate::completion::provisioned;

/// The page as it is read, without overstriking and with plain hyphens.
fn rendered(path: &std::path::Path) -> String {
    let output = Command::new("mandoc").args(["-Tascii", "-Owidth=200"]).arg(path).output().expect("mandoc runs");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\u{8}' => plain.truncate(plain.len().saturating_sub(1)),
            c => plain.push(c),
        }
    }
    plain
}

#[test]
fn there_is_a_page_for_every_command_and_it_says_all_that_its_help_says() {
    provisioned();
    let node = Node::new();
    let dir = node.path().join("share/man/man1");
    assert!(node.run(&["man", "--dir", dir.to_str().unwrap()]).status.success());
    let commands = all();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), commands.len());
    for (way, command) in commands {
        let name = [&["berth".to_owned()], way.as_slice()].concat().join("-");
        let path = dir.join(format!("{name}.1"));
        let lint = Command::new("mandoc").args(["-Tlint", "-Werror"]).arg(&path).output().expect("mandoc runs");
        assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));

        let page = rendered(&path);
        let title = format!("{name}(1)");
        assert!(page.trim_start().starts_with(&title), "{page}");
        assert!(page.trim_end().lines().last().unwrap().starts_with(&format!("berth {}", berth::VERSION)), "{page}");
        for argument in command.get_arguments() {
            let said = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
            assert!(page.contains(said.trim_end_matches('.')), "{name}: {said}\n{page}");
            for value in argument.get_possible_values() {
                assert!(page.contains(value.get_name()), "{name}: {}", value.get_name());
            }
            if let Some(variable) = argument.get_env() {
                assert!(page.contains(variable.to_str().unwrap()), "{name}: {variable:?}");
            }
        }
        for flag in long_flags(&command) {
            assert!(page.contains(&flag), "{name}: {flag}");
        }
        for below in command.get_subcommands() {
            assert!(page.contains(&format!("{name}-{}(1)", below.get_name())), "{name}");
        }
        let remarks = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in remarks.lines().filter(|line| line.starts_with("  ")) {
            assert!(page.contains(line.trim()), "{name}: {line}\n{page}");
        }
    }
}

#[test]
fn the_main_page_goes_to_standard_output_and_what_cannot_be_written_is_named() {
    let node = Node::new();
    let page = String::from_utf8(node.run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH \"berth\" \"1\" \"\" \"berth "), "{page}");
    let output = node.run(&["man", "--dir", "config.yaml/below"]);
    let remarks = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(remarks, "berth: make directory config.yaml/below: Not a directory (os error 20)\n");
}
