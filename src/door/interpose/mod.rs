//! The interposer: berth under another name, run in front of a containerd shim or an OCI runtime.
//!
//! It reads the command line as far as needed (`argv`); where a container is about to be created it edits the
//! bundle's `config.json` by what [`crate::decide`] says of facts whose source an author cannot reach (`trust`); then
//! it becomes the program it stands for, under the same pid. Everything else it becomes at once.
//!
//! Synchronous and silent: no thread, no async runtime, nothing on standard output or error unless the creation fails,
//! standard input untouched. What it did is one line in `interpose.log` in the state directory.

mod act;
mod argv;
mod delegate;
mod explain;
mod gather;
mod name;
mod occasion;
mod podman;
mod report;
mod setup;
#[cfg(test)]
mod tests;
mod trust;

pub use explain::{Explained, Question, explain};
pub use report::Failure;
pub use setup::Places;

use crate::config::{Config, ConfigError};
use crate::decide::policy::OnFailure;
use crate::decide::verdict::Verdict;
use crate::exit::{Exit, chain};
use crate::logging::{self, Line};
use crate::oci::Bundle;
use act::{Asked, words};
use argv::{Call, Create};
use setup::Node;
use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

/// The log of interposers, in the state directory.
const LOG: &str = "interpose.log";

/// berth, run as an interposer.
#[derive(Debug)]
pub struct Interposer {
    name: String,
    args: Vec<OsString>,
    places: Places,
    config: Result<Config, ConfigError>,
}

impl Interposer {
    /// The interposer that `argv` makes of berth, by a name that is made of `berth-` and the wrapped program's.
    #[must_use]
    pub fn by_name(argv: &[OsString]) -> Option<Self> {
        let name = argv.first().and_then(|argv0| name::of(argv0)).filter(|name| name::wrapped(name).is_some())?;
        Some(Self::new(name, argv))
    }

    /// The interposer that `argv` makes of berth, by a name that the configuration knows. With a configuration that
    /// cannot be read, every name but berth's own is taken for one: a container must not be started as if berth were not
    /// there.
    #[must_use]
    pub fn by_config(argv: &[OsString]) -> Option<Self> {
        let name = argv.first().and_then(|argv0| name::of(argv0))?;
        let interposer = Self::new(name, argv);
        let known = interposer.config.as_ref().map_or(true, |config| setup::entry(config, name).is_some());
        known.then_some(interposer)
    }

    fn new(name: &str, argv: &[OsString]) -> Self {
        let places = Places::from_env();
        let config = places.load();
        Self { name: name.to_owned(), args: argv.get(1..).unwrap_or_default().to_vec(), places, config }
    }

    /// Does what there is to do and becomes the delegate. Returns only if that failed; the engine has been told then.
    #[must_use]
    pub fn run(self) -> Exit {
        let entry = self.config.as_ref().ok().and_then(|config| setup::entry(config, &self.name));
        let call = argv::read(setup::grammar(entry, &self.name), &self.args);
        let log = match &call {
            Call::Create(create) => create.log.clone(),
            Call::Pass => None,
        };
        let failure = match self.attempt(call) {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        report::tell(&format!("berth: {failure}"), log.as_ref());
        Exit::Failure
    }

    fn attempt(self, call: Call) -> Result<std::convert::Infallible, String> {
        let told = |failure: Failure| chain(&failure);
        let Self { name, args, places, config } = self;
        let configured = config.as_ref().ok().and_then(|config| setup::entry(config, &name)?.delegate.clone());
        let path = std::env::var_os("PATH");
        let (program, config) = match (delegate::find(&name, configured.as_deref(), path.as_deref()), config) {
            // It may be named in the configuration that cannot be read.
            (Err(delegate::DelegateError::Unnamed(_)), Err(error)) => return Err(told(error.into())),
            (found, config) => (found.map_err(|error| told(error.into()))?, config),
        };
        if let Call::Create(create) = &call {
            let config = config.map_err(|error| told(error.into()))?;
            creation(&name, create, config, places)?;
        }
        let source = super::exec::replace(&program, &args);
        Err(told(delegate::DelegateError::Exec { path: program, source }.into()))
    }
}

/// What there is to do for a creation. `Err` is what the engine is told instead.
fn creation(name: &str, create: &Create, config: Config, places: Places) -> Result<(), String> {
    let started = Instant::now();
    let entry = setup::entry(&config, name).cloned();
    let grammar = setup::grammar(entry.as_ref(), name);
    let log = places.state_dir.join(LOG);
    let line = Line::event("Create").with("as", name).with("id", &create.id);
    let on_failure = config.policy.interposed(entry.as_ref().and_then(|entry| entry.profile.as_deref()), None);
    let Some(on_failure) = on_failure.map(|profile| profile.on_failure) else { return Ok(()) };
    // By its full path, for the sentence that may have to be said.
    let dir = std::path::absolute(&create.bundle).unwrap_or_else(|_| create.bundle.clone());
    let result = Bundle::open(&dir).map_err(Failure::from).and_then(|bundle| {
        // The delegate says best what it makes of a bundle without a specification.
        let Some(bundle) = bundle else { return Ok(None) };
        let spec = bundle.scan()?;
        let node = Node::open(config, places)?;
        let asked = Asked { node: &node, grammar, entry: entry.as_ref(), create };
        if let Some(keeper) = &node.keeper {
            for line in occasion::settle(keeper, &node.sight, asked.own_pin().as_ref()) {
                note(&log, log::Level::Info, &line);
            }
        }
        asked.act(&bundle, &spec).map(Some)
    });
    conclude(result, on_failure, line, started, &log)
}

/// Logs what came of it, and lets the failure policy speak.
fn conclude(
    result: Result<Option<Verdict>, Failure>,
    policy: OnFailure,
    line: Line,
    started: Instant,
    log: &Path,
) -> Result<(), String> {
    let (level, line, answer) = match result {
        Ok(None) => return Ok(()),
        Ok(Some(verdict)) => (log::Level::Info, said(line, &verdict), Ok(())),
        Err(failure) => {
            let cause = chain(&failure);
            let ignored = policy == OnFailure::Ignore && failure.can_be_ignored();
            let line = line.with("verdict", if ignored { "leave" } else { "refuse" }).with("reason", "failed");
            let answer = match (ignored, failure.can_be_ignored()) {
                (true, _) => Ok(()),
                (false, true) => Err(format!(
                    "{cause} (the profile says onFailure: Fail; repair the cause, or Ignore to run such containers unadjusted)"
                )),
                (false, false) => Err(cause.clone()),
            };
            (log::Level::Error, line.with("error", cause), answer)
        }
    };
    note(log, level, &line.with("us", started.elapsed().as_micros()));
    answer
}

/// A line in the interposers' log. Nobody is there to be told that it cannot be written, and no container depends on it.
fn note(log: &Path, level: log::Level, line: &Line) {
    logging::append(log, level, line).unwrap_or_default();
}

fn said(line: Line, verdict: &Verdict) -> Line {
    let (word, reason) = words(verdict);
    let line = line.with("verdict", word).with("reason", reason);
    let Verdict::Adjust(plan) = verdict else { return line };
    let listed =
        |line: Line, key, names: &[String]| if names.is_empty() { line } else { line.with(key, names.join(",")) };
    let line = listed(line, "contradictions", &plan.contradictions);
    let line = listed(line, "dropped", &plan.dropped);
    if plan.stray { line.with("stray", true) } else { line }
}
