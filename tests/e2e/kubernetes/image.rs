//! The image of berth that the suite puts into clusters.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::rig::provision::components;

/// Its name, in the manifests and in the archive.
pub(crate) const IMAGE: &str = "docker.io/library/berth:dev";

/// The archive of the image, built once for a test process; `BERTH_IMAGE` names another.
pub(crate) fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| match std::env::var_os("BERTH_IMAGE") {
        Some(path) => path.into(),
        None => components(&["berth_image"])["BERTH_RIG_BERTH_IMAGE"].clone().into(),
    })
}
