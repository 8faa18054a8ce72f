//! The runtime's configuration, as Kata has one.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::report::{Result, Told};

const CONFIG: &str = "/run/vmlike/config.json";

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) qemu: PathBuf,
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// How many seconds a guest takes to die.
    pub(crate) linger: u32,
    /// Where the process is whose pid a sandbox has.
    pub(crate) pause: Pause,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pause {
    /// In the pod's network namespace.
    Inside,
    /// In the node's, as where a runtime reports its shim.
    Outside,
}

impl Config {
    pub(crate) fn load() -> Result<Self> {
        let text = fs::read_to_string(CONFIG).told(CONFIG)?;
        serde_json::from_str(&text).told(CONFIG)
    }
}
