//! Which pod of podman a container is in, by what podman alone writes.
//!
//! Its annotations say nothing. podman writes `io.kubernetes.cri-o.SandboxID` into every container of a pod but the
//! infra container; whatever an image, a kube file or a command line says under that key comes later and stands (seen
//! on 4.3.1, read in 6.0). What none of the first two can write is the cgroup: podman puts the containers of a pod,
//! and nothing else, below the pod's own. And nobody can take the key away again, so the one without it is the infra
//! container. Who gives podman a command line can name any cgroup; but podman's command line is root's.
//!
//! Not recognised, and so standalone, are containers that are kept out of their pod's cgroup: pods with
//! `--share-parent=false`, containers with a `--cgroup-parent` of their own or with `--cgroups=split`.

use crate::identity::SandboxId;
use crate::oci::{Bundle, Scan};
use std::path::{Path, PathBuf};

/// What podman tells every container of a pod but the infra container.
pub(super) const SANDBOX_ID: &str = "io.kubernetes.cri-o.SandboxID";
/// Digits of podman's ids.
const ID_LEN: usize = 64;

/// The infra container of the pod that the container `id` is in, which may be itself; none where it is in no pod that
/// has one. podman keeps the bundles of all containers side by side, as `<id>/userdata`; one that cannot be read is no
/// infra container's.
#[must_use]
pub(super) fn infra(bundle: &Path, id: &str, spec: &Scan<'_>) -> Option<SandboxId> {
    let pod = pod(id, spec)?;
    if is_infra(id, spec) {
        return SandboxId::try_from(id).ok();
    }
    let bundles = std::path::absolute(bundle).ok()?.parent()?.parent()?.to_owned();
    let claimed = spec.values.get(SANDBOX_ID).and_then(|id| SandboxId::try_from(id.as_str()).ok());
    let is_it = |other: &SandboxId| is_infra_of(pod, &bundles, other.as_str());
    // Usually right. Where an author has written another, the one that podman meant is among all of them.
    claimed.filter(is_it).or_else(|| ids(&bundles).find(is_it))
}

/// The pod in whose cgroup podman puts the container `id`: `<parent>/<pod>/libpod-<id>`, or in systemd's words
/// `<slice>-libpod_pod_<pod>.slice:libpod:<id>`.
fn pod<'a>(id: &str, spec: &'a Scan<'_>) -> Option<&'a str> {
    let path = spec.cgroups_path.as_deref()?;
    let pod = match path.strip_suffix(id)?.strip_suffix(":libpod:") {
        Some(slice) => slice.strip_suffix(".slice")?.rsplit_once("-libpod_pod_")?.1,
        None => path.strip_suffix(id)?.strip_suffix("/libpod-")?.rsplit_once('/')?.1,
    };
    is_id(pod).then_some(pod)
}

/// Of those in a pod's cgroup. Its own id is what berth writes.
fn is_infra(id: &str, spec: &Scan<'_>) -> bool {
    spec.values.get(SANDBOX_ID).is_none_or(|sandbox| sandbox == id)
}

fn is_infra_of(pod_id: &str, bundles: &Path, id: &str) -> bool {
    let Ok(Some(bundle)) = Bundle::open(&userdata(bundles, id)) else { return false };
    bundle.scan().is_ok_and(|spec| pod(id, &spec) == Some(pod_id) && is_infra(id, &spec))
}

fn ids(bundles: &Path) -> impl Iterator<Item = SandboxId> {
    let entries = std::fs::read_dir(bundles).into_iter().flatten().flatten();
    entries.filter_map(|entry| SandboxId::try_from(entry.file_name().to_str().filter(|name| is_id(name))?).ok())
}

fn userdata(bundles: &Path, id: &str) -> PathBuf {
    bundles.join(id).join("userdata")
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
