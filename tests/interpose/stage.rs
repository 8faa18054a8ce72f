//! What the tests play on: delegates that record, bundles, network namespaces.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Where delegates and interposers are.
pub(crate) const BIN: &str = "/run/bin";
/// Where a delegate writes down how it was run.
pub(crate) const RECORD: &str = "/run/record";

/// What the kernel knows of the process, and what it was given to read. Looked at by the shell itself, which blocks
/// signals and opens pipes while it forks; its own descriptors are those from 10 on.
const RECORDER: &str = r#"#!/bin/sh
{
    echo "pid $$"
    while read -r line; do case $line in SigBlk:*|SigIgn:*|Threads:*|Cap*|NoNewPrivs:*|Seccomp*) echo "$line" ;; esac; done < /proc/$$/status
    readlink /proc/$$/cwd /proc/$$/exe
    for fd in /proc/$$/fd/?; do echo "$fd"; readlink "$fd"; done
} > /run/record.raw
sed -e "s,/proc/$$/,,; s/\[[0-9]*\]//" /run/record.raw > /run/record.status
rm /run/record.raw
tr '\0' '\n' < /proc/$$/cmdline > /run/record.cmdline
cat /proc/$$/environ > /run/record.environ
cat > /run/record.stdin
echo from the delegate
echo to its standard error >&2
exit 3
"#;

/// Puts a recording delegate called `name` into [`BIN`].
pub(crate) fn delegate(name: &str) -> PathBuf {
    let path = Path::new(BIN).join(name);
    fs::create_dir_all(BIN).unwrap();
    fs::write(&path, RECORDER).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A delegate that has nothing to say.
pub(crate) fn silent(name: &str) {
    fs::create_dir_all(BIN).unwrap();
    symlink("/bin/true", Path::new(BIN).join(name)).unwrap();
}

/// berth under another name.
pub(crate) fn interposer(name: &str) -> PathBuf {
    let path = Path::new("/run/berth.d").join(name);
    fs::create_dir_all("/run/berth.d").unwrap();
    symlink(env!("CARGO_BIN_EXE_berth"), &path).unwrap();
    path
}

/// `program` to be run as engines do, with [`BIN`] before the usual directories.
pub(crate) fn command<A: AsRef<OsStr>>(program: &Path, args: &[A]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env("PATH", format!("{BIN}:/usr/bin:/bin")).env_remove("BERTH_TEST_ISOLATED");
    command.stdin(Stdio::null());
    command
}

/// Runs it; says what came of it.
pub(crate) fn run(program: &Path, args: &[&str]) -> Output {
    command(program, args).output().unwrap()
}

/// The delegate ran, and nothing but it has said anything.
pub(crate) fn assert_delegated(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        (out.as_str(), err.as_str(), output.status.code()),
        ("from the delegate\n", "to its standard error\n", Some(3))
    );
}

/// The delegate did not run; what was said instead.
pub(crate) fn refused(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{text}");
    assert!(!Path::new("/run/record.status").exists(), "the delegate has not run");
    assert!(text.starts_with("berth: ") && text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    text
}

/// A network namespace pinned the way engines do it; its path.
pub(crate) fn netns(name: &str) -> String {
    let path = format!("/run/netns/{name}");
    fs::create_dir_all("/run/netns").unwrap();
    fs::write(&path, "").unwrap();
    assert!(Command::new("unshare").arg(format!("--net={path}")).arg("true").status().unwrap().success());
    path
}

/// The namespace at a path.
pub(crate) fn inode(path: &str) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// A bundle whose specification has `annotations` and the namespace entries `namespaces`.
pub(crate) fn bundle(id: &str, annotations: &[(&str, &str)], namespaces: &str) -> PathBuf {
    let dir = Path::new("/run/bundles/k8s.io").join(id);
    fs::create_dir_all(&dir).unwrap();
    let members: Vec<_> =
        annotations.iter().map(|(key, value)| format!("{}:{}", Value::from(*key), Value::from(*value))).collect();
    let text = format!(
        r#"{{"ociVersion":"1.2.0","big":18446744073709551617,"annotations":{{{}}},"linux":{{"namespaces":[{{"type":"pid"}},{namespaces}]}},"x":1.0}}"#,
        members.join(",")
    );
    fs::write(dir.join("config.json"), text).unwrap();
    dir
}

/// A network entry with this path.
pub(crate) fn network(path: &str) -> String {
    format!(r#"{{"type":"network","path":"{path}"}}"#)
}

/// containerd's own keys.
pub(crate) fn containerd(kind: &'static str, sandbox: &'static str) -> [(&'static str, &'static str); 5] {
    [
        ("io.kubernetes.cri.container-type", kind),
        ("io.kubernetes.cri.sandbox-id", sandbox),
        ("io.kubernetes.cri.sandbox-name", "web"),
        ("io.kubernetes.cri.sandbox-namespace", "ns"),
        ("io.kubernetes.cri.sandbox-uid", "u1"),
    ]
}

/// What a bundle says.
pub(crate) fn text(bundle: &Path) -> String {
    fs::read_to_string(bundle.join("config.json")).unwrap()
}

/// An annotation of it.
pub(crate) fn annotation(bundle: &Path, key: &str) -> Option<String> {
    let spec: Value = serde_json::from_str(&text(bundle)).unwrap();
    spec["annotations"][key].as_str().map(str::to_owned)
}

/// The path of its network.
pub(crate) fn path(bundle: &Path) -> Option<String> {
    let spec: Value = serde_json::from_str(&text(bundle)).unwrap();
    spec["linux"]["namespaces"][1]["path"].as_str().map(str::to_owned)
}

/// Creates by way of the runtime's command line, in containerd's CRI namespace.
pub(crate) fn create(interposer: &Path, bundle: &Path, id: &str) -> Output {
    let bundle = bundle.to_str().unwrap();
    let args = [
        "--root",
        "/run/runc/k8s.io",
        "--log",
        "/run/log.json",
        "--log-format",
        "json",
        "create",
        "--bundle",
        bundle,
        id,
    ];
    run(interposer, &args)
}

/// Writes the configuration and names it to whoever is run.
pub(crate) fn configured(yaml: &str) -> &'static str {
    fs::write("/run/config.yaml", yaml).unwrap();
    "/run/config.yaml"
}
