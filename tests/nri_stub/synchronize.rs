//! The list of everything: whole, in pieces, too long, refused.

use std::time::Duration;

use berth::nri::Endpoint;
use berth::nri::api::{Container, SynchronizeRequest};

use crate::fake_runtime::{FakeRuntime, Profile, container, pod};
use crate::harness::{Stub, collect_logs, place, quick, warnings_with, within};
use crate::recorder::all_events;

fn patient(profile: Profile) -> Profile {
    Profile {
        // Debug builds of this machine, not a promise of the runtime.
        request_timeout: Duration::from_secs(20),
        ..profile
    }
}

fn big_container(id: usize) -> Container {
    let mut container = container(&format!("c{id}"), &format!("p{}", id / 10));
    container.env = vec!["KEY=".to_owned() + &"v".repeat(300)];
    container
}

#[tokio::test]
async fn a_big_node_is_synchronized_in_pieces() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    let session = within(runtime.accept(patient(Profile::containerd_2_3()))).await;
    within(session.configure()).await.unwrap();
    let pods = (0..5_000).map(|id| pod(&format!("p{id}"))).collect();
    let containers = (0..50_000).map(big_container).collect();
    let updates = within(session.synchronize(pods, containers)).await.unwrap();
    assert_eq!(updates[0].container_id, "c0", "order is kept");
    assert!(*session.pieces.lock().unwrap() > 3);
    stub.skip_to("Synchronize 5000 50000").await;
    session.assert_readable_by_go();
    stub.stop().await;
}

#[tokio::test]
async fn what_one_session_left_unfinished_is_not_part_of_the_next() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    let session = within(runtime.accept(Profile::containerd_2_2())).await;
    within(session.configure()).await.unwrap();
    let piece = SynchronizeRequest { pods: vec![pod("lost")], more: true, ..Default::default() };
    let answer = within(session.plugin.synchronize(session.ctx(), &piece)).await.unwrap();
    assert!(answer.more && answer.update.is_empty());
    drop(session);
    let session = within(runtime.accept(Profile::containerd_2_2())).await;
    within(session.configure()).await.unwrap();
    within(session.synchronize(vec![pod("a"), pod("b")], Vec::new())).await.unwrap();
    stub.skip_to("Synchronize 2 0").await;
    stub.stop().await;
}

#[tokio::test]
async fn more_than_the_limit_is_refused_and_said() {
    collect_logs();
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut options = quick();
    options.sync_limit.objects = 1234;
    let stub = Stub::start(Endpoint::Path(place.path.clone()), options, all_events());
    let session = within(runtime.accept(Profile::containerd_2_3())).await;
    within(session.configure()).await.unwrap();
    let pods = (0..1235).map(|id| pod(&format!("p{id}"))).collect();
    let error = within(session.synchronize(pods, Vec::new())).await.unwrap_err().to_string();
    assert!(error.contains("1235 pods and containers"), "{error}");
    drop(session);
    // It comes back on its own; the same list may be shorter then.
    let session = within(runtime.accept_ready(Profile::containerd_2_3())).await;
    assert_eq!(warnings_with("Synchronize answered with an error: Synchronize: 1235").len(), 1);
    drop(session);
    stub.stop().await;
}

#[tokio::test]
async fn a_session_whose_synchronize_was_refused_is_given_up_though_the_runtime_keeps_it() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    *stub.recorder.refuse_sync.lock().unwrap() = true;
    let mut session = within(runtime.accept(Profile::containerd_2_2())).await;
    within(session.configure()).await.unwrap();
    within(session.synchronize(Vec::new(), Vec::new())).await.unwrap_err();
    within(session.hung_up()).await.unwrap();
    *stub.recorder.refuse_sync.lock().unwrap() = false;
    let _again = within(runtime.accept_ready(Profile::containerd_2_2())).await;
    stub.skip_to("state Synchronized").await;
    stub.stop().await;
}

#[tokio::test]
async fn synchronize_before_configure_is_refused() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let stub = Stub::at(&place.path);
    let session = within(runtime.accept(Profile::containerd_2_2())).await;
    let error = within(session.synchronize(Vec::new(), Vec::new())).await.unwrap_err();
    assert!(error.to_string().contains("not configured"), "{error}");
    stub.stop().await;
}
