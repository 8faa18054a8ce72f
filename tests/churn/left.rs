//! What is there of berth's: exactly what the pods that live need, and nothing of those that are over.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use crate::rig::place::Place;
use crate::rig::read::{NetnsId, netns_id, pin_path};

const STATE: &str = "/run/berth";
/// What a node has once, and not for a pod.
const STANDING: &[&str] = &[
    "sandboxes",
    "locks",
    "netns.lock",
    "daemon.lock",
    "config.yaml",
    "interpose.log",
    // What it was before it had its full size.
    "interpose.log.1",
    "interpose.counts",
    "berth.log",
];
/// What a killed process leaves is removed when it has been there for a minute. So it has, says the test.
const OLD: Duration = Duration::from_secs(120);

/// Makes what killed processes have left as old as it must be for the next look to remove it.
pub(crate) fn age(place: &Place) {
    let then = SystemTime::now() - OLD;
    for dir in [STATE.into(), format!("{STATE}/sandboxes"), format!("{STATE}/locks")] {
        for entry in fs::read_dir(place.path(&dir)).unwrap().flatten() {
            let is_left = dir.ends_with("locks") || entry.file_name().to_string_lossy().starts_with(".tmp-");
            // The last writer may be about to rename it.
            if is_left && let Ok(file) = fs::File::open(entry.path()) {
                file.set_modified(then).unwrap();
            }
        }
    }
}

/// What is there and should not be, and what should be and is not there. `living` are the ids of pods that have a pin.
pub(crate) fn wrong(place: &Place, living: &[String]) -> Vec<String> {
    let found: BTreeSet<_> = place.left_of_pods().into_iter().collect();
    let needed: BTreeSet<_> = living.iter().flat_map(|id| files_of(id)).collect();
    let surplus = found.difference(&needed).map(|path| format!("left: {path}"));
    let missing = needed.difference(&found).map(|path| format!("missing: {path}"));
    let state = fs::read_dir(place.path(STATE)).into_iter().flatten().flatten();
    let names = state.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange = names.filter(|name| !STANDING.contains(&name.as_str())).map(|name| format!("left: {STATE}/{name}"));
    surplus.chain(missing).chain(strange).collect()
}

/// Whether so many processes that were killed can have left this: each has been at one pod, and at one file.
pub(crate) fn is_excused(wrong: &[String], killed: usize) -> bool {
    let last = |path: &String| Some(path.rsplit('/').next()?.trim_end_matches(".json").to_owned());
    let (pods, files): (BTreeSet<_>, BTreeSet<_>) =
        wrong.iter().filter_map(last).partition(|name| name.starts_with("berth-"));
    let files = files.iter().filter(|name| !name.starts_with("net:["));
    pods.len() <= killed && files.count() <= killed
}

/// Everything that berth has of a pod, as [`Place::left_of_pods`] names it: pin and mount are at the same path.
fn files_of(id: &str) -> [String; 3] {
    [pin_path(id), format!("{STATE}/sandboxes/berth-{id}.json"), format!("{STATE}/locks/berth-{id}")]
}

/// Namespaces that something on the node keeps, but for its own and `known`: network namespaces by a mount or a task, and
/// any by a descriptor of berth.
pub(crate) fn namespaces(place: &Place, known: &[NetnsId]) -> Vec<String> {
    let name = |id: &NetnsId| format!("net:[{}]", id.1);
    let own = place.netns_of_node();
    let known: BTreeSet<_> = known.iter().chain([&own]).map(name).collect();
    let processes = fs::read_dir(place.path("/proc")).unwrap().flatten().map(|entry| entry.path());
    let mut found = BTreeSet::new();
    for process in processes.filter(|path| path.join("ns").exists()) {
        let table = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        found.extend(table.lines().filter_map(|line| line.split(' ').nth(3)).map(str::to_owned));
        found.extend(fs::read_link(process.join("ns/net")).ok().map(|link| link.display().to_string()));
        if fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "berth") {
            // By number: the link of one that was opened where it is mounted says where that was.
            let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
            let held = descriptors.filter_map(|entry| netns_id(entry.path())).filter(|id| id.0 == own.0);
            found.extend(held.map(|id| name(&id)));
        }
    }
    found.retain(|name| name.starts_with("net:[") && !known.contains(name));
    found.into_iter().collect()
}
