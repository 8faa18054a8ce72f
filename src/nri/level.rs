//! What the NRI of a runtime can do, from what it says of itself in `Configure`.
//!
//! Pure. Claims only what is certain: the version of the NRI library if the runtime tells it, else
//! what the releases of the two runtimes vendor (their `go.mod` at each tag), else nothing but the
//! oldest level. A runtime newer than the table is at least what the last row says.

use super::api::ConfigureRequest;
use super::events::{Event, EventMask};

/// A step in the history of the NRI library, named by what it added. Each has all of the former.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Up to 0.7, and whatever is not known.
    Basic,
    /// 0.8 and 0.9: split `Synchronize`, timeouts in `Configure`.
    SplitSync,
    /// The 0.9.1 snapshot in CRI-O 1.33: the two pod update events.
    PodUpdates,
    /// 0.10 and 0.11: namespaces can be adjusted, adjustments can be validated.
    Namespaces,
    /// 0.12 on: an RPC for every event, and the library version in `Configure`.
    DedicatedRpcs,
}

/// What may be asked of a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The level these follow from.
    pub level: Level,
    /// A namespace in a container adjustment is honoured. Older libraries drop it silently.
    pub namespaces: bool,
    /// `ValidateContainerAdjustment` is asked.
    pub validates: bool,
    /// Pod events come as RPCs of their own first; else as `StateChange`.
    pub dedicated_pod_rpcs: bool,
    /// What may be subscribed to. One event outside and the runtime hangs up.
    pub valid_events: EventMask,
}

impl From<Level> for Capabilities {
    fn from(level: Level) -> Self {
        let last = match level {
            Level::Basic | Level::SplitSync => Event::RemoveContainer,
            Level::PodUpdates => Event::PostUpdatePodSandbox,
            Level::Namespaces | Level::DedicatedRpcs => Event::ValidateContainerAdjustment,
        };
        Self {
            level,
            namespaces: level >= Level::Namespaces,
            validates: level >= Level::Namespaces,
            dedicated_pod_rpcs: level >= Level::DedicatedRpcs,
            valid_events: EventMask::up_to(last),
        }
    }
}

impl Capabilities {
    /// Reads the capabilities off a `Configure` request.
    #[must_use]
    pub fn of(request: &ConfigureRequest) -> Self {
        level_of(request).into()
    }
}

fn level_of(request: &ConfigureRequest) -> Level {
    if let Some(level) = Version::parse(&request.NRI_version).and_then(library_level) {
        return level;
    }
    // The field came with 0.12. A library that fills it with "(devel)" was built past 0.11.
    let floor = if request.NRI_version.is_empty() { Level::Basic } else { Level::Namespaces };
    let has_timeouts = request.registration_timeout > 0 || request.request_timeout > 0;
    let by_release =
        Version::parse(&request.runtime_version).and_then(|version| release_level(&request.runtime_name, version));
    let level = match (by_release, has_timeouts) {
        (Some(level), true) => level.max(Level::SplitSync),
        (None, true) => Level::SplitSync,
        // Every library since 0.8 sends the timeouts: this is not the release it says it is.
        (_, false) => Level::Basic,
    };
    level.max(floor)
}

/// `None` for a version that says nothing, like 0.0.0.
fn library_level(version: Version) -> Option<Level> {
    if version.core == (0, 0, 0) {
        return None;
    }
    Some(newest(version, &LIBRARY).unwrap_or(Level::Basic))
}

impl Level {
    /// The level of a release of `containerd` or `cri-o`; `None` where that has no NRI, or is not known.
    #[must_use]
    pub fn of_release(runtime: &str, version: &str) -> Option<Self> {
        release_level(runtime, Version::parse(version)?)
    }
}

fn release_level(runtime: &str, version: Version) -> Option<Level> {
    match runtime {
        "containerd" => newest(version, &CONTAINERD),
        "cri-o" => newest(version, &CRIO),
        _ => None,
    }
}

/// From which version on which level, newest first.
type Table = [((u64, u64, u64), Level)];

const LIBRARY: [((u64, u64, u64), Level); 3] =
    [((0, 12, 0), Level::DedicatedRpcs), ((0, 10, 0), Level::Namespaces), ((0, 8, 0), Level::SplitSync)];

const CONTAINERD: [((u64, u64, u64), Level); 5] = [
    ((2, 3, 0), Level::DedicatedRpcs),
    ((2, 2, 0), Level::Namespaces),
    ((2, 0, 0), Level::SplitSync),
    ((1, 7, 26), Level::SplitSync),
    ((1, 7, 0), Level::Basic),
];

const CRIO: [((u64, u64, u64), Level); 4] = [
    ((1, 34, 0), Level::Namespaces),
    ((1, 33, 0), Level::PodUpdates),
    ((1, 32, 0), Level::SplitSync),
    ((1, 26, 0), Level::Basic),
];

fn newest(version: Version, table: &Table) -> Option<Level> {
    table.iter().find(|(since, _)| version.is_at_least(*since)).map(|(_, level)| *level)
}

/// A version as runtimes print it: `v2.3.4`, `1.36.3`, `2.3.4+unknown`, `2.4.0-beta.0`,
/// `1.7.28-0ubuntu1`, `v2.3.1-k3s1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    core: (u64, u64, u64),
    /// Before the release of that number, as far as its suffix tells.
    pre: bool,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split('+').next().unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (core, suffix) = text.split_at(end);
        let mut numbers = core.split('.');
        let mut number = || numbers.next()?.parse().ok();
        let core = (number()?, number()?, number()?);
        let suffix = suffix.trim_start_matches(['-', '~', '.']);
        Some(Self { core, pre: is_pre_release(suffix) })
    }

    fn is_at_least(self, since: (u64, u64, u64)) -> bool {
        self.core > since || (self.core == since && !self.pre)
    }
}

/// Tells `-rc.1`, `-beta.0`, `-dev` and Go's `-0.20250219120000-abcdef` from the package revisions
/// of distributions (`-0ubuntu1`, `-k3s1`) and from commits after a tag (`-15-gabcdef`).
fn is_pre_release(suffix: &str) -> bool {
    let word = ["alpha", "beta", "rc", "dev", "pre"].iter().any(|word| suffix.starts_with(word));
    let pseudo = suffix
        .strip_prefix("0.")
        .is_some_and(|rest| rest.len() >= 14 && rest.as_bytes()[..14].iter().all(u8::is_ascii_digit));
    word || pseudo
}

#[cfg(test)]
mod tests;
