//! Which configuration holds: the daemon's own, or, for one session, the one that the runtime has handed over.

use super::{NriDoor, locked};
use crate::config::Config;
use crate::exit::chain;
use crate::logging::Line;
use crate::metrics::table::CONFIG_HASH;
use crate::nri::{Answer, Refusal, RefusalCode};
use std::sync::Arc;

/// What a configuration handed over by the runtime is called.
const HANDED_OVER: &str = "handed over by the runtime";

/// Both of them. Each is whole and never changes; what changes is which one is asked, under one lock.
#[derive(Debug)]
pub(super) struct Configured {
    /// What the daemon has read.
    own: Arc<Config>,
    /// What came with the session's handshake.
    handed: Option<Arc<Config>>,
}

impl Configured {
    pub(super) fn new(own: Config) -> Self {
        Self { own: Arc::new(own), handed: None }
    }

    /// The one that holds.
    pub(super) fn in_force(&self) -> Arc<Config> {
        Arc::clone(self.handed.as_ref().unwrap_or(&self.own))
    }
}

impl NriDoor {
    /// The configuration that the daemon has read last and found good.
    #[must_use]
    pub fn own_config(&self) -> Arc<Config> {
        Arc::clone(&locked(&self.configured).own)
    }

    /// The configuration that holds. An event is answered by the one that held when it came.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        locked(&self.configured).in_force()
    }

    /// Whether what the runtime has handed over holds in its place, until the next handshake.
    #[must_use]
    pub fn is_overruled(&self) -> bool {
        locked(&self.configured).handed.is_some()
    }

    /// Puts `config` in the place of the daemon's own, for every event from now on, and publishes what holds then.
    pub fn reconfigure(&self, config: Config) {
        locked(&self.configured).own = Arc::new(config);
        self.publish_config();
    }

    /// The runtime hands a plugin that it has launched the file in its NRI configuration directory; to one that has
    /// connected it hands nothing.
    pub(super) fn take_config(&self, text: &str) -> Answer<()> {
        let handed =
            match text.trim().is_empty() {
                true => None,
                false => Some(Arc::new(Config::parse(text, HANDED_OVER).map_err(|error| {
                    Refusal::new(RefusalCode::InvalidArgument, format!("berth: {}", chain(&error)))
                })?)),
            };
        let before = std::mem::replace(&mut locked(&self.configured).handed, handed.clone());
        if before != handed {
            self.publish_config();
        }
        Ok(())
    }

    /// Leaves the configuration that holds now for interposers, and tells of it.
    pub fn publish_config(&self) {
        let config = self.config();
        CONFIG_HASH.set(&[], config.hash >> 16);
        self.occasions.configured(&config);
        if let Err(error) = config.publish(self.keeper.ledger.dir()) {
            log::warn!("{}", Line::message("interposers will not see this configuration").with("error", chain(&error)));
        }
    }
}
