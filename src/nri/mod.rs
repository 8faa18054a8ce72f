//! A stub for plugins of the Node Resource Interface.
//!
//! Owns the connection to the container runtime: the trunk ([`mux`]), registration, the session
//! and its end, reconnection ([`run`]). Promises that the events reach a [`Plugin`] in the order
//! the runtime sends them, whatever generation of NRI it speaks; that every answer is in time or
//! says that it is not; that what a handler began is not dropped half way. Knows nothing of what a
//! plugin is for, and keeps nothing on disk.
//!
//! Sources of the behaviour relied on: containerd/nri `pkg/adaptation` (the runtime's side) and
//! `pkg/net/multiplex`, containerd/ttrpc, and ttrpc 0.10 on our side.

pub mod api;
mod backoff;
mod dispatch;
mod error;
mod events;
mod handle;
mod identity;
mod level;
pub mod mux;
mod pace;
mod plugin;
mod session;
mod stub;
mod work;

pub use dispatch::{BUDGET_PERCENT, DEFAULT_REQUEST_TIMEOUT};
pub use error::NriError;
pub use events::{Event, EventMask};
pub use handle::{NRI_VERSION, RuntimeHandle};
pub use identity::{DEFAULT_SOCKET, Endpoint, Identity, IdentityError, Launch};
pub use level::{Capabilities, Level};
pub use plugin::{Answer, Plugin, Refusal, RefusalCode, Runtime, SessionState, Unread};
pub use stub::{Options, SyncLimit, run};
