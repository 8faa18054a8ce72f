//! What pods of tests are made of, as JSON, which the API takes as well as YAML.

use serde_json::{Value, json};

use crate::rig::IDLE;
use crate::rig::provision::provision;

/// A container of the rig's image that runs a script of shell.
pub(crate) fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": provision().image_busybox, "command": ["sh", "-c", script]})
}

/// One that is only there.
pub(crate) fn idle(name: &str) -> Value {
    container(name, IDLE)
}

/// One that says something, is there until it is let go, and ends well.
pub(crate) fn held(name: &str, says: &str) -> Value {
    container(name, &format!("echo {says}; until [ -e {LET_GO} ]; do sleep 0.1; done"))
}

/// The file for which [`held`] waits.
pub(crate) const LET_GO: &str = "/tmp/go";

/// One that says something and serves the rig's page at port 80. It is ready when it does.
pub(crate) fn server(name: &str, says: &str) -> Value {
    let mut server = container(name, &format!("echo {says}; {}", crate::rig::SERVE));
    server["readinessProbe"] = json!({"httpGet": {"port": 80, "path": "/"}, "periodSeconds": 1});
    server
}

/// A pod of a RuntimeClass.
pub(crate) fn pod(name: &str, class: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": of_class(class, spec)})
}

/// What a controller makes pods of a RuntimeClass from; they have the label `app` of this name.
pub(crate) fn template(name: &str, class: &str, spec: &Value) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": of_class(class, spec)})
}

fn of_class(class: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["runtimeClassName"] = class.into();
    spec
}
