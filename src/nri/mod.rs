//! The NRI plugin stub.
pub mod api;
pub mod events;
pub mod level;
pub mod mux;
