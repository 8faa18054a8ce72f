//! The process: how it starts, ends, and what its commands say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use berth::nri::Event;
use nix::sys::signal::Signal;

use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, Pod, block_on, command, ready};

isolated! {
    fn tasks_are_looked_for_where_the_hosts_procfs_is_said_to_be() {
        block_on(async {
            let (_runtime, _session, berth) =
                ready(Profile::containerd_2_3(), || Berth::start(&["--host-proc", "/run/elsewhere"])).await;
            berth.logged("reach=\"/run/elsewhere/").await;
        });
    }

    fn sigterm_ends_it_with_0_within_two_seconds_and_pins_stay() {
        block_on(async {
            let (_runtime, session, mut berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
            let started = Instant::now();
            berth.signal(Signal::SIGTERM);
            let status = berth.ended().await;
            assert!(status.success() && started.elapsed() < Duration::from_secs(2), "{status}");
            assert!(pod.is_pinned());
            let log = berth.log();
            let last = log.lines().last().unwrap();
            assert!(last.contains("msg=ended counts=") && last.contains("pins_made/adopted=1"), "{log}");
        });
    }

    fn the_log_begins_with_what_it_is_and_with_whom() {
        block_on(async {
            let (_runtime, _session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            let log = berth.log();
            let first = log.lines().next().unwrap();
            for part in ["msg=starting version=", "commit=", "config_hash=", "profiles="] {
                assert!(first.contains(part), "{first}");
            }
            for part in ["msg=connected", "runtime=containerd", "runtime_version=v2.3.4", "can_swap_netns=true"] {
                assert!(log.contains(part), "{log}");
            }
        });
    }

    fn interposers_find_the_configuration_of_the_daemon() {
        block_on(async {
            let yaml = "profiles: [{name: a}] # as written\n";
            let (_runtime, _session, _berth) = ready(Profile::containerd_2_3(), || Berth::configured(yaml)).await;
            assert_eq!(fs::read_to_string("/run/berth/config.yaml").unwrap(), yaml);
        });
        // The one that the runtime hands over counts for more, as it does for the daemon.
        block_on(async {
            let handed = "profiles: [{name: b}]\n";
            let profile = Profile { config: handed, ..Profile::containerd_2_3() };
            let (_runtime, _session, _berth) = ready(profile, || Berth::start(&[])).await;
            assert_eq!(fs::read_to_string("/run/berth/config.yaml").unwrap(), handed);
        });
    }

    fn a_wrong_configuration_ends_it_with_1_and_every_mistake() {
        fs::write("/run/config.yaml", "profils: []\nprofiles: [{name: a, netns: swp}]\n").unwrap();
        for args in [&["nri", "--config", "/run/config.yaml"][..], &["config", "check", "/run/config.yaml"]] {
            let output = command(args);
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains("config /run/config.yaml: profils: unknown key"), "{text}");
            assert!(text.contains("profiles[0].netns: expected swap or create or leave, got \"swp\""), "{text}");
        }
    }

    fn the_printed_default_passes_its_own_check() {
        fs::write("/run/default.yaml", command(&["config", "default"]).stdout).unwrap();
        let output = command(&["config", "check", "/run/default.yaml"]);
        assert!(output.status.success(), "{output:?}");
    }

    fn a_wrong_command_line_ends_with_2() {
        for args in [&["nri", "--state-dir", "relative"][..], &["nri", "--index", "9"], &["nri", "--name", "a b"], &["lst"], &[]] {
            assert_eq!(command(args).status.code(), Some(2), "{args:?}");
        }
        assert!(command(&["--version"]).status.success());
    }

    fn a_state_directory_that_others_can_write_is_refused() {
        fs::create_dir("/run/berth").unwrap();
        fs::set_permissions("/run/berth", fs::Permissions::from_mode(0o777)).unwrap();
        let output = command(&["nri"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains("chmod 700 /run/berth"), "{text}");
    }

    fn an_empty_node_lists_nothing_and_nothing_is_made_by_looking() {
        let output = command(&["list"]);
        assert!(output.status.success() && output.stdout.is_empty());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "No pins found.\n");
        assert!(!fs::exists("/run/berth").unwrap() && !fs::exists("/run/netns").unwrap());
    }
}
