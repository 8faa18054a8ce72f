//! A node whose runtime puts pods into virtual machines.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::rig::containerd::{Handler, NAMES};
use crate::rig::cri::Sandbox;
use crate::rig::provision::components;
use crate::rig::read::NetnsId;
use crate::rig::wait::{DEADLINE, eventually, within};

/// The handler with berth in front of the runtime.
pub(crate) const BEHIND_BERTH: &str = "vmlike";
/// The handler with berth in front of the shim that runs it.
pub(crate) const SHIMMED: &str = "shimmed-vmlike";
/// The handler with the runtime alone.
pub(crate) const BARE: &str = "bare";

/// The interface that the runtime makes for the guest.
const TAP: &str = "tap0_vmlike";

const VMLIKE: &str = "/run/rig/bin/vmlike";
const RUN: &str = "/run/vmlike";
/// Where the runc shim has its runtime keep containers.
const CONTAINERS: &str = "/run/containerd/runc/k8s.io";
const QEMU: &str = "qemu-system-x86";

/// A rig with that runtime.
#[derive(Debug)]
pub(crate) struct Node(Rig);

impl Deref for Node {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        &self.0
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- what the runtime did\n{}", self.log());
        }
    }
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with(&json!({}))
    }

    /// A node whose runtime is configured with `changes` to what is usual; see `guest::Config` of the runtime.
    pub(crate) fn with(changes: &Value) -> Self {
        let interposer = "berth-vmlike";
        let mut rig = Rig::with_handlers(&[
            Handler::oci(BEHIND_BERTH, &format!("{NAMES}/{interposer}")),
            Handler { shim: Some(format!("{NAMES}/containerd-shim-berth-runc-v2")), ..Handler::oci(SHIMMED, VMLIKE) },
            Handler::oci(BARE, VMLIKE),
        ]);
        rig.name_berth(interposer);
        rig.install("vmlike", vmlike());
        rig.run("mkdir", &[RUN]).expect("make the runtime's directory");
        for (key, name) in [("BERTH_RIG_VM_KERNEL", "kernel"), ("BERTH_RIG_VM_INITRD", "initrd")] {
            std::fs::copy(&provided()[key], rig.path(format!("{RUN}/{name}"))).expect("copy what the guest boots");
        }
        rig.write(&format!("{RUN}/config.json"), &config(changes).to_string());
        rig.start_engine();
        Self(rig)
    }

    /// What the runtime has written down.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path(format!("{RUN}/log"))).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn assert_logged(&self, line: &str) {
        assert!(self.log().lines().any(|logged| logged == line), "no line {line:?} in:\n{}", self.log());
    }

    /// The page of the guest's own server.
    pub(crate) fn front_page(pod: &Sandbox) -> String {
        format!("guest of {} on Linux {}\n", pod.id, provided()["BERTH_RIG_VM_KERNEL_VERSION"])
    }

    /// A page of the guest at a pod's address, as the node gets it.
    pub(crate) fn page(&self, address: &str, path: &str) -> Result<String, String> {
        self.fetch_from_node(&format!("http://{address}/{path}"))
    }

    /// The guests that run, by the process ids of their machines.
    pub(crate) fn guests(&self) -> Vec<u32> {
        let entries = std::fs::read_dir(self.path("/proc")).expect("read the rig's /proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // `comm` of a process that has ended is still there until it is waited for; its files are not.
        pids.filter(|pid| {
            let comm = std::fs::read_to_string(self.path(format!("/proc/{pid}/comm"))).unwrap_or_default();
            comm.trim_end() == QEMU && self.path(format!("/proc/{pid}/exe")).exists()
        })
        .collect()
    }

    /// The pod's guest, which is the only one.
    #[track_caller]
    pub(crate) fn only_guest(&self) -> u32 {
        let guests = self.guests();
        assert_eq!(guests.len(), 1, "not one guest but {guests:?}");
        guests[0]
    }

    /// The namespace has the interface that the runtime makes for the guest.
    pub(crate) fn has_tap(&self, netns: &str) -> bool {
        let listed = self.run("nsenter", &[&format!("--net={netns}"), "ip", "-brief", "link"]);
        let listed = listed.unwrap_or_else(|e| panic!("interfaces in {netns}: {e}"));
        listed.lines().any(|line| line.split(' ').next() == Some(TAP))
    }

    #[track_caller]
    pub(crate) fn await_no_guest(&self) {
        eventually("no guest runs", || self.guests().is_empty().then_some(()));
    }

    /// Kills the process whose pid the engine was told, and returns when the engine has cleaned up after it.
    pub(crate) fn kill_pause(&self, pod: &Sandbox) {
        let pid = self.cri().sandbox_state(&pod.id).pid;
        self.kill_9(pid);
        let state = self.path(format!("{CONTAINERS}/{}", pod.id));
        eventually("the engine has deleted the sandbox's container", || (!state.exists()).then_some(()));
    }

    pub(crate) fn kill_9(&self, pid: u32) {
        self.run("kill", &["-9", &pid.to_string()]).expect("kill the process");
        eventually("the process is gone", || (!self.path(format!("/proc/{pid}")).exists()).then_some(()));
    }

    /// Everything that a pod could have left, by kind.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = |dir: &str| {
            let names = std::fs::read_dir(self.path(dir)).into_iter().flatten().flatten();
            names.map(|entry| format!("{dir}/{}", entry.file_name().to_string_lossy())).collect::<Vec<_>>()
        };
        let guests = self.guests().into_iter().map(|pid| format!("guest {pid}"));
        let dirs = ["/run/netns", "/run/vmlike/guests", CONTAINERS].into_iter().flat_map(entries);
        self.left_of_pods().into_iter().chain(guests).chain(dirs).collect()
    }

    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let gone = within(DEADLINE, || self.left().is_empty().then_some(()));
        assert!(gone.is_some(), "still there after {DEADLINE:?}: {:?}", self.left());
        assert!(!self.has_tap("/proc/1/ns/net"), "the node has got the guest's interface");
    }

    #[track_caller]
    pub(crate) fn await_nothing_left_after_gc(&self) {
        self.await_no_guest();
        self.gc();
        self.assert_nothing_left();
    }

    #[track_caller]
    pub(crate) fn pinned(&self, pod: &Sandbox) -> NetnsId {
        self.pin(&pod.id).expect("the pod has a pin, and it is a mount")
    }

    /// What an administrator's `berth gc` did.
    pub(crate) fn gc(&self) -> String {
        let done = self.berth_command(&["gc"]);
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

fn config(changes: &Value) -> Value {
    let mut config = json!({
        "qemu": provided()["BERTH_RIG_QEMU"], "kernel": format!("{RUN}/kernel"), "initrd": format!("{RUN}/initrd"),
        "linger": 0, "pause": "inside",
    });
    for (key, value) in changes.as_object().expect("changes are an object") {
        config[key] = value.clone();
    }
    config
}

fn provided() -> &'static HashMap<String, String> {
    static PROVIDED: OnceLock<HashMap<String, String>> = OnceLock::new();
    PROVIDED.get_or_init(|| components(&["vm"]))
}

/// The runtime, built once. cargo builds no examples for the tests of one crate.
fn vmlike() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let arguments = ["build", "--locked", "--quiet", "--example", "vmlike", "--message-format", "json"];
        let mut cargo = Command::new(env!("CARGO"));
        let cargo = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
        let built = cargo.output().expect("cargo runs");
        let messages = String::from_utf8_lossy(&built.stdout);
        let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let artifact =
            messages.find(|message| message["target"]["name"] == "vmlike" && message["executable"].is_string());
        artifact.and_then(|artifact| Some(artifact["executable"].as_str()?.into())).expect("cargo builds vmlike")
    })
}
