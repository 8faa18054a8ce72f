//! What an interposer asks of the machine: which system calls, as strace(1) sees them, and how much memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::isolated;
use crate::provision::components;
use crate::stage::{bundle, command, containerd, interposer, netns, network, path, silent, text};

/// Threads and processes, event loops, and waiting for a disk.
const FORBIDDEN: &str = "clone clone3 fork vfork epoll_create epoll_create1 eventfd2 io_uring_setup socketpair \
    timerfd_create fsync fdatasync msync sync syncfs sync_file_range";

/// What the standard library's start-up ends with, before `main`.
const STARTED: &str = "rt_sigaction(SIGBUS, {";

/// strace. To be asked for before a test is isolated, too: inside there is no network to get it by.
fn strace() -> PathBuf {
    components(&["strace"])["BERTH_RIG_STRACE"].clone().into()
}

/// berth's own part of a run: each system call as strace writes it, up to the exec of the delegate or its own end.
fn traced(program: &Path, args: &[&str], at: &Path) -> Vec<String> {
    const FILE: &str = "/run/trace";
    let options = ["-f", "-qq", "-o", FILE, program.to_str().unwrap()];
    let status = command(&strace(), &[&options, args].concat()).current_dir(at).status().unwrap();
    let trace = fs::read_to_string(FILE).unwrap();
    let calls: Vec<_> = trace.lines().map(|line| line.split_once(' ').expect("pid, call")).collect();
    assert!(calls.iter().all(|(pid, _)| *pid == calls[0].0), "one thread of one process, the delegate's too: {trace}");
    let starts = |call: &str| call.trim_start().starts_with("execve(") && call.ends_with(" = 0");
    let executed: Vec<_> = (0..calls.len()).filter(|at| starts(calls[*at].1)).collect();
    assert_eq!(executed.len(), if status.success() { 2 } else { 1 }, "berth, then its delegate if it comes to that");
    let own = &calls[..executed.get(1).copied().unwrap_or(calls.len())];
    own.iter().map(|(_, call)| call.trim_start().to_owned()).collect()
}

fn of(call: &str, name: &str) -> bool {
    call.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
}

/// Whether berth creates from this bundle within so much memory of its own, in KiB (RLIMIT_DATA, setrlimit(2)).
fn creates_within(kib: usize, berth: &Path, dir: &Path) -> bool {
    let script = format!("ulimit -d {kib} && exec \"$@\"");
    let create = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
    let words = [&["-c", &script, "sh", berth.to_str().unwrap()], &create[..]].concat();
    let before = text(dir);
    // Without backtraces: the standard library would want memory to write one of having none, and wait for itself.
    let output = command(Path::new("/bin/sh"), &words).env("RUST_BACKTRACE", "0").output().unwrap();
    assert_eq!(output.status.success(), path(dir).as_deref() == Some("/run/netns/berth-s1"), "{output:?}");
    fs::write(dir.join("config.json"), before).unwrap();
    output.status.success()
}

/// As many as make `size` bytes, with commas between them.
fn filling(size: usize, part: impl Fn(usize) -> String) -> String {
    let mut filling = part(0);
    for number in 1.. {
        if filling.len() >= size {
            break;
        }
        filling += &format!(",{}", part(number));
    }
    filling
}

#[test]
fn no_thread_no_runtime_and_no_sync_whatever_is_asked() {
    strace();
    isolated::run(concat!(module_path!(), "::no_thread_no_runtime_and_no_sync_whatever_is_asked"), || {
        silent("runc");
        silent("containerd-shim-x-v2");
        let (runtime, shim) = (interposer("berth-runc"), interposer("containerd-shim-berth-x-v2"));
        let sandbox = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        let member = bundle("c1", &containerd("container", "s1"), &network("/proc/0/ns/net"));
        let of_the_host = bundle("s2", &containerd("sandbox", "s2"), r#"{"type":"uts"}"#);
        let next = bundle("s3", &containerd("sandbox", "s3"), &network(&netns("cni-3")));
        let refused = bundle("s4", &containerd("sandbox", "s4"), &network("/run/netns/absent"));
        let create = |command: &'static str, dir: &Path, id: &'static str| {
            let args = ["--root", "/r/k8s.io", command, "--bundle", dir.to_str().unwrap(), id];
            traced(&runtime, &args, Path::new("/"))
        };
        let start = ["-namespace", "k8s.io", "-address", "/a", "-publish-binary", "/b", "-id", "s1", "start"];
        let mut traces = vec![
            traced(&runtime, &["state", "s1"], Path::new("/")),
            traced(&runtime, &["kill", "s1", "9"], Path::new("/")),
            traced(&shim, &["-v"], Path::new("/")),
            create("create", &sandbox, "s1"),
            create("restore", &sandbox, "s1"),
            traced(&shim, &start, &sandbox),
            create("create", &member, "c1"),
            create("create", &of_the_host, "s2"),
            create("create", &refused, "s4"),
        ];
        // The next creation lets the pin go, for which it looks through all tasks.
        assert!(Command::new("umount").arg("/run/netns/cni-1").status().unwrap().success());
        fs::remove_file("/run/netns/cni-1").unwrap();
        traces.push(create("create", &next, "s3"));
        assert!(!Path::new("/run/netns/berth-s1").exists() && Path::new("/run/netns/berth-s3").exists());
        for calls in traces {
            assert!(calls.iter().any(|call| call.starts_with(STARTED)), "all of it was seen: {calls:#?}");
            let found: Vec<_> = calls.iter().filter(|call| FORBIDDEN.split(' ').any(|name| of(call, name))).collect();
            assert!(found.is_empty(), "{found:#?} in {calls:#?}");
        }
    });
}

#[test]
fn what_passes_through_looks_for_configuration_and_delegate_and_nothing_else() {
    strace();
    isolated::run(
        concat!(module_path!(), "::what_passes_through_looks_for_configuration_and_delegate_and_nothing_else"),
        || {
            silent("runc");
            let berth = interposer("berth-runc");
            for args in
                [&["state", "s1"][..], &["kill", "s1", "9"], &["--root", "/r/k8s.io", "delete", "--force", "s1"]]
            {
                let calls = traced(&berth, args, Path::new("/"));
                let main = calls.iter().rposition(|call| call.starts_with(STARTED)).expect("start-up is seen") + 1;
                let own = &calls[main..];
                let expected = ["/etc/berth/config.yaml", "/run/berth/config.yaml", "/proc/self/exe", "/run/bin/runc"];
                let files: Vec<_> = own.iter().filter_map(|call| call.split('"').nth(1)).collect();
                assert_eq!(files, expected, "{own:#?}");
                // Beside those four: the signal that is put right, and what memory takes.
                assert!(own.len() <= 10, "{} system calls: {own:#?}", own.len());
            }
        },
    );
}

isolated! {
    fn memory_is_bounded_by_the_specifications_size() {
        const SMALL: usize = 30 << 10;
        const LARGE: usize = 8 << 20;
        silent("runc");
        let berth = interposer("berth-runc");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&netns("cni-1")));
        let plain = text(&dir);
        let long = |size| {
            let variables = filling(size, |number| format!(r#""SERVICE_{number}_PORT=tcp://10.96.0.1:8080""#));
            plain.replace(r#""x":1.0"#, &format!(r#""process":{{"env":[{variables}]}}"#))
        };
        let annotated = |size| {
            let more = filling(size, |number| format!(r#""example.com/annotation-{number}":"a value of ordinary length""#));
            plain.replace(r#""annotations":{"#, &format!(r#""annotations":{{{more},"#))
        };
        let creates = |kib, spec: &str| {
            fs::write(dir.join("config.json"), spec).unwrap();
            creates_within(kib, &berth, &dir)
        };
        // A megabyte, whatever it is asked; then thrice the text, or eight times that which is all annotations.
        for (size, kib) in [(SMALL, 1 << 10), (LARGE, (1 << 10) + 3 * (LARGE >> 10))] {
            assert!(creates(kib, &long(size)), "{size} bytes within {kib} KiB");
        }
        for (size, kib) in [(SMALL, 1 << 10), (LARGE, (1 << 10) + 8 * (LARGE >> 10))] {
            assert!(creates(kib, &annotated(size)), "{size} bytes of annotations within {kib} KiB");
        }
        assert!(!creates(LARGE >> 10, &long(LARGE)), "the limit is one");
    }
}
