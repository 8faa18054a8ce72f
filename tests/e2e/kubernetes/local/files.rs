//! What the programs of a cluster find on the node: addresses, keys, tokens, configuration.

use serde_json::{Value, json};

use super::Settings;
use super::parts::{ADDRESS, NODE};
use crate::rig::Rig;

pub(super) const APISERVER: &str = "/var/lib/kubernetes/apiserver";
/// The API server's own certificate, which it makes at its first start.
pub(super) const CERTIFICATE: &str = "/var/lib/kubernetes/apiserver/apiserver.crt";
pub(super) const SERVICE_ACCOUNT_KEY: &str = "/var/lib/kubernetes/service-account.key";
pub(super) const TOKENS: &str = "/var/lib/kubernetes/tokens.csv";
pub(super) const ADMIN: &str = "/var/lib/kubernetes/admin.kubeconfig";
pub(super) const KUBELET: &str = "/var/lib/kubernetes/kubelet.kubeconfig";
pub(super) const KUBELET_CONFIG: &str = "/var/lib/kubernetes/kubelet.yaml";
/// Where the kubelet looks for static pods.
const STATIC_PODS: &str = "/etc/kubernetes/manifests";
/// Requests in a second that no part of so small a cluster comes to.
pub(super) const MANY: u32 = 500;

/// Makes the node's address, directories and keys. The kubelet would set variables of the kernel that are the machine's;
/// the node has files in their places that say what the kubelet would have them be.
const FURNISH: &str = "
set -eu
ip address add $1/32 dev lo
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p /var/lib/kubernetes/apiserver /var/lib/kubernetes/sys $2
for pair in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \\
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    name=${pair%=*}
    file=/var/lib/kubernetes/sys/${name##*/}
    echo ${pair#*=} >$file
    mount --bind $file /proc/sys/$name
done
openssl genrsa -out $3 2048 2>/dev/null
";

/// Prepares the node for the programs of a cluster.
pub(super) fn furnish(rig: &Rig, settings: &Settings) {
    rig.run("sh", &["-c", FURNISH, "furnish", ADDRESS, STATIC_PODS, SERVICE_ACCOUNT_KEY]).expect("furnish the node");
    rig.write(TOKENS, &format!("admin,admin,admin,system:masters\nkubelet,system:node:{NODE},node,system:nodes\n"));
    rig.write(ADMIN, &kubeconfig("admin").to_string());
    rig.write(KUBELET, &kubeconfig("kubelet").to_string());
    rig.write(KUBELET_CONFIG, &kubelet(rig.cgroup_parent(), &settings.kubelet).to_string());
    for (name, pod) in &settings.static_pods {
        rig.write(&format!("{STATIC_PODS}/{name}"), pod);
    }
}

/// Who has this token. The path of the certificate is relative: it is read on the node and from outside.
fn kubeconfig(token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {
            "server": format!("https://{ADDRESS}:6443"),
            "certificate-authority": "apiserver/apiserver.crt",
        }}],
        "users": [{"name": token, "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": token}}],
        "current-context": "local",
    })
}

fn kubelet(cgroup: &str, changes: &Value) -> Value {
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        // Nobody but the cluster reaches it.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": false,
        "failSwapOn": false,
        // Some machines lack CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        // To change none of the kernel's variables, and to end where one is not as it would have it.
        "protectKernelDefaults": true,
        "makeIPTablesUtilChains": false,
        "staticPodPath": STATIC_PODS,
        "resolvConf": "",
        // The disk is the machine's, and may be nearly full.
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "2s",
        // How soon a changed ConfigMap is in its volumes, at most.
        "syncFrequency": "5s",
        "maxPods": 300,
        "kubeAPIQPS": MANY,
        "kubeAPIBurst": MANY,
        "serializeImagePulls": false,
    });
    for (field, value) in changes.as_object().into_iter().flatten() {
        config[field] = value.clone();
    }
    config
}
