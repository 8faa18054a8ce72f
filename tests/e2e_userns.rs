//! Pods with a user namespace of their own, on a real containerd; run by `make test-engine-userns`.

mod rig;
mod userns;
