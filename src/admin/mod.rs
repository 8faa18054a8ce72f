//! The commands of an operator, apart from the daemon: what there is, looking into it, and clearing up. Each takes its part
//! of the command line, writes data to `out`, and returns how the process ends or remarks for the caller to print, or an
//! error where it did not succeed. That nobody reads `out` any more is the caller's business too.

mod check;
mod completion;
mod config;
mod exec;
mod explain;
mod find;
mod gc;
mod inspect;
mod install;
mod list;
mod man;
mod output;
mod proof;
mod survey;

pub use check::check;
pub use completion::completion;
pub use config::config;
pub use exec::{ExecError, exec};
pub use explain::explain;
pub use gc::gc;
pub use inspect::inspect;
pub use install::{install, uninstall};
pub use list::list;
pub use man::man;

use crate::apply::ApplyError;

/// What is worth saying beside the data, one line each.
pub type Remarks = Vec<String>;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Pins or records.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The host, or its engine.
    #[error(transparent)]
    Engine(#[from] crate::engine::EngineError),
    /// A bundle that cannot be explained.
    #[error(transparent)]
    Explain(#[from] crate::door::interpose::Failure),
    /// An install or uninstall that was not carried out.
    #[error(transparent)]
    Install(#[from] crate::install::InstallError),
    /// Not all of it was carried out, which is no mistake of anybody's.
    #[error("{0}")]
    Left(String),
    /// A file that is to be written.
    #[error(transparent)]
    File(#[from] crate::fsutil::FileError),
    /// Some pins could not be settled; each is named.
    #[error("{}", .0.join("\n"))]
    Unsettled(Vec<String>),
    /// Nothing here is called that.
    #[error(
        "no pin on this node is {query:?}: neither its pod (name or namespace/name) nor the beginning of its sandbox's id nor \
         its own name; `berth list` shows what there is. Pods that no profile selects and those on the node's network have \
         no pin"
    )]
    Unknown {
        /// What was looked for.
        query: String,
    },
    /// Several are called that.
    #[error("{query:?} can mean several pins; name one by more of its sandbox id:\n{candidates}")]
    Ambiguous {
        /// What was looked for.
        query: String,
        /// Those it can mean, one a line.
        candidates: String,
    },
    /// A command could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Standard output cannot be written.
    #[error("write the output")]
    Output(#[from] std::io::Error),
    /// The output cannot be encoded.
    #[error("encode the output")]
    Encode(#[source] serde_json::Error),
    /// The output cannot be encoded.
    #[error("encode the output")]
    EncodeYaml(#[from] serde_yaml::Error),
}
