//! berth's daemon: one, and serving.

use super::{Node, doors, handlers, nri};
use crate::address::Address;
use crate::exit::chain;
use crate::finding::{Finding, relayed};
use crate::http::ask;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

pub(super) const DAEMON: &str = "daemon";
pub(super) const READY: &str = "daemon-ready";

/// The daemon answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// The processes that serve an engine as its plugin: `berth nri`, or what the engine has started from its plugin directory.
/// Those of a container of another kind (a nested node) count too, where they are seen.
pub(super) fn running(node: &Node) -> Vec<u32> {
    let proc = node.host.proc();
    let Ok(entries) = std::fs::read_dir(&proc) else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = numbers.filter(|pid| serves(&proc.join(pid.to_string()), &node.name)).collect();
    found.sort_unstable();
    found
}

fn serves(dir: &Path, plugin: &str) -> bool {
    let Ok(line) = std::fs::read(dir.join("cmdline")) else { return false };
    let mut words = line.split(|&byte| byte == 0).map(OsStr::from_bytes);
    let Some(name) = words.next().map(Path::new).and_then(Path::file_name) else { return false };
    let launched = name.as_bytes().get(2..).is_some_and(|rest| rest.strip_prefix(b"-") == Some(plugin.as_bytes()));
    launched || (name == "berth" && words.next() == Some(OsStr::new("nri")))
}

/// Who holds the lock of the one daemon, from /proc/locks (proc(5)): without taking it.
fn holder(node: &Node) -> Option<u32> {
    let lock = std::fs::metadata(node.here(&node.state_dir).join("daemon.lock")).ok()?;
    let (dev, ino) = (lock.dev(), lock.ino());
    let wanted = format!("{:02x}:{:02x}:{ino}", nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
    let locks = std::fs::read_to_string(node.host.proc().join("locks")).ok()?;
    // `1: FLOCK  ADVISORY  WRITE 842 00:1a:1201 0 EOF`; who waits has an arrow before its type.
    let mut held = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    held.find_map(|fields| {
        (fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&wanted.as_str())).then(|| fields[4].parse().ok())?
    })
}

/// One daemon runs where one is needed.
pub(super) fn daemon(node: &Node) -> Vec<Finding> {
    let processes = running(node);
    let pids = || processes.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let one = match (holder(node), processes.len()) {
        (None, 0) if doors::need_nri(node) && nri::is_on(node) => Finding::warn(
            DAEMON,
            "no berth daemon runs: containers whose handler is not wrapped are left alone",
            "start it: systemctl start berth, or the DaemonSet; interposers need none",
        ),
        (None, 0) => Finding::skip(DAEMON, "no berth daemon runs; interposers need none"),
        (None, _) => Finding::warn(
            DAEMON,
            format!("a berth daemon runs (pid {}) and does not hold {}/daemon.lock", pids(), node.state_dir.display()),
            "give check the same --state-dir as the daemon; else it is just being started: look into its log",
        ),
        (Some(holder), count) if count > 1 => Finding::warn(
            DAEMON,
            format!("{count} berth daemons run (pid {}); {holder} serves, the others wait", pids()),
            "end all but one: a plugin of the engine's own, a unit and a DaemonSet are one too many",
        ),
        (Some(holder), _) => Finding::pass(DAEMON, format!("pid {holder} serves this node")),
    };
    vec![one]
}

/// Where a daemon was told on its command line, or in its environment, to listen; that wins over its configuration.
fn told_to_listen(proc: &Path) -> Option<Address> {
    let read = |file: &str| std::fs::read(proc.join(file)).unwrap_or_default();
    let (line, environment) = (read("cmdline"), read("environ"));
    let words = |bytes: &[u8]| -> Vec<String> {
        bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    };
    let (line, environment) = (words(&line), words(&environment));
    let flag = line.iter().position(|word| word == "--listen").and_then(|at| line.get(at + 1)).map(String::as_str);
    let flag = flag.or_else(|| line.iter().find_map(|word| word.strip_prefix("--listen=")));
    flag.or_else(|| environment.iter().find_map(|word| word.strip_prefix("BERTH_LISTEN=")))?.parse().ok()
}

/// It says of itself that it is ready: registered with the engine, told of all pods, its pins in reach. Nobody else can
/// tell; it is asked where it was told to listen.
pub(super) fn ready(node: &Node) -> Vec<Finding> {
    let processes = running(node);
    let proc = node.host.proc();
    let told = processes.iter().find_map(|pid| told_to_listen(&proc.join(pid.to_string())));
    let address = match (&node.config, told) {
        _ if processes.is_empty() => return vec![Finding::skip(READY, "no berth daemon runs")],
        (_, Some(told)) => Some(told),
        (Ok(config), None) => config.listen.clone(),
        (Err(_), None) => {
            return vec![Finding::skip(READY, "berth's configuration, which says where to ask, is not valid")];
        }
    };
    let Some(address) = address else {
        let message = format!("cannot be asked: listen is not set in {}; its log says", handlers::config_file(node));
        return vec![Finding::skip(READY, message)];
    };
    let here = match &address {
        Address::Unix(path) => Address::Unix(node.here(path)),
        other => other.clone(),
    };
    match ask(&here, "/readyz", PATIENCE) {
        Ok(reply) => relayed(READY, reply.status, &reply.body),
        Err(error) if !node.privileges.root => vec![Finding::skip(READY, format!("{}; run as root", chain(&error)))],
        Err(error) => {
            let hint = "restart the daemon if its configuration was changed; in a pod of another network give it a unix: address";
            vec![Finding::warn(READY, format!("does not answer: {}", chain(&error)), hint)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_a_variable_as_it_does_in_the_daemon() {
        for (line, environment, wanted) in [
            ("berth\0nri\0--listen\0:9464\0", "BERTH_LISTEN=:1\0", Some(":9464")),
            ("berth\0nri\0--listen=unix:/run/x\0", "", Some("unix:/run/x")),
            ("berth\0nri\0", "A=b\0BERTH_LISTEN=127.0.0.1:9464\0", Some("127.0.0.1:9464")),
            ("berth\0nri\0--listen\0", "", None),
        ] {
            let proc = tempfile::tempdir().expect("dir");
            std::fs::write(proc.path().join("cmdline"), line).expect("cmdline");
            std::fs::write(proc.path().join("environ"), environment).expect("environ");
            let wanted = wanted.map(|text| text.parse::<Address>().expect("an address"));
            assert_eq!(told_to_listen(proc.path()), wanted, "{line:?}");
        }
    }
}
