//! A node with a real containerd and the berth binary: the actions of a plan, done to it as a kubelet would.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tonic::Status;

use crate::ambush::Ambush;
use crate::plan::{Action, By, Moment};
use crate::rig::berth::await_synchronized;
use crate::rig::containerd::{SHIMMED, VM, WRAPPED};
use crate::rig::cri::{Cri, Pod as Wanted, Sandbox, SandboxState};
use crate::rig::engine::Engine;
use crate::rig::process::Process;
use crate::rig::read::{NetnsId, pin_path};
use crate::rig::wait::{DEADLINE, eventually};
use crate::rig::{IDLE, Rig};
use crate::vitals::Vitals;
use crate::vows::Vows;

#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) sandbox: Sandbox,
    /// The engine's file, and what it leads to.
    pub(crate) file: String,
    pub(crate) netns: NetnsId,
    by: By,
    /// An interposer has a part in each of its containers.
    wrapped: bool,
    /// Its sandbox's process was killed.
    dead: bool,
    /// Its containers since the last rest.
    pub(crate) containers: Vec<String>,
    /// A task in its network that the engine knows nothing of.
    task: Option<Process>,
}

#[derive(Debug)]
pub(crate) struct RealNode {
    pub(crate) pods: Mutex<BTreeMap<usize, Pod>>,
    /// `None` while it is away.
    daemon: Option<Process>,
    /// How often this daemon was told of all pods.
    told: usize,
    /// Who is about to end, and the thread that sees to it.
    daemon_ends: Option<JoinHandle<()>>,
    engine_ends: Option<JoinHandle<()>>,
    /// Interposers are being killed: creations behind one may fail.
    ambushed: bool,
    containers: AtomicUsize,
    failed: AtomicUsize,
    interposers_killed: usize,
    daemons: usize,
    engines: usize,
    /// Something was killed since the last rest.
    pub(crate) disturbed: bool,
    /// The engine has ended since the last rest.
    pub(crate) engine_ended: bool,
    /// What it has left behind by that: files of network namespaces, and processes.
    pub(crate) forgotten: Vec<String>,
    said: String,
    pub(crate) vows: Vows,
    pub(crate) rests: Vec<Vitals>,
    pub(crate) rig: Rig,
}

impl RealNode {
    pub(crate) fn start() -> Self {
        let rig = Rig::start();
        assert!(rig.can_swap(), "churn needs a containerd whose NRI can change a network namespace: 2.2 or later");
        let daemon = rig.berth().start();
        Self {
            pods: Mutex::default(),
            daemon: Some(daemon),
            told: 1,
            daemon_ends: None,
            engine_ends: None,
            ambushed: false,
            containers: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            interposers_killed: 0,
            daemons: 1,
            engines: 1,
            disturbed: false,
            engine_ended: false,
            forgotten: Vec::new(),
            said: String::new(),
            vows: Vows::watch(),
            rests: Vec::new(),
            rig,
        }
    }

    /// Has the daemon be told of so many pods at a time, each with two containers, and be rid of them again. What its allocator
    /// keeps of the longest list stays for good, and is no leak: where memory is measured, that list comes first.
    pub(crate) fn crowd(&mut self, pods: usize) {
        let crowd: Vec<_> = (0..pods).map(|number| self.rig.pod(&format!("crowd{number}"), VM)).collect();
        for pod in &crowd {
            for name in ["a", "b"] {
                self.rig.cri().create_container(pod, name, IDLE).expect("create a container");
            }
        }
        self.trouble(Action::EngineGoes { after: 0, killed: false });
        self.trouble(Action::EngineReturns);
        for pod in &crowd {
            self.rig.cri().remove_pod(&pod.id).expect("remove a pod");
        }
    }

    /// Has the actions happen, all at the same time.
    pub(crate) fn act(&mut self, actions: &[Action]) {
        if let [action] = actions
            && action.pod().is_none()
        {
            self.trouble(*action);
        } else {
            let ambushes: Vec<_> = actions.iter().filter_map(|action| self.ambush(*action)).collect();
            self.ambushed = !ambushes.is_empty();
            self.disturbed |= self.ambushed;
            std::thread::scope(|scope| {
                let node = &*self;
                let threads: Vec<_> =
                    actions.iter().map(|action| scope.spawn(move || node.act_on_pod(*action))).collect();
                threads.into_iter().for_each(|thread| thread.join().expect("an action"));
            });
            self.interposers_killed += ambushes.into_iter().map(Ambush::lift).filter(|killed| *killed).count();
        }
        self.vows.assert_kept();
    }

    fn ambush(&self, action: Action) -> Option<Ambush> {
        let (Action::Run { killed, .. } | Action::Container { killed, .. }) = action else { return None };
        Some(Ambush::lay(&self.rig.path("/proc/1/ns/pid"), killed?))
    }

    fn act_on_pod(&self, action: Action) {
        let number = action.pod().unwrap();
        let known = self.pods.lock().unwrap().remove(&number);
        let pod = match (action, known) {
            (Action::Run { by, killed, .. }, _) => self.run(number, by, killed.is_some()),
            // One that could not be run.
            (_, None) => None,
            (Action::Container { by, .. }, Some(pod)) => Some(self.create(pod, by)),
            (Action::SandboxDies { .. }, Some(pod)) => Some(self.process_dies(pod)),
            (Action::Stop { lingers, .. }, Some(pod)) => Some(self.stop(pod, lingers)),
            (Action::Remove { .. }, Some(mut pod)) => {
                self.vows.release(&self.pin(&pod));
                pod.task = None;
                self.call("remove a pod", self.is_ambushed(pod.by), |cri| cri.remove_pod(&pod.sandbox.id));
                Some(pod)
            }
            (other, Some(_)) => panic!("{other:?} is no pod's"),
        };
        self.pods.lock().unwrap().extend(pod.map(|pod| (number, pod)));
    }

    fn run(&self, number: usize, by: By, given_up: bool) -> Option<Pod> {
        let handler = match by {
            By::Plugin => VM,
            By::Interposer if number.is_multiple_of(2) => WRAPPED,
            By::Interposer => SHIMMED,
        };
        let wanted = Wanted::new(&format!("p{number}"), handler);
        let sandbox =
            self.call("run a pod", self.is_ambushed(by), |cri| cri.run_pod(&wanted, self.rig.cgroup_parent()))?;
        if given_up {
            self.call("remove a pod", self.is_ambushed(by), |cri| cri.remove_pod(&sandbox.id));
            return None;
        }
        // The engine may be gone again: then the next rest removes the pod.
        let file =
            self.call("ask for a pod", false, |cri| Ok(cri.ask_sandbox_state(&sandbox.id)?.netns))?.expect("its file");
        let netns = self.rig.netns_of_file(&file).expect("the engine's file leads to a namespace");
        let pod = Pod {
            sandbox,
            file,
            netns,
            by,
            wrapped: handler == WRAPPED,
            dead: false,
            containers: Vec::new(),
            task: None,
        };
        if by == By::Interposer || self.is_watched() {
            self.vow(&pod);
        }
        Some(pod)
    }

    fn state(&self, sandbox: &Sandbox) -> Option<SandboxState> {
        self.call("ask for a pod", false, |cri| cri.ask_sandbox_state(&sandbox.id))
    }

    /// Whatever the engine has an interposer do may fail: the next one that comes by is killed.
    fn is_ambushed(&self, by: By) -> bool {
        self.ambushed && by == By::Interposer
    }

    /// A daemon is there, connected, and not about to end.
    fn is_watched(&self) -> bool {
        self.daemon.is_some() && self.daemon_ends.is_none() && self.engine_ends.is_none()
    }

    fn create(&self, mut pod: Pod, by: By) -> Pod {
        let excused = pod.dead || self.is_ambushed(by);
        let name = format!("c{}", self.containers.fetch_add(1, Ordering::Relaxed));
        let created = self.call("create a container", excused, |cri| cri.create_container(&pod.sandbox, &name, IDLE));
        pod.containers.extend(created.clone());
        let started = |id: &String| self.call("start a container", excused, |cri| cri.start_container(id)).is_some();
        if let Some(id) = created.filter(started)
            && (pod.wrapped || self.is_watched())
        {
            assert_eq!(self.rig.netns_path(&id), Some(pin_path(&pod.sandbox.id)), "of a container");
        }
        pod
    }

    fn process_dies(&self, mut pod: Pod) -> Pod {
        match pod.task.take() {
            Some(task) => {
                self.vows.release(&self.pin(&pod));
                task.kill();
            }
            None => {
                let pid = self.state(&pod.sandbox).map(|state| state.pid);
                if let Some(pid) = pid.filter(|pid| *pid != 0) {
                    pod.dead = self.rig.run("kill", &["-9", &pid.to_string()]).is_ok();
                }
            }
        }
        pod
    }

    fn stop(&self, mut pod: Pod, lingers: bool) -> Pod {
        if lingers && self.rig.pin(&pod.sandbox.id) == Some(pod.netns) && self.holds(&pod) {
            pod.task = Some(self.rig.task_in(&pin_path(&pod.sandbox.id)));
        }
        if pod.task.is_none() {
            self.vows.release(&self.pin(&pod));
        }
        self.call("stop a pod", self.is_ambushed(pod.by), |cri| cri.stop_pod(&pod.sandbox.id));
        pod
    }

    pub(crate) fn pin(&self, pod: &Pod) -> PathBuf {
        self.rig.path(pin_path(&pod.sandbox.id))
    }

    /// It is pinned now, or is about to be; from then on it has to be.
    fn vow(&self, pod: &Pod) {
        eventually("the pod is pinned", || (self.rig.pin(&pod.sandbox.id) == Some(pod.netns)).then_some(()));
        self.vows.take(&self.pin(pod), pod.netns);
    }

    /// The engine has not let go of its network.
    pub(crate) fn holds(&self, pod: &Pod) -> bool {
        self.rig.netns_of_file(&pod.file) == Some(pod.netns)
    }

    /// What the engine answers. It may fail where the engine is about to go, and where there is an excuse; the daemon's end
    /// is none.
    fn call<T>(&self, what: &str, excused: bool, call: impl FnOnce(&Cri) -> Result<T, Status>) -> Option<T> {
        let excused = excused || self.engine_ends.is_some();
        let cri = Cri::connect(&self.rig.path(Engine::Containerd.socket())).map_err(|error| error.to_string());
        match cri.and_then(|cri| call(&cri).map_err(|status| status.to_string())) {
            Ok(answer) => Some(answer),
            Err(error) => {
                assert!(excused, "{what}: {error}");
                self.failed.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn trouble(&mut self, action: Action) {
        self.disturbed |= !matches!(action, Action::Collect { .. } | Action::Rest);
        match action {
            Action::Collect { .. } => {
                let gc = self.rig.berth_command(&["gc"]);
                let busy = String::from_utf8_lossy(&gc.stderr).contains("another berth is at it");
                assert!(gc.status.success() || busy, "{gc:?}");
            }
            Action::KillDaemon { after } => self.daemon_ends = Some(end(self.daemon(), Signal::SIGKILL, after)),
            Action::EndDaemon { after } => self.daemon_ends = Some(end(self.daemon(), Signal::SIGTERM, after)),
            Action::StartDaemon => self.restart_daemon(),
            Action::EngineGoes { after, killed } => {
                let signal = if killed { Signal::SIGKILL } else { Signal::SIGTERM };
                self.engine_ends = Some(end(self.rig.engine_pid(), signal, after));
            }
            Action::EngineReturns => {
                self.engine_ends.take().unwrap().join().expect("the engine was ended");
                self.rig.revive_engine();
                self.engine_ended = true;
                self.engines += 1;
                self.caught_up();
            }
            Action::Rest => self.rest(),
            other => panic!("{other:?} is a pod's"),
        }
    }

    fn daemon(&self) -> Pid {
        self.daemon.as_ref().expect("the daemon runs").pid()
    }

    fn restart_daemon(&mut self) {
        self.daemon_ends.take().unwrap().join().expect("the daemon was ended");
        let mut daemon = self.daemon.take().expect("the daemon ran");
        daemon.wait(DEADLINE);
        self.said += &daemon.log();
        self.daemon = Some(self.rig.berth().launch_as("berth"));
        self.told = 0;
        self.daemons += 1;
        self.caught_up();
    }

    /// The daemon has been told of all pods; those that the engine holds are pinned, and stay so.
    pub(crate) fn caught_up(&mut self) {
        self.told += 1;
        await_synchronized(self.daemon.as_mut().expect("the daemon runs"), self.told);
        let listed = self.rig.cri().list_pods();
        let pods = self.pods.lock().unwrap();
        for pod in pods.values().filter(|pod| listed.contains(&pod.sandbox.id) && self.holds(pod)) {
            self.vow(pod);
        }
    }

    pub(crate) fn vitals(&self) -> Vitals {
        Vitals::at_rest(&PathBuf::from(format!("/proc/{}", self.daemon())))
    }

    pub(crate) fn figures(&self) -> String {
        let Self { daemons, engines, interposers_killed, forgotten, .. } = self;
        let (failed, looks) = (self.failed.load(Ordering::Relaxed), self.vows.looks());
        format!(
            "{daemons} daemons, {engines} engines, {interposers_killed} interposers killed, {failed} calls failed, \
             {looks} looks at living pins, the engine has forgotten {forgotten:?}"
        )
    }

    /// What all daemons of this node have said.
    pub(crate) fn daemons_said(&self) -> String {
        format!("{}{}", self.said, self.daemon.as_ref().map(Process::log).unwrap_or_default())
    }
}

/// Sends the signal after a while. The process is not waited for before the thread is, so the number stays its own.
fn end(pid: Pid, signal: Signal, after: Moment) -> JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_micros(after.into()));
        kill(pid, signal).expect("it runs");
    })
}
