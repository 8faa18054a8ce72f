//! Where things are and what is configured, for a process that has no command line of its own.

use super::name;
use crate::apply::{ApplyError, Keeper, Sight};
use crate::config::{self, Config, ConfigError, DEFAULT_PATH, Interposer, PUBLISHED};
use crate::decide::policy::{Policy, Profile};
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
    /// The file is broken, and no good one was published.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let published = self.state_dir.join(PUBLISHED);
        match Config::load(self.config.as_deref()) {
            Ok(config) if config.is_from_file() => Ok(config),
            Ok(default) => Ok(Config::load(Some(&published)).unwrap_or(default)),
            Err(error) => Config::load(Some(&published)).map_err(|_| error),
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

/// The node as this process finds it.
#[derive(Debug)]
pub(super) struct Node {
    /// The configuration.
    pub config: Config,
    /// Where things are.
    pub places: Places,
    /// What can be seen from here.
    pub sight: Sight,
    /// Pins and records; `None` where there are none yet and none are to be made.
    pub keeper: Option<Keeper>,
}

impl Node {
    /// The node with its directories, made if absent.
    ///
    /// # Errors
    /// [`Keeper::open`].
    pub(super) fn open(config: Config, places: Places) -> Result<Self, ApplyError> {
        let keeper = Keeper::open(&places.state_dir, &places.netns_dir)?;
        Ok(Self { sight: Sight::here(config.host_proc.as_deref()), keeper: Some(keeper), config, places })
    }

    /// The node as it is; nothing is made.
    ///
    /// # Errors
    /// [`Keeper::open_existing`].
    pub(super) fn look(config: Config, places: Places) -> Result<Self, ApplyError> {
        let keeper = Keeper::open_existing(&places.state_dir, &places.netns_dir)?;
        Ok(Self { sight: Sight::here(config.host_proc.as_deref()), keeper, config, places })
    }
}

/// What the configuration says of the interposer `name`; nothing if it has no entry.
#[must_use]
pub(super) fn entry<'a>(config: &'a Config, name: &str) -> Option<&'a Interposer> {
    config.interposers.get(name)
}

/// The profile for pods of `namespace`; where that is not known, the one that says what happens on failure.
#[must_use]
pub(super) fn profile<'a>(
    policy: &'a Policy,
    entry: Option<&Interposer>,
    namespace: Option<&str>,
) -> Option<&'a Profile> {
    let named = entry.and_then(|entry| entry.profile.as_deref());
    policy.interposed(named, entry.and_then(|entry| entry.handler.as_deref()), namespace)
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
