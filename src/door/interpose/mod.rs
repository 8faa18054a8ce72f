//! The interposer: berth under another name, run in front of a containerd shim or an OCI runtime.
//!
//! It reads the command line as far as needed (`argv`); where a container is about to be created it edits the
//! bundle's `config.json` by what [`crate::decide`] says of facts whose source an author cannot reach (`trust`); then
//! it becomes the program it stands for, under the same pid. Everything else it becomes at once.
//!
//! Synchronous and silent: no thread but that of [`crate::netns::Netns::create`], no async runtime, nothing on standard output or error unless the creation fails,
//! standard input untouched. What it did is one line in `interpose.log` in the state directory.

mod act;
pub mod argv;
mod creation;
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

pub use creation::COUNTS;
pub use delegate::{Candidate, DelegateError, search};
pub use explain::{Explained, Question, explain};
pub use name::{Grammar, grammar, wrapped};
pub use report::Failure;
pub use setup::Places;

use crate::config::{Config, ConfigError};
use crate::exit::{Exit, chain};
use argv::Call;
use std::ffi::OsString;

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
        let places = Places::from_env();
        // Most of an engine's commands create nothing; then only an entry for the name could change anything.
        let passes = argv::read(name::grammar(name, None), argv.get(1..).unwrap_or_default()) == Call::Pass;
        let config = if passes && !places.mention(name) { Ok(Config::built_in()) } else { places.load() };
        Some(Self::new(name, argv, places, config))
    }

    /// The interposer that `argv` makes of berth, by a name that the configuration knows. With a configuration that
    /// cannot be read, every name but berth's own is taken for one: a container must not be started as if berth were not
    /// there.
    #[must_use]
    pub fn by_config(argv: &[OsString]) -> Option<Self> {
        let name = argv.first().and_then(|argv0| name::of(argv0))?;
        let places = Places::from_env();
        let config = places.load();
        let known = config.as_ref().map_or(true, |config| setup::entry(config, name).is_some());
        known.then(|| Self::new(name, argv, places, config))
    }

    fn new(name: &str, argv: &[OsString], places: Places, config: Result<Config, ConfigError>) -> Self {
        Self { name: name.to_owned(), args: argv.get(1..).unwrap_or_default().to_vec(), places, config }
    }

    /// Does what there is to do and becomes the delegate. Returns only if that failed; the engine has been told then.
    #[must_use]
    pub fn run(self) -> Exit {
        let entry = self.config.as_ref().ok().and_then(|config| setup::entry(config, &self.name));
        let mut call = argv::read(setup::grammar(entry, &self.name), &self.args);
        let log = match &mut call {
            Call::Create(create) => {
                create.engine = create.engine.or_else(setup::marked);
                create.log.clone()
            }
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
            creation::prepare(&name, create, &config, places)?;
        }
        let source = super::exec::replace(&program, &args);
        Err(told(delegate::DelegateError::Exec { path: program, source }.into()))
    }
}
