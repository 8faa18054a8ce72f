//! berth in front of the OCI runtime of a real podman, which has no daemon and no NRI. Run by `make test-engine-podman`.

mod podman;
mod rig;
