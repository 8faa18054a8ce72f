//! The component `monitoring`: alerts and dashboard are the very ones of the files, and scraping finds the daemon.

use std::process::Command;

use serde_yaml::Value;

use crate::manifest::only;
use crate::objects::{text_of, with_component};
use crate::read;

const RULE: &str = "manifests/components/monitoring/prometheusrule.yaml";

fn monitored(overlay: &str) -> Vec<Value> {
    with_component(overlay, "components/monitoring")
}

#[test]
fn the_rule_has_the_alerts_of_the_file() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/prometheusrule");
    let written = Command::new(script).output().unwrap();
    assert!(written.status.success());
    assert_eq!(read(RULE), String::from_utf8(written.stdout).unwrap(), "scripts/prometheusrule >{RULE}");
    let alerts: Value = serde_yaml::from_str(&read("manifests/prometheus/alerts.yaml")).unwrap();
    assert_eq!(only(&monitored("overlays/plugin"), "PrometheusRule")["spec"], alerts);
}

#[test]
fn the_dashboard_is_the_file() {
    let objects = monitored("overlays/plugin");
    let map = objects.iter().find(|object| object["metadata"]["name"] == "berth-dashboard").unwrap();
    assert_eq!(text_of(&map["data"]["berth.json"]), read("manifests/grafana/berth.json"));
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
}

#[test]
fn prometheus_finds_the_daemon_under_the_name_that_the_alerts_ask_for() {
    for overlay in ["overlays/plugin", "overlays/interposed"] {
        let objects = monitored(overlay);
        let (monitor, set) = (only(&objects, "PodMonitor"), only(&objects, "DaemonSet"));
        let (template, container) = (&set["spec"]["template"], &set["spec"]["template"]["spec"]["containers"][0]);
        let labels = &template["metadata"]["labels"];
        for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_mapping().unwrap() {
            assert_eq!(labels[label], *value, "{overlay}");
        }
        let job = text_of(&labels[text_of(&monitor["spec"]["jobLabel"])]);
        assert!(read("manifests/prometheus/alerts.yaml").contains(&format!("up{{job=\"{job}\"}}")), "{job}");
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        assert_eq!((&endpoint["port"], &endpoint["path"]), (&container["ports"][0]["name"], &"/metrics".into()));
        let variables = container["env"].as_sequence().unwrap();
        let listen = variables.iter().find(|variable| variable["name"] == "BERTH_LISTEN").unwrap();
        assert_eq!(listen["value"], ":9464", "{overlay}: it is asked from elsewhere");
        assert_eq!(variables.iter().filter(|variable| variable["name"] == "BERTH_LISTEN").count(), 1);
    }
    // The installer has no metrics, and is asked by the kubelet alone.
    let objects = monitored("overlays/host");
    let variables = &only(&objects, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["env"];
    assert!(variables.as_sequence().unwrap().iter().any(|one| one["value"] == "127.0.0.1:9464"));
}
