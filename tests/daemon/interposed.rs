//! A daemon without any capability, as in the overlay `interposed`: interposers pin and release, it does the rest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use berth::nri::Event;
use nix::fcntl::{Flock, FlockArg};

use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, Pod, annotation, block_on, eventually, ready, swapped};
use crate::stage;

/// berth in a mount namespace of its own that mounts of the node reach like this, with no capability.
fn unprivileged(propagation: &str) -> Berth {
    // As systemd does it at a node's start.
    assert!(Command::new("mount").args(["--make-rshared", "/"]).status().unwrap().success());
    let mounts = ["unshare", "--mount", "--propagation", propagation, "--"];
    let rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"];
    Berth::start_under(&[&mounts[..], &rights].concat(), &["--pins-by", "interposers"])
}

fn receiving() -> Berth {
    unprivileged("slave")
}

/// What an interposer does when the engine has this pod's sandbox created.
fn created_by_interposer(pod: &Pod) {
    let wrapper = Path::new("/run/berth.d/berth-runc");
    if !wrapper.exists() {
        stage::silent("runc");
        stage::interposer("berth-runc");
    }
    let id: &'static str = String::leak(pod.message.id.clone());
    let bundle = stage::bundle(id, &stage::containerd("sandbox", id), &stage::network(&pod.file));
    let created = stage::create(wrapper, &bundle, id);
    assert!(created.status.success(), "{created:?}");
}

/// What berth says, where the daemon could not do what it wanted.
fn complaints(berth: &Berth) -> Vec<String> {
    let is_one = |line: &&str| line.contains("ERROR") || line.contains("WARN");
    berth.log().lines().filter(is_one).map(str::to_owned).collect()
}

fn record(pod: &Pod) -> serde_json::Value {
    let path = format!("/run/berth/sandboxes/berth-{}.json", pod.message.id);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

isolated! {
    fn members_are_given_the_pins_that_interposers_make_and_what_is_over_is_marked_for_them() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), receiving).await;
            let pod = Pod::new("s1");
            created_by_interposer(&pod);
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!(annotation(&answer, "ocid/sandbox_id"), Some("s1"));
            assert_eq!(swapped(&answer), Some("/run/netns/berth-s1".into()));
            assert_eq!(record(&pod)["doors"], serde_json::json!(["nri"]));
            assert_eq!(record(&pod)["handler"], "kata");

            session.event(Event::StopPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            pod.engine_lets_go();
            berth.logged("event=Mark pin=berth-s1").await;
            assert!(pod.pin().exists() && record(&pod)["gone"].is_number(), "{}", record(&pod));
            // Whoever may unmount does so on its next occasion.
            created_by_interposer(&Pod::new("s2"));
            pod.gone().await;
            assert_eq!(complaints(&berth), Vec::<String>::new());
        });
    }

    fn a_pin_that_stands_is_given_whatever_is_so_of_its_record() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), receiving).await;
            let pods = ["newer", "busy", "read-only"].map(Pod::new);
            pods.iter().for_each(created_by_interposer);
            let given = async |pod: &Pod| {
                let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                assert_eq!(swapped(&answer), Some(pod.pin().to_str().unwrap().into()));
            };

            fs::write("/run/berth/sandboxes/berth-newer.json", r#"{"version":9}"#).unwrap();
            given(&pods[0]).await;
            assert_eq!(record(&pods[0]), serde_json::json!({"version": 9}));

            let before = record(&pods[1]);
            let lock = fs::File::open("/run/berth/locks/berth-busy").unwrap();
            let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
            given(&pods[1]).await;
            assert_eq!(record(&pods[1]), before);
            drop(lock);

            fs::set_permissions("/run/berth/sandboxes", fs::Permissions::from_mode(0o555)).unwrap();
            given(&pods[2]).await;
            berth.logged("msg=\"a door was not noted\" pin=berth-read-only").await;
        });
    }

    fn a_mark_is_said_once_and_only_where_it_was_made() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), receiving).await;
            let (pod, other) = (Pod::new("s1"), Pod::new("s2"));
            for pod in [&pod, &other] {
                created_by_interposer(pod);
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            }
            let stop = async || session.event(Event::StopPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            // Unmounted and not yet removed: whether it is gone cannot be told.
            let file = "/run/netns/cni-s1";
            assert!(Command::new("umount").arg(file).status().unwrap().success());
            session.event(Event::RemovePodSandbox, Some(pod.message.clone()), None).await.unwrap();
            eventually("the removal is noted", || record(&pod)["removed"].is_number().then_some(())).await;
            stop().await;
            other.engine_lets_go();
            berth.logged("event=Mark pin=berth-s2").await;
            assert!(!berth.log().contains("event=Mark pin=berth-s1") && record(&pod)["gone"].is_null());

            fs::remove_file(file).unwrap();
            stop().await;
            berth.logged("event=Mark pin=berth-s1").await;
            stop().await;
            let last = Pod::new("s3");
            created_by_interposer(&last);
            session.event(Event::RunPodSandbox, Some(last.message.clone()), None).await.unwrap();
            last.engine_lets_go();
            berth.logged("event=Mark pin=berth-s3").await;
            assert_eq!(berth.log().matches("event=Mark pin=berth-s1").count(), 1);
        });
    }

    fn a_mark_is_taken_back_where_the_engine_still_has_the_namespace() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), receiving).await;
            let pod = Pod::new("s1");
            created_by_interposer(&pod);
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let file = Path::new("/run/netns/cni-s1");
            fs::write("/run/netns/aside", "").unwrap();
            let mount = |args: &[&str]| assert!(Command::new("mount").args(args).status().unwrap().success());
            mount(&["--bind", "/run/netns/cni-s1", "/run/netns/aside"]);
            pod.engine_lets_go();
            berth.logged("event=Mark pin=berth-s1").await;
            fs::write(file, "").unwrap();
            mount(&["--bind", "/run/netns/aside", "/run/netns/cni-s1"]);
            session.event(Event::StopPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            eventually("the mark is taken back", || record(&pod)["gone"].is_null().then_some(())).await;
            assert!(pod.is_pinned());
        });
    }

    fn a_pod_that_no_interposer_has_pinned_keeps_its_path_and_gets_its_identity() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), receiving).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (Some("s1"), None));
            berth.logged("verdict=adjust reason=not-pinned").await;
            assert!(!pod.pin().exists() && !Path::new("/run/berth/sandboxes/berth-s1.json").exists());
        });
    }

    fn processes_that_may_not_be_looked_at_are_told_by_what_may_be_read_of_them() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), receiving).await;
            // This very process has all capabilities, and its namespaces are not for one without any to see.
            let mut host = Pod::at("s1", "");
            host.message.linux.mut_or_insert_default().namespaces.clear();
            host.message.pid = 1;
            let answer = session.create_container(host.message.clone(), host.container()).await.unwrap();
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (Some("s1"), None));
            berth.logged("reason=host-network").await;

            let pod = Pod::new("s2");
            created_by_interposer(&pod);
            let own = pod.container_at(&format!("/proc/{}/ns/net", std::process::id()));
            let answer = session.create_container(pod.message.clone(), own).await.unwrap();
            assert_eq!(swapped(&answer), Some("/run/netns/berth-s2".into()));
            // What another pod's file says needs no right.
            let other = Pod::new("s3");
            created_by_interposer(&other);
            session.event(Event::RunPodSandbox, Some(other.message.clone()), None).await.unwrap();
            let stolen = pod.container_at("/run/netns/berth-s3");
            assert!(session.create_container(pod.message.clone(), stolen).await.is_err());
        });
    }

    fn where_pins_of_the_node_are_not_seen_nothing_is_swapped_and_it_is_not_ready() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || unprivileged("private")).await;
            let pod = Pod::new("s1");
            created_by_interposer(&pod);
            let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!((annotation(&answer, "ocid/sandbox_id"), swapped(&answer)), (Some("s1"), None));
            berth.logged("mount the netns directory with HostToContainer propagation").await;
            berth.logged("reason=pins-do-not-reach").await;
        });
    }
}
