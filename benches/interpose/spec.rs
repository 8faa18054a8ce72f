//! A `config.json` as containerd writes one: 30 KB, 30 annotations. What makes real ones long is the environment (seven
//! variables for each service of the pod's namespace) and the system calls of the seccomp profile.

use oci_spec::runtime::Spec;
use serde_json::{Value, json};

const SIZE: usize = 30 << 10;
const ANNOTATIONS: usize = 30;

/// Sandbox or member, and where its network namespace is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container<'a> {
    kind: &'a str,
    sandbox: &'a str,
    /// `None`: the host's.
    network: Option<&'a str>,
}

impl<'a> Container<'a> {
    pub(crate) fn sandbox(id: &'a str, network: Option<&'a str>) -> Self {
        Self { kind: "sandbox", sandbox: id, network }
    }

    pub(crate) fn member(sandbox: &'a str, network: &'a str) -> Self {
        Self { kind: "container", sandbox, network: Some(network) }
    }
}

/// The text. It is a specification to the typed model, too.
pub(crate) fn text(container: Container<'_>) -> String {
    let mut spec = serde_json::to_value(Spec::default()).unwrap();
    spec["ociVersion"] = "1.2.1".into();
    spec["annotations"] = annotations(container);
    spec["linux"]["namespaces"] = namespaces(container.network);
    spec["linux"]["seccomp"] = seccomp();
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    let mut length = spec.to_string().len();
    while length < SIZE {
        let service = service(env.len());
        length += service.iter().map(|variable| variable.len() + 3).sum::<usize>();
        env.extend(service);
    }
    spec["process"]["env"] = env.into();
    let typed: Spec = serde_json::from_value(spec).unwrap();
    // Through the model once more for its order of keys, which is the one that Go writes.
    serde_json::to_string(&typed).unwrap()
}

fn annotations(container: Container<'_>) -> Value {
    let mut all = json!({
        "io.kubernetes.cri.container-type": container.kind,
        "io.kubernetes.cri.sandbox-id": container.sandbox,
        "io.kubernetes.cri.sandbox-name": "web-7c5ddbdf54-2xkqz",
        "io.kubernetes.cri.sandbox-namespace": "production",
        "io.kubernetes.cri.sandbox-uid": "6f6f2c7e-0f2c-4c2f-9f0d-5a0b5f0f8b1a",
        "io.kubernetes.cri.sandbox-cpu-period": "100000",
        "io.kubernetes.cri.sandbox-cpu-quota": "50000",
        "io.kubernetes.cri.sandbox-memory": "536870912",
    });
    for number in all.as_object().unwrap().len()..ANNOTATIONS {
        all[format!("example.com/annotation-of-the-pod-{number}")] =
            "a value of ordinary length, as tools leave them".into();
    }
    all
}

fn namespaces(network: Option<&str>) -> Value {
    let others = ["pid", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
    let network = network.map(|path| json!({"type": "network", "path": path}));
    others.into_iter().chain(network).collect()
}

fn seccomp() -> Value {
    let names: Vec<_> = (0..360).map(|number| format!("system_call_{number}")).collect();
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    })
}

/// What the kubelet tells a container of a service.
fn service(number: usize) -> [String; 7] {
    let (name, address) = (format!("SERVICE_{number}"), format!("10.96.{}.{}", number / 250, number % 250));
    [
        format!("{name}_SERVICE_HOST={address}"),
        format!("{name}_SERVICE_PORT=8080"),
        format!("{name}_PORT=tcp://{address}:8080"),
        format!("{name}_PORT_8080_TCP=tcp://{address}:8080"),
        format!("{name}_PORT_8080_TCP_PROTO=tcp"),
        format!("{name}_PORT_8080_TCP_PORT=8080"),
        format!("{name}_PORT_8080_TCP_ADDR={address}"),
    ]
}
