//! What holds in a rig, read from where it is true: the bundle, `/proc`, the mount table, the network.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use super::Rig;
use super::place::{Place, outcome};
use super::wait::eventually;

/// Which network namespace: device and inode of its nsfs file.
pub(crate) type NetnsId = (u64, u64);

const NETNS: &str = "/run/netns";

impl Rig {
    /// The config.json of a container that was started, byte for byte.
    pub(crate) fn config_json(&self, container: &str) -> String {
        let path = self.path(format!("{}/config.json", self.engine.bundle(container)));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("config.json of {container}: {e}"))
    }

    pub(crate) fn spec(&self, container: &str) -> Value {
        serde_json::from_str(&self.config_json(container)).expect("config.json is JSON")
    }

    pub(crate) fn annotations(&self, container: &str) -> BTreeMap<String, String> {
        let annotations = self.spec(container)["annotations"].clone();
        serde_json::from_value(annotations).expect("annotations are a map of strings")
    }

    /// The path of the network namespace in the container's specification, if it has such an entry.
    pub(crate) fn netns_path(&self, container: &str) -> Option<String> {
        netns_path(&self.spec(container))
    }

    pub(crate) fn pin_path(sandbox: &str) -> String {
        pin_path(sandbox)
    }

    /// The pod's server (`SERVE`) is reached by another container over loopback, and by the node over the bridge.
    #[track_caller]
    pub(crate) fn assert_served(&self, client: &str, address: &str) {
        let loopback = ["wget", "-q", "-O", "-", "http://127.0.0.1/"];
        // Of a handler of the type `vm` CRI-O may lose what a command printed just before it ended.
        let answer = || self.cri().exec(client, &loopback).ok().filter(|page| !page.is_empty());
        let page = eventually("the pod's server answers", answer);
        assert_eq!(page, "berth\n");
        assert_eq!(self.fetch_from_node(&format!("http://{address}/")).as_deref(), Ok("berth\n"));
        self.ping_from_node(address).expect("the pod answers to the node's ping");
    }
}

impl Place {
    pub(crate) fn netns_of_pid(&self, pid: u32) -> NetnsId {
        let id = self.netns_of_file(&format!("/proc/{pid}/ns/net"));
        id.unwrap_or_else(|| panic!("process {pid} of the rig has no network namespace"))
    }

    /// The namespace that a file leads to, if there is such a file.
    pub(crate) fn netns_of_file(&self, path: &str) -> Option<NetnsId> {
        netns_id(self.path(path))
    }

    /// The rig's own namespace, which is the host's for everything that runs in it.
    pub(crate) fn netns_of_node(&self) -> NetnsId {
        self.netns_of_pid(1)
    }

    /// The namespace that the sandbox's pin keeps, if it is there and is a mount.
    pub(crate) fn pin(&self, sandbox: &str) -> Option<NetnsId> {
        let path = pin_path(sandbox);
        let id = self.netns_of_file(&path)?;
        self.mounts().contains(&path).then_some(id)
    }

    /// Everything of berth's that is left in the netns directory, mounted or not.
    pub(crate) fn pins(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(NETNS)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut pins: Vec<_> = names.filter(|name| name.starts_with("berth-")).collect();
        pins.sort();
        pins
    }

    /// The mount points that the rig's first process sees.
    pub(crate) fn mounts(&self) -> Vec<String> {
        self.mounts_of_pid(1)
    }

    /// The mount points that a process of the rig sees.
    pub(crate) fn mounts_of_pid(&self, pid: u32) -> Vec<String> {
        let table = std::fs::read_to_string(self.path(format!("/proc/{pid}/mountinfo")));
        let table = table.unwrap_or_else(|e| panic!("read the mount table of process {pid}: {e}"));
        table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect()
    }

    /// The rig's processes in a network namespace, by their ids in the rig.
    pub(crate) fn tasks_in(&self, netns: NetnsId) -> Vec<u32> {
        let entries = std::fs::read_dir(self.path("/proc")).expect("read the rig's /proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.netns_of_file(&format!("/proc/{pid}/ns/net")) == Some(netns)).collect()
    }

    /// The rig's processes that are in none of these network namespaces: their ids in the rig, and their command lines.
    pub(crate) fn tasks_outside(&self, known: &[NetnsId]) -> Vec<(u32, String)> {
        let entries = std::fs::read_dir(self.path("/proc")).expect("read the rig's /proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let outside =
            |pid: &u32| self.netns_of_file(&format!("/proc/{pid}/ns/net")).is_some_and(|netns| !known.contains(&netns));
        let line = |pid: u32| std::fs::read(self.path(format!("/proc/{pid}/cmdline"))).unwrap_or_default();
        let text = |pid: u32| String::from_utf8_lossy(&line(pid)).replace('\0', " ");
        pids.filter(outside).map(|pid| (pid, text(pid))).collect()
    }

    /// The command lines of the rig's processes, as far as they have one.
    pub(crate) fn command_lines(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("/proc")).expect("read the rig's /proc").flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| !line.is_empty()).collect()
    }

    /// Everything that berth has for pods, by path: pins, mounts, records, locks.
    pub(crate) fn left_of_pods(&self) -> Vec<String> {
        let pins = self.pins().into_iter().map(|name| format!("{NETNS}/{name}"));
        let mounts = self.mounts().into_iter().filter(|point| point.contains("/berth-"));
        let state = ["/run/berth/sandboxes", "/run/berth/locks"].into_iter().flat_map(|dir| {
            let entries = std::fs::read_dir(self.path(dir)).into_iter().flatten().flatten();
            entries.map(move |entry| format!("{dir}/{}", entry.file_name().to_string_lossy()))
        });
        pins.chain(mounts).chain(state).collect()
    }

    pub(crate) fn fetch_from_node(&self, url: &str) -> Result<String, String> {
        // Not `wget -T 5`: Debian's static busybox crashes on it.
        self.ask_in_network(&["timeout", "5", "busybox", "wget", "-q", "-O", "-", url])
    }

    pub(crate) fn ping_from_node(&self, address: &str) -> Result<String, String> {
        self.ask_in_network(&["busybox", "ping", "-c", "1", "-W", "5", address])
    }

    /// What a program of this machine says when it is run in the node's network.
    fn ask_in_network(&self, words: &[&str]) -> Result<String, String> {
        outcome(self.in_network(words[0]).args(&words[1..]), &words.join(" "))
    }
}

/// The namespace that a file leads to; the path is one of this process.
pub(crate) fn netns_id(path: impl AsRef<Path>) -> Option<NetnsId> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// The path of the network namespace in a specification, if it has such an entry.
pub(crate) fn netns_path(spec: &Value) -> Option<String> {
    let namespaces = spec["linux"]["namespaces"].as_array().expect("the specification has namespaces");
    let network = namespaces.iter().find(|entry| entry["type"] == "network")?;
    Some(network["path"].as_str().unwrap_or_default().to_owned())
}

/// Where the pin of a sandbox is.
pub(crate) fn pin_path(sandbox: &str) -> String {
    format!("{NETNS}/berth-{sandbox}")
}
