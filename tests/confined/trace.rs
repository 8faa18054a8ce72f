//! What strace(1) has seen of a daemon.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::provision::components;

/// strace. To be asked for before a test is isolated, too: inside there is no network to get it by.
pub(crate) fn strace() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| components(&["strace"])["BERTH_RIG_STRACE"].clone())
}

/// The words that put strace in front of a program, in whose place the program then is: strace is a process beside it.
pub(crate) fn before(file: &str) -> Vec<&str> {
    vec![strace(), "-D", "-f", "-qq", "-s", "0", "-o", file]
}

/// The calls of a daemon since it was confined.
pub(crate) struct Trace {
    /// By name.
    pub(crate) names: BTreeSet<String>,
    /// Whole lines of those that were refused.
    pub(crate) refused: Vec<String>,
}

impl Trace {
    /// Reads what is at `file`. The filter was put on when there was one thread: what is below that line is filtered.
    pub(crate) fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap();
        let on = "seccomp(SECCOMP_SET_MODE_FILTER";
        let (_, filtered) = text.split_once(on).unwrap_or_else(|| panic!("{on} was never called: {text}"));
        let (first, filtered) = filtered.split_once('\n').unwrap();
        assert!(first.ends_with(" = 0"), "{first}");
        let refused = filtered.lines().filter(|line| line.contains("ENOSYS")).map(str::to_owned).collect();
        Self { names: filtered.lines().filter_map(name).collect(), refused }
    }
}

/// The name in `<pid> name(…`; none in the other half of a call that was interrupted, in a signal, or in an end.
fn name(line: &str) -> Option<String> {
    let (_, call) = line.split_once(' ')?;
    let (name, _) = call.trim_start().split_once('(')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_name && !name.is_empty()).then(|| name.to_owned())
}
