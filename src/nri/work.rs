//! The tasks that run the plugin's handlers.
//!
//! ttrpc drops a handler's future at the request's deadline and when the connection goes away
//! (`asynchronous/server.rs` of ttrpc 0.10); what changes the node's state must not stop half way.
//! So handlers run here, and what ttrpc drops only waits for them. Promises: every task is joined
//! or, past the limit of [`Work::drain`], aborted and counted; a panic is an answer.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::plugin::{Answer, Refusal, RefusalCode};

/// Handlers in progress at once. The runtime sends one event at a time, so there are more than a
/// few only if the plugin hangs and the runtime goes on without it.
pub(crate) const MAX_TASKS: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Work(Mutex<JoinSet<()>>);

impl Work {
    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a handler. The receiver may be dropped; the handler goes on.
    ///
    /// # Errors
    ///
    /// A refusal if [`MAX_TASKS`] handlers have not come to an end.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        what: &'static str,
        handler: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<oneshot::Receiver<Answer<T>>> {
        let mut tasks = self.lock();
        while let Some(joined) = tasks.try_join_next() {
            log_join(joined);
        }
        if tasks.len() >= MAX_TASKS {
            let message = format!("{what}: {MAX_TASKS} earlier events are still being handled");
            return Err(Refusal::new(RefusalCode::ResourceExhausted, message));
        }
        let (answer, receiver) = oneshot::channel();
        tasks.spawn(async move {
            let result = AssertUnwindSafe(handler).catch_unwind().await;
            let result = result.unwrap_or_else(|panic| Err(panicked(what, panic.as_ref())));
            if let Err(late) = answer.send(result) {
                let outcome = late.err().map_or_else(|| "ok".to_owned(), |e| e.to_string());
                log::warn!("nri event={what} answer=lost outcome={outcome:?}: it came too late");
            }
        });
        Ok(receiver)
    }

    /// Waits for the handlers in progress, then aborts those that are left.
    pub(crate) async fn drain(&self, limit: Duration) {
        let mut tasks = std::mem::take(&mut *self.lock());
        let all = async {
            while let Some(joined) = tasks.join_next().await {
                log_join(joined);
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            log::warn!("nri: {} handlers aborted after {limit:?}", tasks.len());
            tasks.shutdown().await;
        }
    }
}

/// A task of this set cannot panic in the handler; what is left is a bug around it.
fn log_join(joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        log::error!("nri: handler task: {error}");
    }
}

fn panicked(what: &str, panic: &(dyn Any + Send)) -> Refusal {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Refusal::new(RefusalCode::Internal, format!("{what}: the plugin panicked: {text}"))
}
