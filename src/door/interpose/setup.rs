//! Where things are and what is configured, for a process that has no command line of its own.

use super::name;
use crate::apply::{ApplyError, Keeper, PROC, Sight};
use crate::config::{self, Config, ConfigError, DEFAULT_PATH, Interposer, PUBLISHED};
use crate::decide::policy::{OnFailure, Policy, Profile};
use crate::identity::Engine;
use crate::{ledger, netns};
use std::path::{Path, PathBuf};

/// Where things are, by the same variables as for the commands.
#[derive(Debug, Clone)]
pub struct Places {
    /// The configuration, if it is named.
    pub config: Option<PathBuf>,
    /// Records.
    pub state_dir: PathBuf,
    /// Pins.
    pub netns_dir: PathBuf,
}

impl Places {
    /// What the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            config: path("BERTH_CONFIG"),
            state_dir: path("BERTH_STATE_DIR").unwrap_or_else(|| ledger::DEFAULT_DIR.into()),
            netns_dir: path("BERTH_NETNS_DIR").unwrap_or_else(|| netns::DEFAULT_DIR.into()),
        }
    }

    /// The configuration that holds: the file's; where there is none, or it is broken, the one that the daemon last found
    /// good; where there is neither, the defaults.
    ///
    /// # Errors
    /// The file is broken and no good one was published, or there is no file and the published one is broken.
    pub fn load(&self) -> Result<Config, ConfigError> {
        match Config::load(self.config.as_deref()) {
            Ok(config) if config.is_from_file() => Ok(config),
            Ok(default) => Ok(self.published()?.unwrap_or(default)),
            Err(error) => self.published().ok().flatten().ok_or(error),
        }
    }

    /// What the daemon has left, if it has. In a directory that others can write nobody's word is taken for the daemon's;
    /// pinning there is refused with the reason.
    fn published(&self) -> Result<Option<Config>, ConfigError> {
        if ledger::check_owner(&self.state_dir).is_err() {
            return Ok(None);
        }
        match Config::load_published(&self.state_dir) {
            Ok(config) => Ok(Some(config)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether what [`Self::load`] would give could have an entry for `name`. Costs no parsing; what cannot be read has
    /// none.
    #[must_use]
    pub(super) fn mention(&self, name: &str) -> bool {
        let file = self.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        config::mentions(file, name) || config::mentions(&self.state_dir.join(PUBLISHED), name)
    }
}

/// The node as this process finds it: the engine has run it, so it is where the engine is.
#[derive(Debug)]
pub(super) struct Node {
    /// Where things are.
    pub places: Places,
    /// What can be seen from here.
    pub sight: Sight,
    /// Pins and records.
    pub keeper: Keeper,
}

impl Node {
    /// The node with its directories, made if absent.
    ///
    /// # Errors
    /// [`Keeper::open`].
    pub(super) fn open(places: Places) -> Result<Self, ApplyError> {
        let keeper = Keeper::open(&places.state_dir, &places.netns_dir)?;
        Ok(Self { sight: Sight::here(Path::new(PROC)), keeper, places })
    }

    /// The node as it is; nothing is made.
    ///
    /// # Errors
    /// [`Keeper::existing`].
    pub(super) fn look(places: Places) -> Result<Self, ApplyError> {
        let keeper = Keeper::existing(&places.state_dir, &places.netns_dir)?;
        Ok(Self { sight: Sight::here(Path::new(PROC)), keeper, places })
    }
}

/// What the configuration says of the interposer `name`; nothing if it has no entry.
#[must_use]
pub(super) fn entry<'a>(config: &'a Config, name: &str) -> Option<&'a Interposer> {
    config.interposers.get(name)
}

/// The profile for pods of `namespace`.
#[must_use]
pub(super) fn profile<'a>(policy: &'a Policy, entry: Option<&'a Interposer>, namespace: &str) -> Option<&'a Profile> {
    policy.interposed(profile_name(entry), handler(entry), namespace)
}

/// What is done on a failure before it is known whose the container is: it fails, unless no profile that it may fall under
/// wants that. `None`: it can fall under none.
#[must_use]
pub(super) fn strictest(policy: &Policy, entry: Option<&Interposer>) -> Option<OnFailure> {
    let mut candidates = policy.candidates(profile_name(entry), handler(entry)).map(|profile| profile.on_failure);
    let first = candidates.next()?;
    Some(candidates.fold(first, |one, other| if one == OnFailure::Fail { one } else { other }))
}

fn profile_name(entry: Option<&Interposer>) -> Option<&str> {
    entry?.profile.as_deref()
}

/// The runtime handler that the interposer stands for, where its entry says it.
#[must_use]
pub(super) fn handler(entry: Option<&Interposer>) -> Option<&str> {
    entry?.handler.as_deref()
}

/// The command line of the interposer `name`.
#[must_use]
pub(super) fn grammar(entry: Option<&Interposer>, name: &str) -> name::Grammar {
    name::grammar(name, entry.and_then(|entry| entry.delegate.as_deref()))
}

/// The engine whose mark is in the environment: CRI-O's, in that of the OCI runtimes that it runs.
#[must_use]
pub(super) fn marked() -> Option<Engine> {
    std::env::var_os("CRI_O_EXTERNAL").filter(|value| value == "1").map(|_| Engine::CriO)
}
