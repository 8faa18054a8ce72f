//! Hosts in a directory, with a procfs of their own.

use super::*;
use crate::engine::testing::FakeHost;

const K3S: &str = "/opt/k3s/bin/containerd -c /var/lib/rancher/k3s/agent/etc/containerd/config.toml -a /run/k3s/containerd/containerd.sock";

fn named(engine: &str) -> Choice {
    Choice { engine: Some(engine.to_owned()), ..Choice::default() }
}

#[test]
fn a_running_engine_goes_before_files() {
    let host = FakeHost::new();
    host.write("/etc/containerd/config.toml", "version = 3\n").process(7, "/usr/bin/crio --config x.conf");
    host.program("/usr/bin/crio", "");
    let engine = Engine::find(&host.host(), &Choice::default()).expect("one");
    assert_eq!((engine.kind, engine.name()), (Kind::CriO, "cri-o"));
    assert_eq!(engine.config, Path::new("/work/x.conf"), "relative to the engine's own directory");
    assert_eq!(engine.drop_ins.as_deref(), Some(Path::new("/etc/crio/crio.conf.d")));
    assert_eq!(engine.program.as_deref(), Some(Path::new("/usr/bin/crio")));
    assert_eq!(engine.running.map(|process| process.pid), Some(7));
}

#[test]
fn distributions_are_told_by_their_files() {
    let host = FakeHost::new();
    host.process(7, K3S).write("/etc/systemd/system/k3s-agent.service", "");
    let engine = Engine::find(&host.host(), &Choice::default()).expect("one");
    assert_eq!((engine.distribution, engine.name(), engine.unit), (Distribution::K3s, "k3s", "k3s-agent"));
    assert_eq!(engine.socket, Path::new("/run/k3s/containerd/containerd.sock"));

    for (name, file) in [
        ("rke2", "/var/lib/rancher/rke2/agent/etc/containerd/config.toml"),
        ("k0s", "/etc/k0s/containerd.toml"),
        ("microk8s", "/var/snap/microk8s/current/args/containerd-template.toml"),
        ("containerd", "/etc/containerd/config.toml"),
        ("cri-o", "/etc/crio/crio.conf.d/10-crio.conf"),
    ] {
        let host = FakeHost::new();
        host.write(file, "");
        assert_eq!(Engine::find(&host.host(), &Choice::default()).expect(name).name(), name);
    }
}

#[test]
fn several_engines_are_listed_with_the_flag_that_chooses() {
    let host = FakeHost::new();
    host.process(7, "/usr/bin/crio").process(8, "/usr/bin/containerd").process(9, K3S);
    let error = Engine::find(&host.host(), &Choice::default()).expect_err("three").to_string();
    for word in ["cri-o with /etc/crio/crio.conf (pid 7)", "containerd with", "k3s with", "--engine", "--config-file"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    for (name, pid) in [("cri-o", 7), ("containerd", 8), ("k3s", 9)] {
        let engine = Engine::find(&host.host(), &named(name)).expect(name);
        assert_eq!((engine.name(), engine.running.map(|process| process.pid)), (name, Some(pid)));
    }
    let by_config = Choice { config: Some("/etc/crio/crio.conf".into()), ..Choice::default() };
    assert_eq!(Engine::find(&host.host(), &by_config).expect("by its file").name(), "cri-o");
}

#[test]
fn where_there_is_none_the_files_that_were_looked_for_are_named() {
    let error = Engine::find(&FakeHost::new().host(), &Choice::default()).expect_err("none").to_string();
    assert!(error.contains("/etc/containerd/config.toml") && error.contains("/etc/crio/crio.conf"), "{error}");
}

#[test]
fn what_the_operator_says_holds() {
    let host = FakeHost::new();
    host.process(7, "/usr/bin/containerd").program("/opt/mine/containerd", "");
    let choice = Choice {
        engine: Some("containerd".into()),
        config: Some("/opt/mine/config.toml".into()),
        socket: Some("/opt/mine/sock".into()),
        program: Some("/opt/mine/containerd".into()),
        drop_ins: None,
    };
    let engine = Engine::find(&host.host(), &choice).expect("named");
    assert!(engine.running.is_none(), "the one that runs has another configuration");
    assert_eq!(engine.config, Path::new("/opt/mine/config.toml"));
    assert_eq!(engine.drop_ins.as_deref(), Some(Path::new("/opt/mine/conf.d")));
    assert_eq!(engine.socket, Path::new("/opt/mine/sock"));
    assert_eq!(engine.program.as_deref(), Some(Path::new("/opt/mine/containerd")));
    assert!(engine.version.is_err(), "it prints none");
}

#[test]
fn a_program_replaced_by_an_upgrade_is_the_new_one() {
    let host = FakeHost::new();
    host.process(7, "/usr/bin/containerd").program("/usr/bin/containerd", "");
    let exe = host.dir.path().join("proc/7/exe");
    std::fs::remove_file(&exe).expect("remove the link");
    std::os::unix::fs::symlink("/usr/bin/containerd (deleted)", &exe).expect("link");
    let engine = Engine::find(&host.host(), &Choice::default()).expect("one");
    assert_eq!(engine.program.as_deref(), Some(Path::new("/usr/bin/containerd")));
}

/// Gives a process the namespaces of another one; `mnt` and `pid` are names of files that stand for some.
fn namespaces(host: &FakeHost, pid: u32, mnt: &str, pid_namespace: &str) {
    for (kind, namespace) in [("mnt", mnt), ("pid", pid_namespace)] {
        let file = format!("/namespaces/{namespace}");
        let (path, link) = (host.dir.path().join(&file[1..]), host.dir.path().join(format!("proc/{pid}/ns/{kind}")));
        if !path.exists() {
            host.write(&file, "");
        }
        std::fs::create_dir_all(link.parent().expect("a parent")).expect("make directories");
        std::fs::hard_link(path, link).expect("a second name, which has the same inode");
    }
}

#[test]
fn an_engine_in_a_container_is_not_the_hosts_and_one_whose_unit_is_hardened_is() {
    let host = FakeHost::new();
    namespaces(&host, 1, "host", "host");
    let root = host.dir.path().canonicalize().expect("the root");
    let elsewhere = tempfile::tempdir().expect("another root");
    for (pid, mnt, pid_namespace, root) in [
        (7, "host", "host", root.as_path()),
        (8, "of the unit", "host", &root),
        (9, "of a container", "of a container", elsewhere.path()),
        (10, "of a container", "host", elsewhere.path()),
        (11, "of a container", "of a container", &root),
    ] {
        host.process(pid, "/usr/bin/containerd").link(&format!("/proc/{pid}/root"), root);
        namespaces(&host, pid, mnt, pid_namespace);
    }
    let found: Vec<_> = processes(&host.host()).iter().map(|process| process.pid).collect();
    assert_eq!(found, [7, 8]);
}
