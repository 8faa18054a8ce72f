//! Readiness follows the runtime, both ways; liveness does not.

use std::fs;

use crate::client::{TCP, answers, get, listening, loopback, shows, try_get};
use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, SOCKET, block_on, ready};

isolated! {
    fn readiness_follows_the_runtime_both_ways_and_liveness_does_not() {
        block_on(async {
            let _berth = listening();
            let body = answers(TCP, "/readyz", 503).await;
            assert!(body.starts_with("PASS daemon pid ") && body.contains("FAIL nri-session not registered with the runtime at /run/nri.sock"), "{body}");
            assert!(body.contains("SKIP nri-synchronized ") && body.contains("SKIP pins-reach-engine "), "{body}");
            assert!(body.contains("-> see that the runtime runs"), "{body}");
            assert_eq!((get("/healthz").status, get("/healthz").body.as_str()), (200, "ok\n"));

            for _ in 0..2 {
                let runtime = FakeRuntime::listen(SOCKET.as_ref());
                let session = runtime.accept(Profile::containerd_2_3()).await;
                session.configure().await.unwrap();
                shows("berth_nri_registered", 1.0).await;
                let body = answers(TCP, "/readyz", 503).await;
                assert!(body.contains("PASS nri-session registered with containerd v2.3.4 "), "{body}");
                assert!(body.contains("FAIL nri-synchronized containerd v2.3.4 has not told its pods yet"), "{body}");
                session.synchronize(Vec::new(), Vec::new()).await.unwrap();
                let body = answers(TCP, "/readyz", 200).await;
                assert_eq!((body.matches("PASS ").count(), body.contains("FAIL")), (4, false), "{body}");
                shows("berth_ready", 1.0).await;

                drop((session, runtime));
                fs::remove_file(SOCKET).unwrap();
                answers(TCP, "/readyz", 503).await;
                assert_eq!(get("/healthz").status, 200);
                shows("berth_ready", 0.0).await;
            }
            shows("berth_nri_sessions_total", 2.0).await;
            shows("berth_nri_sessions_lost_total", 2.0).await;
            // Why there is no session is said, once the next attempt has shown it.
            let said = || get("/readyz").body.contains("nri.sock: ").then_some(());
            crate::node::eventually("the cause is named", said).await;
        });
    }

    fn a_runtime_that_cannot_swap_is_ready_with_a_warning() {
        block_on(async {
            let (_runtime, _session, _berth) = ready(Profile::containerd_1_7(), listening).await;
            let body = answers(TCP, "/readyz", 200).await;
            assert!(body.contains("WARN pins-reach-engine ") && body.contains("-> wrap the handler"), "{body}");
        });
    }

    fn a_second_daemon_is_alive_and_says_that_it_is_passive() {
        block_on(async {
            let (runtime, session, first) = ready(Profile::containerd_2_3(), listening).await;
            let second = Berth::start(&["--listen", "127.0.0.1:9465"]);
            let body = answers("127.0.0.1:9465", "/readyz", 503).await;
            assert!(body.starts_with("FAIL daemon another berth daemon serves this node"), "{body}");
            assert_eq!(try_get("127.0.0.1:9465", "/healthz").unwrap().status, 200);
            let metrics = try_get("127.0.0.1:9465", "/metrics").unwrap();
            assert_eq!(metrics.status, 200);
            // What it was started with is good, and none is in force.
            let seen = crate::client::parse(&metrics.body);
            assert_eq!((seen["berth_config_last_reload_successful"], seen["berth_config_hash"]), (1.0, 0.0));
            answers(TCP, "/readyz", 200).await;
            drop(session);
            first.kill().await;
            let _session = runtime.accept_ready(Profile::containerd_2_3()).await;
            answers("127.0.0.1:9465", "/readyz", 200).await;
            drop(second);
        });
    }

    fn a_second_daemon_with_the_same_address_waits_for_it_as_well() {
        block_on(async {
            let (runtime, session, first) = ready(Profile::containerd_2_3(), listening).await;
            let second = Berth::start(&["--listen", TCP]);
            second.logged("passive until it ends").await;
            second.logged("are not to be read meanwhile").await;
            drop(session);
            first.kill().await;
            let _session = runtime.accept_ready(Profile::containerd_2_3()).await;
            answers(TCP, "/readyz", 200).await;
        });
    }

    fn where_interposers_make_the_pins_it_is_ready_if_it_sees_them() {
        loopback();
        assert!(std::process::Command::new("mount").args(["--make-rshared", "/"]).status().unwrap().success());
        block_on(async {
            for (propagation, status, said) in [
                ("slave", 200, "PASS pins-reach-engine interposers make the pins, which are seen here: "),
                ("private", 503, "FAIL pins-reach-engine pins that interposers make are not seen here, "),
            ] {
                let runtime = FakeRuntime::listen(SOCKET.as_ref());
                let before = ["unshare", "--mount", "--propagation", propagation, "--"];
                let _berth = Berth::start_under(&before, &["--listen", TCP, "--pins-by", "interposers"]);
                let _session = runtime.accept_ready(Profile::containerd_2_3()).await;
                shows("berth_nri_synchronized", 1.0).await;
                let body = answers(TCP, "/readyz", status).await;
                assert!(body.contains(said) && body.contains("PASS nri-synchronized "), "{body}");
                fs::remove_file(SOCKET).unwrap();
            }
        });
    }

    fn pins_that_do_not_reach_the_engine_make_it_not_ready() {
        loopback();
        block_on(async {
            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            // As in a pod whose mounts stay there.
            let mut command = std::process::Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "--", env!("CARGO_BIN_EXE_berth"), "nri"]);
            let mut berth = command.args(["--socket", SOCKET, "--listen", TCP]).spawn().unwrap();
            let _session = runtime.accept_ready(Profile::containerd_2_3()).await;
            let said = || try_get(TCP, "/readyz").ok().filter(|reply| reply.body.contains("FAIL   pins-reach-engine"));
            let reply = crate::node::eventually("it says so", said).await;
            assert_eq!(reply.status, 503);
            assert!(reply.body.contains("PASS   nri-synchronized ") && reply.body.contains("-> mount the netns directory"), "{}", reply.body);
            berth.kill().unwrap();
            berth.wait().unwrap();
        });
    }
}
