//! What becomes of pins.

use std::process::Command;

use berth::nri::Event;

use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, SOCKET, block_on, command, eventually, ready};
use crate::task::Task;

isolated! {
    fn stop_and_remove_in_any_order_and_number_release_nothing_that_the_engine_holds() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            for event in [
                Event::RemovePodSandbox,
                Event::RunPodSandbox,
                Event::StopPodSandbox,
                Event::StopPodSandbox,
                Event::RemovePodSandbox,
                Event::StopPodSandbox,
                Event::RemovePodSandbox,
            ] {
                session.event(event, Some(pod.message.clone()), None).await.unwrap();
            }
            assert!(pod.is_pinned());
            pod.engine_lets_go();
            pod.gone().await;
            session.event(Event::RemovePodSandbox, Some(pod.message.clone()), None).await.unwrap();
        });
    }

    fn the_deletion_of_the_engines_file_is_enough() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pods: Vec<_> = ["s1", "s2", "s3"].into_iter().map(Pod::new).collect();
            for pod in &pods {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            pods[1].engine_lets_go();
            pods[1].gone().await;
            assert!(pods[0].is_pinned() && pods[2].is_pinned());
            berth.logged("event=Release pin=berth-s2").await;
        });
    }

    fn a_task_in_the_namespace_keeps_the_pin_until_it_ends() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let task = Task::in_network(pod.pin());
            session.event(Event::StopPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            pod.engine_lets_go();
            berth.logged("event=Drain pin=berth-s1").await;
            assert!(pod.pin().exists());
            drop(task);
            pod.gone().await;
        });
    }

    fn pods_that_another_berth_has_released_are_forgotten_when_the_session_breaks() {
        // Each reconnection looks at everything, and at all tasks while a pin drains. Ends that were noticed wait for their
        // turn meanwhile: it is this one.
        block_on(async {
            let (runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let (lingers, ends) = (Pod::new("lingers"), Pod::new("ends"));
            for pod in [&lingers, &ends] {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            let _task = Task::in_network(lingers.pin());
            lingers.engine_lets_go();
            berth.logged("event=Drain pin=berth-lingers").await;
            ends.engine_lets_go();
            assert!(command(&["gc"]).status.success());
            drop(session);
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            eventually("the second list", || (berth.log().matches("event=CatchUp").count() == 2).then_some(())).await;
            session.event(Event::RemovePodSandbox, Some(ends.message.clone()), None).await.unwrap();
            berth.logged("event=RemovePodSandbox").await;
            let log = berth.log();
            let removed = log.lines().find(|line| line.contains("event=RemovePodSandbox")).unwrap();
            assert!(removed.contains("reason=no-pin"), "{log}");
        });
    }

    fn what_happened_while_berth_was_dead_is_made_good_at_the_next_start() {
        block_on(async {
            let (runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let (ends, stays) = (Pod::new("ends"), Pod::new("stays"));
            for pod in [&ends, &stays] {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            berth.kill().await;
            ends.engine_lets_go();
            assert!(ends.pin().exists() && stays.is_pinned(), "pins need no process");
            // Without a runtime: what is so is to be seen without one.
            drop((session, runtime));
            let _berth = Berth::start(&[]);
            ends.gone().await;
            assert!(stays.is_pinned());
        });
    }

    fn the_full_list_pins_what_runs_already_and_a_pod_missing_from_it_is_not_dead() {
        block_on(async {
            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            let berth = Berth::start(&[]);
            let session = runtime.accept(Profile::containerd_2_3()).await;
            let pods: Vec<_> = (0..50).map(|n| Pod::new(&format!("s{n}"))).collect();
            session.configure().await.unwrap();
            let messages = pods.iter().map(|pod| pod.message.clone()).collect();
            session.synchronize(messages, Vec::new()).await.unwrap();
            berth.logged("event=CatchUp pinned=50 stopped=0 failed=0").await;
            assert!(pods.iter().all(Pod::is_pinned));
            drop(session);
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            berth.logged("event=CatchUp pinned=0 stopped=0 failed=0").await;
            assert!(pods.iter().all(Pod::is_pinned));
            drop(session);
        });
    }

    fn a_pin_that_somebody_unmounted_is_made_again() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            assert!(Command::new("umount").arg(pod.pin()).status().unwrap().success());
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert!(pod.is_pinned() && answer.adjust.is_some(), "by the next container");
            assert!(Command::new("umount").arg(pod.pin()).status().unwrap().success());
            session.event(Event::StopPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            // An occasion can have come between the first unmounting and the container too, so its line may be there.
            eventually("the next occasion makes it again", || pod.is_pinned().then_some(())).await;
            berth.logged("event=Heal pin=berth-s1").await;
        });
    }

    fn gc_does_the_same_without_a_daemon_and_says_what_it_would_do() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let (ends, stays) = (Pod::new("ends"), Pod::new("stays"));
            for pod in [&ends, &stays] {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            berth.kill().await;
            ends.engine_lets_go();
            let text = |args: &[&str]| {
                let output = command(args);
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).unwrap()
            };
            let would = text(&["gc", "--dry-run"]);
            assert!(would.contains("would release  berth-ends") && would.contains("gone-and-empty"), "{would}");
            assert!(would.contains("berth-stays") && would.contains("engine-holds-it"), "{would}");
            assert!(ends.pin().exists());
            assert!(text(&["gc"]).contains("released  berth-ends"));
            ends.gone().await;
            assert!(stays.is_pinned());
            let list = text(&["list", "-o", "wide"]);
            assert!(list.contains("name-stays") && list.contains("pinned") && !list.contains("ends"), "{list}");
            let json: serde_json::Value = serde_json::from_str(&text(&["list", "-o", "json"])).unwrap();
            assert_eq!(json["items"][0]["record"]["sandbox"], "stays");
            assert_eq!(json["items"].as_array().unwrap().len(), 1);
        });
    }

    fn a_second_daemon_is_passive_and_takes_over() {
        block_on(async {
            let (runtime, session, first) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let second = Berth::start(&[]);
            second.logged("passive until it ends").await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            first.kill().await;
            drop(session);
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert!(answer.adjust.is_some());
            eventually("the second one watches", || second.log().contains("event=CatchUp").then_some(())).await;
            pod.engine_lets_go();
            pod.gone().await;
        });
    }
}
