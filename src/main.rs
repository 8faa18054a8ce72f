//! The berth binary: from arguments to a command, from its result to an exit code.

use berth::admin::{self, AdminError, Remarks};
use berth::apply::{Keeper, PinsBy};
use berth::cli::{self, Cli, Command};
use berth::config::Config;
use berth::confine::confine;
use berth::daemon;
use berth::door::STAY_COVERED;
use berth::door::interpose::Interposer;
use berth::door::nri::Place;
use berth::exit::{Exit, chain};
use berth::installer::{self, Start};
use berth::ledger::Ledger;
use berth::logging::{self, Line, To};
use berth::nri::{Endpoint, Identity, Launch};
use berth::streams::{Data, remark};
use clap::Parser;
use dlmalloc::GlobalDlmalloc;
use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

type Ending = Result<Exit, Box<dyn Error>>;

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    if let Some(interposer) = Interposer::by_name(&argv) {
        return interposer.run().into();
    }
    let launch = Launch::from_env(|name| std::env::var(name).ok());
    let ending = match launch {
        Ok(Some(launch)) => launched(launch),
        Ok(None) => match (Interposer::by_config(&argv), Cli::try_parse_from(&argv)) {
            (Some(interposer), _) => return interposer.run().into(),
            (None, parsed) => answer(parsed),
        },
        Err(error) => Err(error.into()),
    };
    let exit = ending.unwrap_or_else(|error| {
        remark(&format!("berth: {}", chain(error.as_ref())));
        Exit::Failure
    });
    logging::finish();
    exit.into()
}

/// The command's data has left the process when this returns.
fn answer(parsed: Result<Cli, clap::Error>) -> Ending {
    let mut out = Data::new(std::io::stdout().lock());
    let exit = match parsed {
        Ok(cli) => run(cli.command, &mut out)?,
        Err(error) => usage(&error, &mut out)?,
    };
    out.flush().map_err(AdminError::Output)?;
    Ok(exit)
}

/// Help and version go to standard output and are no error; mistakes go to standard error.
fn usage(error: &clap::Error, out: &mut dyn Write) -> Ending {
    if error.use_stderr() {
        remark(error.render().to_string().trim_end());
        return Ok(Exit::Usage);
    }
    write!(out, "{}", error.render()).map_err(AdminError::Output)?;
    Ok(Exit::Ok)
}

/// Which function each command is: from its part of the command line and where its data goes to how it ends.
fn run(command: Command, out: &mut dyn Write) -> Ending {
    Ok(match command {
        Command::Nri(nri) => serve(nri)?,
        Command::List(list) => remarked(&admin::list(&list, out)?),
        Command::Inspect(inspect) => remarked(&admin::inspect(&inspect, out)?),
        Command::Exec(exec) => executed(admin::exec(&exec))?,
        Command::Check(check) => admin::check(check, out)?,
        Command::Gc(gc) => remarked(&admin::gc(&gc, out)?),
        Command::Install(install) if install.stay => stay(install, out)?,
        Command::Install(install) => remarked(&admin::install(install, out)?),
        Command::Uninstall(uninstall) => remarked(&admin::uninstall(uninstall, out)?),
        Command::Explain(explain) => admin::explain(explain, out)?,
        Command::Config(config) => admin::config(config, out)?,
        Command::Completion(completion) => admin::completion(completion, out)?,
        Command::Man(man) => admin::man(man, out)?,
    })
}

/// What is worth saying beside the data is no failure.
fn remarked(remarks: &Remarks) -> Exit {
    remarks.iter().for_each(|text| remark(text));
    Exit::Ok
}

/// Only what went wrong comes back; there are exit codes for some of that.
fn executed(result: Result<Infallible, AdminError>) -> Ending {
    match result {
        Ok(never) => match never {},
        Err(AdminError::Exec(error)) => {
            remark(&format!("berth: {}", chain(&error)));
            Ok(error.exit())
        }
        Err(error) => Err(error.into()),
    }
}

/// An install that stays when it is done.
fn stay(install: cli::Install, out: &mut dyn Write) -> Ending {
    logging::init(&level(), To::Stderr)?;
    let listen = install.listen.clone();
    let (order, wanted) = install.parts();
    installer::run(Start { order, wanted, listen }, out)?;
    Ok(Exit::Ok)
}

fn level() -> String {
    std::env::var("BERTH_LOG").unwrap_or_else(|_| "info".to_owned())
}

fn serve(nri: cli::Nri) -> Ending {
    let (endpoint, identity) = (Endpoint::Path(nri.socket.clone()), Identity::new(&nri.index, &nri.name)?);
    start(nri, endpoint, identity, To::Stderr)
}

/// The runtime started us as its plugin: no arguments, no environment but its own, a connected socket.
fn launched(launch: Launch) -> Ending {
    let socket = berth::sys::take_inherited(launch.socket).ok_or("the runtime's socket is not open")?;
    let nri = cli::Nri::parse_default()?;
    let log = To::File(nri.directories.state_dir.join("berth.log"));
    start(nri, Endpoint::Inherited(UnixStream::from(socket)), launch.identity, log)
}

fn start(nri: cli::Nri, endpoint: Endpoint, identity: Identity, log: To) -> Ending {
    daemon::hold_hangups();
    let cli::Directories { state_dir, netns_dir, host_proc } = nri.directories;
    let finished = match nri.pins_by {
        // Once confined it could not.
        PinsBy::Daemon => Keeper::existing(&state_dir, &netns_dir).and_then(|keeper| keeper.finish_sharing()),
        PinsBy::Interposers => Ok(()),
    };
    let confined = confine(nri.pins_by);
    let listen = nri.listen;
    let place = Place { proc: host_proc, pins_by: nri.pins_by };
    if matches!(log, To::File(_)) {
        // The file is in it.
        Ledger::open(&state_dir)?;
    }
    logging::init(&level(), log)?;
    if let Err(error) = finished {
        log::warn!("{}", Line::message(STAY_COVERED).with("error", chain(&error)));
    }
    let config_file = nri.config.path;
    let config = Config::load(config_file.as_deref())?;
    Ok(daemon::run(daemon::Start {
        endpoint,
        identity,
        config,
        config_file,
        listen,
        state_dir,
        netns_dir,
        place,
        confined,
    }))
}
