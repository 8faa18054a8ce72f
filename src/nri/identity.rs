//! Who the plugin is and where it meets the runtime. Pure: nothing is opened here.

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// Where runtimes listen by default (containerd/nri `pkg/api/plugin.go`).
pub const DEFAULT_SOCKET: &str = "/var/run/nri/nri.sock";

/// The plugin's index and name, valid for every NRI version.
///
/// Holds: the index is two ASCII digits; the name is not empty and made of `a-z A-Z 0-9 _ . + -`,
/// which NRI insists on since 0.12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    index: String,
    name: String,
}

/// Why an index or name cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The index has another form.
    #[error("plugin index {index:?}: must be two digits, like \"10\"")]
    Index {
        /// What was given.
        index: String,
    },
    /// The name is empty or has a character NRI refuses.
    #[error("plugin name {name:?}: must be letters, digits and _ . + - only, at least one")]
    Name {
        /// What was given.
        name: String,
    },
    /// Some of the variables that tell a launched plugin who it is are missing or no text.
    #[error("environment of a launched plugin: {variable} is not set, though another of its variables is")]
    Incomplete {
        /// The variable that is missing.
        variable: &'static str,
    },
    /// The socket variable holds no descriptor number.
    #[error("environment of a launched plugin: {SOCKET_VARIABLE}={value:?} is no descriptor number")]
    Socket {
        /// What it holds.
        value: String,
    },
}

impl Identity {
    /// Checks index and name.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Index`] or [`IdentityError::Name`] if NRI would refuse one.
    pub fn new(index: &str, name: &str) -> Result<Self, IdentityError> {
        if index.len() != 2 || !index.bytes().all(|byte| byte.is_ascii_digit()) {
            let index = index.to_owned();
            return Err(IdentityError::Index { index });
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) {
            let name = name.to_owned();
            return Err(IdentityError::Name { name });
        }
        Ok(Self { index: index.to_owned(), name: name.to_owned() })
    }

    /// The two digits that order plugins.
    #[must_use]
    pub fn index(&self) -> &str {
        &self.index
    }

    /// The name without the index.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `NN-name`, as runtimes log it and as the owners of adjustments are called.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.index, self.name)
    }
}

const NAME_VARIABLE: &str = "NRI_PLUGIN_NAME";
const INDEX_VARIABLE: &str = "NRI_PLUGIN_IDX";
const SOCKET_VARIABLE: &str = "NRI_PLUGIN_SOCKET";

/// What a runtime tells a plugin that it started itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Taken from the plugin's file name by the runtime.
    pub identity: Identity,
    /// The number of the inherited descriptor, 3 in practice. Not opened and not checked: turning a
    /// number into an owned descriptor is up to whoever may vouch for it.
    pub socket: RawFd,
}

impl Launch {
    /// Reads the three variables through `lookup`. `None` if none of them is set: the plugin was
    /// not started by a runtime.
    ///
    /// # Errors
    ///
    /// Any [`IdentityError`]; a half-set environment is an error, not a plugin on its own.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, IdentityError> {
        let variables = [NAME_VARIABLE, INDEX_VARIABLE, SOCKET_VARIABLE];
        if variables.iter().all(|variable| lookup(variable).is_none()) {
            return Ok(None);
        }
        let need = |variable| lookup(variable).ok_or(IdentityError::Incomplete { variable });
        let identity = Identity::new(&need(INDEX_VARIABLE)?, &need(NAME_VARIABLE)?)?;
        let value = need(SOCKET_VARIABLE)?;
        match value.parse() {
            Ok(socket) if socket >= 0 => Ok(Some(Self { identity, socket })),
            _ => Err(IdentityError::Socket { value }),
        }
    }
}

/// Where the runtime is met.
#[derive(Debug)]
pub enum Endpoint {
    /// The runtime listens here. Reconnected for ever.
    Path(PathBuf),
    /// The runtime started the plugin and gave it this socket. Never reconnected.
    Inherited(std::os::unix::net::UnixStream),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(set: &[(&str, &str)]) -> Result<Option<Launch>, IdentityError> {
        Launch::from_env(|name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn only_what_every_nri_accepts_is_an_identity() {
        for (index, name) in [("00", "a"), ("99", "A-z_0.9+x")] {
            assert_eq!(Identity::new(index, name).unwrap().to_string(), format!("{index}-{name}"));
        }
        for index in ["", "1", "100", "1a", "-1", "١٢"] {
            assert!(matches!(Identity::new(index, "x"), Err(IdentityError::Index { .. })));
        }
        for name in ["", "a b", "a/b", "ä", "a\n"] {
            assert!(matches!(Identity::new("10", name), Err(IdentityError::Name { .. })));
        }
    }

    #[test]
    fn a_launched_plugin_reads_who_it_is_from_the_environment() {
        let all = [("NRI_PLUGIN_NAME", "x"), ("NRI_PLUGIN_IDX", "07"), ("NRI_PLUGIN_SOCKET", "3")];
        let found = launch(&all).unwrap().unwrap();
        assert_eq!((found.identity.to_string().as_str(), found.socket), ("07-x", 3));
        assert_eq!(launch(&[]), Ok(None));
        for missing in 0..3 {
            let some: Vec<_> = (0..3).filter(|i| *i != missing).map(|i| all[i]).collect();
            assert!(matches!(launch(&some), Err(IdentityError::Incomplete { .. })));
        }
        for socket in ["", "x", "-1", "3 "] {
            let found = launch(&[all[0], all[1], ("NRI_PLUGIN_SOCKET", socket)]);
            assert!(matches!(found, Err(IdentityError::Socket { .. })), "{socket:?}");
        }
    }
}
