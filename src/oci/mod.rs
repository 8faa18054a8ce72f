//! Bundles: reading a `config.json` and changing the little of it that is berth's.
//!
//! The file is never written back through a model of it. [`scan()`] finds the spans of the few values that matter and
//! [`edit()`] splices new ones in, so everything else stays byte for byte: fields nobody here knows, the order of keys,
//! white space, numbers of any size. Both are pure; [`Bundle`] reads and replaces the file.
//!
//! Knows nothing of pods, pins or policy.

mod bundle;
pub mod edit;
pub mod scan;
#[cfg(test)]
mod tests;

pub use bundle::{Bundle, BundleError, CONFIG, MAX_CONFIG};
pub use edit::{Changes, EditError, edit};
pub use scan::{NetworkEntry, Scan, ScanError, scan};
