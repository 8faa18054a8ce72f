//! A test in a process of its own that is the first of a process id namespace, with mounts and a network of its own: what
//! looks through `/proc` finds nothing else there, and so makes the same calls each time.

use std::process::Command;

const INSIDE: &str = "BERTH_TEST_ISOLATED";

/// Runs `body` so, and prints what it says of its runs. `path` is `module_path!()` and the test's name joined by `::`.
pub(crate) fn run(path: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let (_, name) = path.split_once("::").expect("a test in a crate");
    let script = "mount -t tmpfs -o mode=0755 tmpfs /run && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"])
        .args(["--", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "needs root and namespaces\n{out}\n{err}");
    out.lines().filter(|line| line.starts_with("faults: ")).for_each(|line| println!("{line}"));
}

/// Declares such tests.
#[macro_export]
macro_rules! alone {
    ($(fn $name:ident() $body:block)*) => {
        $(#[test]
        fn $name() {
            $crate::alone::run(concat!(module_path!(), "::", stringify!($name)), || $body);
        })*
    };
}
