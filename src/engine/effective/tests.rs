//! What the real engines printed, of a configuration with two handlers of ours.

use super::*;

fn containerd(text: &str) -> Effective {
    Effective::parse(Kind::Containerd, Source::Files, text).expect("TOML")
}

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../golden/", $name, ".toml"))
    };
}

const CONTAINERD: [(&str, i64, &str); 5] = [
    ("1.6.36", 2, golden!("containerd-1.6.36")),
    ("1.7.35", 2, golden!("containerd-1.7.35")),
    ("2.1.9", 3, golden!("containerd-2.1.9")),
    ("2.2.9", 3, golden!("containerd-2.2.9")),
    ("2.3.4", 4, golden!("containerd-2.3.4")),
];

#[test]
fn handlers_are_found_in_the_words_of_every_containerd() {
    for (version, format, text) in CONTAINERD {
        let found = containerd(text);
        assert_eq!(found.version, Some(format), "{version}");
        assert!(found.cri, "{version}");
        assert_eq!(found.default_handler, "runc", "{version}");
        assert_eq!(found.handlers.keys().collect::<Vec<_>>(), ["crun-berth", "kata-berth", "runc"], "{version}");
        let crun = &found.handlers["crun-berth"];
        assert_eq!(crun.kind, "io.containerd.runc.v2", "{version}");
        assert_eq!(crun.binary_name.as_deref(), Some(Path::new("/usr/local/bin/berth-crun")), "{version}");
        assert_eq!(crun.runtime_path, None, "{version}");
        assert_eq!(crun.raw["options"]["SystemdCgroup"].as_bool(), Some(true), "{version}");
        let kata = &found.handlers["kata-berth"];
        assert_eq!(
            kata.runtime_path.as_deref(),
            Some(Path::new("/usr/local/bin/containerd-shim-berth-kata-v2")),
            "{version}"
        );
        assert_eq!(kata.raw["privileged_without_host_devices"].as_bool(), Some(true), "{version}");
        assert_eq!(found.handlers["runc"].binary_name, None, "{version}");
        assert_eq!(found.socket, Some("/run/containerd/containerd.sock".into()), "{version}");
        assert!(!found.drops_infra, "{version}");
        // 1.6 says it of no handler.
        assert_eq!(crun.snapshotter.as_deref(), (version > "1.7").then_some("native"), "{version}");
    }
}

#[test]
fn nri_is_what_each_containerd_says_of_it() {
    let known: Vec<_> = CONTAINERD.iter().map(|(_, _, text)| containerd(text).nri.known).collect();
    assert_eq!(known, [false, true, true, true, true]);
    for (version, _, text) in &CONTAINERD[1..] {
        let nri = containerd(text).nri;
        assert!(nri.enabled && nri.connections, "{version}");
        assert_eq!(nri.socket, Path::new("/var/run/nri/nri.sock"), "{version}");
        assert_eq!(nri.plugins, Path::new("/opt/nri/plugins"), "{version}");
        assert_eq!(nri.configs, Path::new("/etc/nri/conf.d"), "{version}");
        // Since 2.2; before, the section is of no effect and not printed.
        let wanted = if *version > "2.2" {
            Validator { enabled: true, rejects_namespaces: true, required: vec!["berth".into()], tolerating: None }
        } else {
            Validator::default()
        };
        assert_eq!(nri.validator, wanted, "{version}");
    }
}

#[test]
fn a_plugin_that_is_disabled_is_off() {
    let text = golden!("containerd-2.3.4");
    for plugin in ["io.containerd.grpc.v1.cri", "cri", "io.containerd.cri.v1.runtime"] {
        let text = text.replace("disabled_plugins = []", &format!("disabled_plugins = ['{plugin}']"));
        assert!(!containerd(&text).cri, "{plugin}");
    }
    let text = text.replace("disabled_plugins = []", "disabled_plugins = ['io.containerd.nri.v1.nri']");
    assert!(!containerd(&text).nri.enabled && containerd(&text).cri);
    assert!(!containerd(&text.replace("    disable = false", "    disable = true")).nri.enabled);
}

#[test]
fn crio_says_the_same_of_its_process_and_of_its_files() {
    for (source, text) in
        [(Source::Process, golden!("crio-1.36.3-status")), (Source::Files, golden!("crio-1.36.3-config"))]
    {
        let found = Effective::parse(Kind::CriO, source, text).expect("TOML");
        assert_eq!(found.default_handler, "runc", "{source:?}");
        assert!(found.drops_infra, "{source:?}");
        assert_eq!(found.socket, Some("/var/run/crio/crio.sock".into()), "{source:?}");
        let kata = &found.handlers["kata-berth"];
        assert_eq!(kata.kind, "vm", "{source:?}");
        assert_eq!(
            kata.runtime_path.as_deref(),
            Some(Path::new("/usr/local/bin/containerd-shim-berth-kata-v2")),
            "{source:?}"
        );
        assert_eq!(kata.runtime_root.as_deref(), Some(Path::new("/run/vc")), "{source:?}");
        assert_eq!(found.handlers["runc"].kind, "oci", "{source:?}");
        assert_eq!(found.handlers["crun"].monitor_env.len(), 1, "{source:?}");
        assert!(found.nri.enabled && found.nri.connections && found.nri.known, "{source:?}");
        assert_eq!(found.nri.socket, Path::new("/var/run/nri/nri.sock"), "{source:?}");
        assert_eq!(found.nri.validator, Validator::default(), "{source:?}");
    }
}

#[test]
fn what_an_operator_of_crio_has_set_holds_and_not_the_default() {
    let text = golden!("crio-1.36.3-config")
        .replace("# drop_infra_ctr = true", "drop_infra_ctr = false")
        .replace("# enable_nri = true", "enable_nri = false");
    let found = Effective::parse(Kind::CriO, Source::Files, &text).expect("TOML");
    assert!(!found.drops_infra && !found.nri.enabled);
}

#[test]
fn what_is_no_configuration_is_an_error() {
    assert!(Effective::parse(Kind::Containerd, Source::Files, "containerd: failed to load TOML").is_err());
    let error = Effective::parse(Kind::CriO, Source::Files, "password = hunter2").expect_err("no TOML");
    let said = crate::exit::chain(&EngineError::unreadable("crio config", &error));
    assert!(said.starts_with("crio config printed no configuration: ") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_configuration_that_cannot_be_looked_at_is_not_taken_for_an_absent_one() {
    let host = crate::engine::testing::FakeHost::new();
    host.program("/usr/bin/containerd", "#!/bin/sh\nexit 7\n").link("/etc/containerd/config.toml", "config.toml");
    let config = Path::new("/etc/containerd/config.toml");
    let engine = Engine {
        kind: Kind::Containerd,
        distribution: crate::engine::Distribution::Plain,
        version: Err("not asked".into()),
        program: Some("/usr/bin/containerd".into()),
        config: config.into(),
        drop_ins: None,
        socket: "/run/containerd/containerd.sock".into(),
        unit: "containerd",
        running: None,
    };
    let error = Effective::print(&host.host(), &engine, Candidate { config, drop_ins: None }).expect_err("a loop");
    assert!(error.to_string().contains("look at /etc/containerd/config.toml"), "{error}");
}
