//! A node without an engine: a fresh `/run`, an interposer before a delegate that says nothing, and what the engine does.
//!
//! The engine's network namespaces are made once and are bound anew on each stage; what keeps them otherwise is a
//! descriptor of this process, which is no task in them.
#![allow(
    clippy::disallowed_methods,
    reason = "makes by hand what an engine makes, in a mount namespace of the test's own"
)]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// berth in front of a delegate whose name no other program of the node has.
const INTERPOSER: &str = "/run/berth.d/berth-silent";
/// What configures it, on stages on which something is configured.
const CONFIG: &str = "/run/config.yaml";
/// A namespace entry that asks for a network namespace of its own.
pub(crate) const NEW: &str = r#"{"type":"network"}"#;

/// The binary under test.
pub(crate) fn berth() -> PathBuf {
    std::env::var_os("BERTH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_berth").into(), PathBuf::from)
}

/// Clears the stage: nothing of an earlier one is left.
pub(crate) fn clear() {
    umount2("/run", MntFlags::MNT_DETACH).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    for dir in ["/run/bin", "/run/berth.d", "/run/netns"] {
        fs::create_dir(dir).unwrap();
    }
    symlink("/bin/true", "/run/bin/silent").unwrap();
    symlink(berth(), INTERPOSER).unwrap();
}

/// The engine's network namespaces, by number.
fn namespaces() -> &'static [File; 2] {
    static MADE: OnceLock<[File; 2]> = OnceLock::new();
    MADE.get_or_init(|| {
        [(); 2].map(|()| {
            let maker = std::thread::spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).unwrap();
                File::open("/proc/thread-self/ns/net").unwrap()
            });
            maker.join().unwrap()
        })
    })
}

/// The number of the namespace with this inode, if it is the engine's.
pub(crate) fn engines(inode: u64) -> Option<usize> {
    namespaces().iter().position(|netns| netns.metadata().unwrap().ino() == inode)
}

/// The engine's file of its namespace of this number.
pub(crate) fn engine_file(number: usize) -> String {
    format!("/run/netns/cni-{number}")
}

/// The engine makes its file.
pub(crate) fn engine_makes(number: usize) {
    let file = engine_file(number);
    fs::write(&file, "").unwrap();
    let netns = format!("/proc/self/fd/{}", namespaces()[number].as_raw_fd());
    mount(Some(netns.as_str()), file.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

/// The engine is done with its namespace, as containerd is: unmounts the file and removes it.
pub(crate) fn engine_lets_go(number: usize) {
    let file = engine_file(number);
    umount2(file.as_str(), MntFlags::MNT_DETACH).unwrap_or_else(|errno| panic!("the engine unmounts {file}: {errno}"));
    fs::remove_file(&file).unwrap_or_else(|error| panic!("the engine removes {file}: {error}"));
}

/// The bundle of this id.
pub(crate) fn bundle_of(id: &str) -> PathBuf {
    Path::new("/run/bundles").join(id)
}

/// The engine writes the bundle of a pod's sandbox or member, with its network entry.
pub(crate) fn bundle(id: &str, kind: &str, sandbox: &str, network: &str) {
    let annotations = format!(
        r#"{{"io.kubernetes.cri.container-type":"{kind}","io.kubernetes.cri.sandbox-id":"{sandbox}","io.kubernetes.cri.sandbox-name":"web","io.kubernetes.cri.sandbox-namespace":"ns","io.kubernetes.cri.sandbox-uid":"u1"}}"#
    );
    plain_bundle(id, &annotations, network);
}

/// A bundle with these annotations.
pub(crate) fn plain_bundle(id: &str, annotations: &str, network: &str) {
    let dir = bundle_of(id);
    fs::create_dir_all(&dir).unwrap();
    let text = format!(
        r#"{{"ociVersion":"1.2.0","annotations":{annotations},"linux":{{"namespaces":[{{"type":"pid"}},{network}]}}}}"#
    );
    fs::write(dir.join("config.json"), text).unwrap();
}

/// A network entry with this path.
pub(crate) fn network(path: &str) -> String {
    format!(r#"{{"type":"network","path":"{path}"}}"#)
}

/// The engine has a container created from its bundle, in this scope.
pub(crate) fn create(scope: &str, id: &str) -> Command {
    let bundle = bundle_of(id);
    let root = format!("/run/runc/{scope}");
    command(Path::new(INTERPOSER), &["--root", &root, "create", "--bundle", bundle.to_str().unwrap(), id])
}

/// One of berth's own commands.
pub(crate) fn admin(args: &[&str]) -> Command {
    command(&berth(), args)
}

fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env("PATH", "/run/bin:/usr/bin:/bin").env_remove("BERTH_TEST_ISOLATED").stdin(Stdio::null());
    if Path::new(CONFIG).exists() {
        command.env("BERTH_CONFIG", CONFIG);
    }
    command
}

/// Configures berth for this stage.
pub(crate) fn configure(yaml: &str) {
    fs::write(CONFIG, yaml).unwrap();
}

/// Runs it undisturbed, and it does what it is to do without a word.
#[track_caller]
pub(crate) fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let silent = output.stderr.is_empty() || output.stderr == b"No pins found.\n";
    assert!(output.status.success() && silent, "{command:?}: {output:?}");
    output
}

/// A sandbox with a pin, whose engine's file is that of this number.
pub(crate) fn pod(number: usize) {
    engine_makes(number);
    let id = format!("s{number}");
    bundle(&id, "sandbox", &id, &network(&engine_file(number)));
}

/// Two minutes pass for what is swept by its age, and for what has been gone.
pub(crate) fn time_passes() {
    for entry in fs::read_dir("/run/berth/sandboxes").into_iter().flatten() {
        let path = entry.unwrap().path();
        let Ok(mut record) = serde_json::from_slice::<Value>(&fs::read(&path).unwrap()) else { continue };
        if let Some(gone) = record["gone"].as_u64() {
            record["gone"] = Value::from(gone.saturating_sub(120_000));
            fs::write(&path, record.to_string()).unwrap();
        }
    }
    let before = SystemTime::now() - Duration::from_secs(120);
    for dir in ["/run/berth", "/run/berth/sandboxes", "/run/berth/locks"] {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() {
                File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
            }
        }
    }
}
