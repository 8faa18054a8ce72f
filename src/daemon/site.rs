//! The pages: is it alive, is it ready, what has it counted.

use super::exposition::{self, Format};
use super::pulse::{LATE, Pulse};
use crate::apply::Keeper;
use crate::door::nri::NriDoor;
use crate::finding::Finding;
use crate::http::{Page, Site};
use async_trait::async_trait;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// What the pages are about. There is no door while the daemon is passive.
pub(super) struct Pages {
    /// Where the runtime is met.
    endpoint: String,
    serving: OnceLock<(Arc<NriDoor>, Arc<Pulse>)>,
    /// One at a time is rendered, so that no number of clients takes the threads that may wait away from the pins.
    gauges: Arc<Mutex<exposition::Gauges>>,
}

impl Pages {
    pub(super) fn new(endpoint: String, keeper: Keeper) -> Self {
        let gauges = Arc::new(Mutex::new(exposition::Gauges::new(keeper)));
        Self { endpoint, serving: OnceLock::new(), gauges }
    }

    /// The daemon is this node's one from now on.
    pub(super) fn serve(&self, door: Arc<NriDoor>, pulse: Arc<Pulse>) {
        self.serving.set((door, pulse)).unwrap_or_default();
    }

    fn health(&self) -> Page {
        health(self.serving.get().map(|(_, pulse)| pulse.age()))
    }

    fn readiness(&self) -> Page {
        Page::readiness(&match self.serving.get() {
            Some((door, _)) => {
                let serving = Finding::pass(DAEMON, format!("pid {} serves this node", std::process::id()));
                [vec![serving], door.readiness().findings(&self.endpoint)].concat()
            }
            None => vec![passive()],
        })
    }

    /// Nothing of it is done on the event loop.
    async fn metrics(&self, format: Format) -> Page {
        let mut gauges = Arc::clone(&self.gauges).lock_owned().await;
        let config = self.serving.get().map(|(door, _)| door.config().hash);
        let rendered = tokio::task::spawn_blocking(move || {
            gauges.refresh(config);
            exposition::render(format, gauges.totals())
        });
        match rendered.await {
            Ok(Ok(body)) => Page { status: 200, media: format.media(), body },
            Ok(Err(error)) => Page::text(500, format_args!("{error}\n")),
            Err(error) => Page::text(500, format_args!("{error}\n")),
        }
    }
}

#[async_trait]
impl Site for Pages {
    async fn page(&self, path: &str, accepts: &str) -> Option<Page> {
        match path {
            "/healthz" => Some(self.health()),
            "/readyz" => Some(self.readiness()),
            "/metrics" => Some(self.metrics(Format::accepted(accepts)).await),
            _ => None,
        }
    }
}

/// The name of the finding about the process.
const DAEMON: &str = "daemon";

/// That this is answered shows that the event loop turns. `beat`: how long ago the warden was seen, if there is one.
fn health(beat: Option<Duration>) -> Page {
    match beat {
        Some(age) if age > LATE => {
            let text = "the task that watches over the pins hangs: no look has ended for";
            Page::text(503, format_args!("{text} {} s\n", age.as_secs()))
        }
        _ => Page::text(200, "ok\n"),
    }
}

fn passive() -> Finding {
    let hint = "that one's readiness counts for the node; end one of the two if this is not a handover";
    Finding::fail(DAEMON, "another berth daemon serves this node, and this one is passive until it ends", hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_alive_while_the_warden_is_seen_or_not_there_yet() {
        for age in [None, Some(Duration::ZERO), Some(LATE)] {
            assert_eq!(health(age), Page::text(200, "ok\n"));
        }
        let late = health(Some(LATE + Duration::from_secs(1)));
        assert_eq!(late.status, 503);
        assert!(late.body.contains("no look has ended for 181 s"), "{}", late.body);
    }
}
