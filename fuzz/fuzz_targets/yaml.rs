//! See tests/fuzz/yaml.rs.
#![no_main]
#![allow(dead_code, reason = "some of it is for other targets")]

#[path = "../../tests/fuzz/yaml.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
