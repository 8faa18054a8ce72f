//! `berth exec`

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

use crate::isolated;
use crate::scene::{Pod, berth, failed, printed};

fn web() -> Pod {
    let pod = Pod::new("aa11", "demo", "web");
    pod.ip("link set lo up");
    pod.ip("link add eth0 type veth peer name peer0");
    pod
}

fn exec(words: &[&str]) -> Output {
    berth(&[&["exec", "web", "--"], words].concat())
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

isolated! {
    fn a_command_of_the_node_runs_in_the_pods_network() {
        let pod = web();
        let seen = printed(&["exec", "web", "--", "stat", "-Lc", "%i", "/proc/self/ns/net"]);
        let own = berth::netns::Netns::open(&pod.pin()).unwrap().id().ino;
        assert_eq!(seen, format!("{own}\n"));
        assert_eq!(printed(&["exec", "aa11", "--", "sh", "-c", "ip -br link | cut -d' ' -f1 | cut -d@ -f1 | sort"]), "eth0\nlo\npeer0\n");
    }

    fn sys_shows_the_pods_interfaces_and_what_was_mounted_below_it() {
        let _pod = web();
        assert_eq!(printed(&["exec", "web", "--", "ls", "/sys/class/net"]), "eth0\nlo\npeer0\n");
        let below = |text: &str| -> Vec<String> {
            let points = text.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.starts_with("/sys/"));
            points.map(str::to_owned).collect()
        };
        let here = below(&fs::read_to_string("/proc/self/mountinfo").unwrap());
        let mut there = below(&printed(&["exec", "web", "--", "cat", "/proc/self/mountinfo"]));
        // The covered ones are still in the table.
        there.sort();
        assert!(!here.is_empty() && here.iter().all(|point| there.iter().filter(|found| found == &point).count() == 2));
        for point in here {
            let id = |output: String| output;
            let there = id(printed(&["exec", "web", "--", "stat", "-c", "%d:%i", &point]));
            let out = Command::new("stat").args(["-c", "%d:%i", &point]).output().unwrap().stdout;
            assert_eq!(there.as_bytes(), out, "{point}");
        }
    }

    fn nothing_that_is_mounted_for_the_command_is_seen_outside_and_what_goes_outside_goes_there_too() {
        let _pod = web();
        let run = |words: &str| assert!(Command::new("sh").args(["-c", words]).status().unwrap().success(), "{words}");
        run("mount --make-rshared / && mkdir /run/volume && mount -t tmpfs tmpfs /run/volume");
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let script = "echo started; read -r line; grep -c ' /run/volume ' /proc/self/mountinfo; true";
        let mut child = Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(["exec", "web", "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 8];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before, "a mount has come out");
        assert!(fs::read_to_string(format!("/proc/{}/mountinfo", child.id())).unwrap().contains(" /run/volume "));
        run("umount /run/volume");
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n", "the volume is kept in use");
    }

    fn the_exit_code_is_the_commands_and_126_and_127_as_of_shells() {
        let _pod = web();
        assert_eq!(told(&exec(&["true"])), (Some(0), String::new()));
        assert_eq!(told(&exec(&["sh", "-c", "exit 42"])), (Some(42), String::new()));
        let killed = exec(&["sh", "-c", "kill -KILL $$"]);
        assert_eq!(killed.status.signal(), Some(9));

        let missing = "No such file or directory (os error 2)\n";
        assert_eq!(told(&exec(&["nope"])), (Some(127), format!("berth: run \"nope\": {missing}")));
        assert_eq!(told(&exec(&["/nope/x"])), (Some(127), format!("berth: run \"/nope/x\": {missing}")));
        assert_eq!(told(&exec(&[""])), (Some(127), format!("berth: run \"\": {missing}")));
        let denied = "Permission denied (os error 13)\n";
        assert_eq!(told(&exec(&["/etc/passwd"])), (Some(126), format!("berth: run \"/etc/passwd\": {denied}")));
        assert_eq!(told(&exec(&["/run"])), (Some(126), format!("berth: run \"/run\": {denied}")));
        fs::write("/run/text", "echo no\n").unwrap();
        fs::set_permissions("/run/text", fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(told(&exec(&["/run/text"])), (Some(126), "berth: run \"/run/text\": Exec format error (os error 8)\n".into()));
    }

    fn a_file_that_cannot_be_executed_does_not_hide_a_command_further_down_the_path() {
        let _pod = web();
        fs::create_dir_all("/run/first").unwrap();
        fs::write("/run/first/true", "").unwrap();
        let with_path = |path: &str, word: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
            command.args(["exec", "web", "--", word]).env("PATH", path).output().unwrap().status.code()
        };
        assert_eq!(with_path("/run/first:/usr/bin:/bin", "true"), Some(0));
        assert_eq!(with_path("/run/first", "true"), Some(126));
        assert_eq!(with_path("/run/text:/nowhere", "true"), Some(127));
    }

    fn streams_environment_directory_and_arguments_are_kept_and_no_descriptor_is_added() {
        let _pod = web();
        let script = r#"cat; echo "to stderr" >&2; pwd; echo "$MARK"; printf '<%s>' "$0" "$@"; echo; ls /proc/$$/fd"#;
        let words = ["sh", "-c", script, "zero", "a b", "", "--", "-n", "\u{e4}"];
        let run = |program: &str, args: &[&str]| {
            let mut child = Command::new(program);
            child.args(args).args(words).env("MARK", "kept").current_dir("/usr");
            let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(b"from stdin\n").unwrap();
            let output = child.wait_with_output().unwrap();
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
        };
        let [out, err] = run(env!("CARGO_BIN_EXE_berth"), &["exec", "web", "--"]);
        assert!(out.starts_with("from stdin\n/usr\nkept\n<zero><a b><><--><-n><\u{e4}>\n0\n1\n"), "{out}");
        // Descriptors that the test itself was given are passed on.
        assert_eq!([out, err], run("env", &[]));
    }

    fn a_pin_that_is_not_the_records_is_not_entered() {
        let (gone, other) = (Pod::new("aa11", "demo", "gone"), Pod::new("bb22", "demo", "other"));
        gone.unmount_pin();
        let told = failed(&["exec", "gone", "--", "true"]);
        assert_eq!(told, "berth: pin /run/netns/berth-aa11: is half-made; `berth gc` says what becomes of it\n");
        other.unmount_pin();
        let args = ["--bind", &gone.file, "/run/netns/berth-bb22"];
        assert!(Command::new("mount").args(args).status().unwrap().success());
        let told = failed(&["exec", "other", "--", "true"]);
        assert_eq!(told, "berth: pin /run/netns/berth-bb22: is foreign; `berth gc` says what becomes of it\n");
    }

    fn a_command_is_needed_and_nothing_is_taken_for_one_before_the_dashes() {
        let _pod = web();
        for args in [&["exec", "web"][..], &["exec", "web", "--"], &["exec", "web", "true"], &["exec", "--", "true"]] {
            assert_eq!(berth(args).status.code(), Some(2), "{args:?}");
        }
        assert!(failed(&["exec", "nope", "--", "true"]).starts_with("berth: no pin on this node is \"nope\""));
    }
}
