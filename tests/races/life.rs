//! The lives of one sandbox: the engine makes its namespace, doors pin it, tasks come and go, the engine gives it up.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use berth::nri::Event;
use inotify::{Inotify, WatchMask};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::node::{Pod, inode, swapped};
use crate::scene::{Ended, LIMIT, Scene};
use crate::stage;

/// Whether a sandbox's id is its own for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// As the CRI has it: doors of all kinds may be the first.
    Fresh,
    /// As podman has it, whose sandbox is created before any member of it. (For others an id whose pin stands is that pin's,
    /// whatever path they bring.)
    Again,
}

/// One life.
struct Life<'a> {
    scene: &'a Scene,
    ids: Ids,
    id: &'static str,
    pod: Pod,
    /// The engine's name of the namespace.
    name: String,
    watch: Watch,
    promised: Cell<bool>,
    bundles: Cell<u32>,
}

pub(crate) async fn lives(scene: &Scene, ids: Ids, mut chance: Chance) {
    for number in 0.. {
        if scene.is_over() {
            return;
        }
        let id = if ids == Ids::Again { "again" } else { String::leak(format!("fresh{number}")) };
        Life::begin(scene, ids, id, number).live(&mut chance).await;
        scene.count("lives");
    }
}

impl<'a> Life<'a> {
    fn begin(scene: &'a Scene, ids: Ids, id: &'static str, number: u32) -> Self {
        let name = format!("cni-{id}-{number}");
        ip(&["netns", "add", &name]);
        let pod = Pod::at(id, &format!("/var/run/netns/{name}"));
        let pod = Pod { file: format!("/run/netns/{name}"), ..pod };
        scene.pods.borrow_mut().insert(id, pod.message.clone());
        Self { scene, ids, id, pod, name, watch: Watch::begin(id), promised: Cell::new(false), bundles: Cell::new(0) }
    }

    async fn live(&self, chance: &mut Chance) {
        let begin = Instant::now();
        while !self.promised.get() {
            assert!(begin.elapsed() < LIMIT, "{}: no door gets through", self.id);
            self.doors(chance, if self.ids == Ids::Again { 1 } else { 3 }).await;
        }
        self.doors(chance, 3).await;
        self.stands("when doors have said so");
        let task = chance.one_in(2).then(|| self.task());
        sleep(chance.up_to(Duration::from_millis(40))).await;
        self.stands("while the engine holds it");
        let was = inode(&self.pod.pin());

        ip(&["netns", "del", &self.name]);
        self.scene.pods.borrow_mut().remove(self.id);
        if chance.one_in(2) {
            self.tell_removal().await;
        }
        if let Some(task) = task {
            sleep(chance.up_to(Duration::from_millis(60))).await;
            self.watch.has_not_gone("while a task is in it");
            assert_eq!(inode(&self.pod.pin()), was, "{}: while a task is in it", self.id);
            drop(task);
        }
    }

    /// Some doors at the same time, of the first so many kinds.
    async fn doors(&self, chance: &mut Chance, kinds: u64) {
        let doors = (0..=chance.below(3)).map(|_| {
            let (kind, late) = (chance.below(kinds), chance.up_to(Duration::from_millis(8)));
            self.door(kind, late)
        });
        futures::future::join_all(doors.collect::<Vec<_>>()).await;
    }

    /// One door, after a while: the sandbox's own creation, a member's, or CreateContainer.
    async fn door(&self, kind: u64, late: Duration) {
        sleep(late).await;
        let done = match kind {
            0 => self.interpose(self.id, "sandbox").await,
            1 => self.interpose(&format!("{}-member", self.id), "container").await,
            _ => self.event().await,
        };
        if done && !self.promised.replace(true) {
            self.watch.forget_what_was();
            self.stands("when a door has said so");
        }
    }

    async fn interpose(&self, container: &str, kind: &'static str) -> bool {
        // Each of its own: a bundle is prepared by one process at a time.
        let number = self.bundles.replace(self.bundles.get() + 1);
        let bundle = format!("{container}-{number}");
        let bundle = stage::bundle(&bundle, &stage::containerd(kind, self.id), &stage::network(&self.pod.file));
        let mut command = tokio::process::Command::new("/run/berth.d/berth-runc");
        command.args(["--root", "/run/runc/k8s.io", "create", "--bundle"]).arg(&bundle).arg(container);
        command.env("PATH", format!("{}:/usr/bin:/bin", stage::BIN)).env_remove("BERTH_TEST_ISOLATED");
        let ended = self.scene.run("runtime", &mut command).await;
        let given = stage::path(&bundle);
        let pinned = given.as_deref().is_some_and(|path| Path::new(path) == self.pod.pin());
        assert!(pinned || ended == Ended::InVain, "{}: it was created with {given:?}", self.id);
        ended == Ended::Done
    }

    async fn event(&self) -> bool {
        let Some(session) = self.scene.session.borrow().clone() else { return false };
        drop(session.event(Event::RunPodSandbox, Some(self.pod.message.clone()), None).await);
        let answer = session.create_container(self.pod.message.clone(), self.pod.container()).await;
        match answer {
            Ok(answer) => {
                assert_eq!(swapped(&answer).map(Into::into), Some(self.pod.pin()));
                self.scene.count("nri: done");
                true
            }
            Err(ttrpc::Error::RpcStatus(status)) => {
                // Told to end, or stopped for as long as it may take.
                let passing = ["is shutting down", "not done within"];
                if !passing.iter().any(|words| status.message().contains(words)) {
                    self.scene.check("nri", status.message());
                }
                self.scene.count("nri: in vain");
                false
            }
            // Killed.
            Err(_) => false,
        }
    }

    async fn tell_removal(&self) {
        let session = self.scene.session.borrow().clone();
        for event in [Event::StopPodSandbox, Event::RemovePodSandbox] {
            if let Some(session) = &session {
                drop(session.event(event, Some(self.pod.message.clone()), None).await);
            }
        }
    }

    /// The pin is the engine's namespace, has been since it was promised, and has a record that says so.
    #[track_caller]
    fn stands(&self, when: &str) {
        self.watch.has_not_gone(when);
        let (pin, engine) = (inode(&self.pod.pin()), inode(Path::new(&self.pod.file)));
        assert!(pin.is_some() && pin == engine, "{}: {when}: {pin:?}, the engine's is {engine:?}", self.id);
        let record = fs::read_to_string(format!("/run/berth/sandboxes/berth-{}.json", self.id)).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        assert_eq!(record["netns"]["ino"].as_u64(), pin.map(|(_, ino)| ino), "{}: {when}: {record}", self.id);
    }

    /// A process in the pod.
    fn task(&self) -> Task {
        self.scene.count("tasks");
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.pod.file)).args(["sh", "-c", "echo in; exec sleep 1000"]);
        let mut task = Task(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(task.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "in\n");
        task
    }
}

/// Ends with the value.
struct Task(Child);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Every removal of the pin's file.
struct Watch {
    events: std::cell::RefCell<Inotify>,
    file: String,
}

impl Watch {
    fn begin(id: &str) -> Self {
        let events = Inotify::init().unwrap();
        events.watches().add("/run/netns", WatchMask::DELETE).unwrap();
        Self { events: events.into(), file: format!("berth-{id}") }
    }

    fn removals(&self) -> usize {
        let (mut buffer, mut count) = ([0; 4096], 0);
        loop {
            let mut events = self.events.borrow_mut();
            let Ok(found) = events.read_events(&mut buffer) else { return count };
            count += found.filter(|event| event.name.is_some_and(|name| name == self.file.as_str())).count();
        }
    }

    /// The pin of the life before.
    fn forget_what_was(&self) {
        self.removals();
    }

    #[track_caller]
    fn has_not_gone(&self, when: &str) {
        assert_eq!(self.removals(), 0, "{} was removed {when}", self.file);
    }
}

fn ip(args: &[&str]) {
    assert!(Command::new("ip").args(args).status().expect("ip (iproute2) runs").success(), "ip {args:?}");
}
