//! The store against the real kernel, in namespaces of each test's own.

mod adopt;
mod child;
mod crash;
mod directory;
mod race;
mod release;
mod share;
