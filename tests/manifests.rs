//! What is in `manifests`. Here alert rules and dashboard: they use metrics, labels and label values that exist, and leave
//! none out; what promtool says of them is in `prometheus`. In the modules what kustomize makes of the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "manifests/daemons.rs"]
mod daemons;
#[path = "rig/manifest.rs"]
mod manifest;
#[path = "manifests/monitoring.rs"]
mod monitoring;
#[path = "manifests/objects.rs"]
mod objects;
#[path = "rig/provision.rs"]
#[allow(dead_code, reason = "one component is asked for, and no rig")]
mod provision;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use berth::metrics::{Doors, FAMILIES, Family, Kind};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The rules, and of each what it says.
fn rules() -> Vec<serde_yaml::Value> {
    let file: serde_yaml::Value = serde_yaml::from_str(&read("manifests/prometheus/alerts.yaml")).unwrap();
    let rules = file["groups"][0]["rules"].as_sequence().unwrap().clone();
    assert!(rules.len() > 10);
    rules
}

fn alert_expressions() -> Vec<String> {
    rules().iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect()
}

fn dashboard_expressions() -> Vec<String> {
    let file: serde_json::Value = serde_json::from_str(&read("manifests/grafana/berth.json")).unwrap();
    let panels = file["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let found: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(found.len() > 20);
    found
}

/// A metric's name as an expression uses it, and what it asks of the labels.
#[derive(Debug)]
struct Use {
    name: String,
    matchers: Vec<(String, String)>,
}

/// The metrics that an expression names. Words in front of a bracket are functions, those in `by (...)` labels.
fn uses(expression: &str) -> Vec<Use> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let word: String = rest[start..].chars().take_while(|c| is_word(*c)).collect();
        rest = &rest[start + word.len()..];
        if !["berth_", "process_"].iter().any(|prefix| word.starts_with(prefix)) && word != "up" {
            continue;
        }
        let (inside, after) = match rest.strip_prefix('{') {
            Some(more) => more.split_once('}').unwrap(),
            None => ("", rest),
        };
        rest = after;
        found.push(Use { name: word, matchers: matchers(inside) });
    }
    found
}

fn matchers(text: &str) -> Vec<(String, String)> {
    let parts = text.split("\",").filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let (label, value) = part.split_once('=').unwrap();
            let value = value.trim_start_matches('~').trim_matches('"');
            (label.trim().to_owned(), value.to_owned())
        })
        .collect()
}

fn family(name: &str) -> Option<&'static Family> {
    let plain = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    FAMILIES.iter().copied().find(|family| match family.kind {
        Kind::Histogram => plain == Some(family.name),
        _ => name == family.name,
    })
}

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["job", "instance"];

fn assert_exists(asked: &Use) {
    if asked.name == "up" {
        return;
    }
    let family = family(&asked.name).unwrap_or_else(|| panic!("there is no metric {}", asked.name));
    for (label, value) in asked.matchers.iter().filter(|(label, _)| !ADDED.contains(&label.as_str())) {
        if label == "door" {
            assert_eq!(family.doors, Doors::All, "{asked:?}");
            continue;
        }
        let at = family.labels.iter().position(|known| known == label);
        let at = at.unwrap_or_else(|| panic!("{} has no label {label}", family.name));
        for value in value.split('|') {
            let known = family.series.iter().any(|series| series.values[at] == value);
            assert!(known, "{} has no {label} {value}", family.name);
        }
    }
}

#[test]
fn alerts_and_dashboard_use_what_exists_and_leave_nothing_out() {
    let expressions = [alert_expressions(), dashboard_expressions()].concat();
    let mut used = BTreeSet::new();
    for asked in expressions.iter().flat_map(|expression| uses(expression)) {
        assert_exists(&asked);
        used.extend(family(&asked.name).map(|family| family.name));
    }
    let unused: Vec<_> = FAMILIES.iter().map(|family| family.name).filter(|name| !used.contains(name)).collect();
    assert_eq!(unused, Vec::<&str>::new(), "neither watched nor shown");
}

#[test]
fn labels_that_are_summed_by_exist() {
    let known: BTreeSet<&str> =
        FAMILIES.iter().flat_map(|family| family.labels).copied().chain(ADDED).chain(["door", "le"]).collect();
    for expression in [alert_expressions(), dashboard_expressions()].concat() {
        for (at, _) in expression.match_indices("by (").chain(expression.match_indices("on (")) {
            let labels = expression[at + 4..].split(')').next().unwrap();
            for label in labels.split(',').map(str::trim) {
                assert!(known.contains(label), "{label} in {expression}");
            }
        }
    }
}

#[test]
fn every_alert_says_what_is_so_and_what_to_do_and_is_tried() {
    let tried = read("tests/prometheus/alerts_test.yaml");
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        for key in ["summary", "description", "hint"] {
            let text = rule["annotations"][key].as_str().unwrap_or_else(|| panic!("{name} has no {key}"));
            assert!(text.len() > 20, "{name}: {key}: {text}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        assert!(tried.contains(&format!("alertname: {name}\n        exp_alerts:\n")), "{name} is never seen to fire");
        assert!(tried.contains(&format!("alertname: {name}, exp_alerts: []")), "{name} is never seen not to");
    }
}

/// What scripts and dashboards of others rely on: a change of it is a change of berth's interface.
#[test]
fn the_metrics_are_those_that_were_promised() {
    let line = |family: &&Family| {
        let door = (family.doors == Doors::All).then_some("door");
        let labels: Vec<_> = door.into_iter().chain(family.labels.iter().copied()).collect();
        let kind = match family.kind {
            Kind::Counter | Kind::CounterOfMicros => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        format!("{}{{{}}} {kind}\n    {}\n", family.name, labels.join(","), family.help)
    };
    insta::assert_snapshot!(FAMILIES.iter().map(line).collect::<String>());
}

#[test]
fn the_reader_of_expressions_sees_names_matchers_and_no_functions() {
    let found = uses("sum by (door) (rate(berth_x_total{a=\"b\", c=~\"d|e\"}[5m])) / on (job) process_y > 0");
    let names: Vec<_> = found.iter().map(|asked| asked.name.as_str()).collect();
    assert_eq!(names, ["berth_x_total", "process_y"]);
    let expected = [("a", "b"), ("c", "d|e")].map(|(label, value)| (label.to_owned(), value.to_owned()));
    assert_eq!(found[0].matchers, expected);
}
