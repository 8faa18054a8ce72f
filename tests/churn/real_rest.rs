//! What has to hold of a node with a real containerd when nothing happens on it.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;

use crate::left;
use crate::plan::{ELDERS, TENTHS};
use crate::real_node::{Pod, RealNode};
use crate::rig::holds::assert_goes;
use crate::rig::wait::eventually;

/// The engine's own files.
const NETNS: &str = "/run/netns";

impl RealNode {
    /// Nothing may be left of pods that are over. Where something was killed, the list of pods that a restarted engine sends
    /// is the last occasion to see to that.
    pub(crate) fn rest(&mut self) {
        self.give_up_strangers();
        self.remove_containers();
        if !std::mem::take(&mut self.disturbed) {
            let pods = self.pods.lock().unwrap();
            self.assert_right(&pods.values().filter(|pod| self.holds(pod)).collect::<Vec<_>>());
        }
        left::age(&self.rig);
        self.rig.restart_engine(Signal::SIGTERM);
        self.caught_up();
        let (over, living): (BTreeMap<_, _>, _) =
            std::mem::take(self.pods.get_mut().unwrap()).into_iter().partition(|(_, pod)| !self.holds(pod));
        self.clear_up(&living);
        self.assert_right(&living.values().collect::<Vec<_>>());
        for pod in over.values() {
            self.rig.cri().remove_pod(&pod.sandbox.id).expect("remove a pod that was stopped");
        }
        *self.pods.get_mut().unwrap() = living;
        self.rests.push(self.vitals());
    }

    /// There is what these pods need, and nothing else.
    #[track_caller]
    fn assert_right(&self, living: &[&Pod]) {
        let (ids, netns): (Vec<_>, Vec<_>) = living.iter().map(|pod| (pod.sandbox.id.clone(), pod.netns)).unzip();
        assert_goes(|| [left::wrong(&self.rig, &ids), left::namespaces(&self.rig, &netns)].concat());
    }

    /// Pods that the engine has and the plan has not, or no longer: a kubelet removes them, again if need be.
    fn give_up_strangers(&self) {
        let pods = self.pods.lock().unwrap();
        let elders: Vec<_> = pods.range(..ELDERS).map(|(_, pod)| &pod.sandbox.id).collect();
        let last = self.rests.len() + 1 == TENTHS;
        for id in self.rig.cri().list_pods() {
            let known = pods.values().find(|pod| pod.sandbox.id == id);
            if last || (!elders.contains(&&id) && known.is_none_or(|pod| self.holds(pod))) {
                known.iter().for_each(|pod| self.vows.release(&self.pin(pod)));
                eventually("the pod is removed", || self.rig.cri().remove_pod(&id).ok());
            }
        }
    }

    /// So that what the daemon is told at a rest is always as much.
    fn remove_containers(&mut self) {
        for id in self.pods.get_mut().unwrap().values_mut().flat_map(|pod| std::mem::take(&mut pod.containers)) {
            eventually("a container is removed", || self.rig.cri().remove_container(&id).ok());
        }
    }

    /// An engine that ends in the middle of something leaves files of namespaces and processes in them that it has
    /// forgotten. As long as they are there berth keeps what they need; an administrator removes them.
    fn clear_up(&mut self, living: &BTreeMap<usize, Pod>) {
        if !std::mem::take(&mut self.engine_ended) {
            return;
        }
        let known: Vec<_> = living.values().map(|pod| pod.file.rsplit('/').next().unwrap_or_default()).collect();
        let entries = std::fs::read_dir(self.rig.path(NETNS)).expect("the engine's files").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        for name in names.filter(|name| !name.starts_with("berth-") && !known.contains(&name.as_str())) {
            self.rig.run("ip", &["netns", "delete", &name]).expect("remove a file of a namespace");
            self.forgotten.push(name);
        }
        let kept: Vec<_> = living.values().map(|pod| pod.netns).chain([self.rig.netns_of_node()]).collect();
        for (pid, line) in self.rig.tasks_outside(&kept) {
            // One that was about to end was not forgotten.
            self.forgotten.extend(self.rig.run("kill", &["-9", &pid.to_string()]).map(|_| line));
        }
    }
}
