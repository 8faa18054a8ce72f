//! A test in a process of its own, with mount and network namespaces of its own and an empty `/run`.
//!
//! The test binary runs itself again under unshare(1) for one test, so that the whole process is in the namespaces:
//! berth tells by `/proc/<pid>` of its peer whether the two share one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

use std::process::Command;

pub(crate) const INSIDE: &str = "BERTH_TEST_ISOLATED";

/// Runs `body` isolated. `path` is `module_path!()` and the test's name joined by `::`.
pub(crate) fn run(path: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let (_, name) = path.split_once("::").expect("a test in a crate");
    let script = "mount -t tmpfs -o mode=0755 tmpfs /run && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "--", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "needs root and namespaces\n{out}\n{err}");
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
