//! What the engine says, its files, and its NRI.

use super::{Scenario, crio_with, dumped, plugin, told, when, with, wrote};
use crate::check::tests::stage::Stage;
use crate::check::{drop_ins, engine, nri, plugins, restart};
use crate::engine::RunError;
use crate::finding::Grade::{Fail, Warn};
use std::time::Duration;

const VALIDATOR: &str = "[plugins.'io.containerd.nri.v1.nri'.default_validator]\nenable = true\n";
const OWN: &str = "/opt/nri/plugins/90-berth";
const DROP_IN: &str = "/etc/containerd/conf.d/50-berth.toml";

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
    when(engine::CONFIG, Fail, "not found as an executable", "--engine-program", || {
        with(|stage| stage.silent = Some(|| RunError::NotFound("containerd".to_owned())))
    }),
    when(engine::CONFIG, Fail, "Operation not permitted", "SYS_CHROOT", || {
        with(|stage| {
            stage.silent = Some(|| RunError::Start {
                command: "containerd config dump".to_owned(),
                source: std::io::Error::from_raw_os_error(nix::libc::EPERM),
            })
        })
    }),
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
    when(drop_ins::DROP_INS, Fail, "does not import it", "imports = ", || {
        // A star of containerd's goes over no slash.
        wrote("/etc/containerd/config.toml", "version = 4\nimports = ['/etc/containerd/*.toml']\n")
    }),
    when(drop_ins::DROP_INS, Fail, "gvisor2 do not hold", "write version = 4", || {
        with(|stage| {
            let text = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.gvisor2]\n";
            stage.write("/etc/containerd/conf.d/60-x.toml", text);
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
    when(restart::RESTART, Warn, "/etc/containerd/config.toml", "systemctl restart containerd", || {
        with(|stage| stage.started -= Duration::from_secs(60))
    }),
    when(restart::RESTART, Warn, "handler kata-berth, drop_infra_ctr", "systemctl restart crio", || {
        crio_with(|stage| {
            stage.dump = stage
                .dump
                .replace("kata-berth", "kata")
                .replace("'vm'", "'oci'")
                .replace("drop_infra_ctr = true", "drop_infra_ctr = false")
        })
    }),
    when(restart::RESTART, Fail, "would not start again", "before the node is restarted", || {
        crio_with(|stage| stage.files = Some("[".to_owned()))
    }),
    when(
        nri::NRI,
        Fail,
        "NRI is off",
        "[plugins.'io.containerd.nri.v1.nri'] disable = false in /etc/containerd/config.toml",
        || dumped("disable = false", "disable = true"),
    ),
    // The file that says so, and not the one that it is said in by default.
    when(nri::NRI, Fail, "NRI is off", "disable = false in /etc/containerd/conf.d/60-x.toml", || {
        let stage = dumped("disable = false", "disable = true");
        let text = "version = 4\n[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n";
        stage.write("/etc/containerd/conf.d/60-x.toml", text);
        stage
    }),
    // berth's own file is written anew by each install.
    when(nri::NRI, Warn, "NRI is off", "enable_nri = true in /etc/crio/crio.conf.d/99-local.conf", || {
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
    when(nri::REQUIRED, Warn, "but those of pods annotated with skip.example/berth", "start berth's daemon", || {
        let stage = told(&format!(
            "{VALIDATOR}required_plugins = ['berth']\ntolerate_missing_plugins_annotation = 'skip.example/berth'\n"
        ));
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
];
