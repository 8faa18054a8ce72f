//! A pod, as the cluster says it is, and as the engine has really made it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cluster::Cluster;
use super::kubectl::Object;
use crate::rig::place::Place;
use crate::rig::read::{NetnsId, netns_path};

/// Where containerd has the bundles of the kubelet's containers.
const BUNDLES: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";

/// A pod that was assigned to the node.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The one that the node knows; the API's object of a static pod has another.
    pub(crate) uid: String,
    /// The pod's own, or the node's where it has the node's network.
    pub(crate) address: String,
    /// Their ids, by their names: those that run or ran last; init and ephemeral containers too.
    pub(crate) containers: BTreeMap<String, String>,
}

impl Pod {
    /// From the API's object.
    pub(crate) fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let containers = statuses(object).filter_map(|status| {
            let id = status["containerID"].as_str()?.strip_prefix("containerd://")?;
            Some((text(&status["name"]), id.to_owned()))
        });
        let static_uid = object["metadata"]["annotations"].get("kubernetes.io/config.hash");
        Self {
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"]),
            uid: text(static_uid.unwrap_or(&object["metadata"]["uid"])),
            address: text(&object["status"]["podIP"]),
            containers: containers.collect(),
        }
    }

    pub(crate) fn object(&self) -> Object {
        Object::new(&self.namespace, "pod", &self.name)
    }

    /// The bundle of one of its containers, which has been created.
    #[track_caller]
    pub(crate) fn bundle(&self, cluster: &Cluster, container: &str) -> Bundle {
        let id = self.containers.get(container).unwrap_or_else(|| panic!("{container} is none of {self:?}"));
        Bundle::read(cluster.node(), id).unwrap_or_else(|| panic!("there is no bundle of {container} of {self:?}"))
    }

    /// The bundle of its sandbox.
    #[track_caller]
    pub(crate) fn sandbox(&self, cluster: &Cluster) -> Bundle {
        let bundles = Bundle::all(cluster.node());
        let mut sandboxes = bundles.into_iter().filter(|bundle| bundle.is_sandbox_of(&self.uid));
        let found = sandboxes.next().unwrap_or_else(|| panic!("there is no bundle of the sandbox of {self:?}"));
        assert!(sandboxes.next().is_none(), "there are two sandboxes of {self:?}");
        found
    }
}

/// What the API's object says of each container, init and ephemeral containers too.
pub(super) fn statuses(object: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    kinds.into_iter().flat_map(|kind| object["status"][kind].as_array().into_iter().flatten())
}

/// What a container was made from: the engine's files of it on the node.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    pub(crate) id: String,
    /// The specification, config.json.
    pub(crate) spec: Value,
    node: Place,
}

impl Bundle {
    /// That of a container or sandbox, if it has one: bundles go when tasks are deleted.
    pub(crate) fn read(node: Place, id: &str) -> Option<Self> {
        let text = std::fs::read_to_string(node.path(format!("{BUNDLES}/{id}/config.json"))).ok()?;
        let spec = serde_json::from_str(&text).unwrap_or_else(|e| panic!("config.json of {id}: {e}"));
        Some(Self { id: id.to_owned(), spec, node })
    }

    /// All that there are on the node.
    pub(crate) fn all(node: Place) -> Vec<Self> {
        let entries = std::fs::read_dir(node.path(BUNDLES)).into_iter().flatten().flatten();
        let ids = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        ids.filter_map(|id| Self::read(node, &id)).collect()
    }

    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.spec["annotations"].clone()).expect("annotations are a map of strings")
    }

    /// The path of its network namespace, if it has such an entry; empty if it was to be given a new one.
    pub(crate) fn netns_path(&self) -> Option<String> {
        netns_path(&self.spec)
    }

    /// Its process, as the node numbers them.
    pub(crate) fn pid(&self) -> u32 {
        let path = self.node.path(format!("{BUNDLES}/{}/init.pid", self.id));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("process id of {}: {e}", self.id));
        text.trim().parse().expect("a process id")
    }

    /// The network namespace that its process is in.
    pub(crate) fn netns(&self) -> NetnsId {
        self.node.netns_of_pid(self.pid())
    }

    /// containerd says so itself, berth or not.
    fn is_sandbox_of(&self, uid: &str) -> bool {
        let of = &self.spec["annotations"];
        of["io.kubernetes.cri.container-type"] == "sandbox" && of["io.kubernetes.cri.sandbox-uid"] == uid
    }
}
