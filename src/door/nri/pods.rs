//! Which pod has which namespace: a table in memory, so that a container costs no search. A memory, not the truth:
//! the pins are asked before anything is believed.

use crate::identity::SandboxId;
use crate::netns::NetnsId;
use crate::pin::PinName;
use std::collections::HashMap;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Pods {
    by_sandbox: HashMap<SandboxId, NetnsId>,
    by_netns: HashMap<NetnsId, SandboxId>,
    by_name: HashMap<PinName, SandboxId>,
}

impl Pods {
    /// Notes that the pin `name` of `sandbox` holds `id`.
    pub(super) fn pinned(&mut self, sandbox: &SandboxId, name: &PinName, id: NetnsId) {
        if let Some(before) = self.by_sandbox.insert(sandbox.clone(), id) {
            self.disown(before, sandbox);
        }
        self.by_netns.insert(id, sandbox.clone());
        self.by_name.insert(name.clone(), sandbox.clone());
    }

    /// The namespace pinned for `sandbox`.
    pub(super) fn netns(&self, sandbox: &SandboxId) -> Option<NetnsId> {
        self.by_sandbox.get(sandbox).copied()
    }

    /// The sandbox for which `id` is pinned.
    pub(super) fn sandbox_of(&self, id: NetnsId) -> Option<SandboxId> {
        self.by_netns.get(&id).cloned()
    }

    /// Forgets a pin that is gone.
    pub(super) fn forget(&mut self, name: &PinName) {
        let Some(sandbox) = self.by_name.remove(name) else { return };
        if let Some(id) = self.by_sandbox.remove(&sandbox) {
            self.disown(id, &sandbox);
        }
    }

    /// `id` does not lead to `sandbox` any more; it may lead to another by now.
    fn disown(&mut self, id: NetnsId, sandbox: &SandboxId) {
        if self.by_netns.get(&id) == Some(sandbox) {
            self.by_netns.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Engine, Scope};

    fn pod(text: &str) -> (SandboxId, PinName) {
        let id = SandboxId::try_from(text).expect("id");
        let name = PinName::of(&Scope::cri(Engine::Containerd), &id);
        (id, name)
    }

    #[test]
    fn a_namespace_number_that_was_reused_leads_to_the_newer_pod() {
        let (mut pods, id) = (Pods::default(), NetnsId { dev: 4, ino: 9 });
        let ((old, old_name), (new, new_name)) = (pod("old"), pod("new"));
        pods.pinned(&old, &old_name, id);
        pods.pinned(&new, &new_name, id);
        pods.forget(&old_name);
        assert_eq!(pods.sandbox_of(id), Some(new));
        assert_eq!(pods.netns(&old), None);
        pods.forget(&new_name);
        assert_eq!(pods.sandbox_of(id), None);
    }
}
