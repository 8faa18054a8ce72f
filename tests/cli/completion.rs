//! Completions, in the shells that they are for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::{Node, all, definitions, long_flags};

/// Has the shells installed that are not there yet, or fails.
pub(crate) fn provisioned() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/provision");
    let output = Command::new(script).arg("shells").output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn script(node: &Node, shell: &str, name: &str) -> PathBuf {
    let path = node.path().join(name);
    fs::write(&path, node.run(&["completion", shell]).stdout).unwrap();
    path
}

/// The lines that `shell` prints for `script`.
fn lines(shell: &str, args: &[&str], script: &str) -> Vec<String> {
    let output =
        Command::new(shell).args(args).args(["-c", script]).output().unwrap_or_else(|e| panic!("{shell}: {e}"));
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && err.is_empty(), "{shell}: {script}: {err}");
    let mut lines: Vec<_> = out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What bash offers behind `words`, the last of which has been begun.
fn bash(completion: &Path, words: &[&str]) -> Vec<String> {
    let (last, list) = (words.len() - 1, words.join("' '"));
    let (current, previous) = (words[last], words[last - 1]);
    let script = format!(
        "source {}; COMP_WORDS=('{list}'); COMP_CWORD={last}; _berth berth '{current}' '{previous}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        completion.display()
    );
    lines("bash", &["--norc"], &script)
}

fn words<'a>(way: &'a [String], begun: &'a str) -> Vec<&'a str> {
    std::iter::once("berth").chain(way.iter().map(String::as_str)).chain([begun]).collect()
}

#[test]
fn bash_knows_every_command_every_flag_and_every_value() {
    let node = Node::new();
    let completion = script(&node, "bash", "berth.bash");
    assert!(Command::new("bash").arg("-n").arg(&completion).status().unwrap().success());
    for (way, command) in all() {
        assert_eq!(bash(&completion, &words(&way, "--")), long_flags(&command), "{way:?}");
        for below in command.get_subcommands().map(clap::Command::get_name) {
            assert!(bash(&completion, &words(&way, below)).contains(&below.to_owned()), "{way:?} {below}");
        }
        for flag in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let mut values: Vec<_> =
                flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            let Some(long) = flag.get_long().filter(|_| !values.is_empty()) else { continue };
            values.sort();
            let way = [way.as_slice(), &[format!("--{long}")]].concat();
            assert_eq!(bash(&completion, &words(&way, "")), values, "{way:?}");
        }
    }
}

#[test]
fn fish_knows_every_command_and_every_flag() {
    provisioned();
    let node = Node::new();
    let completion = script(&node, "fish", "berth.fish");
    for (way, command) in all() {
        let line = words(&way, "").join(" ");
        let ask = |begun: &str| {
            let script = format!("source {}; complete -C '{line}{begun}'", completion.display());
            let lines = lines("fish", &["--no-config"], &script);
            lines.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ask("--"), long_flags(&command), "{way:?}");
        let offered = ask("");
        for below in command.get_subcommands().map(clap::Command::get_name) {
            assert!(offered.contains(&below.to_owned()), "{way:?} {below}: {offered:?}");
        }
    }
}

#[test]
fn zsh_takes_its_script_by_source_and_by_fpath() {
    provisioned();
    let node = Node::new();
    let completion = script(&node, "zsh", "_berth");
    assert!(Command::new("zsh").arg("-n").arg(&completion).status().unwrap().success());
    let (dir, file) = (node.path().display(), completion.display());
    let dump = node.path().join("dump");
    let init = format!("autoload -U compinit; compinit -u -d {}", dump.display());
    let by_fpath =
        format!("fpath=({dir} $fpath); {init}; print ${{_comps[berth]}}; autoload +X _berth; whence -w _berth");
    assert_eq!(lines("zsh", &["-f"], &by_fpath), ["_berth", "_berth: function"]);
    let by_source = format!("{init}; source {file}; print ${{_comps[berth]}}; whence -w _berth_commands");
    assert_eq!(lines("zsh", &["-f"], &by_source), ["_berth", "_berth_commands: function"]);
    let text = fs::read_to_string(&completion).unwrap();
    for command in definitions().get_subcommands() {
        assert!(text.contains(&format!("'{}:", command.get_name())), "{}", command.get_name());
    }
}
