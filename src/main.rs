//! The berth binary: from arguments to a command, from its result to an exit code.

use berth::admin::{self, AdminError, Remarks};
use berth::cli::{self, Cli, Command};
use berth::config::{Config, DEFAULT_TEXT};
use berth::daemon::{self, Start};
use berth::door::interpose::Interposer;
use berth::exit::{Exit, chain, printable};
use berth::ledger::Ledger;
use berth::logging::{self, To};
use berth::nri::{Endpoint, Identity, Launch};
use clap::Parser;
use std::convert::Infallible;
use std::error::Error;
use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    if let Some(interposer) = Interposer::by_name(&argv) {
        return interposer.run().into();
    }
    let launch = Launch::from_env(|name| std::env::var(name).ok());
    let result = match launch {
        Ok(Some(launch)) => launched(launch),
        Ok(None) => match (Interposer::by_config(&argv), Cli::try_parse_from(&argv)) {
            (Some(interposer), _) => return interposer.run().into(),
            (None, Ok(cli)) => run(cli.command),
            (None, Err(error)) => return usage(&error),
        },
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&format!("berth: {}", chain(error.as_ref())));
            Exit::Failure.into()
        }
    }
}

/// Help and version go to standard output and are no error; mistakes go to standard error.
fn usage(error: &clap::Error) -> ExitCode {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
    match error.print() {
        Ok(()) => exit.into(),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit.into(),
        Err(_) => Exit::Failure.into(),
    }
}

/// Says something on standard error; if that is closed there is nobody to say it to.
fn complain(text: &str) {
    let text = printable(text);
    if writeln!(std::io::stderr(), "{text}").is_err() {
        log::error!("{text}");
    }
}

/// The runtime started us as its plugin: no arguments, no environment but its own, a connected socket.
fn launched(launch: Launch) -> Result<Exit, Box<dyn Error>> {
    let socket = berth::sys::take_inherited(launch.socket).ok_or("the runtime's socket is not open")?;
    let nri = cli::Nri::parse_default()?;
    let log = To::File(nri.directories.state_dir.join("berth.log"));
    start(nri, Endpoint::Inherited(UnixStream::from(socket)), launch.identity, log)
}

fn run(command: Command) -> Result<Exit, Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Nri(nri) => {
            let (endpoint, identity) = (Endpoint::Path(nri.socket.clone()), Identity::new(&nri.index, &nri.name)?);
            start(nri, endpoint, identity, To::Stderr)
        }
        Command::List(list) => remarked(admin::list(&list, &mut out)),
        Command::Inspect(inspect) => remarked(admin::inspect(&inspect, &mut out)),
        Command::Exec(exec) => executed(admin::exec(&exec)),
        Command::Gc(gc) => remarked(admin::gc(&gc, &mut out)),
        Command::Explain(explain) => quiet_on_closed_pipe(admin::explain(explain, &mut out)),
        Command::Config(cli::Config::Default) => {
            quiet_on_closed_pipe(out.write_all(DEFAULT_TEXT.as_bytes()).map_err(Into::into))
        }
        Command::Config(cli::Config::Check { file }) => {
            let config = Config::load(Some(&file))?;
            let count = config.policy.profiles.len();
            quiet_on_closed_pipe(writeln!(out, "{}: ok, {count} profiles", file.display()).map_err(Into::into))
        }
    }
}

/// What was worth saying is said.
fn remarked(result: Result<Remarks, AdminError>) -> Result<Exit, Box<dyn Error>> {
    quiet_on_closed_pipe(result.map(|remarks| remarks.iter().for_each(|remark| complain(remark))))
}

/// Only what went wrong comes back; there are exit codes for some of that.
fn executed(result: Result<Infallible, AdminError>) -> Result<Exit, Box<dyn Error>> {
    match result {
        Ok(never) => match never {},
        Err(AdminError::Exec(error)) => {
            complain(&format!("berth: {}", chain(&error)));
            Ok(error.exit())
        }
        Err(error) => Err(error.into()),
    }
}

/// A reader that has seen enough is no failure of ours.
fn quiet_on_closed_pipe(result: Result<(), AdminError>) -> Result<Exit, Box<dyn Error>> {
    match result {
        Err(AdminError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Exit::Ok),
    }
}

fn start(nri: cli::Nri, endpoint: Endpoint, identity: Identity, log: To) -> Result<Exit, Box<dyn Error>> {
    let (state_dir, netns_dir) = (nri.directories.state_dir, nri.directories.netns_dir);
    if matches!(log, To::File(_)) {
        // The file is in it.
        Ledger::open(&state_dir)?;
    }
    logging::init(&std::env::var("BERTH_LOG").unwrap_or_else(|_| "info".to_owned()), log)?;
    let config = Config::load(nri.config.path.as_deref())?;
    Ok(daemon::run(Start { endpoint, identity, config, state_dir, netns_dir }))
}
