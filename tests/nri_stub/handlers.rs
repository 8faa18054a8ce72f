//! Handlers that refuse, panic or take too long.

use std::time::Duration;

use berth::nri::Event;
use ttrpc::Code;
use ttrpc::proto::Status;

use crate::fake_runtime::{Profile, container, pod};
use crate::harness::{in_session, within};
use crate::recorder::{PANIC, REFUSE, SLOW};

fn status(answer: ttrpc::Result<()>) -> Status {
    match answer {
        Err(ttrpc::Error::RpcStatus(status)) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_words() {
    for profile in [Profile::containerd_2_2(), Profile::containerd_2_3()] {
        let (_place, _runtime, session, stub) = in_session(profile).await;
        let sent = session.event(Event::RunPodSandbox, Some(pod(REFUSE)), None);
        let found = status(within(sent).await);
        assert_eq!((found.code(), found.message()), (Code::FAILED_PRECONDITION, "as asked"));
        stub.stop().await;
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_session_lives_on() {
    let (_place, _runtime, session, mut stub) = in_session(Profile::containerd_2_3()).await;
    let answer = within(session.create_container(pod("p"), container(PANIC, "p"))).await;
    let found = status(answer.map(|_| ()));
    assert_eq!(found.code(), Code::INTERNAL);
    assert_eq!(found.message(), "CreateContainer: the plugin panicked: as asked");
    within(session.event(Event::RunPodSandbox, Some(pod("p")), None)).await.unwrap();
    stub.expect(&["CreateContainer p panic", "RunPodSandbox p"]).await;
    stub.stop().await;
}

#[tokio::test]
async fn an_overdue_handler_is_answered_for_in_time_and_goes_on() {
    let profile = Profile { request_timeout: Duration::from_millis(500), ..Profile::containerd_2_3() };
    let (_place, _runtime, session, mut stub) = in_session(profile).await;
    let sent = session.event(Event::RunPodSandbox, Some(pod(SLOW)), None);
    // Had the runtime's own limit come first, this would be no status.
    let found = status(within(sent).await);
    assert_eq!(found.code(), Code::DEADLINE_EXCEEDED);
    let words = "RunPodSandbox: the plugin has no answer after 400 ms of the 500 ms the engine waits";
    assert!(found.message().starts_with(words), "{}", found.message());
    stub.expect(&["RunPodSandbox slow"]).await;
    stub.recorder.release.add_permits(1);
    stub.expect(&["RunPodSandbox done"]).await;
    stub.stop().await;
}

#[tokio::test]
async fn an_event_that_the_plugin_lets_pass_succeeds_though_its_handler_is_late_panics_or_refuses() {
    let profile = Profile { request_timeout: Duration::from_millis(500), ..Profile::containerd_2_3() };
    let (_place, _runtime, session, mut stub) = in_session(profile).await;
    for id in [SLOW, PANIC, REFUSE] {
        within(session.event(Event::PostUpdatePodSandbox, Some(pod(id)), None)).await.unwrap();
    }
    stub.expect(&["PostUpdatePodSandbox slow", "PostUpdatePodSandbox panic", "PostUpdatePodSandbox refuse"]).await;
    stub.recorder.release.add_permits(1);
    stub.expect(&["PostUpdatePodSandbox done"]).await;
    stub.stop().await;
}

#[tokio::test]
async fn a_handler_in_progress_survives_the_session() {
    let (_place, runtime, session, mut stub) = in_session(Profile::containerd_2_3()).await;
    let lost = async {
        tokio::select! {
            answer = session.event(Event::RemovePodSandbox, Some(pod(SLOW)), None) => panic!("{answer:?}"),
            () = stub.expect(&["RemovePodSandbox slow"]) => {}
        }
    };
    within(lost).await;
    drop(session);
    stub.expect(&["state Closed"]).await;
    let _again = within(runtime.accept_ready(Profile::containerd_2_3())).await;
    stub.skip_to("state Synchronized").await;
    stub.recorder.release.add_permits(1);
    stub.expect(&["RemovePodSandbox done"]).await;
    stub.stop().await;
}

#[tokio::test]
async fn events_come_in_the_order_they_were_sent() {
    let (_place, _runtime, session, mut stub) = in_session(Profile::containerd_2_3()).await;
    for round in 0..200 {
        let id = format!("p{round}");
        for event in [Event::RunPodSandbox, Event::StopPodSandbox, Event::RemovePodSandbox] {
            within(session.event(event, Some(pod(&id)), None)).await.unwrap();
            stub.expect(&[&format!("{event} {id}")]).await;
        }
    }
    session.assert_readable_by_go();
    stub.stop().await;
}
