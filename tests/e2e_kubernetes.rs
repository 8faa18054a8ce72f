//! berth in a Kubernetes cluster, in the way an operator gets it there: `kubectl apply -k`. Not part of `cargo test`:
//! `make test-kubernetes` runs it on a cluster from plain binaries.

#[path = "e2e/kubernetes/mod.rs"]
mod kubernetes;
mod rig;
