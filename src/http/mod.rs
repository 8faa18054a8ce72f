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

use crate::finding::{self, Finding, Grade};
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

    /// Ready unless something fails; each finding on a line.
    #[must_use]
    pub fn readiness(findings: &[Finding]) -> Self {
        let fails = findings.iter().any(|finding| finding.grade == Grade::Fail);
        Self::text(if fails { 503 } else { 200 }, finding::lines(findings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_unless_a_finding_fails() {
        let warned = [Finding::pass("a", "is so"), Finding::warn("b", "is not", "do"), Finding::skip("c", "unseen")];
        let page = Page::readiness(&warned);
        assert_eq!((page.status, page.body), (200, finding::lines(&warned)));
        assert_eq!(Page::readiness(&[Finding::fail("d", "is not", "do")]).status, 503);
    }
}
