//! Every event, in every form a runtime sends it, and messages that lack something.

use berth::nri::api::{self, Container, PodSandbox};
use berth::nri::{Event, Level};
use ttrpc::Code;

use crate::fake_runtime::{Generation, Profile, Session, container, pod, subscribed};
use crate::harness::{in_session, within};

const POD_EVENTS: [Event; 4] =
    [Event::RunPodSandbox, Event::PostUpdatePodSandbox, Event::StopPodSandbox, Event::RemovePodSandbox];

const CONTAINER_EVENTS: [Event; 5] = [
    Event::PostCreateContainer,
    Event::StartContainer,
    Event::PostStartContainer,
    Event::PostUpdateContainer,
    Event::RemoveContainer,
];

#[tokio::test]
async fn every_event_without_an_answer_reaches_the_plugin_in_both_forms() {
    for profile in [Profile::containerd_2_2(), Profile::containerd_2_3()] {
        let form = profile.generation;
        let (_place, _runtime, session, mut stub) = in_session(profile).await;
        for event in POD_EVENTS {
            within(session.event(event, Some(pod("p")), None)).await.unwrap();
            stub.expect(&[&format!("{event} p")]).await;
        }
        for event in CONTAINER_EVENTS {
            let sent = session.event(event, Some(pod("p")), Some(container("c", "p")));
            within(sent).await.unwrap();
            stub.expect(&[&format!("{event} p c")]).await;
        }
        let level = stub.recorder.runtime.lock().unwrap().as_ref().unwrap().nri.level;
        assert_eq!(level == Level::DedicatedRpcs, form == Generation::Dedicated);
        session.assert_readable_by_go();
        stub.stop().await;
    }
}

#[tokio::test]
async fn every_event_with_an_answer_reaches_the_plugin() {
    let (_place, _runtime, session, mut stub) = in_session(Profile::containerd_2_3()).await;
    assert_eq!(subscribed(0x3fff).len(), 14);
    let answer = within(session.create_container(pod("p"), container("c", "p"))).await.unwrap();
    assert!(answer.adjust.annotations.contains_key("answer"));
    let (p, c) = (Some(pod("p")), Some(container("c", "p")));
    let plugin = &session.plugin;
    let request =
        api::UpdateContainerRequest { pod: p.clone().into(), container: c.clone().into(), ..Default::default() };
    within(plugin.update_container(session.ctx(), &request)).await.unwrap();
    let request =
        api::StopContainerRequest { pod: p.clone().into(), container: c.clone().into(), ..Default::default() };
    within(plugin.stop_container(session.ctx(), &request)).await.unwrap();
    let request = api::UpdatePodSandboxRequest { pod: p.clone().into(), ..Default::default() };
    within(plugin.update_pod_sandbox(session.ctx(), &request)).await.unwrap();
    let request = api::ValidateContainerAdjustmentRequest { pod: p.into(), container: c.into(), ..Default::default() };
    let verdict = within(plugin.validate_container_adjustment(session.ctx(), &request)).await;
    assert!(verdict.unwrap().reject);
    stub.expect(&[
        "CreateContainer p c",
        "UpdateContainer p c",
        "StopContainer p c",
        "UpdatePodSandbox p",
        "ValidateContainerAdjustment p c",
    ])
    .await;
    stub.stop().await;
}

#[tokio::test]
async fn an_answer_of_any_size_can_be_read_by_go() {
    let (_place, _runtime, session, stub) = in_session(Profile::containerd_2_3()).await;
    for size in [0, 4000, 4070, 4086, 4096, 5000, 8192, 70_000, 1 << 20, 4_000_000] {
        let mut asked = container("c", "p");
        asked.annotations.insert("answer".to_owned(), size.to_string());
        let answer = within(session.create_container(pod("p"), asked)).await.unwrap();
        assert_eq!(answer.adjust.annotations["answer"].len(), size);
    }
    session.assert_readable_by_go();
    stub.stop().await;
}

#[tokio::test]
async fn events_nobody_knows_are_answered_and_said_once() {
    crate::harness::collect_logs();
    let (_place, _runtime, session, mut stub) = in_session(Profile::containerd_2_2()).await;
    for number in [77_123, 0, -1, 15, 77_123, Event::CreateContainer.number()] {
        within(session.state_change(number, Some(pod("p")), None)).await.unwrap();
    }
    within(session.event(Event::StopPodSandbox, Some(pod("p")), None)).await.unwrap();
    stub.expect(&["StopPodSandbox p"]).await;
    assert_eq!(crate::harness::warnings_with("event 77123").len(), 1);
    stub.stop().await;
}

async fn refused(session: &Session, event: Event, pod: Option<PodSandbox>, container: Option<Container>) -> String {
    match within(session.event(event, pod, container)).await {
        Err(ttrpc::Error::RpcStatus(status)) => {
            assert_eq!(status.code(), Code::INVALID_ARGUMENT);
            status.message().to_owned()
        }
        other => panic!("{event}: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_without_its_object_names_event_and_field_and_stops_there() {
    for profile in [Profile::containerd_2_2(), Profile::containerd_2_3()] {
        let (_place, _runtime, session, mut stub) = in_session(profile).await;
        for event in POD_EVENTS {
            assert_eq!(refused(&session, event, None, None).await, format!("{event}: pod is missing"));
            let text = refused(&session, event, Some(pod("")), None).await;
            assert_eq!(text, format!("{event}: pod.id is missing"));
        }
        for event in CONTAINER_EVENTS {
            let text = refused(&session, event, None, Some(container("c", "p"))).await;
            assert_eq!(text, format!("{event}: pod is missing"));
            let text = refused(&session, event, Some(pod("p")), None).await;
            assert_eq!(text, format!("{event}: container is missing"));
            let text = refused(&session, event, Some(pod("p")), Some(container("", "p"))).await;
            assert_eq!(text, format!("{event}: container.id is missing"));
        }
        let answer = within(session.create_container(pod("p"), container("", "p"))).await;
        assert!(answer.unwrap_err().to_string().contains("CreateContainer: container.id"));
        within(session.event(Event::RunPodSandbox, Some(pod("p")), None)).await.unwrap();
        stub.expect(&["RunPodSandbox p"]).await;
        stub.stop().await;
    }
}
