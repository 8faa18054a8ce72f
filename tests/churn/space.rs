//! A node of the test's own: mount, network and process id namespaces, an empty `/run`, mounts that are shared. The test
//! binary runs itself again there for one test.

use crate::isolated;

const INSIDE: &str = "BERTH_CHURN_INSIDE";

/// The shell stays: it is the first process, and reaps what is handed down to it.
const FIRST: &str = "mount --make-rshared / && ip link set lo up && \"$@\"";

/// Runs `body` there. `path` is `module_path!()` and the test's name joined by `::`.
pub(crate) fn run(path: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let (_, name) = path.split_once("::").expect("a test in a crate");
    let status = isolated::again(isolated::PROCESSES, FIRST)
        .args([name, "--exact", "--nocapture", "--quiet"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare (util-linux) runs");
    assert!(status.success(), "{name} failed in its namespaces (it needs root): {status}");
}
