//! The service the plugin calls, and the ear on what it writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test double")]

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use berth::nri::api::{self, service};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use ttrpc::r#async::TtrpcContext;

use super::Registration;
use super::go_reader::GoReader;

pub(super) struct RuntimeService {
    pub(super) registered: mpsc::Sender<Registration>,
    pub(super) updates: mpsc::Sender<api::UpdateContainersRequest>,
    pub(super) release: Arc<Semaphore>,
}

#[async_trait]
impl service::Runtime for RuntimeService {
    async fn register_plugin(
        &self,
        _ctx: &TtrpcContext,
        request: api::RegisterPluginRequest,
    ) -> ttrpc::Result<api::Empty> {
        let registration = (request.plugin_name, request.plugin_idx, request.NRI_version);
        self.registered.send(registration).await.unwrap();
        drop(self.release.acquire().await.unwrap());
        Ok(api::Empty::default())
    }

    async fn update_containers(
        &self,
        _ctx: &TtrpcContext,
        request: api::UpdateContainersRequest,
    ) -> ttrpc::Result<api::UpdateContainersResponse> {
        // Reports the first one as failed, so that there is something to see.
        let failed = request.update.first().cloned().into_iter().collect();
        self.updates.send(request).await.unwrap();
        Ok(api::UpdateContainersResponse { failed, ..Default::default() })
    }
}

/// Shows the oracle what is read.
pub(super) struct Tee<R>(pub(super) R, pub(super) Arc<Mutex<GoReader>>);

impl<R: AsyncRead + Unpin> AsyncRead for Tee<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        self.1.lock().unwrap().feed(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}
