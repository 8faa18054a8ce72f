//! The life of a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Pause};
use crate::guest::Guest;
use crate::network;
use crate::report::{Result, Told, note};
use crate::spec::{Role, Spec};

const NODE: &str = "/proc/1/ns/net";

/// A container that was created, as its file in the runtime's root directory keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Container {
    id: String,
    bundle: PathBuf,
    pid: i32,
    #[serde(skip)]
    dir: PathBuf,
}

/// Creates a container from a bundle.
pub(crate) fn create(root: &Path, bundle: &Path, pid_file: &Path, id: &str) -> Result<()> {
    let (spec, config) = (Spec::read(bundle)?, Config::load()?);
    let guest = Guest::of(&spec.sandbox);
    network::enter(&spec.netns)?;
    match spec.role {
        Role::Sandbox => boot(&guest, &config)?,
        Role::Member => {
            let here = guest.is_running() && network::is_connected();
            here.then_some(()).ok_or(format!("no guest of sandbox {} is in {}", spec.sandbox, spec.netns.display()))?;
        }
    }
    guest.add(id)?;
    if spec.role == Role::Sandbox && config.pause == Pause::Outside {
        network::enter(Path::new(NODE))?;
    }
    let pid = hold(id)?;
    Container { id: id.to_owned(), bundle: bundle.to_owned(), pid, dir: root.join(id) }.save()?;
    fs::write(pid_file, pid.to_string()).told(pid_file.display())?;
    let (Spec { role, sandbox, dialects, .. }, netns) = (&spec, spec.netns.display());
    note(&format!("create {id}: {role:?} of {sandbox} by {dialects}, in {netns}"));
    Ok(())
}

/// Leaves nothing if it fails: an engine does not kill what it could not create.
fn boot(guest: &Guest, config: &Config) -> Result<()> {
    let link = network::connect()?;
    guest.boot(config, &link).inspect_err(|_| {
        guest.discard();
        network::disconnect().ok();
    })
}

/// Starts the process whose pid the engine is told; it has the container's standard streams.
fn hold(id: &str) -> Result<i32> {
    let program = std::env::current_exe().told("this program")?;
    let process = Command::new(program).args(["hold", id]).current_dir("/").spawn().told("start the pause process")?;
    i32::try_from(process.id()).told("pid")
}

impl Container {
    pub(crate) fn load(root: &Path, id: &str) -> Result<Option<Self>> {
        let dir = root.join(id);
        let Ok(text) = fs::read_to_string(dir.join("state.json")) else { return Ok(None) };
        let container: Self = serde_json::from_str(&text).told("state.json")?;
        Ok(Some(Self { dir, ..container }))
    }

    fn save(&self) -> Result<()> {
        fs::create_dir_all(&self.dir).told(self.dir.display())?;
        let text = serde_json::to_string(self).told("state.json")?;
        fs::write(self.dir.join("state.json"), text).told("state.json")
    }

    pub(crate) fn start(&self) -> Result<()> {
        let spec = Spec::read(&self.bundle)?;
        match spec.role {
            Role::Sandbox => Ok(()),
            Role::Member => Guest::of(&spec.sandbox).run(&self.id, &spec.args),
        }
    }

    pub(crate) fn print_state(&self) -> Result<()> {
        let status = if self.signal(None).is_ok() { "running" } else { "stopped" };
        let Self { id, bundle, pid, .. } = self;
        println!(
            "{}",
            serde_json::json!({ "ociVersion": "1.0.2", "id": id, "status": status, "pid": pid, "bundle": bundle })
        );
        Ok(())
    }

    /// Every signal that an engine sends is meant to end the container.
    pub(crate) fn kill(&self, signal: i32) -> Result<()> {
        self.leave(signal)?;
        self.signal(Some(Signal::try_from(signal).told("signal")?))
    }

    pub(crate) fn delete(&self) -> Result<()> {
        self.leave(Signal::SIGKILL as i32)?;
        self.signal(Some(Signal::SIGKILL)).ok();
        fs::remove_dir_all(&self.dir).told(self.dir.display())
    }

    fn signal(&self, signal: Option<Signal>) -> Result<()> {
        match nix::sys::signal::kill(Pid::from_raw(self.pid), signal) {
            Err(Errno::ESRCH) => Err("container not running".into()),
            result => result.told("signal the container"),
        }
    }

    /// Takes the container out of its guest, once. The last one out takes the network away and stops the guest, by its own
    /// specification's path.
    fn leave(&self, signal: i32) -> Result<()> {
        let spec = Spec::read(&self.bundle)?;
        let guest = Guest::of(&spec.sandbox);
        let containers = guest.containers();
        if !containers.contains(&self.id) {
            return Ok(());
        }
        if containers.len() == 1 {
            network::enter(&spec.netns)?;
            if guest.is_running() {
                guest.unplug()?;
            }
            network::disconnect()?;
            guest.stop();
            note(&format!("leave {}: the TAP was removed and the guest stopped, in {}", self.id, spec.netns.display()));
        } else if spec.role == Role::Member {
            guest.kill(&self.id, signal)?;
        }
        guest.remove(&self.id);
        Ok(())
    }
}
