//! Every metric is moved by something that happens to a node: a daemon and an interposer are led through all of it, and
//! what was never more than zero fails the test by name.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use berth::metrics::{FAMILIES, Kind};
use berth::netns::Store;
use berth::nri::Event;
use berth::pin::PinName;

use crate::client::{TCP, answers, loopback, samples};
use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, SOCKET, block_on, eventually};
use crate::stage::{assert_delegated, bundle, containerd, create, delegate, interposer, network};

const CONFIG: &str = "listen: 127.0.0.1:9464\nprofiles: [{name: p, dropAnnotations: [example.com/drop]}]\n";

/// The samples that were ever more than zero.
#[derive(Default)]
struct Moved(BTreeSet<String>);

impl Moved {
    fn look(&mut self) {
        self.0.extend(samples().into_iter().filter(|(_, value)| *value > 0.0).map(|(name, _)| name));
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.split('{').next() == Some(name))
    }

    async fn until(&mut self, name: &str) {
        eventually(name, || {
            self.look();
            self.has(name).then_some(())
        })
        .await;
    }
}

/// An orphan: a pin that no record knows, of a namespace that nobody is in.
fn orphan() {
    let store = Store::open("/run/netns".as_ref()).unwrap();
    store.create(&PinName::parse("berth-orphan").unwrap()).unwrap();
}

isolated! {
    fn every_metric_is_moved_by_something_that_happens() {
        loopback();
        delegate("runc");
        let wrapped = interposer("berth-runc");
        block_on(async {
            let mut moved = Moved::default();
            let _berth = Berth::configured(CONFIG);
            answers(TCP, "/healthz", 200).await;
            moved.until("berth_nri_connection_failures_total").await;

            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            moved.until("berth_ready").await;
            let (pod, ends) = (Pod::new("s1"), Pod::new("ends"));
            for pod in [&pod, &ends] {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            let mut forged = pod.container_at("/nowhere");
            forged.annotations.insert("ocid/sandbox_id".into(), "victim".into());
            forged.annotations.insert("example.com/drop".into(), "x".into());
            let answer = session.create_container(pod.message.clone(), forged).await.unwrap();
            let broken = Pod::at("broken", "/run/netns/absent");
            session.create_container(broken.message.clone(), broken.container()).await.unwrap_err();
            moved.look();

            ends.engine_lets_go();
            moved.until("berth_pins_released_total").await;
            assert!(Command::new("umount").arg(pod.pin()).status().unwrap().success());
            session.event(Event::StopPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            moved.until("berth_pins_healed_total").await;

            // berth is away; containers come, and a pin that nobody knows.
            drop(session);
            moved.until("berth_nri_sessions_lost_total").await;
            orphan();
            let mut whole = pod.container_at("/elsewhere");
            whole.annotations.extend(answer.adjust.annotations.clone());
            let session = runtime.accept(Profile::containerd_2_3()).await;
            session.configure().await.unwrap();
            session.synchronize(vec![pod.message.clone()], vec![pod.container(), whole]).await.unwrap();
            for name in ["berth_containers_unadjusted", "berth_swaps_not_applied", "berth_pin_orphans_removed_total"] {
                moved.until(name).await;
            }

            fs::write("/run/config.yaml", format!("{CONFIG}# another\n")).unwrap();
            for name in ["berth_config_reloads_total", "berth_records_other_config"] {
                moved.until(name).await;
            }
            let dir = bundle("s2", &containerd("sandbox", "s2"), &network(&Pod::new("s2").file));
            assert_delegated(&create(&wrapped, &dir, "s2"));
            for name in ["process_cpu_seconds_total", "berth_records"] {
                moved.until(name).await;
            }
            moved.look();

            let name = |name: &str, kind| if kind == Kind::Histogram { format!("{name}_count") } else { name.to_owned() };
            let still: Vec<_> = FAMILIES.iter().map(|family| name(family.name, family.kind)).filter(|name| !moved.has(name)).collect();
            assert_eq!(still, Vec::<String>::new(), "never moved");
            for sample in [
                "berth_requests_total{door=\"interpose\",event=\"Create\",result=\"ok\"}",
                "berth_request_duration_seconds_count{door=\"interpose\",event=\"Create\",result=\"ok\"}",
                "berth_verdicts_total{door=\"interpose\",verdict=\"adjust\",reason=\"identity-and-netns\"}",
                "berth_pins_made_total{door=\"interpose\",origin=\"adopted\"}",
                "berth_pin_failures_total{door=\"nri\",step=\"source\"}",
                "berth_records{state=\"pinned\"}",
            ] {
                assert!(moved.0.contains(sample), "{sample}: {:#?}", moved.0);
            }
            assert!(!fs::read_to_string("/run/berth/interpose.counts").unwrap().is_empty());
        });
    }
}
