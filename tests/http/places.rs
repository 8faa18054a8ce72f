//! Where it listens: nowhere unless told; what is in its way.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::client::{TCP, UNIX, answers, get, listening, loopback, try_get};
use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, SOCKET, block_on, command, eventually, ready};

const PATH: &str = "/run/http.sock";

/// The sockets that a process listens on, by the kernel's tables.
fn listeners() -> Vec<String> {
    let lines = |path: &str| fs::read_to_string(path).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let tcp = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().flat_map(lines).filter(|line| line.contains(" 0A "));
    let unix =
        lines("/proc/net/unix").into_iter().filter(|line| line.contains(" 00010000 ") && !line.contains("nri.sock"));
    tcp.chain(unix).collect()
}

/// berth ends at once; what it said.
fn refused(args: &[&str]) -> String {
    let output = command(&[&["nri", "--socket", SOCKET][..], args].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

isolated! {
    fn without_being_told_it_listens_nowhere() {
        block_on(async {
            let (_runtime, _session, _berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            assert_eq!(listeners(), Vec::<String>::new());
        });
    }

    fn a_flag_a_variable_and_a_key_each_say_where_and_the_flag_wins() {
        loopback();
        block_on(async {
            let berth = Berth::configured("listen: 127.0.0.1:9470\n");
            answers("127.0.0.1:9470", "/healthz", 200).await;
            berth.kill().await;
            fs::write("/run/config.yaml", "listen: 127.0.0.1:9470\n").unwrap();
            let berth = Berth::start(&["--config", "/run/config.yaml", "--listen", ":9471"]);
            answers("127.0.0.1:9471", "/healthz", 200).await;
            assert!(try_get("127.0.0.1:9470", "/healthz").is_err());
            assert_eq!(try_get("[::1]:9471", "/healthz").unwrap().status, 200);
            berth.logged("listen=[::]:9471 note=").await;
            berth.kill().await;
        });
        let mut variable = std::process::Command::new(env!("CARGO_BIN_EXE_berth"));
        let mut child = variable.args(["nri", "--socket", SOCKET]).env("BERTH_LISTEN", TCP).spawn().unwrap();
        block_on(async { answers(TCP, "/healthz", 200).await });
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn a_configuration_that_the_runtime_hands_over_says_where() {
        loopback();
        block_on(async {
            let profile = Profile { config: "listen: 127.0.0.1:9470\n", ..Profile::containerd_2_3() };
            let (_runtime, _session, _berth) = ready(profile, || Berth::configured("listen: 127.0.0.1:9471\n")).await;
            answers("127.0.0.1:9470", "/readyz", 200).await;
            assert!(try_get("127.0.0.1:9471", "/healthz").is_err(), "the one that holds no more");
        });
    }

    fn a_reload_says_where_and_what_cannot_be_had_there_ends_nothing() {
        loopback();
        let taken = TcpListener::bind("127.0.0.1:9472").unwrap();
        block_on(async {
            let start = || Berth::configured("listen: 127.0.0.1:9470\n");
            let (_runtime, _session, berth) = ready(Profile::containerd_2_3(), start).await;
            answers("127.0.0.1:9470", "/readyz", 200).await;
            // The same port, on every address.
            fs::write("/run/config.yaml", "listen: :9470\n").unwrap();
            berth.logged("note=\"whoever reaches this address can read them\"").await;
            answers("127.0.0.1:9470", "/readyz", 200).await;
            fs::write("/run/config.yaml", "listen: 127.0.0.1:9472\n").unwrap();
            berth.logged("msg=\"health and metrics stay where they were\" error=\"listen at 127.0.0.1:9472: another process").await;
            answers("127.0.0.1:9470", "/readyz", 200).await;
            fs::write("/run/config.yaml", "profiles: []\n").unwrap();
            eventually("nothing listens", || try_get("127.0.0.1:9470", "/healthz").is_err().then_some(())).await;
        });
        drop(taken);
    }

    fn a_socket_file_is_for_root_alone_answers_and_goes_with_the_daemon() {
        block_on(async {
            let (_runtime, _session, mut berth) = ready(Profile::containerd_2_3(), || Berth::start(&["--listen", UNIX])).await;
            answers(UNIX, "/readyz", 200).await;
            let data = fs::symlink_metadata(PATH).unwrap();
            assert!(data.file_type().is_socket());
            assert_eq!(data.permissions().mode() & 0o777, 0o600);
            let started = Instant::now();
            berth.signal(Signal::SIGTERM);
            assert!(berth.ended().await.success());
            assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
            assert!(!fs::exists(PATH).unwrap());
        });
    }

    fn the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not() {
        block_on(async {
            let _runtime = FakeRuntime::listen(SOCKET.as_ref());
            let berth = Berth::start(&["--listen", UNIX]);
            answers(UNIX, "/healthz", 200).await;
            berth.kill().await;
            assert!(fs::symlink_metadata(PATH).unwrap().file_type().is_socket(), "a killed one leaves it");
            let berth = Berth::start(&["--listen", UNIX]);
            answers(UNIX, "/healthz", 200).await;
            berth.kill().await;
            fs::remove_file(PATH).unwrap();
        });
        let living = UnixListener::bind(PATH).unwrap();
        let said = refused(&["--listen", UNIX]);
        assert!(said.contains("listen at unix:/run/http.sock: another process does already; end it, or choose"), "{said}");
        assert!(fs::exists(PATH).unwrap());
        drop(living);
        fs::remove_file(PATH).unwrap();
        fs::write(PATH, "somebody's").unwrap();
        let said = refused(&["--listen", UNIX]);
        assert!(said.contains("a file that is no socket is there; remove it, or choose another path"), "{said}");
        assert_eq!(fs::read_to_string(PATH).unwrap(), "somebody's");
    }

    fn an_address_that_cannot_be_had_ends_it_with_1_the_address_and_the_cause() {
        loopback();
        let taken = TcpListener::bind(TCP).unwrap();
        let said = refused(&["--listen", TCP]);
        assert!(said.contains("listen at 127.0.0.1:9464: another process does already"), "{said}");
        drop(taken);
        for (address, why) in [("192.0.2.1:9464", "Cannot assign requested address"), ("unix:/nowhere/x", "No such file or directory")] {
            let said = refused(&["--listen", address]);
            assert!(said.contains(&format!("listen at {address}: ")) && said.contains(why), "{said}");
            assert!(said.contains("or leave `listen` out"), "{said}");
        }
        let output = command(&["nri", "--listen", "localhost:1"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        fs::write("/run/config.yaml", "listen: 9464\n").unwrap();
        let output = command(&["config", "check", "/run/config.yaml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("listen: expected an address like 127.0.0.1:9464"), "{said}");
    }

    fn a_port_is_free_again_at_once() {
        block_on(async {
            for _ in 0..3 {
                let berth = listening();
                answers(TCP, "/healthz", 200).await;
                assert_eq!(get("/metrics").status, 200);
                berth.kill().await;
            }
        });
    }
}
