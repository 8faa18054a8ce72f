//! Which pod of podman a container is in, by what podman alone writes.
//!
//! Its annotations do not say it. podman writes `io.kubernetes.cri-o.SandboxID` into every container of a pod but the
//! infra container; what an image, a kube file or a command line says under that key comes later and stands (seen on
//! 4.3.1, and so in 6.0's source). What says it:
//!
//! - *infra container*: podman puts a pod's containers into the pod's own cgroup. Of those the infra container alone
//!   lacks the key, because an author can change a key and not take it away.
//! - *member*: it is given namespaces of the infra container's process. podman refuses containers of no pod, or of
//!   another one, that want a namespace of a pod's container.
//!
//! Images and kube files reach neither. A command line does, by `--cgroup-parent` and `--network ns:`; it is root's.
//! A pod that is kept out of its cgroup (`--share-parent=false`) has members by their word, where their namespaces bear
//! it out, and no infra container that could be told from others.

use crate::identity::SandboxId;
use crate::oci::{Bundle, Scan};
use std::path::Path;

/// What podman tells every container of a pod but the infra container.
const SANDBOX_ID: &str = "io.kubernetes.cri-o.SandboxID";
/// Digits of podman's ids.
const ID_LEN: usize = 64;

/// The infra container of the pod that the container `id` is in, which may be itself; none where it is in no pod that
/// has one, or it cannot be told. `proc` is where processes are looked at. podman keeps the bundles of all containers
/// side by side, as `<id>/userdata`.
#[must_use]
pub(super) fn infra(proc: &Path, bundle: &Path, id: &str, spec: &Scan<'_>) -> Option<SandboxId> {
    if pod(id, spec).is_some() && lacks_key(id, spec) {
        return SandboxId::try_from(id).ok();
    }
    let bundles = std::path::absolute(bundle).ok()?.parent()?.parent()?.to_owned();
    let claimed = spec.values.get(SANDBOX_ID);
    let is_infra = |other: &String| {
        let Ok(Some(bundle)) = Bundle::open(&bundles.join(other).join("userdata")) else { return false };
        let Ok(spec) = bundle.scan() else { return false };
        lacks_key(other, &spec) && (pod(other, &spec).is_some() || claimed == Some(other))
    };
    let mut joined = spec.joined.iter().filter_map(|path| container_of(proc, path));
    joined.find(is_infra).and_then(|id| SandboxId::try_from(id.as_str()).ok())
}

/// The pod into whose cgroup podman has put the container `id`: `<parent>/<pod>/libpod-<id>`, or in systemd's words
/// `<slice>-libpod_pod_<pod>.slice:libpod:<id>`. In a pod without an infra container it is also what podman writes under
/// its key.
#[must_use]
pub(super) fn pod<'a>(id: &str, spec: &'a Scan<'_>) -> Option<&'a str> {
    let path = spec.cgroups_path.as_deref()?.strip_suffix(id)?;
    let pod = match path.strip_suffix(":libpod:") {
        Some(slice) => slice.strip_suffix(".slice")?.rsplit_once("-libpod_pod_")?.1,
        None => path.strip_suffix("/libpod-")?.rsplit_once('/')?.1,
    };
    Some(pod).filter(|pod| is_id(pod))
}

/// Its own id is what berth writes.
fn lacks_key(id: &str, spec: &Scan<'_>) -> bool {
    spec.values.get(SANDBOX_ID).is_none_or(|sandbox| sandbox == id)
}

/// The container whose process a namespace's path goes through, by the process's cgroup: `libpod-<id>` below podman's
/// parent, `libpod-<id>.scope` in systemd's words. What comes below that can be the container's own doing.
fn container_of(proc: &Path, path: &str) -> Option<String> {
    let (pid, _) = path.strip_prefix("/proc/")?.split_once("/ns/")?;
    let pid: u32 = pid.parse().ok()?;
    let cgroups = std::fs::read_to_string(proc.join(pid.to_string()).join("cgroup")).ok()?;
    cgroups.lines().find_map(|line| line.split('/').find_map(container_id)).map(str::to_owned)
}

fn container_id(component: &str) -> Option<&str> {
    let name = component.strip_prefix("libpod-")?;
    let id = name.strip_prefix("payload-").unwrap_or(name);
    Some(id.strip_suffix(".scope").unwrap_or(id)).filter(|id| is_id(id))
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
