//! The store against the real kernel, in namespaces of each test's own.

mod adopt;
mod crash;
mod directory;
mod race;
mod release;
mod share;
