//! Rules that hold for every command.

use super::*;
use clap::CommandFactory;

/// Every command that does something by itself, with the words that lead to it.
fn leaves(command: &clap::Command, way: &[String], found: &mut Vec<(Vec<String>, clap::Command)>) {
    for below in command.get_subcommands() {
        let way = [way, &[below.get_name().to_owned()]].concat();
        match below.has_subcommands() {
            true => leaves(below, &way, found),
            false => found.push((way, below.clone())),
        }
    }
}

fn all() -> Vec<(Vec<String>, clap::Command)> {
    let mut found = Vec::new();
    leaves(&Cli::command(), &[], &mut found);
    assert!(found.len() > 5);
    found
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_of_nri_has_its_variable() {
    let command = Cli::command();
    let nri = command.find_subcommand("nri").expect("nri");
    for argument in nri.get_arguments().filter(|argument| argument.get_long() != Some("help")) {
        let long = argument.get_long().expect("long").to_uppercase().replace('-', "_");
        assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(format!("BERTH_{long}").as_str()));
    }
}

#[test]
fn relative_directories_are_refused() {
    let error = Cli::try_parse_from(["berth", "nri", "--state-dir", "run/berth"]).expect_err("relative");
    assert!(error.to_string().contains("must be an absolute path"), "{error}");
}

/// Under `Examples:`, indented by two; up to where the shell has its say.
#[test]
fn every_command_has_examples_and_each_is_one_of_it() {
    for (way, command) in all() {
        let name = way.join(" ");
        let remarks =
            command.get_after_help().unwrap_or_else(|| panic!("{name}: no remarks, so no examples")).to_string();
        let (_, examples) = remarks.split_once("Examples:\n").unwrap_or_else(|| panic!("{name}: no examples"));
        let examples: Vec<_> = examples.lines().take_while(|line| line.starts_with("  ")).map(str::trim).collect();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let words: Vec<_> = example.split_whitespace().take_while(|word| !["|", ">", "#"].contains(word)).collect();
            assert_eq!(words.first(), Some(&"berth"), "{name}: {example}");
            assert!(words[1..].starts_with(&way.iter().map(String::as_str).collect::<Vec<_>>()), "{name}: {example}");
            Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{name}: {example}: {error}"));
        }
    }
}

#[test]
fn every_command_and_every_argument_says_in_a_sentence_what_it_is() {
    for (way, command) in all() {
        let name = way.join(" ");
        let about = command.get_about().unwrap_or_else(|| panic!("{name}: what is it?")).to_string();
        assert!(!about.contains('`') && about.chars().next().is_some_and(char::is_uppercase), "{name}: {about}");
        for argument in command.get_arguments() {
            let help =
                argument.get_help().unwrap_or_else(|| panic!("{name}: what is {}?", argument.get_id())).to_string();
            assert!(
                help.chars().next().is_some_and(|first| !first.is_lowercase()),
                "{name} {}: {help}",
                argument.get_id()
            );
        }
    }
}
