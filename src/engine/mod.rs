//! The container engine of a node, as its operator has set it up: which one it is, where its files are, what it has made
//! of its configuration.
//!
//! Owns nothing and changes nothing: it reads files below a root directory and runs the engine's own programs there, each
//! within a time limit. Knows nothing of berth but the engines' words.
//!
//! ```text
//! Host        the node's file system, seen from here: read, list, run
//! Engine      one engine: program, configuration, socket, unit, process
//! Effective   what the engine's own parser makes of its configuration: handlers, NRI
//! edit        what berth would write into that configuration, and take out of it
//! ```
//!
//! What holds is asked of the engine (`containerd config dump`, `crio status config`), because how files are merged is
//! different in each of its versions.

pub mod edit;
mod effective;
mod error;
mod find;
mod host;
mod process;
mod run;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod version;

pub use effective::{Candidate, Effective, Handler, Nri, Source, Validator};
pub use error::{EngineError, RunError};
pub use find::{Choice, Engine};
pub use host::Host;
pub use process::{Flags, Process, processes};
pub use run::Said;
pub use table::{Distribution, Kind};
pub use version::{Version, ignores_runtime_path};
