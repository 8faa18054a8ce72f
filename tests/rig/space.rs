//! The namespaces that one rig lives in: mounts (fresh `/run` and `/var/lib`), network, process ids. Nothing of the
//! rig is seen outside, and nothing of it outlives this value: when its first process goes, all others go.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::provision::provision;

#[derive(Debug)]
pub(crate) struct Space {
    unshare: Child,
    stdin: Option<ChildStdin>,
}

impl Space {
    /// Makes the namespaces and waits until they are furnished. `further` directories are seen in `/run/rig`, by name.
    pub(crate) fn new(berth: &Path, further: &[(&str, &Path)]) -> Self {
        let directory = berth.parent().expect("the binary is in a directory");
        let name = berth.file_name().expect("the binary has a name");
        let components = provision();
        let mut unshare = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"])
            .args(["--", "sh", "-c", include_str!("init.sh"), "rig"])
            .args([&components.containerd_dir, directory, &components.images])
            .arg(name)
            .args(further.iter().flat_map(|(name, directory)| [OsStr::new(name), directory.as_os_str()]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) runs");
        let stdin = unshare.stdin.take();
        let mut line = String::new();
        let stdout = unshare.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("read from the rig's first process");
        let space = Self { unshare, stdin };
        assert_eq!(line.trim(), "ready", "the rig's namespaces could not be furnished; its reason is on stderr");
        space
    }

    /// Where a path of the rig is to be found from here: through the root directory of one of its processes. That
    /// does not hold for symbolic links with an absolute target; `/var/run` is one that engines use.
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref().strip_prefix("/").expect("paths of the rig are absolute");
        let relative = inside.strip_prefix("var").ok().filter(|rest| rest.starts_with("run")).unwrap_or(inside);
        Path::new("/proc").join(self.unshare.id().to_string()).join("root").join(relative)
    }

    /// A command that will run in the rig's namespaces, with nothing of this process's environment but a PATH.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let pid = self.unshare.id().to_string();
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &pid, "--mount", "--net"])
            .arg(format!("--pid=/proc/{pid}/ns/pid_for_children"))
            .arg("--")
            .arg(program.as_ref())
            .env_clear()
            .env(
                "PATH",
                "/run/rig/bin:/run/rig/containerd:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            );
        command
    }

    /// Writes a file of the rig.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.unwrap_or_else(|e| panic!("write {inside} in the rig: {e}"));
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // `unshare` ends when its child has, and that one when every process of the namespace has.
        if let Err(e) = self.unshare.wait() {
            eprintln!("rig: wait for its namespaces to go: {e}");
        }
    }
}
