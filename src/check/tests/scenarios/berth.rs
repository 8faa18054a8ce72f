//! Where berth works, what stands in its handlers, and berth itself.

use super::{Scenario, crio_with, dumped, when, with, wrote};
use crate::check::tests::stage::Stage;
use crate::check::{config, daemon, doors, handlers, netns, privileges, state};
use crate::door::nri::REACH;
use crate::finding::Grade::{Fail, Warn};
use std::time::Duration;

pub(super) const SCENARIOS: &[Scenario] = &[
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
    when(handlers::PROGRAMS, Fail, "no pod of this handler can start", "ln -sfn berth", || {
        with(|stage| {
            stage.remove("/usr/local/bin/berth-crun");
        })
    }),
    when(handlers::PROGRAMS, Fail, "kata-berth: runtime_path", "out of /etc/containerd/conf.d/50-berth.toml", || {
        with(|stage| {
            stage.remove("/usr/local/bin/containerd-shim-berth-kata-v2");
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
        "drop_infra_ctr = false in /etc/crio/crio.conf.d/99-local.conf",
        || {
            crio_with(|stage| {
                stage.dump.push_str("[crio.runtime.runtimes.krun-berth]\nruntime_path = '/usr/local/bin/berth-krun'\n")
            })
        },
    ),
    // berth's plugin tells its containers that they join a sandbox, and there is none.
    when(doors::DOORS, Fail, "vms: sandbox: none is created; containers: NRI", "runtime_type = \"vm\"", || {
        crio_with(|stage| stage.dump.push_str("[crio.runtime.runtimes.vms]\nruntime_path = '/usr/bin/urunc'\n"))
    }),
    when(
        doors::DOORS,
        Warn,
        "gvisor: sandbox: the engine's own identity; containers: nobody",
        "wrap the handler",
        || dumped("disable = false", "disable = true"),
    ),
];
