//! A rig that can be installed on: `/etc`, `/usr/local` and `/opt` are its own, the engine has its configuration where
//! every engine has it, and the node's own command restarts it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use super::Rig;
use super::berth::{binary, lean};
use super::cri::Cri;
use super::engine::{Engine, NETWORK};
use super::place::Place;
use super::wait::{DEADLINE, within};

/// Directories that the node has for itself. What the host has in them is seen, but for what tests are about.
const OWN: &str = "
set -eu
for dir in etc opt; do
    mkdir -p /run/rig/own/$dir/upper /run/rig/own/$dir/work
    mount -t overlay overlay -o lowerdir=/$dir,upperdir=/run/rig/own/$dir/upper,workdir=/run/rig/own/$dir/work /$dir
done
mount --bind /run/rig/own/berth /run/rig/berth
# The host's own programs are not on it: nothing here needs them, and all of it is looked at again and again.
mount -t tmpfs tmpfs /usr/local
mkdir /usr/local/bin
rm -rf /etc/containerd /etc/crio /etc/berth /etc/nri /opt/nri
";

/// What restarts the engine: ends the one that runs, and starts it as its argument says.
const RESTART: &str = r#"#!/bin/sh
if [ -s /run/rig/engine.pid ]; then
    read -r pid </run/rig/engine.pid
    kill -TERM "$pid" 2>/dev/null
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
fi
export PATH=/run/rig/bin:/run/rig/containerd:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/run/rig/tmp
: >/run/rig/engine.log
COMMAND </dev/null >>/run/rig/engine.log 2>&1 &
echo $! >/run/rig/engine.pid
"#;

/// The node's command that restarts its engine.
pub(crate) const RESTART_COMMAND: &str = "/run/rig/restart";

/// An object of the node: what it is, and when it was last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    /// A file's length and a sum of its bytes: programs are long.
    content: Option<(usize, u64)>,
    target: Option<PathBuf>,
}

impl Rig {
    /// A rig that can be installed on, with this containerd configuration, or none. The engine is still to be started.
    pub(crate) fn node(config: Option<&str>) -> Self {
        Self::node_with(config, &[])
    }

    /// The same; `further` directories are seen on it in `/run/rig`, by name.
    pub(crate) fn node_with(config: Option<&str>, further: &[(&str, &Path)]) -> Self {
        let rig = Self::furnish(Engine::Containerd, further);
        super::containerd::configure(&rig.space, &[]);
        rig.own_directories("/run/rig/containerd/containerd");
        rig.run("mkdir", &["/etc/containerd"]).expect("make a directory");
        if let Some(config) = config {
            rig.write("/etc/containerd/config.toml", config);
        }
        rig
    }

    /// Gives the node its own directories, and a command that restarts the engine.
    pub(super) fn own_directories(&self, engine: &str) {
        let berth = binary();
        let own = self.path("/run/rig/own/berth").join(berth.file_name().expect("the binary has a name"));
        std::fs::create_dir_all(own.parent().expect("a parent")).expect("make a directory");
        std::fs::copy(lean(), own).expect("bring berth");
        self.run("sh", &["-c", OWN]).expect("give the node directories of its own");
        self.write("/run/rig/cni/10-rig.conflist", NETWORK);
        self.write(RESTART_COMMAND, &RESTART.replace("COMMAND", engine));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(RESTART_COMMAND), mode).expect("make it executable");
    }

    /// Starts the engine, or starts it again, by the node's command, and returns when its CRI answers.
    pub(crate) fn restart_node(&mut self) {
        self.run(RESTART_COMMAND, &[]).expect("start the engine");
        self.meet_engine();
    }

    /// Connects to the engine that the node's command has started.
    pub(crate) fn meet_engine(&mut self) {
        self.cri = Some(self.await_engine());
    }

    /// A connection of its own to that engine, as soon as it answers.
    pub(crate) fn await_engine(&self) -> Cri {
        let socket = self.path(self.engine.socket());
        let cri = within(DEADLINE, || Cri::connect(&socket).ok().filter(Cri::is_up));
        cri.unwrap_or_else(|| panic!("the engine's CRI does not answer:\n{}", self.node_log()))
    }

    /// The images that pods are made of.
    pub(crate) fn bring_images(&self) {
        self.engine.import_images(&self.space, self.cri());
    }

    /// What the node's engine has said since its last start.
    pub(crate) fn node_log(&self) -> String {
        std::fs::read_to_string(self.path("/run/rig/engine.log")).unwrap_or_default()
    }

    /// Runs berth on the node; what it printed, or how it failed.
    #[track_caller]
    pub(crate) fn berth_prints(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.berth_command(args);
        let [out, err] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(status.success(), "berth {args:?}: {status}\n{out}{err}");
        out
    }

    /// Runs berth on the node, which fails; what it says then.
    #[track_caller]
    pub(crate) fn berth_fails(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.berth_command(args);
        let [out, err] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(status.code(), Some(1), "berth {args:?}: {status}\n{out}{err}");
        err
    }
}

impl Place {
    /// Everything in the node's directories that berth has any business with.
    pub(crate) fn see(&self) -> BTreeMap<PathBuf, Seen> {
        let mut found = BTreeMap::new();
        for dir in ["/etc/containerd", "/etc/crio", "/etc/berth", "/opt/nri", "/usr/local", "/var/lib/berth"] {
            see(&self.path(dir), Path::new(dir), &mut found);
        }
        found
    }
}

/// Nothing was written at all.
#[track_caller]
pub(crate) fn assert_untouched(before: &BTreeMap<PathBuf, Seen>, after: &BTreeMap<PathBuf, Seen>) {
    assert_eq!(differences(before, after, |one, other| one == other), Vec::<PathBuf>::new());
}

/// Everything is as it was, byte for byte; it may have been written again.
#[track_caller]
pub(crate) fn assert_restored(before: &BTreeMap<PathBuf, Seen>, after: &BTreeMap<PathBuf, Seen>) {
    let same = |one: &Seen, other: &Seen| Seen { modified: one.modified, ..other.clone() } == *one;
    assert_eq!(differences(before, after, same), Vec::<PathBuf>::new());
}

fn differences(
    before: &BTreeMap<PathBuf, Seen>,
    after: &BTreeMap<PathBuf, Seen>,
    same: impl Fn(&Seen, &Seen) -> bool,
) -> Vec<PathBuf> {
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let is_same = |path: &Path| before.get(path).zip(after.get(path)).is_some_and(|(one, other)| same(one, other));
    paths.into_iter().filter(|path| !is_same(path)).cloned().collect()
}

fn sum(bytes: &[u8]) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    (bytes.len(), hasher.finish())
}

fn see(at: &Path, name: &Path, found: &mut BTreeMap<PathBuf, Seen>) {
    let Ok(data) = std::fs::symlink_metadata(at) else { return };
    let content = data.is_file().then(|| sum(&std::fs::read(at).expect("read a file of the node")));
    let seen = Seen {
        mode: data.mode(),
        owner: (data.uid(), data.gid()),
        // Whatever comes and goes in a directory is seen by itself.
        modified: if data.is_dir() { (0, 0) } else { (data.mtime(), data.mtime_nsec()) },
        content,
        target: std::fs::read_link(at).ok(),
    };
    found.insert(name.to_owned(), seen);
    if data.is_dir() {
        for entry in std::fs::read_dir(at).expect("read a directory of the node") {
            let entry = entry.expect("read a directory of the node").file_name();
            see(&at.join(&entry), &name.join(&entry), found);
        }
    }
}
