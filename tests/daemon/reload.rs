//! The configuration changes while the daemon serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use berth::nri::Event;
use nix::sys::signal::Signal;

use crate::fake_runtime::{FakeRuntime, Profile, Session};
use crate::isolated;
use crate::node::{Berth, Pod, SOCKET, annotation, block_on, eventually, ready};
use crate::stage::{annotation as told, assert_delegated, bundle, containerd, create, delegate, interposer, network};

const FILE: &str = "/run/config.yaml";
const KEY: &str = "example.com/told";

/// A configuration under which every container is told `word`, and nothing that differs in size or shape with it.
fn telling(word: &str) -> String {
    format!("profiles:\n  - name: {word}\n    annotations:\n      {KEY}: {word}\n")
}

/// What a container created now is told.
async fn answer(session: &Session, pod: &Pod) -> Option<String> {
    let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
    annotation(&answer, KEY).map(str::to_owned)
}

/// Containers come to be told `word`, and what is left for interposers says so too.
async fn tells(session: &Session, pod: &Pod, berth: &Berth, word: &str) {
    berth.logged(&format!("profiles=\"{word}{{")).await;
    eventually(word, || fs::read_to_string("/run/berth/config.yaml").unwrap().contains(word).then_some(())).await;
    assert_eq!(answer(session, pod).await.as_deref(), Some(word));
}

fn put_in_place(text: &str) {
    fs::write("/run/new.yaml", text).unwrap();
    fs::rename("/run/new.yaml", FILE).unwrap();
}

fn run(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success(), "{program} {args:?}");
}

isolated! {
    fn written_in_place_or_renamed_over_it_is_noticed_and_a_mount_over_it_is_at_sighup() {
        block_on(async {
            let (_runtime, session, mut berth) = ready(Profile::containerd_2_3(), || Berth::configured(&telling("one"))).await;
            let pod = Pod::new("s1");
            tells(&session, &pod, &berth, "one").await;
            fs::write(FILE, telling("two")).unwrap();
            tells(&session, &pod, &berth, "two").await;
            put_in_place(&telling("three"));
            tells(&session, &pod, &berth, "three").await;

            // The pin and its record are of the first one.
            berth.logged("msg=\"configuration reloaded\" config=/run/config.yaml").await;
            berth.logged("records_other_config=1").await;

            fs::write("/run/other.yaml", telling("four")).unwrap();
            run("mount", &["--bind", "/run/other.yaml", FILE]);
            berth.signal(Signal::SIGHUP);
            tells(&session, &pod, &berth, "four").await;
            berth.signal(Signal::SIGHUP);
            berth.logged("msg=\"configuration unchanged\"").await;
            berth.signal(Signal::SIGTERM);
            assert!(berth.ended().await.success());
            assert!(berth.log().contains("config_reloads/ok=3") && !berth.log().contains("config_reloads/failed"), "{}", berth.log());
        });
    }

    fn a_link_that_kubernetes_swaps_is_noticed() {
        let map = |generation: &str, word: &str| {
            fs::create_dir_all(format!("/run/map/{generation}")).unwrap();
            fs::write(format!("/run/map/{generation}/config.yaml"), telling(word)).unwrap();
            symlink(generation, "/run/map/..data_tmp").unwrap();
            fs::rename("/run/map/..data_tmp", "/run/map/..data").unwrap();
        };
        map("..1", "one");
        symlink("..data/config.yaml", "/run/map/config.yaml").unwrap();
        block_on(async {
            let start = || Berth::start(&["--config", "/run/map/config.yaml"]);
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), start).await;
            let pod = Pod::new("s1");
            for (number, word) in ["two", "three", "four"].into_iter().enumerate() {
                map(&format!("..{}", number + 2), word);
                tells(&session, &pod, &berth, word).await;
            }
            // The whole directory, as a volume that is mounted anew.
            fs::create_dir("/run/map2").unwrap();
            fs::write("/run/map2/config.yaml", telling("five")).unwrap();
            fs::rename("/run/map", "/run/map1").unwrap();
            fs::rename("/run/map2", "/run/map").unwrap();
            tells(&session, &pod, &berth, "five").await;
        });
    }

    fn a_broken_file_is_said_with_its_line_and_counted_and_the_one_before_stays() {
        block_on(async {
            let (_runtime, session, mut berth) = ready(Profile::containerd_2_3(), || Berth::configured(&telling("one"))).await;
            let pod = Pod::new("s1");
            let mut failures = 0;
            for (text, told) in [
                ("profiles:\n  - name: a\n    netns: swp\n", "profiles[0].netns: expected swap or create or leave, got \\\"swp\\\" (line 3)"),
                ("profiles: [\n", "at line 2 column 1"),
                ("profils: []\n", "profils: unknown key"),
                ("- a\n", "expected a mapping"),
            ] {
                fs::write(FILE, text).unwrap();
                berth.logged(told).await;
                failures += 1;
                assert_eq!(answer(&session, &pod).await.as_deref(), Some("one"), "{text}");
                assert_eq!(fs::read_to_string("/run/berth/config.yaml").unwrap(), telling("one"));
            }
            fs::remove_file(FILE).unwrap();
            berth.logged("error=\"config /run/config.yaml: open: No such file or directory").await;
            nix::unistd::mkfifo(FILE, nix::sys::stat::Mode::S_IRWXU).unwrap();
            berth.logged("error=\"config /run/config.yaml: read it again: is not a regular file\"").await;
            failures += 2;
            assert_eq!(answer(&session, &pod).await.as_deref(), Some("one"));
            let log = berth.log();
            let said = log.lines().filter(|line| line.contains("msg=\"configuration not reloaded; the one before stays\" config=/run/config.yaml"));
            assert_eq!(said.count(), failures, "{log}");

            put_in_place(&telling("one"));
            berth.logged("msg=\"configuration unchanged\"").await;
            put_in_place(&telling("two"));
            tells(&session, &pod, &berth, "two").await;
            berth.signal(Signal::SIGTERM);
            assert!(berth.ended().await.success());
            assert!(berth.log().contains(&format!("config_reloads/failed={failures}")), "{}", berth.log());
        });
    }

    fn every_answer_is_wholly_by_one_configuration_while_two_take_turns() {
        const CONTAINERS: usize = 600;
        const TURNS: usize = 20;
        let texts = ["one", "two"].map(|word| {
            let more: String = (0..40).map(|at| format!("      example.com/key-{at}: {word}\n")).collect();
            telling(word) + &more
        });
        block_on(async {
            let (_runtime, session, mut berth) = ready(Profile::containerd_2_3(), || Berth::configured(&texts[0])).await;
            let pod = Pod::new("s1");
            let (mut created, mut turns) = (0, 0);
            // The next turn begins when the one before is seen, whatever the machine is busy with; containers come all along.
            while created < CONTAINERS || turns < TURNS {
                let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                let own = answer.adjust.annotations.iter().filter(|(key, _)| key.starts_with("example.com/"));
                let own: Vec<_> = own.map(|(_, value)| value.as_str()).collect();
                assert!(own.len() == 41 && own.iter().all(|word| *word == own[0]), "{own:?}");
                created += 1;
                if own[0] == ["one", "two"][turns % 2] {
                    turns += 1;
                    put_in_place(&texts[turns % 2]);
                    berth.signal(Signal::SIGHUP);
                }
            }
            assert!(!berth.log().contains("ERROR") && !berth.log().contains("WARN"), "{}", berth.log());
        });
    }

    fn interposers_follow() {
        delegate("runc");
        let interposer = interposer("berth-runc");
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::configured(&telling("one"))).await;
            for (id, word) in [("s1", "one"), ("s2", "two")] {
                fs::write(FILE, telling(word)).unwrap();
                let pod = Pod::new(id);
                tells(&session, &pod, &berth, word).await;
                let dir = bundle(id, &containerd("sandbox", id), &network(&pod.file));
                assert_delegated(&create(&interposer, &dir, id));
                assert_eq!(told(&dir, KEY).as_deref(), Some(word));
            }
        });
    }

    fn the_default_file_may_come_and_what_it_said_stays_when_it_goes_until_sighup() {
        run("mount", &["-t", "tmpfs", "tmpfs", "/etc"]);
        block_on(async {
            let (_runtime, session, mut berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            assert_eq!(answer(&session, &pod).await, None);
            fs::create_dir("/etc/berth").unwrap();
            fs::write("/etc/berth/config.yaml", telling("one")).unwrap();
            tells(&session, &pod, &berth, "one").await;
            fs::remove_dir_all("/etc/berth").unwrap();
            berth.logged("config /etc/berth/config.yaml: is gone; what it said stays until it is back, or until SIGHUP").await;
            assert_eq!(answer(&session, &pod).await.as_deref(), Some("one"));
            assert!(Path::new("/run/berth/config.yaml").exists());
            berth.signal(Signal::SIGHUP);
            berth.logged("msg=\"configuration reloaded\" config=\"built-in default\"").await;
            eventually("nothing is left for interposers", || (!Path::new("/run/berth/config.yaml").exists()).then_some(())).await;
            assert_eq!(answer(&session, &pod).await, None);
        });
    }

    fn what_the_runtime_hands_over_holds_for_its_session_whatever_the_file_says() {
        block_on(async {
            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            let mut berth = Berth::configured(&telling("one"));
            let handing = Profile { config: "profiles: [{name: handed, annotations: {example.com/told: handed}}]", ..Profile::containerd_2_3() };
            let session = runtime.accept_ready(handing).await;
            let pod = Pod::new("s1");
            tells(&session, &pod, &berth, "handed").await;
            fs::write(FILE, telling("two")).unwrap();
            berth.logged("profiles=\"two{").await;
            berth.logged("msg=\"what the runtime has handed over holds all the same, until its next handshake;").await;
            berth.signal(Signal::SIGHUP);
            eventually("SIGHUP is answered", || (berth.log().matches("holds all the same").count() == 2).then_some(())).await;
            assert_eq!(answer(&session, &pod).await.as_deref(), Some("handed"));
            assert!(fs::read_to_string("/run/berth/config.yaml").unwrap().contains("handed"));
            drop(session);
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            tells(&session, &pod, &berth, "two").await;
        });
    }

    fn where_nothing_can_be_watched_a_change_is_seen_a_few_seconds_later() {
        block_on(async {
            fs::write(FILE, telling("one")).unwrap();
            // In a user namespace of its own, because that is what has the limit.
            let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
            let berth = Berth::start_under(&["unshare", "--user", "--map-root-user", "--", "sh", "-c", script, "sh"], &["--config", FILE]);
            berth.logged("msg=\"the configuration cannot be watched; changes are seen a few seconds late\"").await;
            put_in_place(&telling("two"));
            berth.logged("profiles=\"two{").await;
            assert_eq!(berth.log().matches("cannot be watched").count(), 1, "{}", berth.log());
        });
    }

    fn sighup_kills_at_no_moment_and_what_comes_early_is_answered_later() {
        block_on(async {
            // While it reads its configuration at the start.
            nix::unistd::mkfifo(FILE, nix::sys::stat::Mode::S_IRWXU).unwrap();
            let mut first = Berth::start(&["--config", FILE]);
            // Opening succeeds when berth has opened it too.
            let mut writer = tokio::task::spawn_blocking(|| fs::OpenOptions::new().write(true).open(FILE).unwrap()).await.unwrap();
            first.signal(Signal::SIGHUP);
            std::io::Write::write_all(&mut writer, telling("one").as_bytes()).unwrap();
            drop(writer);
            first.logged("msg=starting").await;
            fs::remove_file(FILE).unwrap();
            put_in_place(&telling("one"));
            // Before there is a runtime.
            first.signal(Signal::SIGHUP);
            first.logged("msg=\"configuration unchanged\"").await;

            // While another one serves. The file has changed when it takes over.
            let mut second = Berth::start(&["--config", FILE]);
            second.logged("passive until it ends").await;
            second.signal(Signal::SIGHUP);
            fs::write(FILE, telling("two")).unwrap();
            first.kill().await;
            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            tells(&session, &pod, &second, "two").await;

            // While it ends.
            second.signal(Signal::SIGTERM);
            second.logged("msg=stopping").await;
            for _ in 0..3 {
                // It may have ended, and is not waited for yet.
                second.signal(Signal::SIGHUP);
            }
            assert!(second.ended().await.success());
        });
    }
}
