//! What can go wrong between plugin and runtime.
//!
//! `Display` is one line without its cause; [`std::error::Error::source`] has the cause.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::mux::MuxError;

const ENABLE_NRI: &str = "enable NRI in the engine's configuration \
    (containerd: [plugins.'io.containerd.nri.v1.nri'] disable = false; CRI-O: [crio.nri] enable_nri = true)";

/// Why there is no session with the runtime, or no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NriError {
    /// Nothing is at the path of the socket.
    #[error("connect to NRI socket {path:?}: no such file; {ENABLE_NRI}, or correct the path")]
    Absent {
        /// The configured path.
        path: PathBuf,
    },
    /// Something else is at the path of the socket.
    #[error("connect to NRI socket {path:?}: not a socket; correct the path")]
    NotASocket {
        /// The configured path.
        path: PathBuf,
    },
    /// The socket is there, but nobody listens: it is left over from a runtime that is gone.
    #[error("connect to NRI socket {path:?}: refused; is the engine running? if so, {ENABLE_NRI}")]
    Refused {
        /// The configured path.
        path: PathBuf,
    },
    /// The system does not let us connect.
    #[error("connect to NRI socket {path:?}: permission denied; the plugin must run as root")]
    Denied {
        /// The configured path.
        path: PathBuf,
    },
    /// Connecting failed for another reason.
    #[error("connect to NRI socket {path:?}")]
    Connect {
        /// The configured path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The listener's queue did not move.
    #[error("connect to NRI socket {path:?}: not accepted within {limit:?}")]
    ConnectTimeout {
        /// The configured path.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// The descriptor the runtime passed on cannot be used.
    #[error("use the inherited NRI socket")]
    Inherited {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The byte stream broke.
    #[error("NRI session")]
    Trunk {
        /// How it broke.
        #[source]
        source: MuxError,
    },
    /// The plugin service could not be started.
    #[error("serve the NRI plugin service")]
    Serve {
        /// What the RPC library said.
        #[source]
        source: ttrpc::Error,
    },
    /// The runtime refused the registration.
    #[error("register NRI plugin {plugin}")]
    Register {
        /// `NN-name`.
        plugin: String,
        /// What the runtime answered.
        #[source]
        source: ttrpc::Error,
    },
    /// The runtime took the connection and stayed silent.
    #[error("register NRI plugin {plugin}: no answer within {limit:?}; another plugin may be blocking the engine")]
    RegisterTimeout {
        /// `NN-name`.
        plugin: String,
        /// How long was waited.
        limit: Duration,
    },
    /// Registered, and then nothing.
    #[error("NRI session: not configured within {limit:?} after registration")]
    NotConfigured {
        /// How long was waited.
        limit: Duration,
    },
    /// Configured, and then nothing. Runtimes with NRI up to 0.11 drop a plugin this way without
    /// closing the connection.
    #[error("NRI session: not synchronized within {limit:?} after Configure; see the engine's log")]
    NotSynchronized {
        /// How long was waited.
        limit: Duration,
    },
    /// The runtime closed the connection before the plugin was in use.
    #[error("NRI session: the engine hung up before {awaited}; see the engine's log")]
    HungUpEarly {
        /// What should have come next.
        awaited: &'static str,
    },
    /// The plugin's own answer made the session useless.
    #[error("NRI session: {step} answered with an error: {reason}")]
    Unusable {
        /// The request that was answered.
        step: &'static str,
        /// The answer.
        reason: String,
    },
    /// Containers could not be updated on the plugin's initiative.
    #[error("update {containers} containers")]
    Update {
        /// How many updates and evictions were asked for.
        containers: usize,
        /// What the runtime answered.
        #[source]
        source: ttrpc::Error,
    },
    /// The runtime did not answer an update.
    #[error("update {containers} containers: no answer within {limit:?}")]
    UpdateTimeout {
        /// How many updates and evictions were asked for.
        containers: usize,
        /// How long was waited.
        limit: Duration,
    },
}

impl NriError {
    /// Whether both have the same cause as far as an operator is concerned.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let kind = |error: &Self| match error {
            Self::Connect { source, .. } => Some(source.kind()),
            _ => None,
        };
        std::mem::discriminant(self) == std::mem::discriminant(other) && kind(self) == kind(other)
    }
}

/// The error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
