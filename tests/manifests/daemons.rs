//! The DaemonSets: what is promised of all of them, and of each overlay.

use berth::cli::{Cli, Command};
use clap::{CommandFactory, Parser};
use serde_yaml::Value;

use crate::manifest::{only, rendered};
use crate::objects::{OVERLAYS, text_of};

/// Overlays whose pod is the daemon; that of the other one installs it.
const DAEMONS: [&str; 2] = ["overlays/plugin", "overlays/interposed"];

fn daemonset(overlay: &str) -> Value {
    only(&rendered(overlay), "DaemonSet").clone()
}

fn pod(overlay: &str) -> Value {
    daemonset(overlay)["spec"]["template"]["spec"].clone()
}

fn container(overlay: &str) -> Value {
    let pod = pod(overlay);
    let containers = pod["containers"].as_sequence().unwrap();
    assert_eq!((containers.len(), pod["initContainers"].is_null()), (1, true), "{overlay}");
    containers[0].clone()
}

/// Where something is mounted: path, what, and how.
fn mounts(overlay: &str) -> Vec<(String, Value, Value)> {
    let (pod, container) = (pod(overlay), container(overlay));
    let volume = |name: &Value| {
        pod["volumes"].as_sequence().unwrap().iter().find(|volume| volume["name"] == *name).unwrap().clone()
    };
    let mounts = container["volumeMounts"].as_sequence().unwrap().iter();
    mounts.map(|mount| (text_of(&mount["mountPath"]), volume(&mount["name"]), mount.clone())).collect()
}

#[test]
fn every_daemonset_runs_on_every_node_one_at_a_time_and_asks_for_little() {
    for overlay in OVERLAYS {
        let (set, pod, container) = (daemonset(overlay), pod(overlay), container(overlay));
        assert_eq!((&set["metadata"]["name"], &container["name"]), (&"berth".into(), &"berth".into()), "{overlay}");
        let update = &set["spec"]["updateStrategy"]["rollingUpdate"];
        assert_eq!((&update["maxSurge"], &update["maxUnavailable"]), (&0.into(), &1.into()), "{overlay}");

        assert_eq!(pod["priorityClassName"], "system-node-critical", "{overlay}");
        assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux", "{overlay}");
        let everything: Value = serde_yaml::from_str("[{operator: Exists}]").unwrap();
        assert_eq!(pod["tolerations"], everything, "{overlay}");
        for key in ["automountServiceAccountToken", "enableServiceLinks"] {
            assert_eq!(pod[key], false, "{overlay}: {key}");
        }
        let account = only(&rendered(overlay), "ServiceAccount").clone();
        assert_eq!((&account["metadata"]["name"], &pod["serviceAccountName"]), (&"berth".into(), &"berth".into()));
        assert_eq!(account["automountServiceAccountToken"], false, "{overlay}");

        for resource in ["cpu", "memory"] {
            assert!(container["resources"]["requests"][resource].is_string(), "{overlay}: {resource}");
        }
        assert!(container["resources"]["limits"]["cpu"].is_null(), "{overlay}: pods wait for it");
        assert_eq!(container["terminationMessagePolicy"], "FallbackToLogsOnError", "{overlay}");
        assert_eq!(container["imagePullPolicy"], "IfNotPresent", "{overlay}");
    }
}

#[test]
fn pods_are_found_by_labels_and_started_where_the_engine_requires_berth() {
    for overlay in OVERLAYS {
        let set = daemonset(overlay);
        let (template, selector) = (&set["spec"]["template"]["metadata"], &set["spec"]["selector"]["matchLabels"]);
        let component = if DAEMONS.contains(&overlay) { "plugin" } else { "installer" };
        for labels in [&template["labels"], selector] {
            assert_eq!(labels["app.kubernetes.io/name"], "berth", "{overlay}");
            assert_eq!(labels["app.kubernetes.io/component"], component, "{overlay}");
        }
        // Labels that change with a release must not be asked for: a selector never changes.
        assert_eq!(selector.as_mapping().unwrap().len(), 2, "{overlay}");
        assert_eq!(template["labels"]["app.kubernetes.io/version"], berth::VERSION, "{overlay}");
        assert_eq!(template["annotations"]["tolerate-missing-nri-plugins.noderesource.dev"], "true", "{overlay}");
    }
}

#[test]
fn probes_ask_where_it_listens_and_sigterm_has_its_time() {
    for overlay in OVERLAYS {
        let (pod, container) = (pod(overlay), container(overlay));
        let [port] = &container["ports"].as_sequence().unwrap()[..] else { panic!("{overlay}: one port") };
        assert_eq!((&port["name"], &port["containerPort"]), (&"health".into(), &9464.into()), "{overlay}");
        let variables = container["env"].as_sequence().unwrap();
        let listen = variables.iter().find(|variable| variable["name"] == "BERTH_LISTEN").unwrap();
        assert_eq!((&listen["value"], &pod["hostNetwork"]), (&"127.0.0.1:9464".into(), &true.into()), "{overlay}");
        for (probe, path) in
            [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
        {
            let get = &container[probe]["httpGet"];
            let asked = ["host", "port", "path"].map(|key| text_of(&get[key]));
            assert_eq!(asked, ["127.0.0.1", "health", path], "{overlay}: {probe}");
        }
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 2, "{overlay}");
    }
}

#[test]
fn command_lines_and_variables_are_berths() {
    let known: Vec<_> = Cli::command()
        .get_subcommands()
        .flat_map(|command| command.get_arguments().filter_map(|argument| argument.get_env()).collect::<Vec<_>>())
        .map(|name| name.to_str().unwrap().to_owned())
        .collect();
    for overlay in OVERLAYS {
        let container = container(overlay);
        let args = container["args"].as_sequence().unwrap().iter().map(text_of);
        let parsed = Cli::try_parse_from(["berth".to_owned()].into_iter().chain(args)).unwrap();
        assert_eq!(matches!(parsed.command, Command::Nri(_)), DAEMONS.contains(&overlay), "{overlay}");
        for variable in container["env"].as_sequence().unwrap() {
            assert!(known.contains(&text_of(&variable["name"])), "{overlay}: {variable:?}");
        }
    }
}

#[test]
fn daemons_see_the_nodes_directories_and_write_only_their_own() {
    for overlay in DAEMONS {
        let mounts = mounts(overlay);
        let paths: Vec<_> = mounts.iter().map(|(path, ..)| path.as_str()).collect();
        let expected = ["/etc/berth", "/host/proc", "/run/berth", "/run/netns", "/var/run/netns", "/var/run/nri"];
        let mut sorted = paths.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{overlay}");
        for (path, volume, mount) in &mounts {
            let writes = ["/run/berth", "/run/netns", "/var/run/netns"].contains(&path.as_str());
            assert_eq!(mount["readOnly"] == true, !writes, "{overlay}: {path}");
            assert!(mount["subPath"].is_null(), "{overlay}: {path}: a file that is mounted does not change");
            match path.as_str() {
                "/etc/berth" => assert_eq!(volume["configMap"]["name"], "berth-config"),
                "/host/proc" => assert_eq!(volume["hostPath"]["path"], "/proc"),
                "/var/run/netns" => assert_eq!(volume["hostPath"]["path"], "/run/netns"),
                path => assert_eq!(volume["hostPath"]["path"], path),
            }
        }
        let pod = pod(overlay);
        assert!(["hostPID", "hostIPC", "shareProcessNamespace"].iter().all(|key| pod[*key].is_null()), "{overlay}");
    }
}

/// By path, where it is not the default one.
fn propagation(overlay: &str) -> Vec<(String, String)> {
    let mounts = mounts(overlay).into_iter();
    let mut found: Vec<_> =
        mounts.filter_map(|(path, _, mount)| Some((path, mount["mountPropagation"].as_str()?.to_owned()))).collect();
    found.sort();
    found
}

#[test]
fn the_plugin_is_privileged_for_mounts_in_the_netns_directory_and_has_nothing_else() {
    let (overlay, both) = ("overlays/plugin", ["/run/netns", "/var/run/netns"]);
    let expected = both.map(|path| (path.to_owned(), "Bidirectional".to_owned()));
    assert_eq!(propagation(overlay), expected);
    let context: Value =
        serde_yaml::from_str("{privileged: true, readOnlyRootFilesystem: true, runAsUser: 0}").unwrap();
    // What engines ignore of a privileged container is not written: it would only look as if it held.
    assert_eq!(container(overlay)["securityContext"], context);
}

#[test]
fn the_interposed_daemon_is_unprivileged() {
    let (overlay, both) = ("overlays/interposed", ["/run/netns", "/var/run/netns"]);
    let expected = both.map(|path| (path.to_owned(), "HostToContainer".to_owned()));
    assert_eq!(propagation(overlay), expected);
    let context: Value = serde_yaml::from_str(
        "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsUser: 0, capabilities: {drop: [ALL]},
          seccompProfile: {type: RuntimeDefault}, seLinuxOptions: {type: spc_t}}",
    )
    .unwrap();
    assert_eq!(container(overlay)["securityContext"], context);
    assert!(pod(overlay)["securityContext"].is_null());
    let variables = container(overlay)["env"].as_sequence().unwrap().clone();
    assert!(variables.iter().any(|one| one["name"] == "BERTH_PINS_BY" && one["value"] == "interposers"));
}
