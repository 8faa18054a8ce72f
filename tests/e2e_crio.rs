//! berth on a real CRI-O, which is not among the tests of a plain `cargo test`: `make test-engine-crio-1.36`.

mod crio;
mod rig;
