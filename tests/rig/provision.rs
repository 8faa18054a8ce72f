//! What `scripts/provision` has found, built or fetched. Run once for a test process; it is quick when all is there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use berth::nri::Level;

/// Where the real components are.
#[derive(Debug)]
pub(crate) struct Provision {
    pub(crate) containerd_dir: PathBuf,
    pub(crate) containerd_version: (u32, u32),
    pub(crate) runc: PathBuf,
    pub(crate) cni_dir: PathBuf,
    pub(crate) images: PathBuf,
    pub(crate) image_busybox: String,
    pub(crate) image_pause: String,
}

impl Provision {
    /// From the `go.mod` of containerd's releases, as berth's own table is.
    pub(crate) fn level(&self) -> Level {
        match self.containerd_version {
            (major, minor) if (major, minor) >= (2, 3) => Level::DedicatedRpcs,
            (2, 2) => Level::Namespaces,
            // From 1.7.26, and no earlier 1.7 is among the engines.
            _ => Level::SplitSync,
        }
    }
}

/// The components; panics with the script's own words when something is missing.
pub(crate) fn provision() -> &'static Provision {
    static DONE: OnceLock<Result<Provision, String>> = OnceLock::new();
    match DONE.get_or_init(run) {
        Ok(done) => done,
        Err(reason) => panic!("the rig cannot run: {reason}"),
    }
}

/// What `scripts/provision` says of further components, by key; panics with the script's own words when something is
/// missing.
pub(crate) fn components(names: &[&str]) -> HashMap<String, String> {
    match script(names) {
        Ok(text) => keys(&text),
        Err(reason) => panic!("the rig cannot run: {reason}"),
    }
}

fn run() -> Result<Provision, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("it makes namespaces and mounts, and so must be run as root".into());
    }
    parse(&script(&[])?)
}

fn script(components: &[&str]) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/provision");
    let done = Command::new(script).args(components).output().map_err(|e| format!("{script}: {e}"))?;
    if !done.status.success() {
        return Err(format!("{script}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr)));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn keys(lines: &str) -> HashMap<String, String> {
    lines.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

fn parse(lines: &str) -> Result<Provision, String> {
    let given = keys(lines);
    let get = |key: &str| given.get(key).cloned().ok_or(format!("scripts/provision did not give {key}"));
    let version = get("BERTH_RIG_CONTAINERD_VERSION")?;
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    let containerd_version = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor),
        _ => return Err(format!("containerd's version is not a version: {version:?}")),
    };
    Ok(Provision {
        containerd_dir: get("BERTH_RIG_CONTAINERD_DIR")?.into(),
        containerd_version,
        runc: get("BERTH_RIG_RUNC")?.into(),
        cni_dir: get("BERTH_RIG_CNI_DIR")?.into(),
        images: get("BERTH_RIG_IMAGES")?.into(),
        image_busybox: get("BERTH_RIG_IMAGE_BUSYBOX")?,
        image_pause: get("BERTH_RIG_IMAGE_PAUSE")?,
    })
}
