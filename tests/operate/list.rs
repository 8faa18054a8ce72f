//! `berth list`

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::isolated;
use crate::scene::{NETNS, Pod, RECORDS, berth, failed, json, printed, settled};
use crate::task::Task;

/// One pod in each state there is.
struct All {
    pods: Vec<Pod>,
    _tasks: Vec<Task>,
}

fn all() -> All {
    let pods =
        [("aa11", "web"), ("bb22", "db"), ("cc33", "lost"), ("dd44", "half"), ("ee55", "gone"), ("ff66", "other")]
            .map(|(id, name)| Pod::new(id, "demo", name));
    let [web, db, lost, half, gone, other] = &pods;
    let tasks = vec![web.task(), db.task(), db.task()];
    db.engine_lets_go();
    // The first look notes since when.
    printed(&["gc"]);
    fs::remove_file(lost.record()).unwrap();
    half.unmount_pin();
    gone.unmount_pin();
    fs::remove_file(gone.pin()).unwrap();
    other.unmount_pin();
    fs::write(other.pin(), "of somebody else").unwrap();
    let newer = Pod::new("9977", "demo", "newer");
    fs::write(newer.record(), r#"{"version":9}"#).unwrap();
    All { pods: pods.into_iter().chain([newer]).collect(), _tasks: tasks }
}

isolated! {
    fn every_state_is_shown() {
        let all = all();
        let output = berth(&["list"]);
        let pods: Vec<_> = all.pods.iter().collect();
        insta::assert_snapshot!("states", settled(&String::from_utf8(output.stdout).unwrap(), &pods));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "record /run/berth/sandboxes/berth-9977.json: has version 9, newer than 1; it is left to the berth that wrote it\n"
        );
        assert!(output.status.success());
        let states = |state: &str| -> Vec<String> {
            let items = berth(&["list", "-o", "json", "--state", state]).stdout;
            let items: Value = serde_json::from_slice(&items).unwrap();
            items["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        for (state, name) in [
            ("pinned", "berth-aa11"),
            ("draining", "berth-bb22"),
            ("orphan", "berth-cc33"),
            ("half-made", "berth-dd44"),
            ("gone", "berth-ee55"),
            ("foreign", "berth-ff66"),
            ("unreadable", "berth-9977"),
        ] {
            assert_eq!(states(state), [name]);
        }
    }

    fn each_format_has_its_form() {
        let pod = Pod::new("aa11", "demo", "web");
        let _task = pod.task();
        insta::assert_snapshot!("wide", settled(&printed(&["list", "-o", "wide"]), &[&pod]));
        assert_eq!(printed(&["list", "-o", "name"]), "sandbox/aa11\n");
        let list = json(&["list", "-o", "json"]);
        assert_eq!((&list["apiVersion"], &list["kind"]), (&"berth/v1".into(), &"PinList".into()));
        let item = &list["items"][0];
        assert_eq!((&item["state"], &item["processes"]), (&"pinned".into(), &1.into()));
        assert_eq!((&item["doors"], &item["record"]["pod"]["name"]), (&vec!["runtime"].into(), &"web".into()));
        let yaml: Value = serde_yaml::from_str(&printed(&["list", "-o", "yaml"])).unwrap();
        assert_eq!(yaml["items"][0]["record"], item["record"]);
        let table = printed(&["list"]);
        assert_eq!(settled(&printed(&["list", "--no-headers"]), &[]).split_whitespace().collect::<Vec<_>>(),
            settled(table.split_once('\n').unwrap().1, &[]).split_whitespace().collect::<Vec<_>>());
    }

    fn what_is_listed_by_name_is_found_by_it() {
        let _pods = [Pod::new("aa11", "demo", "web"), Pod::new("aa112", "demo", "web2")];
        fs::remove_file("/run/berth/sandboxes/berth-aa112.json").unwrap();
        let names = printed(&["list", "-o", "name"]);
        assert_eq!(names, "sandbox/aa11\nberth-aa112\n");
        for name in names.lines() {
            assert_eq!(json(&["inspect", name, "-o", "json"])["kind"], "Pin");
        }
    }

    fn filters_narrow_what_is_shown() {
        let _pods = [("aa11", "one", "web"), ("bb22", "two", "web"), ("bb33", "two", "db")]
            .map(|(id, namespace, name)| Pod::new(id, namespace, name));
        let names = |args: &[&str]| printed(&[&["list", "-o", "name"], args].concat()).replace("sandbox/", "");
        assert_eq!(names(&["-n", "two"]), "bb22\nbb33\n");
        assert_eq!(names(&["web"]), "aa11\nbb22\n");
        assert_eq!(names(&["two/web"]), "bb22\n");
        assert_eq!(names(&["bb", "aa11", "web"]), "aa11\nbb22\nbb33\n");
        assert_eq!(names(&["--namespace", "two", "--state", "pinned", "web"]), "bb22\n");
        let none = berth(&["list", "-n", "three"]);
        assert_eq!((none.status.code(), none.stdout.len(), &none.stderr[..]), (Some(0), 0, &b"No pins found.\n"[..]));
        let unknown = failed(&["list", "three"]);
        assert!(unknown.starts_with("berth: no pin on this node is \"three\": "), "{unknown}");
        assert_eq!(berth(&["list", ""]).status.code(), Some(2));
    }

    fn where_nothing_is_nothing_is_made() {
        for args in [&["list"][..], &["gc"], &["gc", "--dry-run"]] {
            let none = berth(args);
            assert_eq!((none.status.code(), none.stdout.len(), &none.stderr[..]), (Some(0), 0, &b"No pins found.\n"[..]));
        }
        for format in ["json", "yaml"] {
            let list: Value = serde_yaml::from_str(&printed(&["list", "-o", format])).unwrap();
            assert_eq!(list["items"], Value::Array(Vec::new()));
        }
        assert!(!Path::new("/run/berth").exists() && !Path::new(NETNS).exists());
    }

    fn a_state_directory_that_others_can_write_is_refused() {
        let _pod = Pod::new("aa11", "demo", "web");
        assert!(Command::new("chmod").args(["777", "/run/berth"]).status().unwrap().success());
        for args in [&["list"][..], &["inspect", "web"], &["exec", "web", "--", "true"], &["gc"]] {
            let told = failed(args);
            assert!(told.contains("state directory /run/berth can be written by others"), "{told}");
        }
    }

    fn what_an_author_or_a_file_name_says_does_nothing_to_a_terminal() {
        Pod::new("aa11", "demo", "\u{1b}[2J\u{202e}web");
        fs::write("/run/netns/berth-\u{1b}[31m", "").unwrap();
        fs::write(format!("{RECORDS}/\u{1b}[1mx"), "").unwrap();
        let said = |args: &[&str]| -> String {
            let output = berth(args);
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
        };
        for args in [&["list"][..], &["list", "-o", "wide"], &["inspect", "aa11"], &["gc"], &["inspect", "\u{1b}c"]] {
            let text = said(args);
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{args:?}: {text:?}");
        }
        // Documents are for programs, which may well want to know; but they are looked at, too.
        for format in ["json", "yaml"] {
            let text = said(&["inspect", "aa11", "-o", format]);
            assert!(!text.contains('\u{1b}') && text.contains("web"), "{text:?}");
        }
    }

    fn a_broken_configuration_hides_nothing() {
        let _pod = Pod::new("aa11", "demo", "web");
        fs::write("/run/broken.yaml", "profiles: 7\n").unwrap();
        let output = berth(&["inspect", "web", "--config", "/run/broken.yaml"]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && err.contains("config /run/broken.yaml"), "{err}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("aa11"));
    }
}
