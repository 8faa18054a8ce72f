//! Pods with pins, and what a command says of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::stage;
use crate::task::Task;

/// The directory of the bundles, which no engine keeps there.
pub(crate) const BUNDLES: &str = "/run/bundles/k8s.io";
/// Where pins are.
pub(crate) const NETNS: &str = "/run/netns";
/// Where records are.
pub(crate) const RECORDS: &str = "/run/berth/sandboxes";

/// A pod's sandbox that an interposer has pinned.
pub(crate) struct Pod {
    pub(crate) id: &'static str,
    /// The engine's file of its network.
    pub(crate) file: String,
}

impl Pod {
    pub(crate) fn new(id: &'static str, namespace: &str, name: &str) -> Self {
        let file = stage::netns(&format!("cni-{id}"));
        let dir = stage::bundle(id, &annotations("sandbox", id, namespace, name), &stage::network(&file));
        interpose(&dir, id);
        Self { id, file }
    }

    /// A container of it whose bundle no interposer has seen.
    pub(crate) fn unseen(&self, id: &str, namespace: &str, name: &str) -> PathBuf {
        let annotations = annotations("container", self.id, namespace, name);
        stage::bundle(id, &annotations, &stage::network("/proc/0/ns/net"))
    }

    pub(crate) fn pin(&self) -> PathBuf {
        Path::new(NETNS).join(format!("berth-{}", self.id))
    }

    pub(crate) fn record(&self) -> PathBuf {
        Path::new(RECORDS).join(format!("berth-{}.json", self.id))
    }

    /// Runs `ip` in its namespace.
    pub(crate) fn ip(&self, words: &str) {
        let mut ip = Command::new("nsenter");
        ip.arg(format!("--net={}", self.file)).arg("ip").args(words.split(' '));
        assert!(ip.status().unwrap().success(), "ip {words}");
    }

    /// A process that stays in it.
    pub(crate) fn task(&self) -> Task {
        Task::in_network(&self.file)
    }

    /// What the engine does last when the pod is stopped.
    pub(crate) fn engine_lets_go(&self) {
        assert!(Command::new("umount").arg(&self.file).status().unwrap().success());
        fs::remove_file(&self.file).unwrap();
    }

    /// Takes the pin's mount away, behind berth's back.
    pub(crate) fn unmount_pin(&self) {
        assert!(Command::new("umount").arg(self.pin()).status().unwrap().success());
    }
}

fn annotations<'a>(kind: &'a str, sandbox: &'a str, namespace: &'a str, name: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("io.kubernetes.cri.container-type", kind),
        ("io.kubernetes.cri.sandbox-id", sandbox),
        ("io.kubernetes.cri.sandbox-name", name),
        ("io.kubernetes.cri.sandbox-namespace", namespace),
        ("io.kubernetes.cri.sandbox-uid", "u1"),
        ("io.kubernetes.cri.container-name", if kind == "sandbox" { "" } else { "app" }),
    ]
}

/// Has an interposer create from the bundle.
pub(crate) fn interpose(bundle: &Path, id: &str) {
    let interposer = Path::new("/run/berth.d/berth-runc");
    if !interposer.exists() {
        stage::delegate("runc");
        stage::interposer("berth-runc");
    }
    stage::assert_delegated(&stage::create(interposer, bundle, id));
}

/// Runs a command of berth to its end.
pub(crate) fn berth(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command.args(args).env_remove("BERTH_TEST_ISOLATED").stdin(Stdio::null()).output().unwrap()
}

/// What it printed; it succeeded, and said nothing else.
#[track_caller]
pub(crate) fn printed(args: &[&str]) -> String {
    let output = berth(args);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8(text.clone()).unwrap());
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    out
}

/// What it says is wrong; it failed, and printed no data.
#[track_caller]
pub(crate) fn failed(args: &[&str]) -> String {
    let output = berth(args);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8(text.clone()).unwrap());
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{err}");
    err
}

pub(crate) fn json(args: &[&str]) -> Value {
    serde_json::from_str(&printed(args)).unwrap()
}

/// The output without what no two runs have in common.
pub(crate) fn settled(text: &str, pods: &[&Pod]) -> String {
    let mut text = text.to_owned();
    for pod in pods {
        for path in [PathBuf::from(&pod.file), pod.pin()] {
            let Ok(found) = berth::netns::Netns::open(&path) else { continue };
            text = text.replace(&found.id().to_string(), "4:NETNS");
        }
        let record = fs::read(pod.record()).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(config) = record.as_ref().and_then(|record| record["config"].as_str()) {
            text = text.replace(config, "CONFIG");
        }
    }
    text.lines().map(|line| without_age(line) + "\n").collect()
}

/// The machine may be slow.
fn without_age(line: &str) -> String {
    let is_age = |word: &str| {
        word.strip_suffix('s')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let words: Vec<_> = line.split(' ').map(|word| if is_age(word) { "0s" } else { word }).collect();
    words.join(" ")
}
