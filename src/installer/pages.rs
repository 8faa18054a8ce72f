//! The pages: that it lives, whether pods come through berth, and the plugin's metrics, which are read nowhere else.

use crate::exit::chain;
use crate::finding::Finding;
use crate::http::{Page, Site, ask};
use crate::install::Standing;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// How long a look is good for, whoever asks how often.
const FRESH: Duration = Duration::from_secs(2);

/// What the plugin may take for its metrics.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Prometheus' text format is called.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages are about. One looks at a time.
#[derive(Debug, Default)]
pub(super) struct Pages(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// None before the install has ended.
    standing: Option<Standing>,
    /// What cannot be seen on the host.
    said: Vec<Finding>,
    seen: Option<(Instant, Vec<Finding>)>,
}

impl State {
    fn findings(&mut self) -> Vec<Finding> {
        let Some(standing) = &mut self.standing else {
            let hint = "wait; its log says how it goes";
            return vec![Finding::fail("install", "is being carried out", hint)];
        };
        let found = match self.seen.take() {
            Some((at, found)) if at.elapsed() < FRESH => (at, found),
            _ => {
                let found = standing.look();
                (Instant::now(), found)
            }
        };
        let all = [self.said.clone(), found.1.clone()].concat();
        self.seen = Some(found);
        all
    }
}

impl Pages {
    /// The install has ended, and this is how it stands.
    pub(super) async fn show(&self, standing: Standing) {
        self.0.lock().await.standing = Some(standing);
    }

    /// Says these too, in the place of what was said of the same.
    pub(super) async fn say(&self, findings: Vec<Finding>) {
        let mut state = self.0.lock().await;
        state.said.retain(|said| findings.iter().all(|finding| finding.check != said.check));
        state.said.extend(findings);
    }

    /// There is nothing to say of this any more.
    pub(super) async fn forget(&self, check: &str) {
        let mut state = self.0.lock().await;
        state.said.retain(|said| said.check != check);
        state.seen = None;
    }

    async fn readiness(&self) -> Page {
        let mut state = Arc::clone(&self.0).lock_owned().await;
        match spawn_blocking(move || state.findings()).await {
            Ok(findings) => Page::readiness(&findings),
            Err(error) => Page::text(500, format_args!("{error}\n")),
        }
    }

    /// Those of the plugin; none where there is none.
    async fn metrics(&self) -> Option<Page> {
        let state = Arc::clone(&self.0).lock_owned().await;
        let asked = spawn_blocking(move || {
            let listens = state.standing.as_ref()?.plugin_listens().ok()?;
            drop(state);
            Some(ask(&listens, "/metrics", PATIENCE))
        });
        match asked.await {
            Ok(None) => None,
            Ok(Some(Ok(reply))) => Some(Page { status: reply.status, media: METRICS, body: reply.body }),
            Ok(Some(Err(error))) => Some(Page::text(503, format_args!("{}\n", chain(&error)))),
            Err(error) => Some(Page::text(500, format_args!("{error}\n"))),
        }
    }
}

#[async_trait]
impl Site for Pages {
    async fn page(&self, path: &str, _accepts: &str) -> Option<Page> {
        match path {
            // That this is answered shows that the event loop turns.
            "/healthz" => Some(Page::text(200, "ok\n")),
            "/readyz" => Some(self.readiness().await),
            "/metrics" => self.metrics().await,
            _ => None,
        }
    }
}
