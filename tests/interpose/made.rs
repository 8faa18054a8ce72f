//! Network namespaces of berth's own making, for containers that ask for a new one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::isolated;
use crate::stage::{
    annotation, assert_delegated, bundle, command, configured, containerd, delegate, inode, interposer, network, path,
    refused, text,
};

const CREATE: &str = "profiles: [{name: p, netns: create}]";
const NEW: &str = r#"{"type":"network"}"#;

/// Creates the way `ctr run` does, outside of every CRI, with this configuration.
fn create(berth: &Path, dir: &Path, id: &str, yaml: &str) -> Output {
    let args = ["--root", "/run/runc/default", "create", "--bundle", dir.to_str().unwrap(), id];
    command(berth, &args).env("BERTH_CONFIG", configured(yaml)).output().unwrap()
}

/// A process in the namespace at a path, until its standard input ends.
fn task_in(netns: &str) -> Child {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={netns}")).args(["sh", "-c", "echo in; read end"]);
    let mut task = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut joined = String::new();
    BufReader::new(task.stdout.take().unwrap()).read_line(&mut joined).unwrap();
    task
}

fn records() -> usize {
    fs::read_dir("/run/berth/sandboxes").unwrap().count()
}

isolated! {
    fn a_standalone_container_that_asks_for_a_new_namespace_is_given_one_of_its_own_at_a_path_that_stays() {
        delegate("runc");
        let (berth, dir) = (interposer("berth-runc"), bundle("d1", &[("app", "x")], NEW));
        let before = text(&dir);
        assert_delegated(&create(&berth, &dir, "d1", CREATE));
        let pin = path(&dir).unwrap();
        assert!(pin.starts_with("/run/netns/berth-d1-"), "{pin}");
        assert_eq!(text(&dir), before.replace(NEW, &format!(r#"{{"type":"network","path":"{pin}"}}"#)), "and no other byte");
        let links = Command::new("nsenter").arg(format!("--net={pin}")).args(["ip", "-o", "link"]).output().unwrap();
        let links = String::from_utf8(links.stdout).unwrap();
        assert!(links.lines().count() == 1 && links.contains("lo: <LOOPBACK,UP"), "{links}");

        // The bundle is run again, as one of plain runc is: it is the same container's.
        let made = inode(&pin);
        assert_delegated(&create(&berth, &dir, "d1", CREATE));
        assert_eq!((path(&dir).as_deref(), inode(&pin)), (Some(pin.as_str()), made));
        let log = fs::read_to_string("/run/berth/interpose.log").unwrap();
        assert!(log.contains("id=d1 verdict=adjust reason=netns-created"), "{log}");
    }

    fn it_goes_with_the_bundle_and_not_before_its_last_task() {
        delegate("runc");
        let (berth, dir) = (interposer("berth-runc"), bundle("d1", &[], NEW));
        assert_delegated(&create(&berth, &dir, "d1", CREATE));
        let pin = path(&dir).unwrap();
        let mut task = task_in(&pin);
        fs::remove_dir_all(&dir).unwrap();
        let gc = || Command::new(env!("CARGO_BIN_EXE_berth")).arg("gc").output().unwrap();
        assert!(gc().status.success() && Path::new(&pin).exists(), "a task is left: {:?}", gc());
        drop(task.stdin.take());
        assert!(task.wait().unwrap().code().is_some());
        assert!(gc().status.success() && !Path::new(&pin).exists(), "{:?}", gc());
        assert_eq!(records(), 0);
    }

    fn another_container_of_the_same_id_is_given_another_namespace() {
        delegate("runc");
        let (berth, dir) = (interposer("berth-runc"), bundle("d1", &[], NEW));
        assert_delegated(&create(&berth, &dir, "d1", CREATE));
        let pin = path(&dir).unwrap();
        // Something that the earlier container left in its namespace.
        let dummy = Command::new("nsenter").arg(format!("--net={pin}")).args(["ip", "link", "add", "left", "type", "bridge"]).status();
        assert!(dummy.unwrap().success());
        fs::rename(&dir, "/run/bundles/earlier").unwrap();
        let dir = bundle("d1", &[], NEW);
        assert_delegated(&create(&berth, &dir, "d1", CREATE));
        assert_eq!(path(&dir).unwrap(), pin);
        let links = Command::new("nsenter").arg(format!("--net={pin}")).args(["ip", "-o", "link"]).output().unwrap();
        assert_eq!(String::from_utf8(links.stdout).unwrap().lines().count(), 1, "only lo");
        assert_eq!(records(), 1);
    }

    fn one_whose_predecessor_still_runs_is_refused() {
        delegate("runc");
        let (berth, dir) = (interposer("berth-runc"), bundle("d1", &[], NEW));
        assert_delegated(&create(&berth, &dir, "d1", CREATE));
        let pin = path(&dir).unwrap();
        let mut task = task_in(&pin);
        fs::rename(&dir, "/run/bundles/earlier").unwrap();
        fs::remove_file("/run/record.status").unwrap();
        let dir = bundle("d1", &[], NEW);
        let before = text(&dir);
        let told = refused(&create(&berth, &dir, "d1", CREATE));
        assert!(told.contains(&pin) && told.contains("is still that of an earlier container of this id"), "{told}");
        assert_eq!(text(&dir), before);
        drop(task.stdin.take());
        task.wait().unwrap();
    }

    fn nothing_is_made_unasked_nor_for_a_user_namespace_nor_in_place_of_a_path() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let user = format!(r#"{NEW},{{"type":"user"}}"#);
        let path = network("/run/netns/mine");
        let cases = [("d1", NEW, "{}"), ("d2", user.as_str(), CREATE), ("d3", path.as_str(), CREATE), ("d4", r#"{"type":"uts"}"#, CREATE)];
        for (id, namespaces, yaml) in cases {
            let dir = bundle(id, &[], namespaces);
            let before = text(&dir);
            assert_delegated(&create(&berth, &dir, id, yaml));
            assert_eq!(text(&dir), before, "{id}");
        }
        assert_eq!(records(), 0);
        assert_eq!(fs::read_dir("/run/netns").unwrap().count(), 0);
    }

    fn an_interposer_that_is_told_its_handler_writes_it_and_keeps_what_the_nri_door_wrote() {
        delegate("runc");
        let berth = interposer("berth-runc");
        let told = "profiles: [{name: p, match: {runtimeHandlers: [kata]}, annotations: {x/handler: '{runtime.handler}'}}]\n\
                    interposers: {berth-runc: {engine: containerd, handler: kata}}";
        for (id, written) in [("s1", None), ("s2", Some(("x/handler", "kata"))), ("s3", Some(("x/handler", "forged")))] {
            let keys: Vec<_> = containerd("sandbox", id).into_iter().chain(written).collect();
            let dir = bundle(id, &keys, r#"{"type":"uts"}"#);
            let args = ["--root", "/run/runc/k8s.io", "create", "--bundle", dir.to_str().unwrap(), id];
            assert_delegated(&command(&berth, &args).env("BERTH_CONFIG", configured(told)).output().unwrap());
            assert_eq!(annotation(&dir, "x/handler").as_deref(), Some("kata"), "{id}");
        }
    }
}
