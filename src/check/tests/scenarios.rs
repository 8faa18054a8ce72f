//! How each check is turned: a good node with one thing wrong, what is said of it, and what is said to be done.

use super::stage::Stage;
use crate::check::{config, daemon, doors, drop_ins, engine, handlers, netns, nri, plugins, privileges, state};
use crate::door::nri::REACH;
use crate::finding::Grade::{self, Fail, Warn};
use std::time::Duration;

pub(super) struct Scenario {
    pub(super) check: &'static str,
    pub(super) grade: Grade,
    /// In the message.
    pub(super) says: &'static str,
    /// In the hint.
    pub(super) hints: &'static str,
    pub(super) stage: fn() -> Stage,
}

const fn when(
    check: &'static str,
    grade: Grade,
    says: &'static str,
    hints: &'static str,
    stage: fn() -> Stage,
) -> Scenario {
    Scenario { check, grade, says, hints, stage }
}

/// A good node of containerd with a change.
fn with(change: impl FnOnce(&mut Stage)) -> Stage {
    let mut stage = Stage::containerd();
    change(&mut stage);
    stage
}

fn crio_with(change: impl FnOnce(&mut Stage)) -> Stage {
    let mut stage = Stage::crio();
    change(&mut stage);
    stage
}

fn dumped(from: &str, to: &str) -> Stage {
    let stage = with(|stage| stage.dump = stage.dump.replace(from, to));
    assert!(stage.dump.contains(to), "{from}");
    stage
}

/// What the engine says, and more.
fn told(more: &str) -> Stage {
    with(|stage| stage.dump.push_str(more))
}

fn wrote(path: &str, text: &str) -> Stage {
    with(|stage| {
        stage.write(path, text);
    })
}

fn plugin(path: &str) -> Stage {
    with(|stage| {
        stage.host.program(path, "");
    })
}

const VALIDATOR: &str = "[plugins.'io.containerd.nri.v1.nri'.default_validator]\nenable = true\n";
const OWN: &str = "/opt/nri/plugins/90-berth";
const DROP_IN: &str = "/etc/containerd/conf.d/50-berth.toml";

/// Several things at once, as on a real first try.
pub(super) fn broken() -> Stage {
    with(|stage| {
        stage.dump = stage.dump.replace("disable = false", "disable = true");
        stage.write("/etc/containerd/config.toml", "version = 4\n").remove("/usr/bin/crun");
        stage.config.push_str("interposer: {}\n");
        stage.without_daemon();
    })
}

pub(super) const SCENARIOS: &[Scenario] = &[
    when(engine::ENGINE, Fail, "no container engine found", "--config-file", Stage::empty),
    when(engine::ENGINE, Fail, "several", "--engine", || {
        with(|stage| {
            stage.host.process(8, "/usr/bin/crio");
        })
    }),
    when(engine::ENGINE, Warn, "does not run", "systemctl start containerd", || {
        with(|stage| std::fs::remove_dir_all(stage.host.dir.path().join("proc/7")).expect("the engine"))
    }),
    when(engine::ENGINE, Warn, "older than any", "1.6", || with(|stage| stage.version = "containerd v1.5.2")),
    when(engine::ENGINE, Warn, "not known", "--engine-program", || with(|stage| stage.version = "")),
    when(engine::CONFIG, Fail, "printed no configuration", "config dump", || with(|stage| stage.dump.push('['))),
    when(engine::CONFIG, Fail, "the CRI is off", "disabled_plugins in /etc/containerd/config.toml", || {
        dumped("disabled_plugins = []", "disabled_plugins = ['cri']")
    }),
    when(drop_ins::DROP_INS, Fail, "does not import it", "imports = ['/etc/containerd/conf.d/*.toml']", || {
        wrote("/etc/containerd/config.toml", "version = 4\n")
    }),
    when(drop_ins::DROP_INS, Warn, "99-other.toml: is not read", "imports = ", || {
        with(|stage| {
            stage
                .write("/etc/containerd/config.toml", "version = 4\n")
                .remove(DROP_IN)
                .write("/etc/containerd/conf.d/99-other.toml", "version = 4\n");
        })
    }),
    when(drop_ins::DROP_INS, Fail, "version 4 is higher than 3", "write version = 3", || {
        wrote("/etc/containerd/config.toml", "version = 3\nimports = ['conf.d/*.toml']\n")
    }),
    when(drop_ins::DROP_INS, Fail, "in the place of that of", "move its handlers", || {
        with(|stage| stage.version = "containerd v1.7.35")
    }),
    when(drop_ins::DROP_INS, Fail, "kata-berth do not hold", "io.containerd.cri.v1.runtime", || {
        dumped("runtimes.kata-berth", "runtimes.kata-other")
    }),
    when(drop_ins::DROP_INS, Fail, "is not TOML", "correct", || wrote(DROP_IN, "version = ")),
    when(drop_ins::DROP_INS, Fail, "crun2-berth do not hold", "[crio.runtime.runtimes.NAME]", || {
        crio_with(|stage| {
            stage.write("/etc/crio/crio.conf.d/60-x.conf", "[crio.runtime.runtimes.crun2-berth]\n");
        })
    }),
    when(drop_ins::RESTART, Warn, "/etc/containerd/config.toml", "systemctl restart containerd", || {
        with(|stage| stage.started -= Duration::from_secs(60))
    }),
    when(drop_ins::RESTART, Warn, "handler kata-berth, drop_infra_ctr", "systemctl restart crio", || {
        crio_with(|stage| {
            stage.dump = stage
                .dump
                .replace("kata-berth", "kata")
                .replace("'vm'", "'oci'")
                .replace("drop_infra_ctr = true", "drop_infra_ctr = false")
        })
    }),
    when(drop_ins::RESTART, Fail, "would not start again", "before the node is restarted", || {
        crio_with(|stage| stage.files = Some("[".to_owned()))
    }),
    when(
        nri::NRI,
        Fail,
        "NRI is off",
        "[plugins.'io.containerd.nri.v1.nri'] disable = false in /etc/containerd/config.toml",
        || dumped("disable = false", "disable = true"),
    ),
    when(nri::NRI, Warn, "NRI is off", "enable_nri = true in /etc/crio/crio.conf.d/50-berth.conf", || {
        crio_with(|stage| stage.dump = stage.dump.replace("enable_nri = true", "enable_nri = false"))
    }),
    when(nri::NRI, Fail, "takes no plugins", "90-berth", || {
        dumped("disable_connections = false", "disable_connections = true")
    }),
    when(nri::NRI, Fail, "has no NRI", "interposers", || with(|stage| stage.version = "containerd v1.6.36")),
    when(nri::SOCKET, Fail, "is not there", "systemctl restart containerd", || {
        with(|stage| {
            stage.remove("/run/nri/nri.sock");
        })
    }),
    when(nri::SOCKET, Fail, "is not a socket", "remove it", || {
        with(|stage| {
            stage.remove("/run/nri/nri.sock").write("/run/nri/nri.sock", "");
        })
    }),
    when(nri::SOCKET, Fail, "nobody answers", "systemctl restart", || {
        with(|stage| {
            stage.remove("/run/nri/nri.sock");
            drop(
                std::os::unix::net::UnixListener::bind(stage.host.dir.path().join("run/nri/nri.sock"))
                    .expect("a socket that is left"),
            );
        })
    }),
    when(nri::LEVEL, Warn, "cannot change a path", "containerd 2.2", || {
        with(|stage| stage.version = "containerd v2.1.9")
    }),
    when(nri::VALIDATOR, Fail, "rejects every container", "reject_namespace_adjustment = false", || {
        told(&format!("{VALIDATOR}reject_namespace_adjustment = true\n"))
    }),
    when(nri::REQUIRED, Fail, "no berth runs", "required_plugins in", || {
        let stage = told(&format!("{VALIDATOR}required_plugins = ['berth']\n"));
        stage.without_daemon();
        stage
    }),
    when(nri::REQUIRED, Fail, "registers as \"90-berth\"", "\"90-berth\"", || {
        told(&format!("{VALIDATOR}required_plugins = ['10-berth']\n"))
    }),
    when(plugins::DIRECTORY, Fail, "does not start with an executable of such a name", "two digits", || {
        plugin("/opt/nri/plugins/berth.bak")
    }),
    when(plugins::DIRECTORY, Fail, "others than root can put plugins there", "chmod 755", || {
        with(|stage| {
            stage.mode("/opt/nri/plugins", 0o777);
        })
    }),
    when(plugins::DIRECTORY, Fail, "others than root can change it", "chmod 755", || {
        let stage = plugin("/opt/nri/plugins/10-other");
        stage.mode("/opt/nri/plugins/10-other", 0o777);
        stage
    }),
    when(plugins::OWN, Warn, "is not this berth", "--remove-destination", || plugin(OWN)),
    when(plugins::OWN, Fail, "not a file that can be executed", "chmod 755", || wrote(OWN, "")),
    when(plugins::CONFLICT, Fail, "starts berth 2 times", "leave one", || {
        let stage = plugin(OWN);
        stage.host.program("/opt/nri/plugins/10-berth", "");
        stage
    }),
    when(plugins::CONFLICT, Warn, "90-other has berth's index", "another index", || {
        plugin("/opt/nri/plugins/90-other")
    }),
    when(plugins::CONFLICT, Warn, "all but one are passive", "keep one", || {
        let stage = plugin(OWN);
        stage.host.process(30, OWN);
        stage
    }),
    when(plugins::CONFLICT, Warn, "80-berth.conf: no plugin", "/etc/berth/config.yaml", || {
        wrote("/etc/nri/conf.d/80-berth.conf", "")
    }),
    when(netns::DIRECTORY, Fail, "others than root", "chmod 755 /run/netns", || {
        with(|stage| {
            stage.mode("/run/netns", 0o777);
        })
    }),
    when(netns::DIRECTORY, Fail, "is not a directory", "remove it", || {
        with(|stage| {
            std::fs::remove_dir(stage.host.dir.path().join("run/netns")).expect("the directory");
            stage.write("/run/netns", "");
        })
    }),
    when(REACH, Fail, "private mount", "make-rshared", || {
        wrote("/proc/7/mountinfo", "1 0 0:1 / / rw - tmpfs tmpfs rw\n")
    }),
    when(handlers::PROGRAMS, Fail, "no pod of this handler can start", "ln -s berth", || {
        with(|stage| {
            stage.remove("/usr/local/bin/berth-crun");
        })
    }),
    when(handlers::PROGRAMS, Warn, "is another program", "ln -sfn berth", || {
        let stage = with(|stage| {
            stage.remove("/usr/local/bin/berth-crun");
        });
        stage.host.program("/usr/local/bin/berth-crun", "an older one");
        stage
    }),
    when(
        handlers::DELEGATES,
        Fail,
        "delegate crun: not found",
        "interposers.berth-crun.delegate in /etc/berth/config.yaml",
        || {
            with(|stage| {
                stage.remove("/usr/bin/crun");
            })
        },
    ),
    when(handlers::DELEGATES, Fail, "is berth itself", "delegate", || {
        with(|stage| {
            stage.config.push_str("interposers: {berth-crun: {engine: containerd, delegate: /usr/local/bin/berth}}\n")
        })
    }),
    when(handlers::DELEGATES, Fail, "is not executable", "delegate", || {
        with(|stage| {
            stage.write("/opt/crun", "");
            stage.config.push_str("interposers: {berth-crun: {engine: containerd, delegate: /opt/crun}}\n");
        })
    }),
    when(handlers::RUNTIME_PATH, Fail, "does nothing with it", "1.6.21", || {
        with(|stage| stage.version = "containerd v1.6.20~ds1")
    }),
    when(handlers::RUNTIME_PATH, Fail, "does nothing with it", "1.7.1", || {
        with(|stage| stage.version = "containerd v1.7.0")
    }),
    when(handlers::INTERPOSERS, Fail, "engine is podman", "set interposers.berth-crun.engine to containerd", || {
        with(|stage| stage.config.push_str("interposers: {berth-crun: {engine: podman}}\n"))
    }),
    when(handlers::INTERPOSERS, Warn, "no handler of containerd runs berth by this name", "take the entry out", || {
        with(|stage| stage.config.push_str("interposers: {berth-runsc: {engine: containerd}}\n"))
    }),
    when(handlers::INTERPOSERS, Warn, "handler is crun", "interposers.berth-crun.handler to crun-berth", || {
        with(|stage| stage.config.push_str("interposers: {berth-crun: {engine: containerd, handler: crun}}\n"))
    }),
    when(config::CONFIG, Fail, "unknown key", "berth config check", || {
        with(|stage| stage.config.push_str("interposer: {}\n"))
    }),
    when(config::CONFIG, Warn, "none of the engine's handlers is selected", "match.runtimeHandlers", || {
        with(|stage| {
            stage.config = "profiles: [{name: x, match: {runtimeHandlers: [other]}}]\n".to_owned();
            stage.dump = stage
                .dump
                .replace("/usr/local/bin/containerd-shim-berth-kata-v2", "")
                .replace("/usr/local/bin/berth-crun", "");
        })
    }),
    when(config::PUBLISHED_COPY, Warn, "interposers and daemon disagree", "kill -HUP", || {
        wrote("/run/berth/config.yaml", "profiles: []\n")
    }),
    when(config::PUBLISHED_COPY, Warn, "fall back on it", "restart berth's daemon", || {
        wrote("/run/berth/config.yaml", "{")
    }),
    when(config::PUBLISHED_COPY, Warn, "live on", "correct the configuration", || {
        let stage = with(|stage| stage.config = "{".to_owned());
        stage.write("/run/berth/config.yaml", "profiles: []\n");
        stage
    }),
    when(config::PUBLISHED_COPY, Fail, "refuse creations", "remove /run/berth/config.yaml", || {
        let stage = with(|stage| stage.config = "{".to_owned());
        stage.write("/run/berth/config.yaml", "{");
        stage
    }),
    when(privileges::PRIVILEGES, Fail, "CAP_SYS_ADMIN", "SYS_ADMIN", || {
        with(|stage| stage.privileges.capabilities = 0)
    }),
    when(privileges::PRIVILEGES, Warn, "CAP_SYS_PTRACE", "SYS_PTRACE", || {
        with(|stage| stage.privileges.capabilities = 1 << 21)
    }),
    when(state::DIRECTORY, Fail, "can be written by others", "chmod 700 /run/berth", || {
        with(|stage| {
            stage.mode("/run/berth", 0o777);
        })
    }),
    when(state::DIRECTORY, Warn, "is not on a tmpfs", "--state-dir", Stage::on_disk),
    when(state::LEFTOVERS, Warn, "1 half-made pins: berth-0123", "berth gc", || wrote("/run/netns/berth-0123", "")),
    when(state::LEFTOVERS, Warn, "1 records that cannot be read", "berth gc", || {
        wrote("/run/berth/sandboxes/berth-0123.json", "{")
    }),
    when(state::LEFTOVERS, Warn, "names that berth does not give", "berth list", || wrote("/run/netns/berth-!", "")),
    when(state::LEFTOVERS, Warn, "files of killed processes", "berth gc", || {
        let stage = wrote("/run/berth/sandboxes/.tmp-x", "");
        let old = std::time::SystemTime::now() - Duration::from_secs(3600);
        let file = std::fs::File::open(stage.host.dir.path().join("run/berth/sandboxes/.tmp-x")).expect("open");
        file.set_modified(old).expect("make it old");
        stage
    }),
    when(daemon::DAEMON, Warn, "no berth daemon runs", "start it", || {
        let stage = Stage::containerd();
        stage.without_daemon();
        stage
    }),
    when(daemon::DAEMON, Warn, "20 serves, the others wait", "end all but one", || {
        with(|stage| {
            stage.daemon(21);
        })
    }),
    when(daemon::DAEMON, Warn, "does not hold", "--state-dir", || {
        with(|stage| {
            stage.write("/proc/locks", "");
        })
    }),
    when(daemon::READY, Fail, "nri-session: not registered with the runtime", "see that the runtime runs", || {
        Stage::answering(
            "503 Service Unavailable",
            "FAIL   nri-session  not registered with the runtime at /run/nri/nri.sock\n                    -> see that the runtime runs\nSKIP   x            y\n",
        )
    }),
    when(daemon::READY, Warn, "pins-reach-engine: the runtime", "upgrade", || {
        Stage::answering(
            "200 OK",
            "PASS   nri-session        registered\nWARN   pins-reach-engine  the runtime cannot\n                          -> upgrade\n",
        )
    }),
    when(daemon::READY, Fail, "answers 503", "look into its log", || Stage::answering("503 Service Unavailable", "")),
    when(daemon::READY, Warn, "does not answer", "unix: address", || {
        with(|stage| stage.config.push_str("listen: unix:/run/berth/http.sock\n"))
    }),
    when(
        doors::DOORS,
        Fail,
        "krun-berth: sandbox: none is created",
        "drop_infra_ctr = false in /etc/crio/crio.conf.d/50-berth.conf",
        || {
            crio_with(|stage| {
                stage.dump.push_str("[crio.runtime.runtimes.krun-berth]\nruntime_path = '/usr/local/bin/berth-krun'\n")
            })
        },
    ),
    when(
        doors::DOORS,
        Warn,
        "gvisor: sandbox: the engine's own identity; containers: nobody",
        "wrap the handler",
        || dumped("disable = false", "disable = true"),
    ),
];
