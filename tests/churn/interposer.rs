//! Short-lived berths: an interposer that an engine runs for a creation, and an administrator's `berth gc`. Some are
//! killed on the way.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::Pod;
use crate::plan::Moment;
use crate::rig::berth::binary;
use crate::rig::read::netns_path;

const BIN: &str = "/run/bin";
const BUNDLES: &str = "/run/bundles/k8s.io";
const INTERPOSER: &str = "/run/bin/berth-runc";

/// An OCI runtime that has nothing to say, and berth in front of it.
pub(crate) fn install() {
    fs::create_dir(BIN).unwrap();
    fs::create_dir_all(BUNDLES).unwrap();
    symlink("/bin/true", Path::new(BIN).join("runc")).unwrap();
    symlink(binary(), INTERPOSER).unwrap();
}

/// What an engine creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Sandbox,
    Container,
}

/// Creates by way of the interposer; whether it got to the end. What it left of the bundle is removed.
///
/// # Panics
/// If it was not killed and refused, or the delegate was told another path than the pin's.
pub(crate) async fn create(pod: &Pod, what: What, killed: Option<Moment>) -> bool {
    let (kind, id, path) = match what {
        What::Sandbox => ("sandbox", pod.id.clone(), pod.message().linux.namespaces[0].path.clone()),
        What::Container => ("container", format!("c-{}", pod.id), pod.path()),
    };
    let bundle = bundle(&id, &spec(kind, &pod.id, &path));
    let mut command = Command::new(INTERPOSER);
    command.args(["--root", "/run/runc/k8s.io", "create", "--bundle"]).arg(&bundle).arg(&id);
    command.env("PATH", format!("{BIN}:/usr/bin:/bin"));
    let output = run(command, killed).await;
    let done = output.status.success();
    assert!(done || was_killed(&output), "the interposer refused {kind} of {}: {output:?}", pod.id);
    if done {
        let spec: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
        assert_eq!(netns_path(&spec), Some(pod.pin().display().to_string()), "{kind} of {}", pod.id);
        assert_eq!(spec["annotations"]["ocid/sandbox_id"], pod.id);
    }
    fs::remove_dir_all(bundle).unwrap();
    done
}

/// `berth gc`.
pub(crate) async fn collect(killed: Option<Moment>) {
    let mut command = Command::new(binary());
    command.arg("gc");
    let output = run(command, killed).await;
    let text = String::from_utf8_lossy(&output.stderr);
    let fine = output.status.success() || was_killed(&output) || text.contains("another berth is at it");
    assert!(fine, "berth gc: {output:?}");
}

fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(9)
}

/// Runs it to its end, which comes early where it is killed.
async fn run(mut command: Command, killed: Option<Moment>) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn().unwrap();
        if let Some(moment) = killed {
            std::thread::sleep(Duration::from_micros(moment.into()));
            child.kill().unwrap();
        }
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn bundle(id: &str, spec: &Value) -> PathBuf {
    let dir = Path::new(BUNDLES).join(id);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("config.json"), spec.to_string()).unwrap();
    dir
}

/// A specification as containerd writes it, as far as berth asks.
fn spec(kind: &str, sandbox: &str, path: &str) -> Value {
    json!({
        "ociVersion": "1.2.0",
        "annotations": {
            "io.kubernetes.cri.container-type": kind,
            "io.kubernetes.cri.sandbox-id": sandbox,
            "io.kubernetes.cri.sandbox-name": format!("name-{sandbox}"),
            "io.kubernetes.cri.sandbox-namespace": "default",
            "io.kubernetes.cri.sandbox-uid": format!("uid-{sandbox}"),
        },
        "linux": {"namespaces": [{"type": "pid"}, {"type": "network", "path": path}]},
    })
}
