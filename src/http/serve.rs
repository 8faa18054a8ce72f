//! Serving: one request per connection, within the limits.

use super::bind::Listener;
use super::{Page, Site};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What a client may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones are told so and closed.
    pub connections: usize,
    /// Bytes of a request's head; hyper wants at least 8192.
    pub head: usize,
    /// Lines of it.
    pub headers: usize,
    /// How long it may take to come.
    pub head_time: Duration,
    /// How long the connection may take in all.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A kubelet, one or two Prometheis, and a person.
            connections: 16,
            head: 8192,
            headers: 64,
            head_time: Duration::from_secs(3),
            time: Duration::from_secs(10),
        }
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What is told to a connection too many.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 21\r\nretry-after: 5\r\nconnection: close\r\n\r\ntoo many connections\n";

/// How long to wait when no connection can be taken: for want of descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until it is dropped; connections in progress end by their time limit.
pub async fn serve(listener: Listener, site: Arc<dyn Site>, limits: Limits) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    loop {
        let mut stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                log::debug!("http: accept: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            // It fits into any socket's buffer, so it goes out at once or not at all.
            if let Some(Err(error)) = futures::FutureExt::now_or_never(stream.write_all(BUSY)) {
                log::debug!("http: one too many: {error}");
            }
            // Everything else on this thread has its turn between any two of them.
            tokio::task::yield_now().await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            match timeout(limits.time, connection(stream, site, limits)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::debug!("http: {error}"),
                Err(_elapsed) => log::debug!("http: a connection took longer than {:?}", limits.time),
            }
            drop(slot);
        });
    }
}

async fn connection(stream: Box<dyn Stream>, site: Arc<dyn Site>, limits: Limits) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(&request, site.as_ref()).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head)
        .max_headers(limits.headers)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// A body that comes with a request is not read: the connection ends with the answer.
async fn answer(request: &Request<Incoming>, site: &dyn Site) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = response(Page::text(405, "only GET and HEAD are served\n"));
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match site.page(request.uri().path(), accepts).await {
        Some(page) => response(page),
        None => response(Page::text(404, "there is no such page\n")),
    }
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.media));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
