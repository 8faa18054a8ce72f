//! What removes a rig's traces after a test process that has ended without doing it: values in a static are not dropped.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// $1 cgroups of the rig, $2 its logs. It waits for the end of its standard input, then for the rig's processes, which the
/// kernel ends meanwhile.
const SWEEP: &str = "
cat >/dev/null
rm -rf -- \"$2\"
left=100
while [ $left -gt 0 ] && [ -n \"$(find /sys/fs/cgroup -maxdepth 2 -name \"${1#/}\")\" ]; do
    find /sys/fs/cgroup -depth -type d -path \"*$1*\" -exec rmdir {} + 2>/dev/null
    left=$((left - 1))
    sleep 0.1
done
";

/// Waits for the end of the test process. Where this value is dropped before, nothing is left for it to do.
#[derive(Debug)]
pub(super) struct Sweeper {
    stdin: Option<ChildStdin>,
    shell: Child,
}

impl Sweeper {
    pub(super) fn start(cgroup: &str, logs: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SWEEP, "sweep", cgroup])
            .arg(logs)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the keyboard is for the test process alone.
            .process_group(0)
            .spawn()
            .expect("sh runs");
        Self { stdin: shell.stdin.take(), shell }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if let Err(e) = self.shell.wait() {
            eprintln!("rig: wait for what sweeps after it: {e}");
        }
    }
}
