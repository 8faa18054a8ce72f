//! The listener of health and metrics: off unless a flag or the configuration in force says where.

use crate::address::Address;
use crate::http::{self, BindError, Limits, Listener, Site};
use crate::logging::Line;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What listens, if anything does.
pub(super) struct Listening {
    /// From the command line; it wins.
    flag: Option<Address>,
    site: Arc<dyn Site>,
    /// The address as it was asked for.
    bound: Option<(Address, JoinHandle<()>)>,
}

impl Listening {
    pub(super) fn new(flag: Option<Address>, site: Arc<dyn Site>) -> Self {
        Self { flag, site, bound: None }
    }

    /// Listens where the flag says, else at `configured`; what listened elsewhere ends. Nothing changes if that is so
    /// already.
    ///
    /// # Errors
    /// The address cannot be had; nothing listens then.
    pub(super) async fn follow(&mut self, configured: Option<&Address>) -> Result<(), BindError> {
        let wanted = self.flag.as_ref().or(configured).cloned();
        if wanted.as_ref() == self.bound.as_ref().map(|(address, _)| address) {
            return Ok(());
        }
        self.end().await;
        let Some(address) = wanted else { return Ok(()) };
        let listener = Listener::bind(&address)?;
        let line = Line::message("health and metrics").with("listen", listener.address());
        match address.is_local() {
            true => log::info!("{line}"),
            false => log::info!("{}", line.with("note", "whoever reaches this address can read them")),
        }
        let task = tokio::spawn(http::serve(listener, Arc::clone(&self.site), Limits::default()));
        self.bound = Some((address, task));
        Ok(())
    }

    /// As [`Self::follow`], but where the address cannot be had, what listened before goes on. (Not at the same time: one
    /// of the two may be the other with another host.)
    ///
    /// # Errors
    /// The address cannot be had. If not even the one before can, nothing listens.
    pub(super) async fn move_to(&mut self, configured: Option<&Address>) -> Result<(), BindError> {
        let before = self.bound.as_ref().map(|(address, _)| address.clone());
        let moved = self.follow(configured).await;
        if moved.is_err() {
            self.follow(before.as_ref()).await?;
        }
        moved
    }

    /// Ends what listens; a socket file is gone then.
    pub(super) async fn end(&mut self) {
        if let Some((_, task)) = self.bound.take() {
            task.abort();
            // It was told to end; that it was cancelled is no news.
            task.await.unwrap_or_default();
        }
    }
}
