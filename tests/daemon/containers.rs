//! What containers are told and given.

use std::path::Path;

use berth::nri::Event;

use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, Pod, annotation, block_on, inode, ready, swapped};

isolated! {
    fn a_member_is_given_identity_and_pin_by_both_generations() {
        for profile in [Profile::containerd_2_2(), Profile::containerd_2_3(), Profile::crio_1_36()] {
            block_on(async {
                let (_runtime, session, _berth) = ready(profile, || Berth::start(&[])).await;
                let pod = Pod::new("s1");
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
                assert!(pod.is_pinned(), "pinned when RunPodSandbox is answered");
                let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                assert_eq!(annotation(&answer, "ocid/container_type"), Some("container"));
                assert_eq!(annotation(&answer, "ocid/sandbox_id"), Some("s1"));
                assert_eq!(annotation(&answer, "ocid/sandbox_name"), Some("name-s1"));
                assert_eq!(swapped(&answer), Some("/run/netns/berth-s1".into()));
                session.assert_readable_by_go();
                pod.engine_lets_go();
                pod.gone().await;
            });
        }
    }

    fn a_container_of_a_pod_nobody_announced_makes_the_pin() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert!(pod.is_pinned() && swapped(&answer).is_some());
        });
    }

    fn a_pod_of_the_default_handler_is_left_alone() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let mut pod = Pod::new("s1");
            pod.message.runtime_handler.clear();
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert!(answer.adjust.is_none(), "{answer:?}");
            assert!(!pod.pin().exists());
            berth.logged("verdict=leave reason=not-selected").await;
        });
    }

    fn host_network_pods_get_identity_and_no_pin_as_containerd_and_as_cri_o_say_it() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let mut pod = Pod::at("s1", "");
            pod.message.linux.mut_or_insert_default().namespaces.clear();
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (Some("s1"), None));
            berth.logged("reason=host-network").await;
            berth.kill().await;
        });
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::crio_1_36(), || Berth::start(&[])).await;
            std::fs::write("/run/netns/host", "").unwrap();
            let status = std::process::Command::new("mount").args(["--bind", "/proc/self/ns/net", "/run/netns/host"]).status();
            assert!(status.unwrap().success());
            let pod = Pod::at("s2", "/var/run/netns/host");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (Some("s2"), None));
            assert!(!pod.pin().exists());
            berth.logged("reason=host-network").await;
        });
    }

    fn a_runtime_that_cannot_change_namespaces_gets_identity_and_no_pin() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_1_7(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (Some("s1"), None));
            assert!(!pod.pin().exists());
            berth.logged("reason=runtime-cannot-swap").await;
        });
    }

    fn a_member_whose_path_is_another_pods_pin_is_refused() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let (victim, attacker) = (Pod::new("victim"), Pod::new("attacker"));
            for pod in [&victim, &attacker] {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            let stolen = attacker.container_at(victim.pin().to_str().unwrap());
            let error = session.create_container(attacker.message.clone(), stolen).await.unwrap_err().to_string();
            assert!(error.contains("berth: pod default/name-attacker: ") && error.contains("sandbox victim"), "{error}");
            let own = attacker.container_at(attacker.pin().to_str().unwrap());
            assert!(session.create_container(attacker.message.clone(), own).await.is_ok());
        });
    }

    fn a_member_whose_path_leads_to_the_host_or_nowhere_is_swapped_all_the_same() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            for path in ["/proc/0/ns/net", "/proc/self/ns/net", "/nowhere"] {
                let answer = session.create_container(pod.message.clone(), pod.container_at(path)).await.unwrap();
                assert_eq!(swapped(&answer), Some("/run/netns/berth-s1".into()), "{path}");
            }
        });
    }

    fn forged_identity_is_overwritten_or_removed_and_named_without_its_value() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let (pod, mut container) = (Pod::new("s1"), Pod::at("s1", "").container());
            for (key, value) in [
                ("ocid/sandbox_id", "forged-secret"),
                ("io.kubernetes.cri-o.ContainerType", "sandbox"),
                ("io.kubernetes.docker.type", "podsandbox"),
                ("mine", "kept"),
            ] {
                container.annotations.insert(key.into(), value.into());
            }
            let answer = session.create_container(pod.message.clone(), container).await.unwrap();
            assert_eq!(annotation(&answer, "ocid/sandbox_id"), Some("s1"));
            assert_eq!(annotation(&answer, "-io.kubernetes.cri-o.ContainerType"), Some(""));
            assert_eq!(annotation(&answer, "-io.kubernetes.docker.type"), Some(""));
            assert_eq!(annotation(&answer, "mine"), None);
            berth.logged("contradictions=ocid/sandbox_id,io.kubernetes.cri-o.ContainerType,io.kubernetes.docker.type").await;
            assert!(!berth.log().contains("forged-secret"));
        });
    }

    fn a_profile_decides_on_dialects_annotations_and_path() {
        block_on(async {
            let yaml = "profiles: [{name: p, match: {namespaces: [default]}, dialects: [cri-o], netns: leave, \
                annotations: {example.com/where: '{pod.namespace}/{sandbox.id}', example.com/path: '{netns.path}'}}]";
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::configured(yaml)).await;
            let pod = Pod::new("s1");
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!(annotation(&answer, "io.kubernetes.cri-o.SandboxID"), Some("s1"));
            assert_eq!(annotation(&answer, "example.com/where"), Some("default/s1"));
            assert_eq!(annotation(&answer, "example.com/path"), None);
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (None, None));
            assert_eq!(inode(&pod.pin()), None);
        });
    }

    fn on_cri_o_the_containerd_set_is_left_out() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::crio_1_36(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert!(answer.adjust.annotations.keys().all(|key| key.starts_with("ocid/")), "{answer:?}");
            assert!(Path::new("/run/netns/berth-s1").exists());
        });
    }
}
