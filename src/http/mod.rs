//! A small listener for HTTP/1: pages that are read, and nothing else.
//!
//! Made to stand beside work that must not be disturbed, on the same thread: few connections at once, small heads, no
//! bodies, one request per connection, a time limit on everything. What pages there are is a [`Site`]'s to know.

mod ask;
mod bind;
mod serve;

pub use ask::{AskError, Reply, ask};
pub use bind::{BindError, Listener};
pub use serve::{Limits, serve};

use async_trait::async_trait;
use std::fmt;

/// What there is to read.
#[async_trait]
pub trait Site: Send + Sync + 'static {
    /// The page at `path`; `None`: there is none. `accepts` is what the client says that it reads, empty if it does not.
    /// Runs on the thread of the listener: what takes long goes elsewhere.
    async fn page(&self, path: &str, accepts: &str) -> Option<Page>;
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// 200 or 503, mostly.
    pub status: u16,
    /// Its media type.
    pub media: &'static str,
    /// Its text.
    pub body: String,
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

impl Page {
    /// A page of plain text.
    #[must_use]
    pub fn text(status: u16, body: impl fmt::Display) -> Self {
        Self { status, media: TEXT, body: body.to_string() }
    }
}
