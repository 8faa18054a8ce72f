//! The overlay `host` and what takes it away: arguments that berth takes, the same rights for both, and a configuration by
//! which the installer can ask. How they are rendered, and what a real engine makes of them, is elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

use std::path::{Path, PathBuf};

use berth::address::Address;
use berth::cli::{Cli, Command};
use berth::config::Config;
use clap::Parser;
use serde_yaml::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

fn pod(path: &str) -> Value {
    yaml(path)["spec"]["template"]["spec"].clone()
}

fn installer() -> Value {
    pod("overlays/host/daemonset.yaml")
}

fn uninstall() -> Value {
    pod("uninstall/job.yaml")
}

/// The command line of the first container, with what a component adds.
fn parsed(pod: &Value, further: &[&str]) -> Command {
    let args = pod["containers"][0]["args"].as_sequence().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
    let words = std::iter::once("berth".to_owned()).chain(args).chain(further.iter().map(|&word| word.to_owned()));
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).command
}

/// What the component adds.
fn component() -> String {
    let patch = yaml("components/restart/kustomization.yaml")["patches"][0]["patch"].as_str().unwrap().to_owned();
    let operations: Value = serde_yaml::from_str(&patch).unwrap();
    assert_eq!(operations[0]["path"], "/spec/template/spec/containers/0/args/-");
    operations[0]["value"].as_str().unwrap().to_owned()
}

#[test]
fn the_arguments_are_berths_and_nothing_restarts_an_engine_unasked() {
    let added = component();
    for (further, restarts) in [(&[][..], false), (&[added.as_str()], true)] {
        let Command::Install(install) = parsed(&installer(), further) else { panic!("no install") };
        assert!(install.stay && install.plugin && install.config.is_some());
        let (order, _) = install.parts();
        assert_eq!((order.host_root, order.restart.is_some()), (PathBuf::from("/host"), restarts));
        let Command::Uninstall(uninstall) = parsed(&uninstall(), further) else { panic!("no uninstall") };
        let order = uninstall.doing.order();
        assert_eq!((order.host_root, order.restart.is_some()), (PathBuf::from("/host"), restarts));
    }
}

#[test]
fn both_have_the_same_rights_and_the_whole_host() {
    let [one, other] = [installer(), uninstall()];
    let [first, second] = [&one["containers"][0], &other["containers"][0]];
    for same in ["securityContext", "volumeMounts"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    for same in ["volumes", "hostNetwork", "dnsPolicy", "terminationGracePeriodSeconds"] {
        assert_eq!(one[same], other[same], "{same}");
    }
    assert_eq!(first["resources"]["limits"], second["resources"]["limits"]);
    let context = &first["securityContext"];
    assert!(context["privileged"].is_null(), "{context:?}");
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    assert_eq!(first["volumeMounts"][0]["mountPropagation"], "HostToContainer");
}

/// Where an engine requires berth, no container is created before berth is there but by this: nothing may have to run first.
#[test]
fn nothing_runs_before_either_of_them() {
    for pod in [installer(), uninstall(), pod("base/daemonset.yaml")] {
        assert!(pod["initContainers"].is_null());
    }
    let annotations = |path: &str| yaml(path)["spec"]["template"]["metadata"]["annotations"].clone();
    assert_eq!(annotations("uninstall/job.yaml"), annotations("base/daemonset.yaml"));
    assert!(annotations("base/daemonset.yaml").as_mapping().is_some_and(|map| !map.is_empty()));
}

#[test]
fn the_installer_can_ask_the_plugin_where_its_configuration_says() {
    let config = Config::parse(&read("overlays/host/config.yaml"), "config.yaml").unwrap();
    assert_eq!(config.listen, Some(Address::Unix("/run/berth/http.sock".into())));
    // What holds otherwise is the default.
    assert_eq!(config.policy, Config::built_in().policy);
}

#[test]
fn a_job_for_a_node_has_the_marks_that_its_loop_replaces() {
    let (job, told) = (yaml("uninstall/job.yaml"), read("uninstall/kustomization.yaml"));
    assert_eq!(job["metadata"]["name"], "berth-uninstall-node-uid");
    assert_eq!(job["spec"]["template"]["spec"]["nodeName"], "node-name");
    // A uid has 36 characters, and the name of a Job is the value of a label of its pods.
    assert!("berth-uninstall-".len() + 36 <= 63);
    for words in ["s/node-uid/$uid/", "s/node-name/$node/", "{.metadata.uid} {.metadata.name}"] {
        assert!(told.contains(words), "{words}");
    }
}
