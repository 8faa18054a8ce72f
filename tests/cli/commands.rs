//! The commands, as they are defined, and a place where they can be run.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use berth::cli::Cli;
use berth::ledger::record::Record;
use clap::CommandFactory;

/// The definitions, with what clap adds to them, but for `berth help`, of which other tests know.
pub(crate) fn definitions() -> clap::Command {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    root
}

/// Every command with the words behind `berth` that lead to it; `berth` itself first.
pub(crate) fn all() -> Vec<(Vec<String>, clap::Command)> {
    fn collect(command: clap::Command, way: Vec<String>, found: &mut Vec<(Vec<String>, clap::Command)>) {
        let below: Vec<_> = command.get_subcommands().cloned().collect();
        found.push((way.clone(), command));
        for command in below {
            let way = [way.as_slice(), &[command.get_name().to_owned()]].concat();
            collect(command, way, found);
        }
    }
    let mut found = Vec::new();
    collect(definitions(), Vec::new(), &mut found);
    assert!(found.len() > 8, "the commands were found");
    found
}

/// The long flags of a command, sorted, each with its dashes.
pub(crate) fn long_flags(command: &clap::Command) -> Vec<String> {
    let mut flags: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_long()).collect();
    flags.sort_unstable();
    flags.iter().map(|flag| format!("--{flag}")).collect()
}

/// Of a pod that is gone.
const RECORD: &str = r#"{"version":1,"engine":"containerd","scope":"k8s.io","sandbox":"s1","pod":{"namespace":"ns","name":"web","uid":"u1"},"handler":"","door":"nri","profile":"default","verdict":"identity-and-netns","config":"178f4c5abadd6704","origin":"adopted","source":{"path":"/run/netns/cni-1","parent":{"dev":52,"ino":8}},"netns":{"dev":4,"ino":4026540887},"since":1}"#;

/// A node with a record and a bundle, all in a temporary directory.
pub(crate) struct Node(tempfile::TempDir);

impl Node {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("k8s.io/s1");
        fs::create_dir_all(&bundle).unwrap();
        let namespaces = r#"[{"type":"network","path":"/run/netns/cni-1"}]"#;
        let spec = format!(r#"{{"ociVersion":"1.2.0","annotations":{{}},"linux":{{"namespaces":{namespaces}}}}}"#);
        fs::write(bundle.join("config.json"), spec).unwrap();
        fs::write(dir.path().join("config.yaml"), berth::config::DEFAULT_TEXT).unwrap();
        let node = Self(dir);
        fs::create_dir(node.path().join("netns")).unwrap();
        let ledger = berth::ledger::Ledger::open(&node.path().join("state")).unwrap();
        let name = berth::pin::PinName::parse("berth-s1").unwrap();
        ledger.put(&name, &Record::decode(RECORD.as_bytes()).unwrap()).unwrap();
        node
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// berth, with this node's directories and whatever else the environment of the tests says left out.
    pub(crate) fn berth(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, below) in [("STATE_DIR", "state"), ("NETNS_DIR", "netns"), ("CONFIG", "config.yaml")] {
            command.env(format!("BERTH_{name}"), self.path().join(below));
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.berth(args).output().unwrap()
    }
}

/// Runs of each command that writes data, so that it does: the words that lead to it and what follows them.
pub(crate) const RUNS: &[(&str, &str)] = &[
    ("list", ""),
    ("list", "-o wide"),
    ("list", "-o json"),
    ("list", "-o yaml"),
    ("list", "-o name"),
    ("inspect", "s1"),
    ("inspect", "s1 -o json"),
    ("check", "--host-root /proc/self/cwd"),
    ("check", "--host-root /proc/self/cwd -o json"),
    ("uninstall", "--host-root /proc/self/cwd"),
    ("gc", "--dry-run"),
    ("explain", "k8s.io/s1"),
    ("explain", "k8s.io/s1 -o json"),
    ("explain", "k8s.io/s1 -o yaml"),
    ("config check", ""),
    ("config default", ""),
    ("completion", "bash"),
    ("completion", "zsh"),
    ("completion", "fish"),
    ("man", ""),
];

/// Commands that write no data; `install` none where there is no engine.
pub(crate) const SILENT: &[&str] = &["nri", "exec", "install"];

/// Commands whose exit code is what they found: there is no engine on the node of these tests, and that is a 1.
const JUDGES: &[&str] = &["check"];

/// Whether this run, a line of words, ended as it should.
pub(crate) fn ended_well(run: &str, status: std::process::ExitStatus) -> bool {
    let judges = JUDGES.iter().any(|name| run.starts_with(name)) && !run.ends_with("--help");
    status.code() == Some(i32::from(judges))
}

#[test]
fn every_command_is_known_to_these_tests() {
    for (way, command) in all().iter().filter(|(_, command)| !command.has_subcommands()) {
        let name = way.join(" ");
        let known = RUNS.iter().any(|(run, _)| *run == name) || SILENT.contains(&name.as_str());
        assert!(known, "berth {name} ({:?}): say in RUNS how it is run", command.get_about());
    }
}
