//! The daemon, killed and failed at each of its calls while it pins a pod and while it lets one go; the next start makes it
//! right. Calls are counted over all of its threads from the runtime's event on, so their order is not quite the same in
//! each run: a number means the call that comes at its turn.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use berth::nri::Event;
use berth::nri::api::{LinuxNamespace, PodSandbox};

use crate::alone;
use crate::calls;
use crate::fake_runtime::{self, FakeRuntime, Profile, Session};
use crate::paths::beside_another_pod;
use crate::scene::{berth, clear, engine_file, engine_lets_go, engine_makes, time_passes};
use crate::state::{State, assert_sound};
use crate::sweep::{Short, Tally, assert_others_untouched, caught, plans};
use crate::tracer::{Call, Fault, Plan, Server};

const SOCKET: &str = "/run/nri.sock";
const LIMIT: Duration = Duration::from_secs(20);
/// What is tried again is tried every second.
const SOON: Duration = Duration::from_secs(5);
/// So long without a call, and a path is at its end.
const QUIET: Duration = Duration::from_millis(100);

/// Undisturbed runs, of which the shortest is taken: it may look twice at what it looks at once in others.
const REFERENCES: usize = 3;

/// What the daemon says where its event loop cannot be woken from another thread.
const WAKES: &str = "failed to wake I/O driver";

/// What the daemon is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Pin,
    Release,
}

/// What undisturbed work passes through.
struct Reference {
    calls: Vec<Call>,
    before: State,
    pinned: State,
    over: State,
}

/// The runtime, and berth, which knows of these pods.
struct Node {
    session: Session,
    berth: Server,
    _runtime: FakeRuntime,
}

impl Node {
    async fn start(plan: Option<Plan>, pods: Vec<PodSandbox>) -> Self {
        let runtime = FakeRuntime::listen(Path::new(SOCKET));
        let mut command = Command::new(berth());
        command.args(["nri", "--socket", SOCKET]).env("BERTH_LOG", "info");
        let berth = Server::start(command, plan);
        // A runtime that would wait: what is traced on a busy machine is slow.
        let profile = Profile { request_timeout: LIMIT, ..Profile::containerd_2_3() };
        let session = runtime.accept(profile).await;
        session.configure().await.unwrap();
        session.synchronize(pods, Vec::new()).await.unwrap();
        assert!(eventually(|| berth.said().contains("event=CatchUp")).await, "{}", berth.said());
        Self { session, berth, _runtime: runtime }
    }

    async fn event(&self, event: Event) -> bool {
        let sent = self.session.event(event, Some(pod()), None);
        tokio::time::timeout(LIMIT, sent).await.is_ok_and(|answer| answer.is_ok())
    }

    /// What the runtime and the engine do, and berth until it rests or is disturbed.
    async fn work(&self, work: Work) {
        self.berth.begin();
        match work {
            Work::Pin => drop(self.event(Event::RunPodSandbox).await),
            Work::Release => {
                self.event(Event::StopPodSandbox).await;
                engine_lets_go(1);
                self.event(Event::RemovePodSandbox).await;
            }
        }
        let (mut calls, mut since) = (self.berth.calls(), Instant::now());
        // Ends that come close to each other are looked at together, a second later at most.
        let rests = |since: Instant| {
            let said = work == Work::Pin || self.berth.said().contains("event=Release pin=berth-s1 ");
            since.elapsed() >= if said { QUIET } else { LIMIT }
        };
        while !rests(since) && !self.berth.disturbed() && !self.berth.has_ended() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.berth.calls() != calls {
                (calls, since) = (self.berth.calls(), Instant::now());
            }
        }
    }
}

/// Whether it comes to be so.
async fn eventually(condition: impl FnMut() -> bool) -> bool {
    within(LIMIT, condition).await
}

async fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}

/// The pod, in the runtime's words.
fn pod() -> PodSandbox {
    let mut pod = fake_runtime::pod("s1");
    pod.runtime_handler = "kata".into();
    pod.pid = std::process::id();
    let network = LinuxNamespace { type_: "network".into(), path: engine_file(1), ..Default::default() };
    pod.linux.mut_or_insert_default().namespaces.push(network);
    pod
}

/// A stage with another pod on it, and this one's namespace.
fn stage() {
    clear();
    beside_another_pod();
    engine_makes(1);
}

/// A stage on which the work is about to begin, and the daemon that will do it.
async fn ready(work: Work, plan: Option<Plan>) -> Node {
    stage();
    let node = Node::start(plan, Vec::new()).await;
    if work == Work::Release {
        assert!(node.event(Event::RunPodSandbox).await, "{}", node.berth.said());
    }
    node
}

async fn reference(work: Work) -> Reference {
    stage();
    let before = State::see();
    let mut calls = Vec::new();
    for _ in 0..REFERENCES {
        let node = ready(work, None).await;
        node.work(work).await;
        calls.push(node.berth.end().calls);
        stage();
    }
    let calls = calls.into_iter().min_by_key(Vec::len).expect("at least one");
    let node = Node::start(None, vec![pod()]).await;
    let pinned = State::see();
    assert!(pinned.says("mount /run/netns/berth-s1 ns1") && pinned.says("record berth-s1 "), "{pinned}");
    node.berth.end();
    engine_lets_go(1);
    let node = Node::start(None, Vec::new()).await;
    let over = State::see();
    assert!(!over.says("s1") && over.says("berth-s0"), "{over}");
    node.berth.end();
    Reference { calls, before, pinned, over }
}

/// One disturbed run. What became of the daemon, in a word; or what is not as it must be.
async fn disturbed(work: Work, reference: &Reference, plan: Plan) -> Result<&'static str, String> {
    let node = ready(work, Some(plan)).await;
    node.work(work).await;
    if !node.berth.disturbed() {
        node.berth.end();
        return Ok("not reached");
    }
    let became = became(&node, work, reference, plan).await;
    let run = node.berth.end();
    let wrong = |why: String| format!("{work:?}, {} of {:?}: {why}\nit said {}", calls::said(plan), run.path, run.said);
    let became = became.map_err(&wrong)?;
    caught(|| {
        let now = State::see();
        assert_sound();
        assert_others_untouched(&now, if work == Work::Pin { &reference.before } else { &reference.over });
    })
    .map_err(&wrong)?;
    again(work, reference, plan).await.map_err(wrong)?;
    Ok(became)
}

/// What became of it: it was killed; or it lives and has done what it was to do, or says why not.
async fn became(node: &Node, work: Work, reference: &Reference, plan: Plan) -> Result<&'static str, String> {
    let errno = match plan.fault {
        Fault::KillBefore | Fault::KillAfter => return Ok("killed"),
        Fault::Fail(errno) | Fault::FailAfter(errno) => errno,
    };
    let done = if work == Work::Pin { &reference.pinned } else { &reference.over };
    let why = std::io::Error::from(errno).to_string();
    let (mut is_done, mut is_said) = (false, false);
    within(SOON, || {
        is_done = State::see().but_swept() == *done;
        let said = node.berth.said();
        // Of tasks that could not be looked for it says that there may be some.
        is_said = said.contains(&why) || said.contains("event=Drain");
        is_done || is_said || node.berth.has_ended()
    })
    .await;
    match (is_done, is_said, node.berth.has_ended()) {
        (true, false, false) => Ok("done all the same"),
        (_, true, false) => Ok("said why"),
        // What wakes its event loop is an eventfd(2), to which a write fails in no kernel; the library panics then.
        (_, _, true) if node.berth.said().contains(WAKES) => Ok("ended, and said why"),
        (_, _, true) => Err("it has ended".into()),
        (false, false, false) => {
            Err(format!("it does not do it, and does not say {why:?}: there is\n{}", State::see()))
        }
    }
}

/// The next start, with the pod there or gone by now.
async fn again(work: Work, reference: &Reference, plan: Plan) -> Result<(), String> {
    let lives = work == Work::Pin && plan.at.is_multiple_of(2);
    if work == Work::Pin && !lives {
        engine_lets_go(1);
    }
    time_passes();
    let node = Node::start(None, if lives { vec![pod()] } else { Vec::new() }).await;
    let expected = if lives { &reference.pinned } else { &reference.over };
    eventually(|| State::see() == *expected).await;
    let said = node.berth.end().said;
    caught(|| State::see().assert_is(expected, "the next start"))
        .map_err(|why| format!("{why}\nthe next one said {said}"))
}

/// What a disturbed daemon costs is a start of the next one.
const SHORT: Short = Short { changes: 3, others: 20 };

fn sweep(work: Work) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reference = reference(work).await;
        let count = reference.calls.len();
        assert!(count > 30, "{count} calls");
        let (mut tally, mut wrong) = (Tally::default(), Vec::new());
        for plan in plans(&reference.calls, SHORT, usize::MAX) {
            match disturbed(work, &reference, plan).await {
                Ok(became) => tally.count(became),
                Err(what) => wrong.push(what),
            }
        }
        tally.conclude(&format!("the daemon's {work:?}"), count, &wrong);
        assert!(tally.of("not reached") * 5 < tally.runs(), "too many calls were not reached");
    });
}

alone! {
    fn the_daemons_pin() {
        sweep(Work::Pin);
    }
    fn the_daemons_release() {
        sweep(Work::Release);
    }
}
