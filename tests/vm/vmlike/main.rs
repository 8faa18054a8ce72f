//! An OCI runtime that puts each pod into a virtual machine, as far as berth's tests need one: it stands behind berth, in
//! the place of Kata Containers. Called as containerd's runc shim calls runc.
//!
//! ```text
//! create, of a sandbox   enter the network namespace at the specification's path, connect a TAP with eth0, boot a guest
//! create, of a member    enter it likewise; refused where no guest of its sandbox is connected
//! start                  have the guest run the member's process
//! kill, delete           the last one out enters by its own specification's path, removes the TAP, stops the guest
//! ```
//!
//! The pid that it reports to the engine is that of a process that does nothing, and can die without the guest.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "that is how an OCI runtime answers")]

mod config;
mod container;
mod guest;
mod machine;
mod network;
mod report;
mod spec;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use container::Container;
use report::Result;

#[derive(Debug, Parser)]
struct Cli {
    #[arg(long, default_value = "/run/vmlike/containers")]
    root: PathBuf,
    #[arg(long)]
    log: Option<PathBuf>,
    #[arg(long)]
    log_format: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create {
        #[arg(long)]
        bundle: PathBuf,
        #[arg(long)]
        pid_file: PathBuf,
        id: String,
    },
    Start {
        id: String,
    },
    State {
        id: String,
    },
    Kill {
        #[arg(long)]
        all: bool,
        id: String,
        #[arg(default_value = "15")]
        signal: i32,
    },
    Delete {
        #[arg(long)]
        force: bool,
        id: String,
    },
    /// Not for engines: the process whose pid a container has.
    Hold {
        id: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error, cli.log.as_deref());
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let known = |id| Container::load(&cli.root, id)?.ok_or(format!("container {id} does not exist"));
    match &cli.verb {
        Verb::Create { bundle, pid_file, id } => container::create(&cli.root, bundle, pid_file, id),
        Verb::Start { id } => known(id)?.start(),
        Verb::State { id } => known(id)?.print_state(),
        Verb::Kill { id, signal, .. } => known(id)?.kill(*signal),
        Verb::Delete { id, force } => match Container::load(&cli.root, id)? {
            None if *force => Ok(()),
            _ => known(id)?.delete(),
        },
        Verb::Hold { .. } => loop {
            nix::unistd::pause();
        },
    }
}
