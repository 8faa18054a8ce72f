//! What berth does of itself, and what is done to its processes.

use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::fake_runtime::{FakeRuntime, Profile, Session};
use crate::node::SOCKET;
use crate::scene::Scene;

/// How long a process is stopped; less than others wait for its lock, or nobody would come to anything.
const STOPPED: Duration = Duration::from_millis(15);

/// Stops and continues one process after the other, and kills one in so many.
pub(crate) async fn nemesis(scene: &Scene) {
    while !scene.is_over() {
        let (pause, stopped) = {
            let mut chance = scene.chance.borrow_mut();
            (chance.up_to(Duration::from_millis(3)), chance.up_to(STOPPED))
        };
        sleep(pause).await;
        let Some(pid) = pick(scene) else { continue };
        if scene.chance.borrow_mut().one_in(12) {
            kill(pid, Signal::SIGKILL).unwrap();
            scene.count("killed");
            continue;
        }
        kill(pid, Signal::SIGSTOP).unwrap();
        sleep(stopped).await;
        if scene.running.borrow().contains(&pid.as_raw()) {
            kill(pid, Signal::SIGCONT).unwrap();
        }
        scene.count("stopped");
    }
}

fn pick(scene: &Scene) -> Option<Pid> {
    let running = scene.running.borrow();
    let count = u64::try_from(running.len()).unwrap();
    let which = (count > 0).then(|| scene.chance.borrow_mut().below(count))?;
    Some(Pid::from_raw(running[usize::try_from(which).unwrap()]))
}

/// `berth gc`, again and again.
pub(crate) async fn gc(scene: &Scene) {
    while !scene.is_over() {
        let pause = scene.chance.borrow_mut().up_to(Duration::from_millis(40));
        sleep(pause).await;
        scene.run("gc", Command::new(env!("CARGO_BIN_EXE_berth")).arg("gc")).await;
    }
}

/// A daemon in a session, and the next one when it has been killed or told to end.
pub(crate) async fn daemon(scene: &Scene) {
    let runtime = FakeRuntime::listen(SOCKET.as_ref());
    while !scene.is_over() {
        let log = std::fs::File::options().create(true).append(true).open("/run/daemon.log").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command.args(["nri", "--socket", SOCKET]).env("BERTH_LOG", "info").stderr(log);
        let mut child = scene.start(&mut command);
        let pid = child.id().unwrap();
        let time = Duration::from_millis(100) + scene.chance.borrow_mut().up_to(Duration::from_millis(900));
        let lived = async {
            if let Some(session) = meet(scene, &runtime).await {
                *scene.session.borrow_mut() = Some(session);
                scene.count("daemons");
            }
            sleep(time).await;
        };
        tokio::select! {
            _ = child.wait() => {}
            () = lived => kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).unwrap(),
        }
        timeout(crate::scene::LIMIT, child.wait()).await.expect("it ends").unwrap();
        scene.ended(pid);
        *scene.session.borrow_mut() = None;
    }
    let log = std::fs::read_to_string("/run/daemon.log").unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

/// A session that is told of all pods; `None` if the daemon was stopped or killed on the way.
async fn meet(scene: &Scene, runtime: &FakeRuntime) -> Option<Rc<Session>> {
    let session = timeout(Duration::from_secs(3), runtime.accept(Profile::containerd_2_3())).await.ok()?;
    session.configure().await.ok()?;
    let pods = scene.pods.borrow().values().cloned().collect();
    session.synchronize(pods, Vec::new()).await.ok()?;
    Some(Rc::new(session))
}
