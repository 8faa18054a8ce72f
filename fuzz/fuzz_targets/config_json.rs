//! See tests/fuzz/config_json.rs.
#![no_main]
#![allow(dead_code, reason = "some of it is for other targets")]

#[path = "../../tests/fuzz/config_json.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
