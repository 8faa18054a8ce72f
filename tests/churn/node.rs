//! A node with a fake engine and the berth binary: the actions of a plan, done to it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use berth::nri::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engine::{NETNS, Pod};
use crate::fake_runtime::{FakeRuntime, Profile, Session};
use crate::interposer::{self, What};
use crate::left;
use crate::plan::{Action, By, Moment};
use crate::rig::berth::binary;
use crate::rig::place::Place;
use crate::rig::read::netns_id;
use crate::vitals::Vitals;
use crate::vows::Vows;

const SOCKET: &str = "/run/nri.sock";
/// What anything that has to come may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How many pods a daemon can be at: as many as it has threads for what waits.
const AT_ONCE: usize = 4;
const POLL: Duration = Duration::from_millis(5);

/// Waits until `condition` gives something.
async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {LIMIT:?} in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

#[derive(Debug)]
struct Daemon {
    child: Child,
    /// Sends the signal that ends it.
    end: Option<JoinHandle<()>>,
}

pub(crate) struct Node {
    place: Place,
    /// `None` while the engine is away.
    runtime: Option<FakeRuntime>,
    session: Option<Session>,
    daemon: Option<Daemon>,
    /// The daemon is about to end: what it is asked may fail.
    doomed: bool,
    pods: RefCell<BTreeMap<usize, Pod>>,
    vows: Vows,
    interposers_killed: Cell<usize>,
    /// Since the last rest: killed processes, and pods that an interposer has pinned and the daemon was not told of.
    excuses: Cell<usize>,
    daemons: usize,
    pub(crate) rests: Vec<Vitals>,
}

impl Node {
    /// An engine, and berth, which knows it.
    pub(crate) async fn start() -> Self {
        fs::create_dir(NETNS).unwrap();
        interposer::install();
        let mut node = Self {
            place: Place::new(std::process::id()),
            runtime: Some(FakeRuntime::listen(Path::new(SOCKET))),
            session: None,
            daemon: None,
            doomed: false,
            pods: RefCell::default(),
            vows: Vows::watch(),
            interposers_killed: Cell::new(0),
            excuses: Cell::new(0),
            daemons: 0,
            rests: Vec::new(),
        };
        node.start_daemon().await;
        node
    }

    /// Has the actions happen, all at the same time.
    pub(crate) async fn act(&mut self, actions: &[Action]) {
        if let [action] = actions
            && action.pod().is_none()
        {
            self.trouble(*action).await;
        } else {
            let node = &*self;
            futures::future::join_all(actions.iter().map(|action| node.act_on_pod(*action))).await;
        }
        self.vows.assert_kept();
    }

    async fn act_on_pod(&self, action: Action) {
        let number = action.pod().unwrap();
        let known = self.pods.borrow_mut().remove(&number);
        let pod = match (action, known) {
            (Action::Run { by, heard, killed, .. }, _) => self.run(Pod::make(number, by), heard, killed).await,
            // One that was given up.
            (_, None) => None,
            (Action::Container { by, killed, .. }, Some(pod)) => Some(self.create(pod, by, killed).await),
            (Action::SandboxDies { .. }, Some(mut pod)) => {
                if pod.file.is_none() {
                    self.vows.release(&pod.pin());
                }
                pod.sandbox_dies();
                Some(pod)
            }
            (Action::Stop { heard, lingers, .. }, Some(pod)) => {
                Some(self.stop(pod, Event::StopPodSandbox, heard, lingers).await)
            }
            (Action::Remove { heard, .. }, Some(pod)) => {
                Some(self.stop(pod, Event::RemovePodSandbox, heard, false).await)
            }
            (other, Some(_)) => panic!("{other:?} is no pod's"),
        };
        self.pods.borrow_mut().extend(pod.map(|pod| (number, pod)));
    }

    async fn run(&self, mut pod: Pod, heard: bool, killed: Option<Moment>) -> Option<Pod> {
        if pod.by == By::Interposer {
            let created = self.interpose(&pod, What::Sandbox, killed).await;
            if killed.is_some() {
                pod.sandbox_dies();
                pod.engine_lets_go();
                return None;
            }
            assert!(created);
            self.vow(&pod);
        }
        let told = heard && self.tell(Event::RunPodSandbox, &pod).await;
        if told {
            self.vow(&pod);
        }
        self.excuse(usize::from(!told && pod.by == By::Interposer));
        Some(pod)
    }

    /// It has to be pinned now, and from now on.
    fn vow(&self, pod: &Pod) {
        assert_eq!(netns_id(pod.pin()), Some(pod.netns), "the pin of {} when it was said to be there", pod.id);
        self.vows.take(&pod.pin(), pod.netns);
    }

    async fn create(&self, pod: Pod, by: By, killed: Option<Moment>) -> Pod {
        if let Some(session) = &self.session {
            match session.create_container(pod.message(), pod.container()).await {
                Ok(answer) => {
                    let given = answer.adjust.linux.namespaces.first().map(|namespace| namespace.path.clone());
                    assert_eq!(given, Some(pod.pin().display().to_string()), "a container of {}", pod.id);
                    assert_eq!(answer.adjust.annotations.get("ocid/sandbox_id"), Some(&pod.id));
                    self.vow(&pod);
                }
                Err(error) => assert!(self.doomed, "a container of {} was refused: {error}", pod.id),
            }
        }
        if by == By::Interposer {
            self.interpose(&pod, What::Container, killed).await;
        }
        pod
    }

    async fn interpose(&self, pod: &Pod, what: What, killed: Option<Moment>) -> bool {
        let created = interposer::create(pod, what, killed).await;
        self.interposers_killed.set(self.interposers_killed.get() + usize::from(!created));
        self.excuse(usize::from(!created));
        created
    }

    fn excuse(&self, number: usize) {
        self.excuses.set(self.excuses.get() + number);
    }

    /// The engine lets go of the pod, unless it had before, and tells of it.
    async fn stop(&self, mut pod: Pod, event: Event, heard: bool, lingers: bool) -> Pod {
        if !lingers {
            pod.sandbox_dies();
        }
        if !pod.has_process() {
            self.vows.release(&pod.pin());
        }
        // In either order: engines differ in it, and berth relies on neither.
        if pod.netns.1.is_multiple_of(2) {
            pod.engine_lets_go();
        }
        if heard {
            self.tell(event, &pod).await;
        }
        pod.engine_lets_go();
        pod
    }

    /// Whether the plugin has answered.
    async fn tell(&self, event: Event, pod: &Pod) -> bool {
        let Some(session) = &self.session else { return false };
        match session.event(event, Some(pod.message()), None).await {
            Ok(()) => true,
            Err(error) => {
                assert!(self.doomed, "{event} of {}: {error}", pod.id);
                false
            }
        }
    }

    async fn trouble(&mut self, action: Action) {
        match action {
            Action::Collect { killed } => {
                interposer::collect(killed).await;
                self.excuse(usize::from(killed.is_some()));
            }
            Action::KillDaemon { after } => self.doom(Signal::SIGKILL, after),
            Action::EndDaemon { after } => self.doom(Signal::SIGTERM, after),
            Action::StartDaemon => {
                self.daemon_has_ended().await;
                self.start_daemon().await;
            }
            // At once: what it is in the middle of, is up to a real one.
            Action::EngineGoes { .. } => {
                self.session = None;
                self.runtime = None;
                fs::remove_file(SOCKET).unwrap();
            }
            Action::EngineReturns => {
                self.runtime = Some(FakeRuntime::listen(Path::new(SOCKET)));
                self.meet().await;
            }
            Action::Rest => self.rest().await,
            other => panic!("{other:?} is a pod's"),
        }
    }

    async fn start_daemon(&mut self) {
        let log = fs::File::options().create(true).append(true).open(log()).unwrap();
        let mut command = Command::new(binary());
        command.args(["nri", "--socket", SOCKET]).env("BERTH_LOG", "info");
        let child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        self.daemon = Some(Daemon { child, end: None });
        self.daemons += 1;
        self.meet().await;
    }

    /// The plugin registers, is told of all pods, and pins those that are not pinned.
    async fn meet(&mut self) {
        let meeting = self.runtime.as_ref().expect("the engine is there").accept(Profile::containerd_2_3());
        let session = tokio::time::timeout(LIMIT, meeting).await.expect("the plugin registers");
        session.configure().await.unwrap();
        let (held, messages): (Vec<_>, _) = self.held().map(|pod| ((pod.pin(), pod.netns), pod.message())).unzip();
        session.synchronize(messages, Vec::new()).await.unwrap();
        for (pin, netns) in held {
            eventually("a pod that runs is pinned", || (netns_id(&pin) == Some(netns)).then_some(())).await;
            self.vows.take(&pin, netns);
        }
        self.session = Some(session);
    }

    /// The pods whose network the engine keeps.
    fn held(&mut self) -> impl Iterator<Item = &Pod> {
        self.pods.get_mut().values().filter(|pod| pod.file.is_some())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.daemon.as_ref().expect("the daemon runs").child.id().cast_signed())
    }

    /// Its end comes while other things happen.
    fn doom(&mut self, signal: Signal, after: Moment) {
        self.doomed = true;
        self.excuse(AT_ONCE);
        let pid = self.pid();
        // It is not waited for before this thread is, so the number stays its own.
        let end = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(after.into()));
            kill(pid, signal).unwrap();
        });
        self.daemon.as_mut().expect("the daemon runs").end = Some(end);
    }

    async fn daemon_has_ended(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.end.take().unwrap().join().unwrap();
        eventually("the daemon ends", || daemon.child.try_wait().unwrap()).await;
        self.session = None;
        self.doomed = false;
    }

    /// Nothing may be left of pods that are over. What a killed process was at, and what the daemon was not told of, may
    /// wait for the next occasion, which is the list of pods that a runtime sends when it is met again.
    async fn rest(&mut self) {
        let excused = self.excuses.take();
        self.await_right(|wrong| left::is_excused(wrong, excused)).await;
        left::age(&self.place);
        self.session = None;
        self.meet().await;
        self.await_right(<[_]>::is_empty).await;
        self.rests.push(self.vitals());
    }

    /// Waits until what is wrong on the node may be so.
    async fn await_right(&mut self, may_be: impl Fn(&[String]) -> bool) {
        let (ids, netns): (Vec<_>, Vec<_>) = self.held().map(|pod| (pod.id.clone(), pod.netns)).unzip();
        let wrong = || [left::wrong(&self.place, &ids), left::namespaces(&self.place, &netns)].concat();
        let deadline = Instant::now() + LIMIT;
        while !may_be(&wrong()) {
            assert!(Instant::now() < deadline, "{LIMIT:?} after everything has ended: {:#?}", wrong());
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) fn figures(&self) -> String {
        let (looks, daemons, killed) = (self.vows.looks(), self.daemons, self.interposers_killed.get());
        format!("{daemons} daemons, {killed} interposers killed, {looks} looks at living pins")
    }

    pub(crate) fn vitals(&self) -> Vitals {
        Vitals::at_rest(&Path::new("/proc").join(self.pid().to_string()))
    }

    /// Its threads are those that it had when it had nothing to do yet: others end when they had nothing to do for ten
    /// seconds.
    pub(crate) async fn await_threads(&self, number: u64) {
        eventually("threads end", || (self.vitals().threads <= number).then_some(())).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            drop(daemon.child.kill());
            drop(daemon.child.wait());
        }
    }
}

/// What all daemons of this node have said.
pub(crate) fn log() -> PathBuf {
    "/run/berth-daemon.log".into()
}
