//! berth in a pod, with the rights and the mounts that the overlays' DaemonSets give it and no others.

use super::{
    assert_goes, assert_identity, assert_joined_pin, assert_networked, assert_nothing_left, assert_path_untouched,
    await_settled,
};
use crate::rig::containerd::{SHIMMED, VM, WRAPPED};
use crate::rig::kubelet::{Started, Template};
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

/// What a page of the daemon says, or how it does not.
fn page(rig: &Rig, path: &str) -> Result<String, String> {
    rig.fetch_from_node(&format!("http://127.0.0.1:9464{path}"))
}

/// The overlay's daemon, which is as ready as it can be on this engine: `said`, or without an NRI not at all.
#[track_caller]
fn ready(rig: &Rig, overlay: &str, said: &str) -> Option<Started> {
    rig.make_image(false);
    let daemon = rig.run_manifest("berth", &Template::of(&format!("overlays/{overlay}"), "DaemonSet"));
    eventually("berth is alive", || page(rig, "/healthz").ok());
    if !rig.has_nri() {
        let answer = page(rig, "/readyz");
        assert!(answer.as_ref().is_err_and(|error| error.contains("503")), "{answer:?}");
        return None;
    }
    let answer = eventually("berth is ready", || page(rig, "/readyz").ok());
    assert!(answer.contains(said) || !rig.can_swap(), "{answer}");
    Some(daemon)
}

/// A file of the container's process in `/proc`.
fn process(rig: &Rig, daemon: &Started, file: &str) -> String {
    let pid = rig.cri().container_pid(&daemon.id);
    std::fs::read_to_string(rig.path(format!("/proc/{pid}/{file}"))).expect("the container runs")
}

/// A field of its `/proc/<pid>/status`.
fn status(rig: &Rig, daemon: &Started, field: &str) -> String {
    let text = process(rig, daemon, "status");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
    line.trim_start_matches(':').trim().to_owned()
}

/// Which of the mounts that the manifest asks for give what is mounted in them to others. (The OCI runtime makes those of
/// cgroups itself.)
fn shared_mounts(rig: &Rig, daemon: &Started) -> Vec<String> {
    let text = process(rig, daemon, "mountinfo");
    let shared = text.lines().filter(|line| line.contains(" shared:"));
    let points = shared.filter_map(|line| line.split(' ').nth(4)).filter(|point| !point.starts_with("/sys/"));
    let mut points: Vec<_> = points.map(str::to_owned).collect();
    points.sort();
    points
}

/// Nothing is written but where the manifest lets it.
#[track_caller]
fn assert_writes_nothing(rig: &Rig, daemon: &Started) {
    for file in ["/x", "/etc/berth/config.yaml", "/var/run/nri/x", "/host/proc/sys/kernel/domainname"] {
        let written = rig.cri().exec(&daemon.id, &["/bin/sh", "-c", &format!(": >>{file}")]);
        assert!(written.as_ref().is_err_and(|error| error.contains("Read-only file system")), "{file}: {written:?}");
    }
}

/// What berth in the daemon's container prints, as by `kubectl exec`.
fn berth(rig: &Rig, daemon: &Started, args: &[&str]) -> Result<String, String> {
    rig.cri().exec(&daemon.id, &[&["/berth"], args].concat())
}

#[test]
fn the_overlay_plugin_pins_by_itself_and_cleans_up() {
    let rig = Rig::start();
    let Some(daemon) = ready(&rig, "plugin", "PASS   pins-reach-engine  pins reach the engine") else { return };
    assert_eq!(shared_mounts(&rig, &daemon), ["/run/netns", "/var/run/netns"]);
    assert_writes_nothing(&rig, &daemon);

    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    assert_networked(&rig, &pod, &container);
    await_settled(&rig, &pod);
    if rig.can_swap() {
        let listed = berth(&rig, &daemon, &["list", "-o", "name"]).expect("berth list");
        assert_eq!(listed, format!("sandbox/{}\n", pod.id));
        let shown = berth(&rig, &daemon, &["inspect", "web"]).expect("berth inspect");
        assert!(shown.contains("keep (engine-holds-it)") && shown.contains(" eth0 "), "{shown}");
        let kept = berth(&rig, &daemon, &["gc"]).expect("berth gc");
        assert!(kept.contains("keep ") && !kept.contains("release"), "{kept}");
        // The node's program, which the image has not.
        let address = rig.cri().sandbox_state(&pod.id).address;
        let shown = berth(&rig, &daemon, &["exec", "web", "--", "ip", "-br", "address"]).expect("berth exec");
        assert!(shown.contains(&address), "{shown}");
    }
    let checked = berth(&rig, &daemon, &["check"]).unwrap_or_else(|error| error);
    // Ready where the engine cannot swap either, with a warning of that.
    let ready = if rig.can_swap() { "PASS   daemon-ready  " } else { "WARN   daemon-ready  " };
    for line in ["PASS   engine  ", "PASS   privileges  ", ready, "PASS   published-configuration  "] {
        assert!(checked.contains(line), "no {line:?} in\n{checked}");
    }
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn pods_outlive_the_daemons_pod_and_the_next_one_cleans_up_after_them() {
    let rig = Rig::start();
    let Some(first) = ready(&rig, "plugin", "PASS   pins-reach-engine  pins reach the engine") else { return };
    let pods = ["stays", "goes"].map(|name| rig.pod(name, VM));
    let pins = pods.each_ref().map(|pod| await_settled(&rig, pod));
    rig.cri().remove_pod(&first.pod.id).expect("remove berth's pod");
    assert_eq!(pods.each_ref().map(|pod| rig.pin(&pod.id)), pins);
    rig.cri().remove_pod(&pods[1].id).expect("remove the pod");
    let _second = ready(&rig, "plugin", "PASS   pins-reach-engine  pins reach the engine");
    assert_goes(|| rig.left_of_pods().into_iter().filter(|left| left.contains(&pods[1].id)).collect());
    assert_eq!(rig.pin(&pods[0].id), pins[0]);
    rig.cri().remove_pod(&pods[0].id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn the_overlay_interposed_has_no_privilege_and_needs_none_where_interposers_pin() {
    let rig = Rig::start();
    let said = "PASS   pins-reach-engine  interposers make the pins, which are seen here";
    let Some(daemon) = ready(&rig, "interposed", said) else { return };
    for field in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(status(&rig, &daemon, field), "0000000000000000", "{field}");
    }
    assert_eq!((status(&rig, &daemon, "NoNewPrivs"), status(&rig, &daemon, "Seccomp")), ("1".into(), "2".into()));
    assert_eq!(shared_mounts(&rig, &daemon), Vec::<String>::new());
    assert_writes_nothing(&rig, &daemon);

    for handler in [SHIMMED, WRAPPED] {
        let pod = rig.pod(handler, handler);
        let container = rig.container(&pod, "main", IDLE);
        assert_identity(&rig, &pod, handler, &container);
        if rig.can_swap() || handler == WRAPPED || !rig.asks_running_shims() {
            assert_joined_pin(&rig, &pod, &container);
        } else {
            assert_path_untouched(&rig, &pod, &container);
        }
        // The creation was an occasion: what was marked of the pod before is gone.
        let listed = berth(&rig, &daemon, &["list", "-o", "name"]).expect("berth list");
        assert_eq!(listed, format!("sandbox/{}\n", pod.id));
        assert!(berth(&rig, &daemon, &["inspect", handler]).expect("berth inspect").contains("engine-holds-it"));

        rig.cri().remove_pod(&pod.id).expect("remove the pod");
        let record = rig.path(format!("/run/berth/sandboxes/berth-{}.json", pod.id));
        let marked = || std::fs::read_to_string(&record).is_ok_and(|text| text.contains("\"gone\":")).then_some(());
        eventually("the end is marked", marked);
        assert!(rig.pin(&pod.id).is_some(), "the daemon may not unmount");
        assert!(
            berth(&rig, &daemon, &["gc", "--dry-run"]).expect("a preview needs no right").contains("would release")
        );
        // What it lacks the right to do or to see is said.
        for (args, why) in [
            (&["gc"][..], "run it as root on the node"),
            (&["exec", handler, "--", "true"], "Permission denied"),
            (&["check"], "no container engine found"),
        ] {
            let refused = berth(&rig, &daemon, args);
            assert!(
                refused.as_ref().is_err_and(|text| text.contains("exit code 1") && text.contains(why)),
                "{refused:?}"
            );
        }
    }
    let counted = page(&rig, "/metrics").expect("metrics");
    let failed = |line: &&str| line.starts_with("berth_pin_failures_total{") && line.contains("door=\"nri\"");
    let failures: Vec<_> = counted.lines().filter(failed).filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(failures, Vec::<&str>::new());
    assert!(counted.contains("berth_netns_stray_paths_total{door=\"nri\"} 0\n"), "{counted}");

    let cleared = rig.berth_command(&["gc"]);
    assert!(cleared.status.success(), "{cleared:?}");
    assert_nothing_left(&rig);
}
