//! The pure parts, by tables.

mod argv;
mod forged;
mod name;
mod podman;
mod trust;
