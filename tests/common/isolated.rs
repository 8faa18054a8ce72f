//! A test in a process of its own, with mount and network namespaces of its own and an empty `/run`.
//!
//! The test binary runs itself again under unshare(1) for one test, so that the whole process is in the namespaces:
//! berth tells by `/proc/<pid>` of its peer whether the two share one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(dead_code, reason = "each program uses some of it")]

use std::process::Command;

pub(crate) const INSIDE: &str = "BERTH_TEST_ISOLATED";
/// What makes the process the first one of a process id namespace too: what looks through `/proc` finds nothing else there.
pub(crate) const PROCESSES: &[&str] = &["--pid", "--fork", "--kill-child", "--mount-proc"];

/// This program again, in namespaces of its own (`more` of them, as unshare's options) with an empty `/run`, once the
/// shell's `then` has come to its `"$@"`.
pub(crate) fn again(more: &[&str], then: &str) -> Command {
    let forget = include_str!("forget-run.sh");
    let script = format!("{forget}\nforget_run && mount -t tmpfs -o mode=0755 tmpfs /run && {then}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private"]).args(more);
    command.args(["--", "sh", "-c", &script, "sh"]).arg(std::env::current_exe().expect("this program"));
    command
}

/// Runs `body` isolated. `path` is `module_path!()` and the test's name joined by `::`.
pub(crate) fn run(path: &str, body: fn()) {
    run_in(&[], path, body);
}

/// The same in `more` namespaces of its own, which are unshare's options. Returns what `body` has printed.
pub(crate) fn run_in(more: &[&str], path: &str, body: fn()) -> String {
    if std::env::var_os(INSIDE).is_some() {
        body();
        return String::new();
    }
    let (_, name) = path.split_once("::").expect("a test in a crate");
    let output = again(more, "exec \"$@\"")
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "needs root and namespaces\n{out}\n{err}");
    out
}

/// Declares isolated tests.
#[macro_export]
macro_rules! isolated {
    ($(fn $name:ident() $body:block)*) => {
        $(#[test]
        fn $name() {
            $crate::isolated::run(concat!(module_path!(), "::", stringify!($name)), || $body);
        })*
    };
}
