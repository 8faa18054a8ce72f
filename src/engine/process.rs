//! The engines that run, from the host's procfs.

use super::host::Host;
use super::table::Kind;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An engine that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// In the procfs that it was found in.
    pub pid: u32,
    /// What it is.
    pub kind: Kind,
    /// Its program, as far as that can be told.
    pub program: Option<PathBuf>,
    /// What its command line says.
    pub flags: Flags,
    /// When it was started, where that can be told.
    pub started: Option<SystemTime>,
}

/// What the command line of an engine says of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`, of the engine's own directory if it is relative.
    pub config: Option<PathBuf>,
    /// `--config-dir` of CRI-O.
    pub drop_ins: Option<PathBuf>,
    /// `--address` of containerd, `--listen` of CRI-O.
    pub socket: Option<PathBuf>,
}

/// Ticks of a second in /proc/<pid>/stat: USER_HZ, which is the same on every architecture that Linux runs on here.
const TICKS: u64 = 100;

/// The engines that run on the host, those of containers apart.
#[must_use]
pub fn processes(host: &Host) -> Vec<Process> {
    let proc = host.proc();
    let Ok(entries) = std::fs::read_dir(&proc) else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = numbers.filter_map(|pid| process(&proc, pid)).collect();
    found.retain(|process| is_hosts(host, &proc, process.pid));
    found.sort_by_key(|process| process.pid);
    found
}

/// It is in the mount namespace of the host's first process, or of this one. Or it has one of its own, as a unit with
/// `PrivateTmp=` or `PrivateMounts=` gives it, and otherwise what the host has: an engine in a container has another root
/// directory, and one in a container with the host's root directory has other processes.
fn is_hosts(host: &Host, proc: &Path, pid: u32) -> bool {
    let hosts = [proc.join("1/ns"), PathBuf::from("/proc/self/ns")];
    let hosts = if host.is_here() { &hosts[..] } else { &hosts[..1] };
    let dir = proc.join(pid.to_string());
    let shares = |namespace: &str| {
        let known: Vec<_> = hosts.iter().filter_map(|ns| identity(&ns.join(namespace))).collect();
        known.is_empty() || identity(&dir.join("ns").join(namespace)).is_none_or(|own| known.contains(&own))
    };
    let has_its_root = || identity(&dir.join("root")).is_some_and(|own| identity(host.root()) == Some(own));
    shares("mnt") || (shares("pid") && has_its_root())
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

fn process(proc: &Path, pid: u32) -> Option<Process> {
    let dir = proc.join(pid.to_string());
    // Its program will be run: that of another user must not be.
    let owner = std::fs::metadata(&dir).ok()?.uid();
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return None;
    }
    let line = std::fs::read(dir.join("cmdline")).ok()?;
    let words: Vec<&OsStr> = line.split(|&byte| byte == 0).map(OsStr::from_bytes).collect();
    let kind = kind_of(&words)?;
    let flags = flags(kind, words.get(1..)?)?;
    // Whose file was replaced by an upgrade has a mark behind its name.
    let program = std::fs::read_link(dir.join("exe")).ok().map(|path| undeleted(&path));
    let program = program.or_else(|| words.first().map(PathBuf::from)).filter(|path| path.is_absolute());
    let cwd = std::fs::read_link(dir.join("cwd")).unwrap_or_else(|_| "/".into());
    let within = |path: PathBuf| cwd.join(path);
    let flags = Flags { config: flags.config.map(within), drop_ins: flags.drop_ins.map(within), ..flags };
    Some(Process { pid, kind, program, flags, started: started(proc, &dir) })
}

fn undeleted(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    PathBuf::from(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)))
}

fn kind_of(words: &[&OsStr]) -> Option<Kind> {
    let name = Path::new(words.first()?).file_name()?;
    [Kind::Containerd, Kind::CriO].into_iter().find(|kind| name == kind.program())
}

/// What the arguments say; `None` if they make it another thing than the engine itself: `containerd config dump`, or the
/// containerd of dockerd, which serves no pods.
fn flags(kind: Kind, args: &[&OsStr]) -> Option<Flags> {
    const COMMANDS: [&str; 12] = [
        "config", "publish", "oci-hook", "help", "h", "status", "check", "wipe", "version", "man", "markdown",
        "complete",
    ];
    const SAYINGS: [&str; 4] = ["--version", "-v", "--help", "-h"];
    let mut flags = Flags::default();
    let mut args = args.iter().filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        if COMMANDS.contains(&arg) || SAYINGS.contains(&arg) {
            return None;
        }
        let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        let slot = match (kind, name) {
            (_, "--config" | "-config" | "-c") => &mut flags.config,
            (Kind::CriO, "--config-dir" | "-d") => &mut flags.drop_ins,
            (Kind::Containerd, "--address" | "-a") | (Kind::CriO, "--listen") => &mut flags.socket,
            _ => continue,
        };
        *slot = value.or_else(|| args.next()).map(|path| path.trim_start_matches("unix://").into());
    }
    let dockers = flags.config.as_ref().is_some_and(|path| path.ends_with("docker/containerd/containerd.toml"));
    (!dockers).then_some(flags)
}

/// When the process was started: the 22nd field of its stat counts from the boot, whose time is in the other stat.
fn started(proc: &Path, dir: &Path) -> Option<SystemTime> {
    let boot = std::fs::read_to_string(proc.join("stat")).ok()?;
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    let stat = std::fs::read_to_string(dir.join("stat")).ok()?;
    // The name, in parentheses, may have anything in it.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(ticks * 1000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind, line: &str) -> Option<Flags> {
        let args: Vec<_> = line.split_whitespace().map(OsStr::new).collect();
        flags(kind, &args)
    }

    #[test]
    fn the_command_line_leads_to_the_files() {
        let k3s = "-c /var/lib/rancher/k3s/agent/etc/containerd/config.toml -a /run/k3s/containerd/containerd.sock \
                   --state /run/k3s/containerd --root /var/lib/rancher/k3s/agent/containerd";
        let flags = told(Kind::Containerd, k3s).expect("an engine");
        assert_eq!(flags.config, Some("/var/lib/rancher/k3s/agent/etc/containerd/config.toml".into()));
        assert_eq!(flags.socket, Some("/run/k3s/containerd/containerd.sock".into()));
        let flags =
            told(Kind::CriO, "--config=/x/crio.conf --config-dir /x/d --listen unix:///x/s").expect("an engine");
        assert_eq!(flags.config, Some("/x/crio.conf".into()));
        assert_eq!(flags.drop_ins, Some("/x/d".into()));
        assert_eq!(flags.socket, Some("/x/s".into()));
        assert_eq!(told(Kind::Containerd, ""), Some(Flags::default()));
    }

    #[test]
    fn what_only_asks_something_and_what_serves_docker_is_no_engine() {
        for line in ["--config x config dump", "--version", "--config /var/run/docker/containerd/containerd.toml"] {
            assert_eq!(told(Kind::Containerd, line), None, "{line}");
        }
        assert_eq!(told(Kind::CriO, "status --socket /run/crio/crio.sock config"), None);
    }

    #[test]
    fn this_process_was_started_before_now() {
        let proc = Path::new("/proc");
        let started = started(proc, &proc.join(std::process::id().to_string())).expect("a time");
        let age = SystemTime::now().duration_since(started).expect("before now");
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }
}
