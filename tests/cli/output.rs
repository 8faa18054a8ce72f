//! Data on standard output, remarks on standard error, and what becomes of a command when nobody takes its data.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::commands::{Node, RUNS, all, ended_well};

/// Every run of [`RUNS`], and the help of every command.
fn runs() -> Vec<String> {
    let helps = all().into_iter().map(|(way, _)| [way.as_slice(), &["--help".to_owned()]].concat().join(" "));
    RUNS.iter().map(|(way, rest)| format!("{way} {rest}")).chain(helps).chain(["--version".to_owned()]).collect()
}

fn words(run: &str) -> Vec<&str> {
    run.split_whitespace().collect()
}

#[test]
fn each_writes_data_and_remarks_nothing() {
    let node = Node::new();
    for run in runs() {
        let output = node.run(&words(&run));
        let remarks = String::from_utf8(output.stderr).unwrap();
        assert!(ended_well(&run, output.status) && remarks.is_empty(), "berth {run}: {} {remarks}", output.status);
        assert!(output.stdout.ends_with(b"\n"), "berth {run}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let node = Node::new();
    for run in runs() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = node.berth(&words(&run)).stdout(Stdio::from(writer)).output().unwrap();
        let remarks = String::from_utf8(output.stderr).unwrap();
        assert!(ended_well(&run, output.status) && remarks.is_empty(), "berth {run}: {} {remarks}", output.status);
    }
}

#[test]
fn a_full_disk_is_a_failure_with_one_line() {
    let node = Node::new();
    for run in runs() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = node.berth(&words(&run)).stdout(full).output().unwrap();
        let remarks = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "berth {run}: {remarks}");
        assert!(
            remarks.starts_with("berth: ") && remarks.ends_with("No space left on device (os error 28)\n"),
            "{remarks}"
        );
        assert_eq!(remarks.lines().count(), 1, "{remarks}");
    }
}

#[test]
fn a_standard_output_and_error_that_are_closed_are_no_failure_either() {
    let node = Node::new();
    for run in runs() {
        let script = format!("exec {} {run} >&- 2>&-", env!("CARGO_BIN_EXE_berth"));
        let mut shell = node.berth(&[]);
        let environment: Vec<_> =
            shell.get_envs().map(|(key, value)| (key.to_owned(), value.unwrap().to_owned())).collect();
        shell = Command::new("sh");
        let status =
            shell.args(["-c", &script]).current_dir(node.path()).env_clear().envs(environment).status().unwrap();
        assert!(ended_well(&run, status), "berth {run}: {status}");
    }
}

/// berth has no colours, so that there is nothing that `NO_COLOR` would have to switch off.
#[test]
fn no_escape_code_is_written_even_to_a_terminal_that_is_said_to_have_colours() {
    let node = Node::new();
    let mistakes = ["lst", "list -o yml", "config check absent.yaml", ""].map(str::to_owned);
    for run in runs().into_iter().chain(mistakes) {
        let plain = node.run(&words(&run));
        let inside = format!("{} {run}", env!("CARGO_BIN_EXE_berth"));
        // script(1) gives it a terminal for all three, and that turns \n to \r\n.
        let mut on_terminal = Command::new("script");
        on_terminal.args(["-qec", &inside, "/dev/null"]).current_dir(node.path()).stdin(Stdio::null());
        for (key, value) in node.berth(&[]).get_envs() {
            on_terminal.env(key, value.unwrap());
        }
        on_terminal.envs([("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1"), ("COLORTERM", "truecolor")]);
        let shown = on_terminal.env_remove("NO_COLOR").output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap().replace("\r\n", "\n");
        assert!(!shown.contains('\u{1b}') && !shown.is_empty(), "berth {run}: {shown:?}");
        assert_eq!(shown, String::from_utf8([plain.stdout, plain.stderr].concat()).unwrap(), "berth {run}");
    }
}
