//! What holds for all objects: they render, name what there is, and say what they belong to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth::config::Config;
use serde_yaml::Value;

use crate::manifest::{built, only, rendered};

/// The overlays: what an operator applies.
pub(crate) const OVERLAYS: [&str; 3] = ["overlays/plugin", "overlays/interposed", "overlays/host"];

/// The level of an overlay's namespace (Pod Security Standards).
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

/// Every directory with a kustomization, relative to `manifests`, with its kind.
fn kustomizations() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = vec![manifests()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        pending.extend(entries.filter(|path| path.is_dir()));
        if let Ok(text) = fs::read_to_string(directory.join("kustomization.yaml")) {
            let file: Value = serde_yaml::from_str(&text).unwrap();
            let name = directory.strip_prefix(manifests()).unwrap().display().to_string();
            found.push((name, text_of(&file["kind"])));
        }
    }
    found.sort();
    found
}

pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a text, got {value:?}")).to_owned()
}

/// What an operator's own kustomization makes of an overlay with a component.
pub(crate) fn with_component(overlay: &str, component: &str) -> Vec<Value> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let copied = Command::new("cp").arg("-R").arg(manifests()).arg(place.path()).status().unwrap();
    assert!(copied.success());
    let own = place.path().join("own");
    fs::create_dir(&own).unwrap();
    let text = format!("resources: [../manifests/{overlay}]\ncomponents: [../manifests/{component}]\n");
    fs::write(own.join("kustomization.yaml"), text).unwrap();
    built(&own)
}

/// Every object that any kustomization makes.
fn all() -> Vec<(String, Vec<Value>)> {
    let made = kustomizations().into_iter().map(|(name, kind)| {
        let objects = match kind.as_str() {
            "Component" => {
                let overlay = if name == "components/restart" { "overlays/host" } else { "overlays/plugin" };
                // What is a part of the overlays cannot be put on them once more.
                if name == "components/daemon" { rendered(overlay) } else { with_component(overlay, &name) }
            }
            _ => rendered(&name),
        };
        (name, objects)
    });
    let made: Vec<_> = made.collect();
    assert!(made.len() >= 8, "{made:?}");
    made
}

/// What is found anywhere below a value under this key.
fn below<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Mapping(map) => map.iter().for_each(|(name, value)| {
            if name == key {
                found.push(value);
            }
            below(value, key, found);
        }),
        Value::Sequence(list) => list.iter().for_each(|value| below(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_kustomization_renders_and_its_objects_say_what_they_belong_to() {
    for (name, objects) in all() {
        assert!(!objects.is_empty(), "{name}");
        for object in &objects {
            let labels = &object["metadata"]["labels"];
            let about = format!("{name}: {} {:?}", text_of(&object["kind"]), object["metadata"]["name"]);
            assert_eq!(labels["app.kubernetes.io/name"], "berth", "{about}");
            assert_eq!(labels["app.kubernetes.io/part-of"], "berth", "{about}");
            let cluster_wide = ["Namespace", "RuntimeClass"].contains(&text_of(&object["kind"]).as_str());
            assert_eq!(object["metadata"]["namespace"] == "berth-system", !cluster_wide, "{about}");
            if let Some(version) = labels["app.kubernetes.io/version"].as_str() {
                assert_eq!(version, berth::VERSION, "{about}");
            }
        }
    }
}

#[test]
fn there_is_one_image_and_it_is_the_one_that_releases_replace() {
    let mut count = 0;
    for (name, objects) in all() {
        for object in &objects {
            let mut images = Vec::new();
            below(object, "image", &mut images);
            count += images.len();
            assert!(images.iter().all(|image| **image == "berth:dev"), "{name}: {images:?}");
        }
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn every_configuration_is_one_without_mistakes_and_the_base_has_the_default() {
    for overlay in OVERLAYS {
        let objects = rendered(overlay);
        let text = text_of(&only(&objects, "ConfigMap")["data"]["config.yaml"]);
        Config::parse(&text, overlay).unwrap_or_else(|error| panic!("{overlay}: {error}"));
    }
    let base = fs::read_to_string(manifests().join("base/config.yaml")).unwrap();
    assert_eq!(
        base,
        include_str!("../../src/config/default.yaml"),
        "cp src/config/default.yaml manifests/base/config.yaml"
    );
}

/// Why the level `baseline` would refuse a pod, as far as overlays go that far.
fn beyond_baseline(pod: &Value) -> Vec<String> {
    let hosts = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| pod[*key] == true).map(str::to_owned);
    let volumes = pod["volumes"].as_sequence().cloned().unwrap_or_default();
    let paths = volumes.iter().filter_map(|volume| volume["hostPath"]["path"].as_str()).map(str::to_owned);
    let mut privileged = Vec::new();
    below(pod, "privileged", &mut privileged);
    let privileged = privileged.into_iter().filter(|value| **value == true).map(|_| "privileged".to_owned());
    hosts.chain(paths).chain(privileged).collect()
}

#[test]
fn the_namespace_has_the_level_that_its_pods_need() {
    for overlay in OVERLAYS {
        let objects = rendered(overlay);
        let pod = &only(&objects, "DaemonSet")["spec"]["template"]["spec"];
        let needs = !beyond_baseline(pod).is_empty();
        let level = &only(&objects, "Namespace")["metadata"]["labels"][ENFORCE];
        assert_eq!(level == "privileged", needs, "{overlay}: {:?}", beyond_baseline(pod));
    }
}

#[test]
fn every_runtime_class_leads_to_a_handler_of_berths_that_its_default_selects() {
    let policy = Config::parse("", "default").unwrap().policy;
    let files = fs::read_dir(manifests().join("runtimeclass")).unwrap();
    let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3);
    for file in files {
        let class: Value = serde_yaml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let handler = text_of(&class["handler"]);
        assert!(handler.ends_with("-berth") && policy.select(&handler, "default").is_some(), "{handler}");
        assert_eq!(file.file_stem().unwrap().to_str(), class["metadata"]["name"].as_str());
        for resource in ["cpu", "memory"] {
            assert!(class["overhead"]["podFixed"][resource].is_string(), "{handler}: {resource}");
        }
        assert_eq!(class["scheduling"]["nodeSelector"][format!("berth/{handler}")], "installed", "{handler}");
    }
}
