//! A container of a manifest, asked for as a kubelet does: arguments, environment, security context and mounts are the
//! manifest's. In the place of its image the container has berth of these tests and the libraries that this needs.

use std::os::unix::fs::symlink;

use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, ContainerConfig, ContainerMetadata, Int64Value, KeyValue, LinuxContainerConfig,
    LinuxContainerSecurityContext, Mount, MountPropagation, SeLinuxOption, SecurityProfile,
};
use serde_yaml::Value;

use super::Rig;
use super::berth::lean;
use super::cri::{Network, Pod, Sandbox, image_spec};
use super::manifest::{only, rendered};
use super::node::assert_untouched;
use super::provision::provision;
use super::wait::{DEADLINE, eventually, within};

/// What stands for the image, on the node.
pub(crate) const IMAGE: &str = "/run/rig/image";
/// What is mounted for a ConfigMap.
pub(crate) const CONFIG_MAP: &str = "/run/rig/config-map";
/// Where logs of containers are.
const LOGS: &str = "/run/rig/pods";

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

/// A container of a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    container: Value,
    volumes: Vec<Value>,
    /// What the ConfigMap has as config.yaml, if there is one.
    config: Option<String>,
}

/// A container that was started; its log has its name.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pod: Sandbox,
    pub(crate) id: String,
    log: String,
}

impl Template {
    /// The container of the one DaemonSet or Job of a kustomization, by its directory below `manifests/`.
    #[track_caller]
    pub(crate) fn of(kustomization: &str, kind: &str) -> Self {
        let objects = rendered(kustomization);
        let pod = &only(&objects, kind)["spec"]["template"]["spec"];
        assert_eq!(pod["hostNetwork"], true, "the pod is run on the node's network");
        assert_eq!(pod["containers"].as_sequence().map(Vec::len), Some(1), "there is one container");
        let map = objects.iter().find(|object| object["kind"] == "ConfigMap");
        Self {
            container: pod["containers"][0].clone(),
            volumes: pod["volumes"].as_sequence().cloned().unwrap_or_default(),
            config: map.map(|map| text(&map["data"]["config.yaml"])),
        }
    }

    /// With an argument more.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.container["args"].as_sequence_mut().expect("there are arguments").push(arg.into());
        self
    }

    /// Without this one.
    pub(crate) fn without_arg(mut self, arg: &str) -> Self {
        self.container["args"].as_sequence_mut().expect("there are arguments").retain(|word| word != arg);
        self
    }

    /// The capabilities that it asks for.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        list(&self.container["securityContext"]["capabilities"]["add"])
    }

    /// Without this one.
    pub(crate) fn without_capability(mut self, capability: &str) -> Self {
        let asked = self.container["securityContext"]["capabilities"]["add"].as_sequence_mut();
        asked.expect("it asks for some").retain(|asked| asked != capability);
        self
    }

    fn mounts(&self) -> Vec<Mount> {
        let mounts = self.container["volumeMounts"].as_sequence().into_iter().flatten();
        mounts
            .map(|mount| {
                let volume = self.volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("a volume");
                let host_path = volume["hostPath"]["path"].as_str().unwrap_or(CONFIG_MAP);
                let propagation = match mount["mountPropagation"].as_str() {
                    None => MountPropagation::PropagationPrivate,
                    Some("HostToContainer") => MountPropagation::PropagationHostToContainer,
                    Some("Bidirectional") => MountPropagation::PropagationBidirectional,
                    Some(other) => panic!("mountPropagation: {other}"),
                };
                Mount {
                    container_path: text(&mount["mountPath"]),
                    host_path: host_path.to_owned(),
                    readonly: mount["readOnly"].as_bool().unwrap_or_default(),
                    recursive_read_only: mount["recursiveReadOnly"] == "IfPossible",
                    propagation: propagation.into(),
                    ..Mount::default()
                }
            })
            .collect()
    }

    fn is_privileged(&self) -> bool {
        self.container["securityContext"]["privileged"] == true
    }

    fn security(&self) -> LinuxContainerSecurityContext {
        let told = &self.container["securityContext"];
        let profile = |told: &Value| SecurityProfile {
            profile_type: match told["type"].as_str() {
                Some("RuntimeDefault") => ProfileType::RuntimeDefault,
                Some("Unconfined") => ProfileType::Unconfined,
                other => panic!("a profile {other:?}"),
            }
            .into(),
            localhost_ref: String::new(),
        };
        let some = |told: &Value| (!told.is_null()).then(|| profile(told));
        let paths = |paths: &[&str]| {
            if self.is_privileged() { Vec::new() } else { paths.iter().map(ToString::to_string).collect() }
        };
        LinuxContainerSecurityContext {
            privileged: self.is_privileged(),
            capabilities: Some(Capability {
                add_capabilities: list(&told["capabilities"]["add"]),
                drop_capabilities: list(&told["capabilities"]["drop"]),
                ..Capability::default()
            }),
            run_as_user: Some(Int64Value { value: told["runAsUser"].as_i64().expect("runAsUser") }),
            readonly_rootfs: told["readOnlyRootFilesystem"].as_bool().expect("readOnlyRootFilesystem"),
            no_new_privs: told["allowPrivilegeEscalation"] == false,
            seccomp: some(&told["seccompProfile"]),
            apparmor: some(&told["appArmorProfile"]),
            selinux_options: told["seLinuxOptions"]["type"]
                .as_str()
                .map(|kind| SeLinuxOption { r#type: kind.to_owned(), ..SeLinuxOption::default() }),
            masked_paths: paths(&MASKED),
            readonly_paths: paths(&READ_ONLY),
            ..LinuxContainerSecurityContext::default()
        }
    }
}

impl Rig {
    /// Puts berth where containers of manifests have it: this very one, or another build of it by a byte behind its end.
    pub(crate) fn make_image(&self, other: bool) {
        let lean = lean();
        std::fs::create_dir_all(self.path(IMAGE)).expect("make a directory");
        let mut bytes = std::fs::read(lean).expect("read berth");
        bytes.extend(other.then_some(b'\n'));
        let path = self.path(IMAGE).join("berth");
        // Not over the one that runs.
        std::fs::remove_file(&path).ok();
        std::fs::write(&path, bytes).expect("write berth");
        let executable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(path, executable).expect("make it executable");
    }

    /// Starts a container of a manifest in a pod of its own on the node's network.
    pub(crate) fn run_manifest(&self, name: &str, template: &Template) -> Started {
        let logs = format!("{LOGS}/{name}");
        std::fs::create_dir_all(self.path(&logs)).expect("make a directory for logs");
        self.make_volumes(template);
        let privileged = template.is_privileged();
        let pod = Pod { network: Network::Host, logs: logs.clone(), privileged, ..Pod::new(name, "") };
        let pod = self.run_pod(&pod).expect("run the pod");
        let id = self.cri().create(&pod, self.container_of(&pod, template)).expect("create the container");
        self.cri().start_container(&id).expect("start the container");
        Started { pod, id, log: format!("{logs}/berth.log") }
    }

    /// What the kubelet makes; a ConfigMap that the test has put there stays as it is.
    fn make_volumes(&self, template: &Template) {
        let make = |path: &str| std::fs::create_dir_all(self.path(path)).unwrap_or_else(|e| panic!("make {path}: {e}"));
        let directories = template.volumes.iter().filter(|volume| volume["hostPath"]["type"] == "DirectoryOrCreate");
        directories.for_each(|volume| make(&text(&volume["hostPath"]["path"])));
        let file = format!("{CONFIG_MAP}/config.yaml");
        if let Some(config) = template.config.as_ref().filter(|_| !self.path(&file).exists()) {
            make(CONFIG_MAP);
            self.write(&file, config);
        }
    }

    fn container_of(&self, pod: &Sandbox, template: &Template) -> ContainerConfig {
        let place = |host: &str, inside: &str| Mount {
            container_path: inside.to_owned(),
            host_path: host.to_owned(),
            readonly: true,
            ..Mount::default()
        };
        let libraries = self.run("ldd", &[&format!("{IMAGE}/berth")]).expect("ldd (libc-bin) runs");
        let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        let mut mounts: Vec<_> = libraries.map(|path| place(path, path)).collect();
        mounts.push(place(&format!("{IMAGE}/berth"), "/berth"));
        mounts.extend(template.mounts());
        let variables = template.container["env"].as_sequence().into_iter().flatten();
        let envs = variables.map(|pair| KeyValue { key: text(&pair["name"]), value: text(&pair["value"]) });
        let security = LinuxContainerSecurityContext { namespace_options: pod.namespaces(), ..template.security() };
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: "berth".into(), attempt: 0 }),
            image: Some(image_spec(&provision().image_busybox)),
            command: vec!["/berth".into()],
            args: list(&template.container["args"]),
            envs: envs.collect(),
            mounts,
            log_path: "berth.log".into(),
            linux: Some(LinuxContainerConfig { security_context: Some(security), ..LinuxContainerConfig::default() }),
            ..ContainerConfig::default()
        }
    }

    /// What a container of a manifest has said, on both streams; the kubelet shows its end where it has failed.
    pub(crate) fn said(&self, started: &Started) -> String {
        let log = std::fs::read_to_string(self.path(&started.log)).unwrap_or_default();
        // 2026-01-01T00:00:00.000000000Z stderr F text
        let texts = log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Rig {
    /// Mounts a ConfigMap as Kubernetes does, or changes it: the file is a link by way of `..data` to a directory with
    /// a date.
    pub(crate) fn mount_config_map(&self, generation: &str, text: &str) {
        std::fs::create_dir_all(self.path(CONFIG_MAP).join(generation)).expect("make a directory");
        self.write(&format!("{CONFIG_MAP}/{generation}/config.yaml"), text);
        self.swap_config_map(generation);
        let file = self.path(CONFIG_MAP).join("config.yaml");
        if !file.is_symlink() {
            symlink("..data/config.yaml", file).expect("link");
        }
    }

    /// The same for a ConfigMap that has lost its key. A kubelet would remove the link as well.
    pub(crate) fn empty_config_map(&self, generation: &str) {
        std::fs::create_dir_all(self.path(CONFIG_MAP).join(generation)).expect("make a directory");
        self.swap_config_map(generation);
    }

    fn swap_config_map(&self, generation: &str) {
        let directory = self.path(CONFIG_MAP);
        symlink(generation, directory.join("..new")).expect("link");
        std::fs::rename(directory.join("..new"), directory.join("..data")).expect("swap");
    }

    /// A page of the container on the node's network: its status and what it says, each finding on one line.
    pub(crate) fn page_of_node(&self, path: &str) -> Option<(u16, String)> {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/9464; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
        let answer = self.run("bash", &["-c", &script]).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = body.replace("\n       ", " ").lines().map(words).collect::<Vec<_>>();
        Some((head.split(' ').nth(1)?.parse().ok()?, lines.join("\n")))
    }

    /// Waits until /readyz answers with this status, and with this in what it says; what it says.
    #[track_caller]
    pub(crate) fn await_page(&self, status: u16, wanted: &str) -> String {
        let mut last = None;
        let body = within(DEADLINE, || {
            last = self.page_of_node("/readyz").or(last.take());
            last.clone().filter(|(found, body)| *found == status && body.contains(wanted)).map(|(_, body)| body)
        });
        body.unwrap_or_else(|| panic!("not {status} with {wanted:?} but {last:?}"))
    }

    /// Ends an installer as a kubelet does: well, and nothing of berth's goes.
    #[track_caller]
    pub(crate) fn end_manifest(&self, started: Started) {
        let before = self.see();
        self.cri().stop_container_within(&started.id, 30).expect("stop the container");
        assert_eq!(self.cri().exit_code(&started.id), Some(0), "{}", self.said(&started));
        assert_untouched(&before, &self.see());
        self.cri().remove_pod(&started.pod.id).expect("remove its pod");
    }

    /// Runs a Job's pod to its end: its exit code, and what it said.
    #[track_caller]
    pub(crate) fn run_job(&self, name: &str, template: &Template) -> (i32, String) {
        let job = self.run_manifest(name, template);
        let code = eventually("the Job's pod ends", || self.cri().exit_code(&job.id));
        let said = self.said(&job);
        self.cri().remove_pod(&job.pod.id).expect("remove its pod");
        (code, said)
    }
}

fn list(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value:?} is no text")).to_owned()
}
