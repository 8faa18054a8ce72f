//! What the API server makes of every manifest, without doing it: server-side dry run.

use std::path::{Path, PathBuf};

use super::desk::Desk;
use super::kubectl::Object;
use super::scene::Scene;
use crate::rig::provision::components;

/// Whatever may be applied, by its place in `manifests`, and how kubectl is told so.
const MANIFESTS: [(&str, &str); 7] = [
    ("base", "--kustomize"),
    ("overlays/plugin", "--kustomize"),
    ("overlays/interposed", "--kustomize"),
    ("overlays/host", "--kustomize"),
    ("uninstall", "--kustomize"),
    ("grafana", "--kustomize"),
    ("runtimeclass", "--filename"),
];

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

/// What the API server would say of it, with every field that it does not know an error and every remark of its, such as
/// one on a pod's security, among what is returned.
#[track_caller]
fn dry_run(scene: &Scene<'_>, how: &str, path: &Path) -> String {
    let path = path.to_str().expect("a path that is text");
    let args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", how, path];
    scene.cluster.kubectl(&args).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// For good: objects of a namespace that is not there are refused before they are looked at.
#[track_caller]
fn make_namespace(scene: &Scene<'_>) {
    let file = manifests().join("base/namespace.yaml");
    let args = ["apply", "--server-side", "--filename", file.to_str().expect("a path that is text")];
    scene.cluster.kubectl(&args).expect("the namespace is made");
}

#[test]
fn the_api_server_accepts_every_manifest() {
    let scene = Scene::bare("manifests");
    make_namespace(&scene);
    for (path, how) in MANIFESTS {
        let said = dry_run(&scene, how, &manifests().join(path));
        let lines: Vec<_> = said.lines().collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.ends_with("(server dry run)")), "{path}: {said}");
    }
    scene.cluster.delete(&Object::of_cluster("namespace", "berth-system"));
}

#[test]
fn the_api_server_accepts_the_components_on_their_overlays() {
    let scene = Scene::bare("components");
    let definitions = &components(&["prometheus-crds"])["BERTH_RIG_PROMETHEUS_CRDS"];
    let args = ["apply", "--server-side", "--filename", definitions];
    scene.cluster.kubectl(&args).expect("the operator's definitions are applied");
    for kind in ["podmonitors", "prometheusrules"] {
        // Not `kubectl wait`, which fails as long as there are no conditions at all.
        let definition = Object::of_cluster("crd", &format!("{kind}.monitoring.coreos.com"));
        scene.cluster.eventually("the API server serves them", &definition, |definition| {
            let mut conditions = definition["status"]["conditions"].as_array()?.iter();
            conditions.find(|it| it["type"] == "Established" && it["status"] == "True").map(drop)
        });
    }
    make_namespace(&scene);
    let desk = Desk::new();
    for (overlay, component, said) in [
        ("plugin", "monitoring", "prometheusrule.monitoring.coreos.com/berth serverside-applied (server dry run)"),
        ("interposed", "monitoring", "podmonitor.monitoring.coreos.com/berth serverside-applied (server dry run)"),
        ("host", "restart", "daemonset.apps/berth serverside-applied (server dry run)"),
    ] {
        let text = format!(
            "resources: [../manifests/overlays/{overlay}]\ncomponents: [../manifests/components/{component}]\n"
        );
        let place = desk.write(&format!("{overlay}-{component}"), &text);
        let answer = dry_run(&scene, "--kustomize", &place);
        assert!(answer.contains(said), "{answer}");
    }
    scene.cluster.delete(&Object::of_cluster("namespace", "berth-system"));
}

/// What a workload has that the level `baseline` forbids, in the API server's words.
fn beyond_baseline(scene: &Scene<'_>, kustomization: &str) -> String {
    let path = manifests().join(kustomization);
    let path = path.to_str().expect("a path that is text");
    let args = ["apply", "--dry-run=server", "--warnings-as-errors", "--kustomize", path];
    let said = scene.cluster.kubectl(&args).expect_err("a workload that needs no label");
    let level = "Warning: would violate PodSecurity \"baseline:latest\": ";
    let warning = said.lines().find_map(|line| line.strip_prefix(level));
    warning.unwrap_or_else(|| panic!("{kustomization}: {said}")).replace("), ", ")\n  ")
}

#[test]
fn the_namespaces_level_of_pod_security_is_needed_and_what_for_is_known() {
    let scene = Scene::bare("security");
    make_namespace(&scene);
    let label = ["label", "--overwrite", "namespace", "berth-system", "pod-security.kubernetes.io/warn=baseline"];
    scene.cluster.kubectl(&label).expect("the namespace is labelled");
    let overlays = ["overlays/plugin", "overlays/interposed", "overlays/host", "uninstall"];
    let found = overlays.map(|overlay| format!("{overlay}\n  {}\n", beyond_baseline(&scene, overlay)));
    insta::assert_snapshot!(found.concat(), @r#"
    overlays/plugin
      host namespaces (hostNetwork=true)
      hostPath volumes (volumes "nri", "state", "netns", "proc")
      probe or lifecycle host (container "berth" uses probe or lifecycle host "127.0.0.1")
      privileged (container "berth" must not set securityContext.privileged=true)
    overlays/interposed
      host namespaces (hostNetwork=true)
      hostPath volumes (volumes "nri", "state", "netns", "proc")
      probe or lifecycle host (container "berth" uses probe or lifecycle host "127.0.0.1")
      seLinuxOptions (container "berth" set forbidden securityContext.seLinuxOptions: type "spc_t")
    overlays/host
      forbidden AppArmor profile (container "berth" must not set AppArmor profile type to "Unconfined")
      non-default capabilities (container "berth" must not include "SYS_PTRACE" in securityContext.capabilities.add)
      host namespaces (hostNetwork=true)
      hostPath volumes (volume "host")
      probe or lifecycle host (container "berth" uses probe or lifecycle host "127.0.0.1")
      seLinuxOptions (container "berth" set forbidden securityContext.seLinuxOptions: type "spc_t")
    uninstall
      forbidden AppArmor profile (container "berth" must not set AppArmor profile type to "Unconfined")
      non-default capabilities (container "berth" must not include "SYS_PTRACE" in securityContext.capabilities.add)
      host namespaces (hostNetwork=true)
      hostPath volumes (volume "host")
      seLinuxOptions (container "berth" set forbidden securityContext.seLinuxOptions: type "spc_t")
    "#);
    scene.cluster.delete(&Object::of_cluster("namespace", "berth-system"));
}
