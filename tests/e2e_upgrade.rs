//! berth exchanged for another version while pods run, on a real containerd. Run by `make test-engine-upgrade`.

mod rig;
mod upgrade;
