//! What /metrics says: in both formats, of containers that berth missed, of a node that is not as it should be.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use berth::metrics::{FAMILIES, Kind};
use berth::nri::Event;

use crate::client::{TCP, answers, get, listening, raw, samples, shows};
use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Pod, SOCKET, block_on, command, eventually, ready};
use crate::stage::{self, bundle, containerd, create, interposer, network, silent};

/// A page in a format that is asked for: its head and its body.
fn asked_for(accept: &str) -> (String, String) {
    let answer = raw(format!("GET /metrics HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

isolated! {
    fn both_formats_say_the_same_with_their_own_media_types() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), listening).await;
            let pod = Pod::new("s1");
            session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            let newer = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
            let (head, new) = asked_for(newer);
            assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
            assert!(new.ends_with("# EOF\n"));
            let (head, old) = asked_for("text/plain");
            assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
            let names = |text: &str| crate::client::parse(text).into_keys().collect::<Vec<_>>();
            assert_eq!(names(&new), names(&old));
            for family in FAMILIES {
                let kind = match family.kind {
                    Kind::Gauge => "gauge",
                    Kind::Histogram => "histogram",
                    Kind::Counter | Kind::CounterOfMicros => "counter",
                };
                assert!(old.contains(&format!("# TYPE {} {kind}\n", family.name)), "{}", family.name);
            }
            let count = "berth_request_duration_seconds_count{door=\"nri\",event=\"CreateContainer\",result=\"ok\"}";
            let most = "berth_request_duration_seconds_bucket{le=\"+Inf\",door=\"nri\",event=\"CreateContainer\",result=\"ok\"}";
            let seen = samples();
            assert_eq!((seen[count], seen[most]), (1.0, 1.0));
            // No pod, container or path becomes a label.
            for word in ["s1", "name-", "default", "app", "/run"] {
                assert!(!seen.keys().any(|key| key.split('"').skip(1).step_by(2).any(|value| value.contains(word))), "{word}");
            }
        });
    }

    fn containers_that_berth_missed_are_counted_until_their_pod_goes() {
        block_on(async {
            let (runtime, session, berth) = ready(Profile::containerd_2_3(), listening).await;
            let (pod, other) = (Pod::new("s1"), Pod::new("s2"));
            let mut whole = pod.container_at("/run/netns/berth-s1");
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            whole.annotations.extend(answer.adjust.annotations.clone());
            let mut elsewhere = pod.container_at("/proc/1/ns/net");
            elsewhere.annotations = whole.annotations.clone();
            let mut ended = pod.container();
            ended.state = berth::nri::api::ContainerState::CONTAINER_STOPPED.into();
            let mut unselected = Pod::new("s3");
            unselected.message.runtime_handler.clear();
            drop(session);

            let session = runtime.accept(Profile::containerd_2_3()).await;
            session.configure().await.unwrap();
            let pods = [&pod, &other, &unselected].map(|pod| pod.message.clone());
            let containers = vec![whole.clone(), elsewhere, ended, other.container(), other.container(), unselected.container()];
            session.synchronize(pods.to_vec(), containers).await.unwrap();
            shows("berth_containers_unadjusted", 2.0).await;
            shows("berth_swaps_not_applied", 1.0).await;
            berth.logged("event=CatchUp pod=default/name-s2 container=app verdict=leave reason=created-while-away").await;
            berth.logged("event=CatchUp pod=default/name-s1 container=app verdict=leave reason=swap-not-applied").await;

            session.event(Event::RemovePodSandbox, Some(other.message.clone()), None).await.unwrap();
            shows("berth_containers_unadjusted", 0.0).await;
            shows("berth_swaps_not_applied", 1.0).await;
            drop(session);
            let session = runtime.accept(Profile::containerd_2_3()).await;
            session.configure().await.unwrap();
            session.synchronize(vec![pod.message.clone()], vec![whole]).await.unwrap();
            shows("berth_swaps_not_applied", 0.0).await;
            assert_eq!(samples()["berth_containers_unadjusted"], 0.0);
        });
    }

    fn a_container_whose_pod_has_no_usable_id_is_refused_and_counted_as_such() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), listening).await;
            let mut pod = Pod::at("s1", "/run/netns/absent");
            pod.message.id = "../s1".into();
            session.create_container(pod.message.clone(), pod.container()).await.unwrap_err();
            let seen = samples();
            assert_eq!(seen["berth_requests_total{door=\"nri\",event=\"CreateContainer\",result=\"failed\"}"], 1.0);
            assert_eq!(seen["berth_verdicts_total{door=\"nri\",verdict=\"refuse\",reason=\"failed\"}"], 1.0);
        });
    }

    fn a_pod_that_ends_unheard_is_counted_no_more() {
        block_on(async {
            let (runtime, session, _berth) = ready(Profile::containerd_2_3(), listening).await;
            let (ends, stays) = (Pod::new("s1"), Pod::new("s2"));
            drop(session);
            let session = runtime.accept(Profile::containerd_2_3()).await;
            session.configure().await.unwrap();
            let pods = [&ends, &stays].map(|pod| pod.message.clone());
            session.synchronize(pods.to_vec(), vec![ends.container(), stays.container()]).await.unwrap();
            shows("berth_containers_unadjusted", 2.0).await;
            // As of a pod that is older than containerd's process: its end reaches no plugin.
            ends.engine_lets_go();
            ends.gone().await;
            shows("berth_containers_unadjusted", 1.0).await;
        });
    }

    fn what_an_interposer_has_made_is_not_counted_and_what_it_does_not_see_is() {
        silent("runc");
        silent("containerd-shim-x-v2");
        let (wrapped, shim) = (interposer("berth-runc"), interposer("containerd-shim-berth-x-v2"));
        block_on(async {
            let (runtime, session, berth) = ready(Profile::containerd_2_3(), listening).await;
            let [by_runtime, by_shim, by_sandbox_alone] = ["s1", "s2", "s3"].map(Pod::new);
            drop(session);
            let started = |dir: &Path, id: &str| {
                let args = ["-namespace", "k8s.io", "-address", "/a", "-publish-binary", "/b", "-id", id, "start"];
                let output = stage::command(&shim, &args).current_dir(dir).output().unwrap();
                assert!(output.status.success(), "{output:?}");
            };
            let sandbox = |pod: &Pod, id| bundle(id, &containerd("sandbox", id), &network(&pod.file));
            let member = |id, sandbox| bundle(id, &containerd("container", sandbox), &network("/proc/0/ns/net"));
            assert!(create(&wrapped, &sandbox(&by_runtime, "s1"), "s1").status.success());
            started(&sandbox(&by_shim, "s2"), "s2");
            started(&member("c2", "s2"), "c2");
            started(&sandbox(&by_sandbox_alone, "s3"), "s3");

            let session = runtime.accept(Profile::containerd_2_3()).await;
            session.configure().await.unwrap();
            let pods = [&by_runtime, &by_shim, &by_sandbox_alone];
            let containers = pods.map(Pod::container).to_vec();
            session.synchronize(pods.map(|pod| pod.message.clone()).to_vec(), containers).await.unwrap();
            berth.logged("event=CatchUp pinned=3").await;
            shows("berth_containers_unadjusted", 1.0).await;
            berth.logged("event=CatchUp pod=default/name-s3 container=app verdict=leave reason=created-while-away").await;
        });
    }

    fn records_are_counted_by_the_words_of_list() {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), listening).await;
            let pods: Vec<_> = (0..3).map(|n| Pod::new(&format!("s{n}"))).collect();
            for pod in &pods {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            fs::write("/run/netns/berth-foreign", "somebody's").unwrap();
            fs::write("/run/berth/sandboxes/berth-half.json", "{").unwrap();
            eventually("they are counted", || {
                let seen = samples();
                let count = |state: &str| seen[&format!("berth_records{{state=\"{state}\"}}")];
                ((count("pinned"), count("foreign"), count("unreadable")) == (3.0, 1.0, 1.0)).then_some(())
            })
            .await;
            let list: serde_json::Value = serde_json::from_slice(&command(&["list", "-o", "json"]).stdout).unwrap();
            let states: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap()).collect();
            assert_eq!(states, ["foreign", "pinned", "pinned", "pinned"]);
        });
    }

    fn what_cannot_be_read_costs_its_own_numbers_and_is_said_once() {
        block_on(async {
            let (_runtime, _session, berth) = ready(Profile::containerd_2_3(), listening).await;
            for spoil in [|| fs::write("/run/berth/interpose.counts", vec![b'x'; 1 << 20]).unwrap(), || {
                fs::remove_file("/run/berth/interpose.counts").unwrap();
                drop(UnixListener::bind("/run/berth/interpose.counts").unwrap());
            }] {
                spoil();
                for _ in 0..3 {
                    assert!(samples()["process_resident_memory_bytes"] > 0.0);
                }
            }
            let complaints = || berth.log().matches("metrics are not complete").count();
            eventually("both complaints", || (complaints() >= 2).then_some(())).await;
            assert_eq!(complaints(), 2, "{}", berth.log());
            fs::remove_file("/run/berth/interpose.counts").unwrap();
            fs::write("/run/berth/interpose.counts", "identity_contradictions=nonsense\n=\nx\n\u{fffd}=3\npins_healed=7\n").unwrap();
            let seen = samples();
            assert_eq!(seen["berth_pins_healed_total{door=\"interpose\"}"], 7.0);
            assert_eq!(seen["berth_identity_contradictions_total{door=\"interpose\"}"], 0.0);
        });
    }

    fn a_node_without_records_or_pins_answers_all_the_same() {
        block_on(async {
            let _runtime = FakeRuntime::listen(SOCKET.as_ref());
            let _berth = listening();
            answers(TCP, "/metrics", 200).await;
            for dir in ["/run/berth/sandboxes", "/run/netns"] {
                fs::remove_dir_all(dir).unwrap();
            }
            assert_eq!(get("/metrics").status, 200);
        });
    }
}
