//! The manifests, rendered by kustomize, and the DaemonSet's pod of one of them run in a rig: what the kubelet would ask
//! the engine for, read from the manifest.
//!
//! In the place of the image is the rig's own, with the binary under test mounted at `/berth` and the libraries that it is
//! linked with where they are here.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;

use k8s_cri::v1::{
    Capability, ContainerConfig, KeyValue, LinuxContainerSecurityContext, Mount, MountPropagation, SecurityProfile,
    security_profile::ProfileType,
};
use serde_yaml::Value;

use super::Rig;
use super::cri::{Network, Pod, Sandbox, container_config};
use super::{berth, provision};

/// What the kubelet has masked and made read-only in every container that is not privileged (k8s.io/kubernetes
/// `pkg/securitycontext`, the procMount `Default`).
const MASKED: [&str; 9] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The objects of a kustomization, by its directory below `manifests/`.
pub(crate) fn rendered(kustomization: &str) -> Vec<Value> {
    let program = &provision::components(&["kustomize"])["BERTH_RIG_KUSTOMIZE"];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(kustomization);
    let done = Command::new(program).arg("build").arg(&directory).output().expect("kustomize runs");
    assert!(
        done.status.success(),
        "kustomize build {}: {}",
        directory.display(),
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&done.stderr), "", "kustomize warns of something in {kustomization}");
    let text = String::from_utf8(done.stdout).expect("manifests are text");
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| serde::Deserialize::deserialize(document).expect("manifests are YAML")).collect()
}

/// The one object of this kind.
#[track_caller]
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "there are several objects of kind {kind}");
    one
}

/// A DaemonSet's pod on this node.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) pod: Sandbox,
    pub(crate) container: String,
}

impl Rig {
    /// Runs the pod of the overlay's DaemonSet.
    pub(crate) fn daemon(&self, overlay: &str) -> Daemon {
        let objects = rendered(&format!("overlays/{overlay}"));
        let template = &only(&objects, "DaemonSet")["spec"]["template"];
        let spec = &template["spec"];
        let [container] = &spec["containers"].as_sequence().expect("containers")[..] else {
            panic!("the DaemonSet has one container");
        };
        let privileged = container["securityContext"]["privileged"] == true;
        let network = if spec["hostNetwork"] == true { Network::Host } else { Network::Own };
        let pod = Pod { namespace: "berth-system".into(), network, privileged, ..Pod::new("berth-x", "") };
        let pod = self.run_pod(&pod).expect("run berth's pod");
        let config = self.config_of(&pod, container, &self.volumes(spec, &only(&objects, "ConfigMap")["data"]));
        let container = self.cri().create(&pod, config).expect("create berth's container");
        self.cri().start_container(&container).expect("start berth's container");
        Daemon { pod, container }
    }

    /// The volumes by name, as directories of the node.
    fn volumes(&self, spec: &Value, data: &Value) -> Vec<(String, String)> {
        let volumes = spec["volumes"].as_sequence().expect("volumes").iter();
        volumes
            .map(|volume| {
                let name = text(&volume["name"]);
                if volume["configMap"].is_mapping() {
                    let directory = format!("/run/rig/{name}");
                    self.make_directory(&directory);
                    for (file, content) in data.as_mapping().expect("data") {
                        self.write(&format!("{directory}/{}", text(file)), &text(content));
                    }
                    return (name, directory);
                }
                let path = text(&volume["hostPath"]["path"]);
                match volume["hostPath"]["type"].as_str() {
                    Some("DirectoryOrCreate") => self.make_directory(&path),
                    Some("Directory") => assert!(self.path(&path).is_dir(), "{path} is not there"),
                    other => panic!("{path}: a hostPath of the type {other:?}"),
                }
                (name, path)
            })
            .collect()
    }

    /// As the kubelet does it.
    fn make_directory(&self, path: &str) {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(self.path(path));
        made.unwrap_or_else(|error| panic!("make {path}: {error}"));
    }

    fn config_of(&self, pod: &Sandbox, container: &Value, volumes: &[(String, String)]) -> ContainerConfig {
        let each = |key: &str| container[key].as_sequence().cloned().unwrap_or_default();
        let mut config = container_config(pod, &text(&container["name"]), "");
        // What the image says.
        config.command = vec!["/berth".into()];
        config.args = each("args").iter().map(text).collect();
        let variable = |env: &Value| KeyValue { key: text(&env["name"]), value: text(&env["value"]) };
        config.envs = each("env").iter().map(variable).collect();
        config.mounts = each("volumeMounts").iter().map(|mount| mounted(mount, volumes)).chain(image()).collect();
        let linux = config.linux.as_mut().expect("the container is one of Linux");
        let before = linux.security_context.take().unwrap_or_default();
        linux.security_context = Some(security(&container["securityContext"], before));
        config
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a text, got {value:?}")).to_owned()
}

fn mounted(mount: &Value, volumes: &[(String, String)]) -> Mount {
    let name = text(&mount["name"]);
    let (_, host_path) = volumes.iter().find(|(volume, _)| *volume == name).expect("the volume of a mount");
    let propagation = match mount["mountPropagation"].as_str() {
        None | Some("None") => MountPropagation::PropagationPrivate,
        Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
        Some("Bidirectional") => MountPropagation::PropagationBidirectional,
        Some(other) => panic!("there is no propagation {other}"),
    };
    Mount {
        container_path: text(&mount["mountPath"]),
        host_path: host_path.clone(),
        readonly: mount["readOnly"] == true,
        recursive_read_only: mount["recursiveReadOnly"] == "IfPossible",
        propagation: propagation.into(),
        ..Mount::default()
    }
}

/// What stands in for the image: the program, and the directories of the libraries that it is linked with, if any.
fn image() -> Vec<Mount> {
    let readonly = |host: &str, container: &str| Mount {
        container_path: container.to_owned(),
        host_path: host.to_owned(),
        readonly: true,
        ..Mount::default()
    };
    let name = berth::binary().file_name().expect("the binary has a name").to_string_lossy().into_owned();
    let linked = Command::new("ldd").arg(berth::binary()).output().expect("ldd (libc-bin) runs");
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    let files = linked.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    let directories: BTreeSet<_> = files.filter_map(Path::parent).map(|path| path.to_string_lossy()).collect();
    let libraries = directories.iter().map(|path| readonly(path, path));
    [readonly(&format!("/run/rig/berth/{name}"), "/berth")].into_iter().chain(libraries).collect()
}

/// The container's `securityContext` in the words of the CRI.
fn security(wanted: &Value, before: LinuxContainerSecurityContext) -> LinuxContainerSecurityContext {
    let privileged = wanted["privileged"] == true;
    let paths = |paths: &[&str]| if privileged { Vec::new() } else { paths.iter().map(ToString::to_string).collect() };
    let dropped = wanted["capabilities"]["drop"].as_sequence().cloned().unwrap_or_default();
    let seccomp = match wanted["seccompProfile"]["type"].as_str() {
        Some("RuntimeDefault") => ProfileType::RuntimeDefault,
        None => ProfileType::Unconfined,
        Some(other) => panic!("a seccomp profile of the type {other}"),
    };
    LinuxContainerSecurityContext {
        privileged,
        readonly_rootfs: wanted["readOnlyRootFilesystem"] == true,
        run_as_user: wanted["runAsUser"].as_i64().map(|value| k8s_cri::v1::Int64Value { value }),
        capabilities: Some(Capability {
            drop_capabilities: dropped.iter().map(text).collect(),
            ..Capability::default()
        }),
        no_new_privs: wanted["allowPrivilegeEscalation"] == false,
        seccomp: Some(SecurityProfile { profile_type: seccomp.into(), localhost_ref: String::new() }),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        ..before
    }
}
