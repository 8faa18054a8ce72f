//! What a delegate sees of berth: nothing. The same pod is run by a recording delegate that the engine knows itself, and
//! by one behind berth; each call of the one is a call of the other, with the same arguments, environment, working
//! directory, signals, descriptors and input. What differs is the specification, in berth's words alone.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::rig::containerd::{Handler, NAMES};
use crate::rig::provision::provision;
use crate::rig::read::netns_path;
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

const RECORDS: &str = "/run/rig/records";
const SHIM: &str = "containerd-shim-runc-v2";
const SHIM_TYPE: &str = "io.containerd.runc.v2";

/// What is created in a pod's life, and what it is told to be.
const BOTH: [(&str, &str); 2] = [("CONTAINER", "container"), ("SANDBOX", "sandbox")];

/// One call of a delegate, with placeholders for what no two pods have in common.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    /// The arguments behind the delegate's own name.
    args: Vec<String>,
    /// Working directory, signals and descriptors; environment; standard input, where it is the delegate's.
    process: String,
    environ: Vec<String>,
    stdin: Option<String>,
}

/// What a pod's life came to.
#[derive(Debug)]
struct Life {
    calls: Vec<Call>,
    /// Specifications by id: as the delegate found them when it was to create from them.
    specs: BTreeMap<&'static str, String>,
}

/// Installs the recorder as a program of the rig.
fn install(rig: &Rig, real: &str, stdin: &str) -> String {
    let name = Path::new(real).file_name().and_then(|name| name.to_str()).expect("a program");
    let path = format!("/run/rig/recorders/{name}");
    rig.run("mkdir", &["-p", "/run/rig/recorders"]).expect("make the directory");
    let script = include_str!("recorder.sh").replace("$RECORDS", RECORDS).replace("$REAL", real);
    rig.write(&path, &script.replace("$STDIN", stdin));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(rig.path(&path), mode).expect("make the recorder executable");
    path
}

/// berth's configuration, where interposers look for the one that the daemon last found good.
fn configure(rig: &Rig, name: &str, delegate: &str) {
    rig.run("mkdir", &["-m", "0700", "/run/berth"]).expect("make the state directory");
    let yaml = format!("interposers: {{{name}: {{engine: containerd, delegate: {delegate}}}}}\n");
    rig.write("/run/berth/config.yaml", &yaml);
}

/// With its first pod containerd changes its own PATH, which it hands on.
fn start(rig: &mut Rig) {
    rig.start_engine();
    let first = rig.pod("first", "runc");
    rig.cri().remove_pod(&first.id).expect("remove the pod");
    std::fs::remove_dir_all(rig.path(RECORDS)).or_else(absent).expect("remove the records");
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Runs a pod with a container, executes something in it, stops and removes both.
fn live(rig: &Rig, handler: &str) -> Life {
    let pod = rig.pod("web", handler);
    let container = rig.container(&pod, "main", IDLE);
    assert_eq!(rig.cri().exec(&container, &["echo", "hello"]).as_deref(), Ok("hello\n"));
    let state = rig.cri().sandbox_state(&pod.id);
    rig.cri().stop_container(&container).expect("stop the container");
    rig.cri().remove_container(&container).expect("remove the container");
    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");

    let netns = state.netns.expect("the pod has a network of its own");
    let netns = netns.strip_prefix("/run/netns/").or(netns.strip_prefix("/var/run/netns/")).expect("the engine's file");
    let pid = format!("/proc/{}/", state.pid);
    let known = [(pod.id.as_str(), "SANDBOX"), (&container, "CONTAINER"), (netns, "NETNS"), (&pid, "/proc/PID/")];
    let mut life = Life { calls: Vec::new(), specs: BTreeMap::new() };
    for dir in records(rig) {
        let call = read(&dir, &known);
        // Others are the engine's questions about the handler.
        let Some(id) = ["SANDBOX", "CONTAINER"].into_iter().find(|id| call.args.iter().any(|arg| arg.contains(id)))
        else {
            continue;
        };
        if call.args.iter().any(|arg| arg == "create" || arg == "start")
            && let Ok(text) = std::fs::read_to_string(dir.join("config"))
        {
            life.specs.entry(id).or_insert_with(|| named(&text, &known));
        }
        life.calls.push(call);
    }
    std::fs::remove_dir_all(rig.path(RECORDS)).expect("remove the records");
    life
}

/// The records in the order of the calls, all of them whole.
fn records(rig: &Rig) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(rig.path(RECORDS)).expect("there are records");
    let mut dirs: Vec<_> = entries.map(|entry| entry.expect("read the directory").path()).collect();
    dirs.sort();
    for dir in &dirs {
        eventually("the recorder is through", || dir.join("complete").exists().then_some(()));
    }
    dirs
}

fn read(dir: &Path, known: &[(&str, &str)]) -> Call {
    let part = |name: &str| std::fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name} of a record: {e}"));
    let list = |bytes: Vec<u8>| -> Vec<String> {
        let texts = bytes.split(|byte| *byte == 0).filter(|text| !text.is_empty());
        texts.map(|text| plain(&text.escape_ascii().to_string(), known)).collect()
    };
    let cmdline = list(part("cmdline"));
    // The shell's, and the recorder's path.
    assert!(cmdline.len() > 2 && cmdline[1].starts_with("/run/rig/recorders/"), "{cmdline:?}");
    let stdin = std::fs::read(dir.join("stdin")).ok();
    Call {
        args: cmdline[2..].to_vec(),
        process: process(&String::from_utf8(part("process")).expect("text"), known),
        environ: list(part("environ")),
        stdin: stdin.map(|bytes| plain(&bytes.escape_ascii().to_string(), known)),
    }
}

/// Without the numbers of pipes, and without descriptor 3 if that is a socket: containerd's shim leaves its own to
/// whatever it starts, until its garbage collector closes that.
fn process(text: &str, known: &[(&str, &str)]) -> String {
    let unnumbered = |line: &str| line.split(":[").next().unwrap_or_default().to_owned();
    let lines: Vec<_> = named(text, known).lines().map(unnumbered).collect();
    lines.join("\n").replace("\n3\nsocket", "")
}

fn named(text: &str, known: &[(&str, &str)]) -> String {
    known.iter().fold(text.to_owned(), |text, (id, placeholder)| text.replace(id, placeholder))
}

/// Text with placeholders for ids and for numbers that count what is made.
fn plain(text: &str, known: &[(&str, &str)]) -> String {
    let text = named(text, known);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(at);
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        out.push_str(before);
        out.push_str(&counted(&word[..end]));
        rest = &word[end..];
    }
    out + rest
}

/// Ids of executions and sockets (64 hex digits), numbers of pipes and at the end of temporary files' names.
fn counted(word: &str) -> String {
    if word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "HEX".into();
    }
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if word.len() - name.len() >= 4 { format!("{name}NUMBER") } else { word.into() }
}

/// Call for call the same, and specifications that differ in what berth has written.
#[track_caller]
fn assert_same(with: &Life, without: &Life, created: &[(&'static str, &str)]) {
    let lines = |life: &Life| life.calls.iter().map(|call| call.args.join(" ")).collect::<Vec<_>>();
    assert_eq!(lines(with), lines(without));
    for (with, without) in with.calls.iter().zip(&without.calls) {
        assert_eq!(with, without);
    }
    for life in [with, without] {
        assert!(life.specs.keys().eq(created.iter().map(|(id, _)| id)), "created were {:?}", life.specs.keys());
    }
    for (id, kind) in created {
        let (with, without) = (&with.specs[id], &without.specs[id]);
        let own = format!(r#","ocid/container_type":"{kind}","ocid/sandbox_id":"SANDBOX","ocid/sandbox_name":"web"}}"#);
        let (engines, pin) = (network_of(without), "/run/netns/berth-SANDBOX");
        assert_eq!((with.matches(&own).count(), with.matches(pin).count()), (1, 1), "{with}");
        assert_eq!(with.replacen(&own, "}", 1).replacen(pin, &engines, 1), *without, "{id}");
    }
}

/// The path of the network in a specification.
pub(super) fn network_of(spec: &str) -> String {
    netns_path(&serde_json::from_str(spec).expect("config.json is JSON")).expect("there is an entry")
}

#[test]
fn an_oci_runtime_sees_no_difference() {
    let mut rig = Rig::with_handlers(&[
        Handler::oci("direct", "/run/rig/recorders/runc"),
        Handler::oci("behind", &format!("{NAMES}/berth-recorded")),
    ]);
    let recorder = install(&rig, provision().runc.to_str().expect("a path"), "leave");
    rig.name_berth("berth-recorded");
    configure(&rig, "berth-recorded", &recorder);
    start(&mut rig);

    let (without, with) = (live(&rig, "direct"), live(&rig, "behind"));
    let words: Vec<_> = without.calls.iter().flat_map(|call| call.args.iter().map(String::as_str)).collect();
    for command in ["create", "start", "exec", "kill", "delete"] {
        assert!(words.contains(&command), "the recorder was not asked to {command}: {words:?}");
    }
    assert_same(&with, &without, &BOTH);
}

#[test]
fn a_shim_sees_no_difference() {
    let handler = |name: &str, shim: &str| {
        let options = vec![("BinaryName".into(), provision().runc.to_str().expect("a path").into())];
        Handler { options, ..Handler::shim(name, SHIM_TYPE, shim) }
    };
    let mut rig = Rig::with_handlers(&[
        handler("direct", &format!("/run/rig/recorders/{SHIM}")),
        handler("behind", &format!("{NAMES}/containerd-shim-berth-recorded-v2")),
    ]);
    let recorder = install(&rig, &format!("/run/rig/containerd/{SHIM}"), "read");
    rig.name_berth("containerd-shim-berth-recorded-v2");
    configure(&rig, "containerd-shim-berth-recorded-v2", &recorder);
    start(&mut rig);

    let (without, with) = (live(&rig, "direct"), live(&rig, "behind"));
    let words: Vec<_> = without.calls.iter().flat_map(|call| call.args.iter().map(String::as_str)).collect();
    for action in ["start", "delete"] {
        assert!(words.contains(&action), "the recorder was not asked to {action}: {words:?}");
    }
    // The shim's options, and since 2.3 all that it shall start as.
    let is_told = |call: &Call| call.stdin.as_ref().is_some_and(|stdin| stdin.contains("containerd.runc.v1.Options"));
    let starts = || without.calls.iter().filter(|call| call.args.iter().any(|arg| arg == "start"));
    assert!(starts().all(is_told), "{:?}", starts().collect::<Vec<_>>());
    assert_same(&with, &without, if rig.asks_running_shims() { &BOTH[1..] } else { &BOTH });
}
