//! Ids that would lead somewhere else as a part of a path.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fake_runtime::{self, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, block_on, ready};
use crate::stage::{bundle, containerd, create, delegate, interposer, netns, network, refused, run};
use berth::nri::Event;

/// None of them is an id; each with a NUL byte too, where the caller can say one.
fn tricks() -> Vec<String> {
    let fixed = [
        "..",
        ".",
        "",
        "../victim",
        "/run/victim",
        "a/../../victim",
        "-victim",
        ".tmp-victim",
        "victim\n",
        "a\u{202e}b",
    ];
    let long = ["a".repeat(129), "a".repeat(255), "../".repeat(1000), "a".repeat(65_536)];
    fixed.into_iter().map(str::to_owned).chain(long).collect()
}

/// Every file below `/run`, but for sockets, logs and what the tests themselves leave.
fn files() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending = vec![PathBuf::from("/run")];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                pending.push(path);
            } else if path.extension().is_none_or(|extension| extension != "log") {
                found.insert(path);
            }
        }
    }
    found
}

isolated! {
    fn the_daemon_makes_no_file_of_an_id_that_is_none() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let good = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(good.message.clone()), None).await.unwrap();
            let before = files();
            // That one with none is a message without a pod's id is shown elsewhere.
            for id in tricks().into_iter().filter(|id| !id.is_empty()).chain(["vic\0tim".to_owned(), "\0".to_owned()]) {
                let pod = Pod::at(&id, &good.file).message;
                let created = session.create_container(pod.clone(), fake_runtime::container("c", &id)).await;
                let error = created.unwrap_err().to_string();
                assert!(error.contains("berth: CreateContainer: sandbox id"), "{id:?}: {error}");
                for event in [Event::RunPodSandbox, Event::StopPodSandbox, Event::RemovePodSandbox] {
                    session.event(event, Some(pod.clone()), None).await.unwrap();
                }
            }
            assert_eq!(files(), before);
            assert!(good.is_pinned());
        });
    }

    fn an_interposer_makes_no_file_of_an_id_that_is_none() {
        delegate("runc");
        delegate("containerd-shim-x-v2");
        let (runtime, shim) = (interposer("berth-runc"), interposer("containerd-shim-berth-x-v2"));
        let engine = netns("cni-1");
        let dir = bundle("s1", &containerd("sandbox", "s1"), &network(&engine));
        let before = files();
        // An empty word, and one that begins with a dash, are no ids for a command line: the delegate has its say on those.
        for id in tricks().iter().filter(|id| !id.is_empty() && !id.starts_with('-')) {
            let told = refused(&create(&runtime, &dir, id));
            assert!(told.contains("id"), "{id:?}: {told}");
            let args = ["-namespace", "k8s.io", "-id", id, "-bundle", dir.to_str().unwrap(), "start"];
            let told = crate::stage::command(&shim, &args).current_dir(&dir).output().unwrap();
            assert!(!told.status.success() && !Path::new("/run/record.status").exists(), "{id:?}: {told:?}");
        }
        assert_eq!(without_state(files()), before);
    }

    fn a_member_of_a_sandbox_with_such_an_id_is_refused() {
        delegate("runc");
        let runtime = interposer("berth-runc");
        for id in ["../victim", "/run/victim", "..", "victim/../x"] {
            let dir = bundle("c1", &containerd("container", String::leak(id.to_owned())), &network(&netns("cni-1")));
            let before = crate::stage::text(&dir);
            let told = refused(&run(&runtime, &["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "c1"]));
            assert!(told.contains(&format!("{id:?}")), "{told}");
            assert_eq!(crate::stage::text(&dir), before);
            assert!(std::process::Command::new("umount").arg("/run/netns/cni-1").status().unwrap().success());
        }
    }
}

/// Counts and logs are of no id.
fn without_state(files: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let own = ["/run/berth/interpose.counts", "/run/log.json", "/run/berth/netns.lock"];
    files.into_iter().filter(|path| !own.contains(&path.to_str().unwrap())).collect()
}
