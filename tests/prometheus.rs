//! A real Prometheus: what it makes of the metrics, the rules and every expression of the dashboard. `make test-prometheus`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows the log")]

#[path = "http/client.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod client;
#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "daemon/node.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod node;
#[path = "rig/provision.rs"]
#[allow(dead_code, reason = "one component is asked for, and no rig")]
mod provision;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use client::{TCP, answers, get, listening, loopback, try_get};
use fake_runtime::Profile;
use node::{Pod, block_on, ready};

/// Where Prometheus listens.
const SERVER: &str = "127.0.0.1:9090";

fn program(key: &str) -> PathBuf {
    provided()[key].clone().into()
}

/// To be asked for before a test is isolated, too: inside there is no network to get it by.
fn provided() -> HashMap<String, String> {
    provision::components(&["prometheus"])
}

fn promtool(args: &[&str], stdin: Stdio) {
    let mut command = Command::new(program("BERTH_RIG_PROMTOOL"));
    let done = command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(stdin).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    // Its lints are warnings on standard error.
    assert!(!said.to_lowercase().contains("error") && !said.contains("berth_"), "{said}");
}

#[test]
fn the_rules_are_rules_and_each_fires_when_it_should_and_not_else() {
    promtool(&["check", "rules", "manifests/prometheus/alerts.yaml"], Stdio::null());
    promtool(&["test", "rules", "tests/prometheus/alerts_test.yaml"], Stdio::null());
}

/// A Prometheus that reads the daemon every second and has the rules.
struct Server(Child);

impl Server {
    fn start() -> Self {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/prometheus/alerts.yaml");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\n\
             scrape_configs: [{{job_name: berth, static_configs: [{{targets: ['{TCP}']}}]}}]\n",
            rules.display()
        );
        fs::write("/run/prometheus.yml", config).unwrap();
        let mut command = Command::new(program("BERTH_RIG_PROMETHEUS"));
        command.args(["--config.file=/run/prometheus.yml", "--storage.tsdb.path=/run/tsdb"]);
        command.arg(format!("--web.listen-address={SERVER}"));
        command.stdout(Stdio::null()).stderr(fs::File::create("/run/prometheus.log").unwrap());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string("/run/prometheus.log").unwrap());
        }
    }
}

/// What an expression comes to: the values of its result.
fn query(expression: &str) -> Result<Vec<f64>, String> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let reply = try_get(SERVER, &format!("/api/v1/query?query={encoded}")).map_err(|error| error.to_string())?;
    let answer: serde_json::Value = serde_json::from_str(&reply.body).map_err(|_| reply.body.clone())?;
    match answer["data"]["result"].as_array() {
        Some(results) if answer["status"] == "success" => {
            let value = |result: &serde_json::Value| result["value"][1].as_str().unwrap().parse().unwrap();
            Ok(results.iter().map(value).collect())
        }
        _ => Err(reply.body),
    }
}

/// The dashboard's expressions, with what Grafana puts in.
fn dashboard() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/grafana/berth.json");
    let file: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let targets = file["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let filled = |text: &str| text.replace("$__rate_interval", "5s").replace("$instance", ".*");
    targets.map(|target| filled(target["expr"].as_str().unwrap())).collect()
}

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics() {
    provided();
    isolated::run(concat!(module_path!(), "::promtool_finds_nothing_to_say_of_the_metrics"), || {
        block_on(async {
            let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), listening).await;
            let pod = Pod::new("s1");
            session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            fs::write("/run/metrics", get("/metrics").body).unwrap();
            promtool(&["check", "metrics"], fs::File::open("/run/metrics").unwrap().into());
        });
    });
}

#[test]
fn prometheus_reads_them_and_every_expression_of_rules_and_dashboard_has_an_answer() {
    provided();
    isolated::run(
        concat!(module_path!(), "::prometheus_reads_them_and_every_expression_of_rules_and_dashboard_has_an_answer"),
        || {
            loopback();
            block_on(async {
                let (_runtime, session, _berth) = ready(Profile::containerd_2_3(), listening).await;
                answers(TCP, "/readyz", 200).await;
                let _server = Server::start();
                let pod = Pod::new("s1");
                let started = Instant::now();
                let container = "sum(rate(berth_requests_total{event=\"CreateContainer\"}[5s])) > 0";
                while query(container).map_or(true, |values| values.is_empty()) {
                    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", query(container));
                    session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                for (expression, expected) in
                    [("up", 1.0), ("berth_ready", 1.0), ("berth_records{state=\"pinned\"}", 1.0)]
                {
                    let found = || query(expression).ok().filter(|values| *values == [expected]);
                    node::eventually(expression, found).await;
                }
                let targets = try_get(SERVER, "/api/v1/targets").unwrap().body;
                assert!(targets.contains("\"health\":\"up\"") && targets.contains("\"lastError\":\"\""), "{targets}");

                for expression in dashboard() {
                    let answer = query(&expression);
                    assert!(answer.is_ok(), "{expression}: {answer:?}");
                    // Of what happens here; the others are quiet.
                    let quiet = expression.ends_with("> 0") || expression.contains("histogram_quantile");
                    assert!(quiet || !answer.unwrap().is_empty(), "{expression}: nothing to show");
                }
                let rules = try_get(SERVER, "/api/v1/rules").unwrap().body;
                let rules: serde_json::Value = serde_json::from_str(&rules).unwrap();
                let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
                assert!(rules.len() > 10);
                for rule in rules {
                    assert_eq!(
                        (rule["health"].as_str(), rule["state"].as_str()),
                        (Some("ok"), Some("inactive")),
                        "{rule:#}"
                    );
                }
            });
        },
    );
}
