//! `berth inspect`

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::isolated;
use crate::scene::{BUNDLES, Pod, berth, failed, interpose, json, printed, settled};

fn furnish(pod: &Pod) {
    pod.ip("link set lo up");
    pod.ip("link add eth0 address 02:00:00:00:00:01 mtu 1450 type veth peer name peer0 address 02:00:00:00:00:02");
    pod.ip("link set eth0 addrgenmode none");
    pod.ip("link set peer0 addrgenmode none");
    pod.ip("address add 10.1.0.5/24 dev eth0");
    pod.ip("link set peer0 up");
    pod.ip("link set eth0 up");
    pod.ip("route add default via 10.1.0.1");
}

isolated! {
    fn everything_known_of_a_pod_is_shown() {
        let pod = Pod::new("aa11", "demo", "web");
        furnish(&pod);
        let task = pod.task();
        let seen = pod.unseen("c1", "demo", "web");
        interpose(&seen, "c1");
        pod.unseen("c2", "demo", "web");
        let other = Pod::new("bb22", "demo", "other");
        let text = printed(&["inspect", "web", "--bundles", BUNDLES]);
        let (before, processes) = text.split_once("Processes:\n").unwrap();
        let (processes, after) = processes.split_once("\n\n").unwrap();
        let words: Vec<_> = processes.split_whitespace().collect();
        assert_eq!(words, ["PID", "COMMAND", "ARGUMENTS", &task.pid().to_string(), "sleep", "sleep", "1000"]);
        insta::assert_snapshot!("pod", settled(&format!("{before}{after}"), &[&pod, &other]));

        let report = json(&["inspect", "demo/web", "-o", "json", "--bundles", BUNDLES]);
        assert_eq!((&report["apiVersion"], &report["kind"]), (&"berth/v1".into(), &"Pin".into()));
        assert_eq!(report["lifecycle"]["reason"], "engine-holds-it");
        assert_eq!(report["processes"][0]["pid"], task.pid());
        assert_eq!(report["network"]["routes"][0]["hops"][0]["gateway"], "10.1.0.1");
        assert_eq!(report["network"]["interfaces"][2]["addresses"][0], "10.1.0.5/24");
        assert_eq!(report["containers"][1]["pathAfter"], "/run/netns/berth-aa11");
        assert_eq!(report["containers"].as_array().unwrap().len(), 3);
        let yaml: serde_json::Value =
            serde_yaml::from_str(&printed(&["inspect", "demo/web", "-o", "yaml", "--bundles", BUNDLES])).unwrap();
        assert_eq!((&yaml["network"], &yaml["containers"]), (&report["network"], &report["containers"]));
    }

    fn a_pod_is_found_by_each_of_its_names() {
        let _pods = [Pod::new("aa11bb", "demo", "web"), Pod::new("cc22dd", "demo", "db")];
        for name in ["web", "demo/web", "aa11bb", "aa", "a", "sandbox/aa11bb", "berth-aa11bb"] {
            assert_eq!(json(&["inspect", name, "-o", "json"])["name"], "berth-aa11bb", "{name}");
        }
        for name in ["nope", "other/web", "aa11bbc", "sandbox/aa", "berth-", "/web", "demo/", "web ", "WEB", "../web"] {
            let told = failed(&["inspect", name]);
            assert!(told.starts_with(&format!("berth: no pin on this node is {name:?}: ")), "{told}");
        }
        assert_eq!(berth(&["inspect", ""]).status.code(), Some(2));
        assert_eq!(berth(&["inspect"]).status.code(), Some(2));
    }

    fn a_pod_that_is_called_as_anothers_id_begins_is_not_taken_for_it() {
        let _pods = [Pod::new("4f1c22", "demo", "web"), Pod::new("cc22dd", "evil", "4f1c"), Pod::new("db1177", "demo", "db")];
        let told = failed(&["exec", "4f1c", "--", "true"]);
        assert!(told.contains("demo/web") && told.contains("evil/4f1c"), "{told}");
        for (query, meant) in [("4f1c2", "berth-4f1c22"), ("evil/4f1c", "berth-cc22dd"), ("db", "berth-db1177")] {
            assert_eq!(json(&["inspect", query, "-o", "json"])["name"], meant, "{query}");
        }
    }

    fn what_can_mean_several_is_an_error_that_lists_them() {
        let pods = [("aa11", "one", "web"), ("aa22", "two", "web"), ("ab33", "two", "db")]
            .map(|(id, namespace, name)| Pod::new(id, namespace, name));
        fs::remove_file(pods[2].record()).unwrap();
        insta::assert_snapshot!("ambiguous_name", settled(&failed(&["inspect", "web"]), &[]));
        insta::assert_snapshot!("ambiguous_prefix", settled(&failed(&["inspect", "a"]), &[]));
        let told = failed(&["exec", "aa", "--", "true"]);
        assert_eq!(told.lines().count(), 3, "{told}");
        assert_eq!(json(&["inspect", "two/web", "-o", "json"])["name"], "berth-aa22");
        assert_eq!(json(&["inspect", "ab", "-o", "json"])["state"], "orphan");
    }

    fn a_name_in_full_is_not_taken_for_a_beginning() {
        let _pods = [Pod::new("ab", "demo", "one"), Pod::new("abc", "demo", "two"), Pod::new("ff00", "demo", "abcd")];
        for (query, name) in [("ab", "berth-ab"), ("abc", "berth-abc"), ("abcd", "berth-ff00")] {
            assert_eq!(json(&["inspect", query, "-o", "json"])["name"], name);
        }
    }

    fn a_pin_that_was_made_under_another_configuration_is_told_from_others() {
        let _pod = Pod::new("aa11", "demo", "web");
        let told = |args: &[&str]| json(&[&["inspect", "web", "-o", "json"], args].concat())["reconfigured"].clone();
        assert_eq!(told(&[]), false);
        fs::write("/run/other.yaml", "profiles: [{name: other}]\n").unwrap();
        assert_eq!(told(&["--config", "/run/other.yaml"]), true);
        assert!(printed(&["inspect", "web", "--config", "/run/other.yaml"]).contains(" (another one holds now)\n"));
    }

    fn what_is_no_pin_any_more_is_told_as_far_as_it_goes() {
        let (gone, drained) = (Pod::new("aa11", "demo", "gone"), Pod::new("bb22", "demo", "drained"));
        gone.unmount_pin();
        let _task = drained.task();
        drained.engine_lets_go();
        let report = json(&["inspect", "gone", "-o", "json"]);
        assert_eq!((&report["state"], report.get("network")), (&"half-made".into(), None));
        let report = json(&["inspect", "drained", "-o", "json"]);
        assert_eq!((&report["lifecycle"]["action"], &report["source"]["found"]), (&"drain".into(), &"gone".into()));
        assert_eq!(report["lifecycle"]["proof"], "the engine has given it up; 1 process is in it");
    }

    fn bundles_that_are_none_are_left_out_or_named_and_nothing_is_waited_for() {
        let pod = Pod::new("aa11", "demo", "web");
        let path = |name: &str| format!("{BUNDLES}/{name}");
        fs::create_dir(path("fifo")).unwrap();
        assert!(Command::new("mkfifo").arg(path("fifo/config.json")).status().unwrap().success());
        fs::create_dir(path("broken")).unwrap();
        fs::write(path("broken/config.json"), r#"{"aa11":"#).unwrap();
        symlink("/proc/self/root", path("away")).unwrap();
        fs::create_dir(path("linked")).unwrap();
        symlink(path("aa11/config.json"), path("linked/config.json")).unwrap();
        fs::create_dir(path("endless")).unwrap();
        fs::File::create(path("endless/config.json")).unwrap().set_len(1 << 40).unwrap();
        fs::create_dir(path("empty")).unwrap();
        fs::write(path("file"), "aa11").unwrap();
        let started = Instant::now();
        let output = berth(&["inspect", pod.id, "-o", "json", "--bundles", BUNDLES]);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ids: Vec<_> = report["containers"].as_array().unwrap().iter().map(|found| &found["id"]).collect();
        assert_eq!(ids, ["aa11"]);
        let problems = report["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].as_str().unwrap().starts_with("bundle /run/bundles/k8s.io/broken: "), "{problems:?}");
    }

    fn what_a_pod_calls_its_interfaces_and_processes_does_nothing_to_a_terminal() {
        let pod = Pod::new("aa11", "demo", "web");
        pod.ip("link add \u{1b}[2Jx type bridge");
        let mut odd = Command::new("nsenter");
        let name = "exec -a '\u{1b}[2J' sleep 1000";
        let mut odd = odd.arg(format!("--net={}", pod.file)).args(["bash", "-c", name]).spawn().unwrap();
        while fs::read_to_string(format!("/proc/{}/comm", odd.id())).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        let text = printed(&["inspect", "web"]);
        odd.kill().unwrap();
        odd.wait().unwrap();
        assert!(!text.contains('\u{1b}') && text.matches(r#"\u{1b}[2J"#).count() == 2, "{text}");
    }
}
