//! berth in front of gVisor's shim, on a real containerd; run by `make test-engine-gvisor`.

mod gvisor;
mod rig;
