use crate::door::interpose::argv::{Call, Create, Format, Log, read};
use crate::door::interpose::name::Grammar;
use crate::identity::Engine;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

fn call(grammar: Grammar, line: &str) -> Call {
    let args: Vec<OsString> = line.split_whitespace().map(|word| word.replace('~', " ").into()).collect();
    read(grammar, &args)
}

fn create(grammar: Grammar, line: &str) -> Create {
    match call(grammar, line) {
        Call::Create(create) => create,
        Call::Pass => panic!("{line}: passes"),
    }
}

#[test]
fn a_shim_creates_on_start_and_on_nothing_else() {
    for line in [
        "-namespace k8s.io -address /s -publish-binary /usr/bin/containerd -id abc start",
        "-namespace k8s.io -address  /s -publish-binary /b -id abc -bundle /b -debug start",
        "--namespace=k8s.io --id=abc -debug start trailing",
        "-id abc -namespace k8s.io -new-flag=x start",
    ] {
        let create = create(Grammar::Shim, line);
        assert_eq!(
            (create.id.as_str(), create.root.as_str(), create.bundle.as_path()),
            ("abc", "k8s.io", Path::new("."))
        );
        assert_eq!(create.log, None);
    }
    for line in [
        "",
        "start",
        "-v",
        "-info",
        "--info",
        "-namespace k8s.io -id abc",
        "-namespace k8s.io -id abc delete",
        "-namespace k8s.io -id abc -bundle /b delete",
        "-id start",
        "-id abc -info start",
        "-id abc unknown start",
        "-id abc --",
        "-id abc -namespace",
        "-id abc -debug",
    ] {
        assert_eq!(call(Grammar::Shim, line), Call::Pass, "{line}");
    }
}

#[test]
fn a_shim_is_told_who_its_events_are_for() {
    for (publisher, engine) in [
        ("-publish-binary /usr/bin/crio", Some(Engine::CriO)),
        ("-publish-binary=/usr/libexec/crio/crio", Some(Engine::CriO)),
        ("-publish-binary /usr/bin/containerd", None),
        ("-publish-binary /opt/crio/bin/containerd", None),
        ("-publish-binary /usr/bin/not-crio", None),
        ("", None),
    ] {
        let line = format!("-namespace default -address= {publisher} -id abc start");
        assert_eq!(create(Grammar::Shim, &line).engine, engine, "{publisher}");
    }
}

#[test]
fn a_runtime_creates_on_create_run_and_restore() {
    for (line, id, bundle, root) in [
        (
            "--root /run/containerd/runc/k8s.io --log /b/log.json --log-format json create --bundle /b --pid-file /b/init.pid c1",
            "c1",
            "/b",
            "/run/containerd/runc/k8s.io",
        ),
        ("--systemd-cgroup --root=/run/runc create --bundle=/b --pid-file /p --no-pivot c1", "c1", "/b", "/run/runc"),
        ("-root /r --debug create -b /b c1", "c1", "/b", "/r"),
        ("--cgroup-manager systemd --root /r create -b=/b c1", "c1", "/b", "/r"),
        ("--unknown --root /r create --bundle /b c1", "c1", "/b", "/r"),
        ("--unknown value --root /r run --bundle /b c1", "c1", "/b", "/r"),
        ("--unknown=create --root /r restore --detach --image-path /i --work-path /w --bundle /b c1", "c1", "/b", "/r"),
        ("--root /r create --new-flag value --bundle /b c1", "c1", "/b", "/r"),
        ("--root /r create --console-socket /s --preserve-fds 3 c1", "c1", ".", "/r"),
        ("--root /r -- create --bundle b~with~spaces -- c1", "c1", "b with spaces", "/r"),
    ] {
        let create = create(Grammar::Runtime, line);
        assert_eq!(
            (create.id.as_str(), create.bundle.as_path(), create.root.as_str()),
            (id, Path::new(bundle), root),
            "{line}"
        );
    }
}

#[test]
fn everything_else_of_a_runtime_passes() {
    for line in [
        "",
        "--version",
        "-v",
        "--help",
        "state c1",
        "kill c1 KILL",
        "delete --force create",
        "exec --process p create",
        "--root /r start create",
        "--root create state c1",
        "--log create --root run delete c1",
        "features",
        "--unknown state create",
        "create",
        "create --bundle /b",
        "create --help c1",
        "new-command create c1",
        "--root",
        "--root /r create --bundle /b c1 --late",
    ] {
        assert_eq!(call(Grammar::Runtime, line), Call::Pass, "{line}");
    }
}

#[test]
fn the_log_is_where_and_how_the_engine_said() {
    let log = |line: &str| create(Grammar::Runtime, &format!("{line} create --bundle /b c1")).log;
    assert_eq!(log("--log /l --log-format json"), Some(Log { path: "/l".into(), format: Format::Json }));
    assert_eq!(log("--log=/l --log-format=text"), Some(Log { path: "/l".into(), format: Format::Text }));
    assert_eq!(log("--log-format json --log file:/l"), Some(Log { path: "/l".into(), format: Format::Json }));
    assert_eq!(log("--log /l"), Some(Log { path: "/l".into(), format: Format::Text }));
    assert_eq!((log(""), log("--log journald:x"), log("--log syslog:x"), log("--log=")), (None, None, None, None));
}

#[test]
fn bytes_that_are_no_text_are_kept_in_paths() {
    let path = OsString::from_vec(b"/b\xff\n".to_vec());
    let args = ["create".into(), "--bundle".into(), path.clone(), "c1".into()];
    let Call::Create(create) = read(Grammar::Runtime, &args) else { panic!("a creation") };
    assert_eq!(create.bundle, Path::new(&path));
    let odd = OsString::from_vec(b"--\xff\xfe".to_vec());
    assert!(matches!(read(Grammar::Runtime, &[odd.clone(), "create".into(), odd, "c1".into()]), Call::Create(_)));
}
