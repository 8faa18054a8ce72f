//! Registration, sessions one after the other, the end.

use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use berth::nri::{Endpoint, Event, EventMask, Launch, Level, NRI_VERSION, Options};
use tokio::net::UnixStream;

use crate::fake_runtime::{FakeRuntime, Profile, Session, container, pod};
use crate::harness::{Stub, in_session, place, quick, within};
use crate::recorder::all_events;

fn registration() -> (String, String, String) {
    ("probe".to_owned(), "10".to_owned(), NRI_VERSION.to_owned())
}

#[tokio::test]
async fn a_session_over_a_socket() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    let session = within(runtime.accept(Profile::containerd_2_3())).await;
    assert_eq!(session.registration, registration());
    let events = within(session.configure()).await.unwrap();
    assert_eq!(events, 0x3fff);
    let updates = within(session.synchronize(vec![pod("p")], vec![container("c", "p")])).await;
    assert_eq!(updates.unwrap()[0].container_id, "c");
    stub.skip_to("Synchronize 1 1").await;
    let told = stub.recorder.runtime.lock().unwrap().clone().unwrap();
    assert_eq!((told.name.as_str(), told.version.as_str()), ("containerd", "v2.3.4"));
    assert_eq!(told.nri.level, Level::DedicatedRpcs);
    assert_eq!(told.request_timeout, Some(Duration::from_secs(2)));
    assert_eq!(told.registration_timeout, Some(Duration::from_secs(5)));
    assert_eq!(told.peer_pid, Some(std::process::id()));
    session.assert_readable_by_go();
    stub.skip_to("state Synchronized").await;
    stub.stop().await;
}

#[tokio::test]
async fn a_session_over_an_inherited_socket_ends_with_the_runtime() {
    let (ours, theirs) = StdStream::pair().unwrap();
    let launch = Launch::from_env(|name| match name {
        "NRI_PLUGIN_NAME" => Some("probe".to_owned()),
        "NRI_PLUGIN_IDX" => Some("10".to_owned()),
        "NRI_PLUGIN_SOCKET" => Some("3".to_owned()),
        _ => None,
    });
    assert_eq!(launch.unwrap().unwrap().socket, 3);
    let mut stub = Stub::start(Endpoint::Inherited(ours), quick(), all_events());
    theirs.set_nonblocking(true).unwrap();
    let profile = Profile { config: "key: value", ..Profile::crio_1_36() };
    let theirs = UnixStream::from_std(theirs).unwrap();
    let session = within(Session::start(theirs, profile)).await;
    within(session.configure()).await.unwrap();
    within(session.synchronize(Vec::new(), Vec::new())).await.unwrap();
    stub.skip_to("state Synchronized").await;
    assert_eq!(*stub.recorder.configs.lock().unwrap(), ["key: value"]);
    drop(session);
    stub.expect(&["state Closed"]).await;
    stub.result().await.unwrap();
}

#[tokio::test]
async fn an_old_runtime_that_never_synchronizes_what_it_launched_is_no_error() {
    let (ours, theirs) = StdStream::pair().unwrap();
    let mut options = quick();
    options.synchronize_limit = Duration::from_millis(1);
    let mut stub = Stub::start(Endpoint::Inherited(ours), options, all_events());
    theirs.set_nonblocking(true).unwrap();
    let theirs = UnixStream::from_std(theirs).unwrap();
    let session = within(Session::start(theirs, Profile::containerd_1_7())).await;
    within(session.configure()).await.unwrap();
    within(session.event(Event::RunPodSandbox, Some(pod("p")), None)).await.unwrap();
    stub.skip_to("RunPodSandbox p").await;
    drop(session);
    stub.result().await.unwrap();
}

#[tokio::test]
async fn configure_may_come_before_the_registration_is_answered() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    let profile = Profile { hold_registration: true, ..Profile::containerd_2_2() };
    let session = within(runtime.accept(profile)).await;
    within(session.configure()).await.unwrap();
    within(session.synchronize(Vec::new(), Vec::new())).await.unwrap();
    session.release.add_permits(1);
    stub.expect(&["Configure", "Synchronize 0 0", "state Registered", "state Synchronized"]).await;
    stub.stop().await;
}

#[tokio::test]
async fn only_events_the_runtime_has_are_subscribed_to() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let stub = Stub::at(&place.path);
    for (profile, expected) in [
        (Profile::containerd_1_7(), 0x7ff),
        (Profile::containerd_2_2(), 0x3fff),
        (Profile::crio_1_36(), 0x3fff),
        (Profile::containerd_2_3(), 0x3fff),
    ] {
        let session = within(runtime.accept(profile)).await;
        assert_eq!(within(session.configure()).await.unwrap(), expected);
    }
    stub.stop().await;
}

#[tokio::test]
async fn a_plugin_that_wants_nothing_the_runtime_has_is_not_subscribed_to_everything() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    for events in [EventMask::EMPTY, EventMask::of(&[Event::ValidateContainerAdjustment])] {
        let stub = Stub::start(Endpoint::Path(place.path.clone()), quick(), events);
        let session = within(runtime.accept(Profile::containerd_1_7())).await;
        let error = within(session.configure()).await.unwrap_err().to_string();
        assert!(error.contains("none of the events"), "{error}");
        stub.stop().await;
    }
}

#[tokio::test]
async fn the_stub_comes_back_whenever_the_runtime_does() {
    let (place, mut runtime, mut session, mut stub) = in_session(Profile::containerd_2_3()).await;
    for round in 0..5 {
        drop(session);
        drop(runtime);
        stub.expect(&["state Closed"]).await;
        runtime = FakeRuntime::listen(&place.path);
        session = within(runtime.accept_ready(Profile::containerd_2_2())).await;
        stub.skip_to("state Synchronized").await;
        let id = format!("p{round}");
        within(session.event(Event::RunPodSandbox, Some(pod(&id)), None)).await.unwrap();
        stub.expect(&[&format!("RunPodSandbox {id}")]).await;
    }
    stub.stop().await;
}

#[tokio::test]
async fn a_runtime_that_announces_its_end_is_met_again() {
    let (_place, runtime, session, mut stub) = in_session(Profile::containerd_2_3()).await;
    let request = berth::nri::api::Empty::default();
    within(session.plugin.shutdown(session.ctx(), &request)).await.unwrap();
    stub.expect(&["Shutdown"]).await;
    // It does not even have to hang up.
    let _again = within(runtime.accept_ready(Profile::containerd_2_3())).await;
    stub.expect(&["state Closed"]).await;
    drop(session);
    stub.stop().await;
}

#[tokio::test]
async fn containers_are_updated_on_the_plugins_own_initiative() {
    let (_place, _runtime, mut session, stub) = in_session(Profile::containerd_2_3()).await;
    let told = stub.recorder.runtime.lock().unwrap().clone().unwrap();
    let update = berth::nri::api::ContainerUpdate { container_id: "c".to_owned(), ..Default::default() };
    let call = told.handle.update_containers(vec![update], Vec::new(), Duration::from_secs(5));
    let failed = within(call).await.unwrap();
    assert_eq!(failed[0].container_id, "c");
    assert_eq!(within(session.updates.recv()).await.unwrap().update.len(), 1);
    session.assert_readable_by_go();
    drop(session);
    stub.stop().await;
    let call = told.handle.update_containers(Vec::new(), Vec::new(), Duration::from_secs(5));
    assert!(within(call).await.is_err(), "the session is over");
}

#[tokio::test]
async fn asked_to_stop_it_answers_what_is_in_progress_and_hangs_up() {
    let (_place, _runtime, mut session, mut stub) = in_session(Profile::containerd_2_3()).await;
    let (answer, ()) = within(async {
        tokio::join!(session.event(Event::StopPodSandbox, Some(pod("slow")), None), async {
            stub.expect(&["StopPodSandbox slow"]).await;
            stub.ask_to_stop();
            stub.recorder.release.add_permits(1);
        })
    })
    .await;
    answer.unwrap();
    within(session.hung_up()).await.unwrap();
    stub.expect(&["StopPodSandbox done", "state Closed"]).await;
    stub.result().await.unwrap();
}

#[tokio::test]
async fn asked_to_stop_it_does_not_wait_for_ever() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut options: Options = quick();
    options.drain_limit = Duration::from_millis(10);
    let mut stub = Stub::start(Endpoint::Path(place.path.clone()), options, all_events());
    let profile = Profile { request_timeout: Duration::from_millis(100), ..Profile::containerd_2_3() };
    let session = within(runtime.accept_ready(profile)).await;
    let answer = within(session.event(Event::StopPodSandbox, Some(pod("slow")), None)).await;
    answer.unwrap_err();
    stub.skip_to("StopPodSandbox slow").await;
    stub.stop().await;
}
