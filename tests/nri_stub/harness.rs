//! A stub under test, with everything it needs and everything it says.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use berth::nri::{Endpoint, EventMask, Identity, NriError, Options, Plugin, run};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fake_runtime::{FakeRuntime, Profile, Session};
use crate::recorder::{Recorder, Records, all_events, recorder};

/// Nothing here takes long; what does hangs.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("in time")
}

pub(crate) struct Stub {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) records: Records,
    done: JoinHandle<Result<(), NriError>>,
    stop: Option<oneshot::Sender<()>>,
}

/// Waits short enough for a test, long enough for a busy machine.
pub(crate) fn quick() -> Options {
    let mut options = Options::default();
    options.backoff_first = Duration::from_millis(1);
    options.backoff_most = Duration::from_millis(20);
    options
}

impl Stub {
    pub(crate) fn start(endpoint: Endpoint, options: Options, events: EventMask) -> Self {
        let (recorder, records) = recorder(events);
        let plugin: Arc<dyn Plugin> = Arc::clone(&recorder) as _;
        let identity = Identity::new("10", "probe").unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let done = tokio::spawn(run(endpoint, identity, plugin, options, shutdown));
        Self { recorder, records, done, stop: Some(stop) }
    }

    pub(crate) fn at(path: &Path) -> Self {
        Self::start(Endpoint::Path(path.to_owned()), quick(), all_events())
    }

    /// The next thing that reached the plugin.
    pub(crate) async fn next(&mut self) -> String {
        within(self.records.recv()).await.expect("a record")
    }

    pub(crate) async fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.next().await, *line);
        }
    }

    /// Reads on until this reached the plugin.
    pub(crate) async fn skip_to(&mut self, line: &str) {
        while self.next().await != line {}
    }

    pub(crate) fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn result(self) -> Result<(), NriError> {
        within(self.done).await.expect("no panic")
    }

    pub(crate) async fn stop(mut self) {
        self.ask_to_stop();
        self.result().await.unwrap();
    }
}

/// A socket path of the test's own.
pub(crate) struct Place {
    _dir: TempDir,
    pub(crate) path: PathBuf,
}

pub(crate) fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nri.sock");
    Place { _dir: dir, path }
}

/// A runtime and a stub in a session that is ready for events.
pub(crate) async fn in_session(profile: Profile) -> (Place, FakeRuntime, Session, Stub) {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    let session = within(runtime.accept_ready(profile)).await;
    stub.skip_to("state Synchronized").await;
    (place, runtime, session, stub)
}

/// Lines logged at warning level or above that contain a text.
pub(crate) fn warnings_with(text: &str) -> Vec<String> {
    let lines = logged().lock().unwrap();
    let found = lines.iter().filter(|line| line.contains(text));
    found.cloned().collect()
}

fn logged() -> &'static Mutex<Vec<String>> {
    static LOGGED: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    LOGGED.get_or_init(Mutex::default)
}

struct Collect;

impl log::Log for Collect {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            logged().lock().unwrap().push(record.args().to_string());
        }
    }
    fn flush(&self) {}
}

/// Starts collecting for [`warnings_with`]; may be called by every test.
pub(crate) fn collect_logs() {
    if log::set_logger(&Collect).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
}
