//! The tasks that run the plugin's handlers.
//!
//! ttrpc drops a handler's future at the request's deadline and when the connection goes away
//! (`asynchronous/server.rs` of ttrpc 0.10); what changes the node's state must not stop half way.
//! So a handler that has to wait runs here, and what ttrpc drops only waits for it. Promises: every task is joined
//! or, past the limit of [`Work::drain`], aborted and counted; a panic is an answer.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures::{FutureExt, poll};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::plugin::{Answer, Refusal, RefusalCode};

/// How far a handler came.
pub(crate) enum Started<T> {
    /// It had nothing to wait for.
    Ended(Answer<T>),
    /// It goes on, whatever becomes of this.
    Waits(oneshot::Receiver<Answer<T>>),
}

/// Handlers in progress at once. The runtime sends one event at a time, so there are more than a
/// few only if the plugin hangs and the runtime goes on without it.
pub(crate) const MAX_TASKS: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Work(Mutex<JoinSet<()>>);

impl Work {
    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a handler. Never waits itself: what is dropped here has not begun or has ended.
    ///
    /// Nearly all have nothing to wait for, and are spared a task, and the two timers of who would wait for it: one that is
    /// due before all others costs a write(2) to the event loop's own descriptor.
    ///
    /// # Errors
    ///
    /// A refusal if [`MAX_TASKS`] handlers have not come to an end.
    pub(crate) async fn start<T: Send + 'static>(
        &self,
        what: &'static str,
        handler: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<Started<T>> {
        self.has_room(what)?;
        let mut handler = Box::pin(
            AssertUnwindSafe(handler)
                .catch_unwind()
                .map(move |ended| ended.unwrap_or_else(|panic| Err(panicked(what, panic.as_ref())))),
        );
        if let Poll::Ready(answer) = poll!(&mut handler) {
            return Ok(Started::Ended(answer));
        }
        let (answer, receiver) = oneshot::channel();
        self.lock().spawn(async move {
            if let Err(late) = answer.send(handler.await) {
                let outcome = late.err().map_or_else(|| "ok".to_owned(), |e| e.to_string());
                log::warn!("nri event={what} answer=lost outcome={outcome:?}: it came too late");
            }
        });
        Ok(Started::Waits(receiver))
    }

    fn has_room(&self, what: &'static str) -> Answer<()> {
        let mut tasks = self.lock();
        while let Some(joined) = tasks.try_join_next() {
            log_join(joined);
        }
        if tasks.len() >= MAX_TASKS {
            let message = format!("{what}: {MAX_TASKS} earlier events are still being handled");
            return Err(Refusal::new(RefusalCode::ResourceExhausted, message));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn a_handler_that_waits_for_nothing_costs_no_task() {
        let work = Work::default();
        let started = work.start("Ask", async { Ok(7) }).await.expect("room");
        assert!(matches!(started, Started::Ended(Ok(7))));
        assert_eq!(work.lock().len(), 0);
    }

    #[tokio::test]
    async fn one_that_waits_goes_on_when_nobody_waits_for_it_any_more() {
        let (work, go, done) = (Work::default(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (wait, say) = (Arc::clone(&go), Arc::clone(&done));
        let handler = async move {
            wait.notified().await;
            say.notify_one();
            Ok(())
        };
        let started = work.start("Ask", handler).await.expect("room");
        assert!(matches!(started, Started::Waits(_)));
        drop(started);
        go.notify_one();
        done.notified().await;
        work.drain(Duration::from_secs(9)).await;
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_at_once_and_later() {
        let work = Work::default();
        let Ok(Started::Ended(Err(at_once))) = work.start("Ask", async { panic!("as asked") as Answer<()> }).await
        else {
            panic!("no refusal");
        };
        let later = async {
            tokio::task::yield_now().await;
            panic!("as asked") as Answer<()>
        };
        let Ok(Started::Waits(later)) = work.start("Ask", later).await else { panic!("it has not waited") };
        for refusal in [at_once, later.await.expect("an answer").expect_err("a refusal")] {
            assert_eq!(
                (refusal.code(), refusal.message()),
                (RefusalCode::Internal, "Ask: the plugin panicked: as asked")
            );
        }
    }
}
