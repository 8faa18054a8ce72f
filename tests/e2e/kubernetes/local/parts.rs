//! The programs of a cluster, and with what arguments they are run.

use super::files::{ADMIN, APISERVER, CERTIFICATE, KUBELET, KUBELET_CONFIG, MANY, SERVICE_ACCOUNT_KEY, TOKENS};

/// The node's name.
pub(super) const NODE: &str = "node";
/// The node's address: on its loopback interface, but none that is only reached from there. A kubelet takes no other, and
/// pods reach it too.
pub(super) const ADDRESS: &str = "10.89.0.1";
const ETCD: &str = "http://127.0.0.1:2379";

/// A program to run on the node.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) program: String,
    pub(super) args: Vec<String>,
}

impl Part {
    fn of_kubernetes(name: &'static str, args: &[&str]) -> Self {
        Self { name, program: format!("/run/rig/kubernetes/{name}"), args: words(args) }
    }
}

fn words(args: &[&str]) -> Vec<String> {
    args.iter().map(|&arg| arg.to_owned()).collect()
}

/// What it holds need not outlive the machine.
pub(super) fn etcd() -> Part {
    let args = words(&["--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn", "--logger=zap"]);
    Part { name: "etcd", program: "/run/rig/etcd/etcd".to_owned(), args }
}

/// Its serving certificate it makes itself. Of kubelets it asks for none that it could check.
pub(super) fn apiserver() -> Part {
    Part::of_kubernetes(
        "kube-apiserver",
        &[
            &format!("--etcd-servers={ETCD}"),
            &format!("--cert-dir={APISERVER}"),
            &format!("--bind-address={ADDRESS}"),
            &format!("--advertise-address={ADDRESS}"),
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.90.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            &format!("--service-account-key-file={SERVICE_ACCOUNT_KEY}"),
            &format!("--service-account-signing-key-file={SERVICE_ACCOUNT_KEY}"),
            &format!("--token-auth-file={TOKENS}"),
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            // The node's name is nowhere to be resolved.
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
        ],
    )
}

pub(super) fn controller_manager() -> Part {
    Part::of_kubernetes(
        "kube-controller-manager",
        &[
            &format!("--kubeconfig={ADMIN}"),
            &format!("--root-ca-file={CERTIFICATE}"),
            &format!("--service-account-private-key-file={SERVICE_ACCOUNT_KEY}"),
            // It publishes certificates of authorities; the API server's is its own.
            "--controllers=*,-kube-apiserver-serving-clustertrustbundle-publisher-controller",
            "--leader-elect=false",
            "--node-monitor-period=1s",
            "--secure-port=0",
            &format!("--kube-api-qps={MANY}"),
            &format!("--kube-api-burst={MANY}"),
        ],
    )
}

pub(super) fn scheduler() -> Part {
    Part::of_kubernetes(
        "kube-scheduler",
        &[&format!("--kubeconfig={ADMIN}"), "--leader-elect=false", "--secure-port=0"],
    )
}

pub(super) fn kubelet() -> Part {
    Part::of_kubernetes(
        "kubelet",
        &[
            &format!("--config={KUBELET_CONFIG}"),
            &format!("--kubeconfig={KUBELET}"),
            &format!("--hostname-override={NODE}"),
            &format!("--node-ip={ADDRESS}"),
        ],
    )
}
