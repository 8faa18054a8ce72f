//! A node to measure on: its directories, the pods that are on it, and what is run there.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use berth::apply::Keeper;
use berth::config::DEFAULT_TEXT;
use berth::netns::{PinState, Store};
use berth::pin::PinName;

use crate::spec::{self, Container};

/// Delegates.
const BIN: &str = "/run/bin";
/// [`BIN`] is the third, as Debian's `/usr/sbin` is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/run/bin:/usr/sbin:/usr/bin:/sbin:/bin";
pub(crate) const RUNTIME: &str = "runc";
pub(crate) const SHIM: &str = "containerd-shim-x-v2";

/// What is run: the delegate, or something in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Direct,
    Berth,
    Go,
}

/// Puts delegates, interposers and the wrapper where they are run from.
pub(crate) fn install(berth: &Path, go: &Path) {
    for dir in [BIN, "/run/berth", "/run/go"] {
        fs::create_dir_all(dir).unwrap();
    }
    let (source, least) = (concat!(env!("CARGO_MANIFEST_DIR"), "/benches/interpose/delegate.rs"), "/run/least");
    let flags = ["--edition=2024", "-Cpanic=abort", "-Cstrip=symbols", "-Crelocation-model=static"];
    let linked = ["-Clink-arg=-static", "-Clink-arg=-nostdlib", "-Clink-arg=-nostartfiles"];
    let built =
        Command::new("rustc").args(flags).args(linked).args([source, "-o", least]).status().expect("rustc runs");
    assert!(built.success(), "the delegate is built");
    for program in [RUNTIME, SHIM] {
        fs::copy(least, format!("{BIN}/{program}")).unwrap();
        symlink(berth, path(Side::Berth, program)).unwrap();
        symlink(go, path(Side::Go, program)).unwrap();
    }
}

fn path(side: Side, program: &str) -> String {
    match (side, program.strip_prefix("containerd-shim-")) {
        (Side::Direct, _) => format!("{BIN}/{program}"),
        (Side::Berth, None) => format!("/run/berth/berth-{program}"),
        (Side::Berth, Some(rest)) => format!("/run/berth/containerd-shim-berth-{rest}"),
        (Side::Go, _) => format!("/run/go/go-{program}"),
    }
}

/// The network namespace of a sandbox, as an engine makes one; its path.
pub(crate) fn netns(sandbox: &str) -> String {
    let store = Store::open(Path::new("/run/netns")).unwrap();
    let name = PinName::parse(&format!("berth-cni-{sandbox}")).unwrap();
    if store.state(&name).unwrap() == PinState::Absent {
        store.create(&name).expect("make a network namespace (root)");
    }
    store.path(&name).to_str().unwrap().to_owned()
}

/// A process in a network namespace; ends with this value.
#[derive(Debug)]
pub(crate) struct Task(Child);

impl Task {
    pub(crate) fn within(netns: &str) -> Self {
        let task =
            Self(Command::new("nsenter").arg(format!("--net={netns}")).args(["sleep", "infinity"]).spawn().unwrap());
        let inode = |path: &str| fs::metadata(path).unwrap().ino();
        while inode(&task.netns()) != inode(netns) {
            std::thread::yield_now();
        }
        task
    }

    /// The path through it, which containerd gives to members.
    pub(crate) fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// berth's directories, and pods whose sandboxes were created by way of it.
#[derive(Debug)]
pub(crate) struct Node {
    dir: PathBuf,
    keeper: Keeper,
    config: Option<PathBuf>,
    /// The process of its first pod's sandbox.
    pub(crate) pause: Task,
}

impl Node {
    pub(crate) fn with_pods(pods: usize) -> Self {
        let dir = PathBuf::from(format!("/run/node-{pods}"));
        let keeper = Keeper::open(&dir.join("state"), &dir.join("netns")).unwrap();
        let name = |number: usize| format!("pod-{number}-of-{pods}");
        let namespaces: Vec<_> = (0..pods).map(|number| netns(&name(number))).collect();
        let node = Self { dir, keeper, config: None, pause: Task::within(&namespaces[0]) };
        for (number, netns) in namespaces.iter().enumerate() {
            for side in [Side::Berth, Side::Go] {
                let text = spec::text(Container::sandbox(&name(number), Some(netns)));
                let bundle = node.bundle(&name(number), &text);
                assert!(
                    node.command(side, RUNTIME, &creating("create", &bundle, &name(number)))
                        .status()
                        .unwrap()
                        .success()
                );
                assert!(node.pin(side, &name(number)).exists());
            }
        }
        assert_eq!(node.keeper.ledger.some(0, usize::MAX).unwrap().len(), pods);
        node
    }

    /// With a configuration file that says what holds without one, and names the interposers.
    pub(crate) fn configured(self) -> Self {
        let config = self.dir.join("config.yaml");
        let entries = [RUNTIME, SHIM].map(|program| {
            let (name, delegate) = (path(Side::Berth, program).replace("/run/berth/", ""), path(Side::Direct, program));
            format!("  {name}: {{engine: containerd, delegate: {delegate}, profile: default}}\n")
        });
        let text = DEFAULT_TEXT.replace("interposers: {}\n", &format!("interposers:\n{}", entries.concat()));
        assert_ne!(text, DEFAULT_TEXT);
        fs::write(&config, text).unwrap();
        Self { config: Some(config), ..self }
    }

    /// The sandbox of its first pod.
    pub(crate) fn sandbox(&self) -> String {
        self.dir.file_name().unwrap().to_str().unwrap().replace("node-", "pod-0-of-")
    }

    /// The bundle of container `id`, with this specification in it.
    pub(crate) fn bundle(&self, id: &str, text: &str) -> PathBuf {
        let bundle = self.dir.join("bundles").join(id);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), text).unwrap();
        bundle
    }

    /// `program`, the delegate, with what `side` says in front of it.
    pub(crate) fn command(&self, side: Side, program: &str, args: &[String]) -> Command {
        let mut command = Command::new(path(side, program));
        command.args(args).env_clear().env("PATH", PATH);
        command.env("BERTH_STATE_DIR", self.dir.join("state")).env("BERTH_NETNS_DIR", self.dir.join("netns"));
        command.envs(self.config.iter().map(|path| ("BERTH_CONFIG", path)));
        command
    }

    /// Where `side` has its pin of a sandbox.
    pub(crate) fn pin(&self, side: Side, sandbox: &str) -> PathBuf {
        let prefix = if side == Side::Go { "go" } else { "berth" };
        self.dir.join("netns").join(format!("{prefix}-{sandbox}"))
    }

    /// Undoes the pin that `side` has of a sandbox, if it has one.
    pub(crate) fn release(&self, side: Side, sandbox: &str) {
        let pin = self.pin(side, sandbox);
        match side {
            Side::Berth if pin.exists() => {
                let name = PinName::parse(pin.file_name().unwrap().to_str().unwrap()).unwrap();
                let lock = self.keeper.ledger.lock(&name, Duration::ZERO).unwrap();
                self.keeper.store.release(&name).unwrap();
                self.keeper.ledger.remove(&name).unwrap();
                lock.remove().unwrap();
            }
            Side::Go if pin.exists() => {
                nix::mount::umount2(&pin, nix::mount::MntFlags::MNT_DETACH).unwrap();
                fs::remove_file(&pin).unwrap();
            }
            Side::Direct | Side::Berth | Side::Go => {}
        }
    }
}

/// A command line that creates, as containerd's shim writes it.
pub(crate) fn creating(command: &str, bundle: &Path, id: &str) -> Vec<String> {
    let within = |name: &str| bundle.join(name).to_str().unwrap().to_owned();
    let (log, pid, bundle) = (within("log.json"), within("init.pid"), bundle.to_str().unwrap());
    let root = "/run/containerd/runc/k8s.io";
    words(&["--root", root, "--log", &log, "--log-format", "json", command, "--bundle", bundle, "--pid-file", &pid, id])
}

pub(crate) fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}
