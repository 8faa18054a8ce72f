//! What nobody should send, and what nobody should have left lying about: a clear error each, and the daemon serves on.

use std::fs;
use std::process::Command;

use berth::nri::Event;

use crate::fake_runtime::{self, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, block_on, ready, swapped};

const IGNORE: &str = "profiles: [{name: lenient, onFailure: Ignore}]";

isolated! {
    fn ids_that_are_none_are_refused_by_name_and_the_daemon_serves_on() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            for id in ["../../etc", "a/b", "..", ".", "a\nb", "\u{7}", &"a".repeat(300)] {
                let pod = Pod::at(id, "/run/netns/x").message;
                let error = session.create_container(pod.clone(), fake_runtime::container("c", id)).await.unwrap_err();
                assert!(error.to_string().contains("berth: CreateContainer: sandbox id"), "{error}");
                for event in [Event::RunPodSandbox, Event::StopPodSandbox, Event::RemovePodSandbox] {
                    session.event(event, Some(pod.clone()), None).await.unwrap();
                }
            }
            let pod = Pod::new("s1");
            assert!(session.create_container(pod.message.clone(), pod.container()).await.is_ok());
            assert_eq!(fs::read_dir("/run/berth/sandboxes").unwrap().count(), 1);
        });
    }

    fn messages_without_pod_or_container_are_refused_by_name() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let error = session.event(Event::RunPodSandbox, None, None).await.unwrap_err().to_string();
            assert!(error.contains("RunPodSandbox") && error.contains("pod"), "{error}");
            let empty = berth::nri::api::CreateContainerRequest::default();
            let error = session.plugin.create_container(session.ctx(), &empty).await.unwrap_err().to_string();
            assert!(error.contains("CreateContainer") && error.contains("pod"), "{error}");
        });
    }

    fn a_netns_file_that_is_none_fails_the_container_with_one_sentence_or_is_ignored() {
        fs::create_dir("/run/netns").unwrap();
        fs::write("/run/netns/plain", "x").unwrap();
        std::os::unix::fs::symlink("/proc/self/ns/net", "/run/netns/link").unwrap();
        nix::unistd::mkfifo("/run/netns/fifo", nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write("/run/netns/uts", "").unwrap();
        assert!(Command::new("mount").args(["--bind", "/proc/self/ns/uts", "/run/netns/uts"]).status().unwrap().success());
        let cases = [
            ("plain", "is a regular file"),
            ("link", "is a symbolic link"),
            ("fifo", "is a fifo"),
            ("uts", "is a uts namespace"),
            ("absent", "does not exist"),
        ];
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            for (file, why) in cases {
                let pod = Pod::at(&format!("s-{file}"), &format!("/run/netns/{file}"));
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
                let error = session.create_container(pod.message.clone(), pod.container()).await.unwrap_err().to_string();
                assert!(error.contains("berth: pod default/name-s-") && error.contains(why), "{file}: {error}");
                assert!(error.contains("onFailure"), "{error}");
                assert!(fs::symlink_metadata(pod.pin()).is_err());
            }
            berth.kill().await;
        });
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::configured(IGNORE)).await;
            let pod = Pod::at("s1", "/run/netns/plain");
            for total in 1..=2 {
                let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                assert!(answer.adjust.is_none(), "{answer:?}");
                berth.logged(&format!("verdict=leave reason=failed total={total}")).await;
            }
        });
    }

    fn something_foreign_at_the_pins_path_is_named_and_left() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            fs::write(pod.pin(), "somebody's").unwrap();
            let error = session.create_container(pod.message.clone(), pod.container()).await.unwrap_err().to_string();
            assert!(error.contains("/run/netns/berth-s1") && error.contains("its place is taken"), "{error}");
            assert_eq!(fs::read_to_string(pod.pin()).unwrap(), "somebody's");
            fs::remove_file(pod.pin()).unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert!(swapped(&answer).is_some() && pod.is_pinned(), "repaired by removing it");
        });
    }

    fn records_that_cannot_be_read_are_named_left_and_hide_nothing() {
        block_on(async {
            fs::create_dir_all("/run/berth/sandboxes").unwrap();
            for (file, text) in [("berth-half.json", "{\"versio"), ("berth-newer.json", "{\"version\":99}"), ("x", "")] {
                fs::write(format!("/run/berth/sandboxes/{file}"), text).unwrap();
            }
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            berth.logged("berth-half.json: is not a record").await;
            let pod = Pod::new("s1");
            assert!(session.create_container(pod.message.clone(), pod.container()).await.is_ok());
            let newer = Pod::new("newer");
            let error = session.create_container(newer.message.clone(), newer.container()).await.unwrap_err().to_string();
            assert!(error.contains("has version 99"), "{error}");
            assert_eq!(fs::read_dir("/run/berth/sandboxes").unwrap().count(), 4);
        });
    }

    fn a_lock_that_is_held_for_ever_costs_one_second_and_then_the_policy_speaks() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            let ledger = berth::ledger::Ledger::open("/run/berth".as_ref()).unwrap();
            let name = berth::pin::PinName::parse("berth-s1").unwrap();
            let held = ledger.lock(&name, std::time::Duration::ZERO).unwrap();
            let error = session.create_container(pod.message.clone(), pod.container()).await.unwrap_err().to_string();
            assert!(error.contains("lock of berth-s1 is held by another berth"), "{error}");
            drop(held);
            assert!(session.create_container(pod.message.clone(), pod.container()).await.is_ok());
        });
    }
}
