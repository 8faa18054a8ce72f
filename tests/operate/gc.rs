//! `berth gc`

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::isolated;
use crate::scene::{NETNS, Pod, RECORDS, berth, failed, json, printed};

/// Makes a file look as if it had been left a while ago.
fn age(path: &str) {
    assert!(Command::new("touch").args(["-d", "5 minutes ago", path]).status().unwrap().success());
}

/// Every file below these directories, and every mount of a namespace.
fn everything() -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![NETNS.to_owned(), "/run/berth".to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.display().to_string());
            if path.is_dir() && !path.is_symlink() {
                pending.push(path.display().to_string());
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().filter(|line| line.contains(" - nsfs ")).map(str::to_owned));
    found.sort();
    found
}

isolated! {
    fn each_pin_has_its_line_with_the_proof_and_a_dry_run_changes_nothing() {
        let pods = [("aa11", "stays"), ("bb22", "ends"), ("cc33", "drains"), ("dd44", "hidden")]
            .map(|(id, name)| Pod::new(id, "demo", name));
        let [_, ends, drains, hidden] = &pods;
        // The test has mounts of its own, so it may well be there for the node.
        hidden.unmount_pin();
        let _task = drains.task();
        ends.engine_lets_go();
        drains.engine_lets_go();
        let before = everything();
        insta::assert_snapshot!("dry_run", printed(&["gc", "--dry-run"]));
        let would = json(&["gc", "--dry-run", "-o", "json"]);
        assert_eq!(everything(), before);
        assert_eq!((&would["kind"], &would["dryRun"]), (&"PinCollection".into(), &true.into()));
        let actions: Vec<_> = would["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["keep", "release", "drain", "keep"]);
        let bare = printed(&["gc", "--dry-run", "--no-headers"]);
        assert!(bare.starts_with("keep") && bare.lines().count() == 4, "{bare}");
        let quiet = printed(&["gc", "--dry-run", "--quiet"]);
        assert_eq!(quiet.lines().map(|line| line.split("  ").nth(1).unwrap()).collect::<Vec<_>>()[1..], ["berth-bb22"]);
        insta::assert_snapshot!("applied", printed(&["gc"]));
        assert!(!ends.pin().exists() && !ends.record().exists() && drains.pin().exists());
        assert_eq!(printed(&["gc", "-q"]), "");
        let again: Value = serde_yaml::from_str(&printed(&["gc", "-o", "yaml"])).unwrap();
        assert_eq!(again["items"].as_array().unwrap().len(), 3);
    }

    fn what_is_not_berths_is_named_and_left_and_is_no_failure() {
        let pod = Pod::new("aa11", "demo", "web");
        fs::create_dir(format!("{NETNS}/berth-dir")).unwrap();
        fs::write(format!("{NETNS}/berth-text"), "of somebody").unwrap();
        symlink(&pod.file, format!("{NETNS}/berth-link")).unwrap();
        fs::write(format!("{NETNS}/berth-..x"), "").unwrap();
        fs::write(format!("{NETNS}/cni-other"), "").unwrap();
        fs::write(format!("{NETNS}/berth-uts"), "").unwrap();
        let args = ["--bind", "/proc/self/ns/uts", "/run/netns/berth-uts"];
        assert!(Command::new("mount").args(args).status().unwrap().success());
        fs::write(format!("{RECORDS}/berth-new.json"), r#"{"version":9}"#).unwrap();
        fs::write(format!("{RECORDS}/notes.txt"), "x").unwrap();
        let before = everything();
        insta::assert_snapshot!("left", printed(&["gc"]));
        assert_eq!(everything(), before);
    }

    fn a_record_that_cannot_be_read_is_a_failure_and_the_others_are_settled() {
        let [bad, ends] = [("aa11", "bad"), ("bb22", "ends")].map(|(id, name)| Pod::new(id, "demo", name));
        fs::write(bad.record(), r#"{"version":1,"engine":"#).unwrap();
        ends.engine_lets_go();
        bad.engine_lets_go();
        let output = berth(&["gc"]);
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(1));
        assert!(out.contains("released  berth-bb22") && !out.contains("aa11"), "{out}");
        assert!(err.starts_with("berth: record /run/berth/sandboxes/berth-aa11.json: is not a record: "), "{err}");
        assert!(bad.pin().exists() && bad.record().exists() && !ends.pin().exists());
    }

    fn what_killed_processes_left_goes_when_it_is_old() {
        let pod = Pod::new("aa11", "demo", "web");
        let [temp, config, lock] =
            ["/run/berth/sandboxes/.tmp-Ab12", "/run/berth/.tmp-Cd34", "/run/berth/locks/berth-never"];
        for file in [temp, config, lock] {
            fs::write(file, "").unwrap();
        }
        printed(&["gc"]);
        assert!([temp, config, lock].iter().all(|file| Path::new(file).exists()), "somebody may be about to rename it");
        [temp, config, lock, "/run/berth/locks/berth-aa11"].iter().for_each(|file| age(file));
        let would = printed(&["gc", "--dry-run"]);
        assert!([temp, config, lock].iter().all(|file| Path::new(file).exists()));
        let did = printed(&["gc"]);
        for file in [temp, config, lock] {
            assert!(would.contains(&format!("would remove  {file}")) && did.contains(&format!("removed  {file}")), "{did}");
            assert!(!Path::new(file).exists());
        }
        assert!(Path::new("/run/berth/locks/berth-aa11").exists(), "the lock of a pin that stands");
        assert!(pod.pin().exists());
    }

    fn pins_outlive_a_state_directory_that_was_lost_and_a_dry_run_makes_none() {
        let pod = Pod::new("aa11", "demo", "web");
        fs::remove_dir_all("/run/berth").unwrap();
        let kept = json(&["gc", "--dry-run", "-o", "json"]);
        assert_eq!((&kept["items"][0]["action"], &kept["items"][0]["name"]), (&"keep".into(), &"berth-aa11".into()));
        assert_eq!(json(&["list", "-o", "json"])["items"][0]["state"], "orphan");
        assert!(!Path::new("/run/berth").exists());
        printed(&["gc"]);
        assert!(pod.pin().exists());
    }

    fn a_pin_that_another_berth_is_at_is_a_failure_that_says_so() {
        let pod = Pod::new("aa11", "demo", "web");
        pod.engine_lets_go();
        let lock = fs::File::open("/run/berth/locks/berth-aa11").unwrap();
        lock.lock().unwrap();
        assert_eq!(failed_lines(), ["berth: berth-aa11: another berth is at it; try again"]);
        drop(lock);
        assert!(printed(&["gc"]).contains("released"));
    }
}

fn failed_lines() -> Vec<String> {
    let output = berth(&["gc"]);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect()
}

isolated! {
    fn the_directory_of_pins_is_for_all_to_read_whatever_mask_a_process_was_given() {
        let berth = env!("CARGO_BIN_EXE_berth");
        let script = format!("umask 077 && mkdir -p -m 700 /run/berth/sandboxes && exec {berth} gc");
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(NETNS), mode("/run/berth")), (0o755, 0o700));
    }

    fn directories_that_must_not_be_trusted_are_refused() {
        let _pod = Pod::new("aa11", "demo", "web");
        assert!(Command::new("chmod").args(["777", NETNS]).status().unwrap().success());
        assert_eq!(failed(&["gc"]), "berth: directory of pins /run/netns: others may write to it\n");
    }
}
