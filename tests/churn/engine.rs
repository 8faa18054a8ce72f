//! What an engine does with a pod beside telling berth of it: the network namespace and the file that keeps it, the
//! sandbox's process in it, and the end of both.
#![allow(clippy::disallowed_methods, reason = "does what engines do, on a thread that ends")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use berth::nri::api::{Container, LinuxNamespace, PodSandbox};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::fake_runtime;
use crate::plan::By;
use crate::rig::read::{NetnsId, netns_id, pin_path};

/// Where engines keep the files, and berth its pins.
pub(crate) const NETNS: &str = "/run/netns";

/// A pod as the engine knows it.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) id: String,
    pub(crate) by: By,
    /// The engine's file, until it lets go.
    pub(crate) file: Option<PathBuf>,
    pub(crate) netns: NetnsId,
    sandbox: Option<Child>,
}

impl Pod {
    /// Makes its network namespace and starts its process in it.
    pub(crate) fn make(number: usize, by: By) -> Self {
        let id = format!("p{number}");
        let file = Path::new(NETNS).join(format!("cni-{id}"));
        fs::write(&file, "").unwrap();
        let target = file.clone();
        let inside = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace (root)");
            mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            Command::new("sleep").arg("infinity").stdin(Stdio::null()).spawn().expect("sleep (coreutils) runs")
        });
        let sandbox = Some(inside.join().unwrap());
        let netns = netns_id(&file).unwrap();
        Self { id, by, file: Some(file), netns, sandbox }
    }

    pub(crate) fn pin(&self) -> PathBuf {
        pin_path(&self.id).into()
    }

    /// What its members are told where its network is, without berth: the sandbox's process, or the file when it is dead.
    pub(crate) fn path(&self) -> String {
        match (&self.sandbox, &self.file) {
            (Some(child), _) => format!("/proc/{}/ns/net", child.id()),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => String::new(),
        }
    }

    /// As the engine tells it to plugins.
    pub(crate) fn message(&self) -> PodSandbox {
        let mut message = fake_runtime::pod(&self.id);
        message.runtime_handler = "kata".into();
        message.pid = self.sandbox.as_ref().map_or(0, Child::id);
        if let Some(file) = &self.file {
            message.linux.mut_or_insert_default().namespaces.push(network(file.display().to_string()));
        }
        message
    }

    /// A container of it, as the engine tells it to plugins.
    pub(crate) fn container(&self) -> Container {
        let mut container = fake_runtime::container(&format!("c-{}", self.id), &self.id);
        container.name = "app".into();
        container.linux.mut_or_insert_default().namespaces.push(network(self.path()));
        container
    }

    /// Its process is killed and gone.
    pub(crate) fn sandbox_dies(&mut self) {
        if let Some(mut child) = self.sandbox.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn has_process(&self) -> bool {
        self.sandbox.is_some()
    }

    /// What the engine does last of all when a pod is stopped.
    pub(crate) fn engine_lets_go(&mut self) {
        if let Some(file) = self.file.take() {
            umount2(&file, MntFlags::MNT_DETACH).unwrap();
            fs::remove_file(&file).unwrap();
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.sandbox_dies();
    }
}

fn network(path: String) -> LinuxNamespace {
    LinuxNamespace { type_: "network".into(), path, ..Default::default() }
}
