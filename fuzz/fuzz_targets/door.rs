//! See tests/fuzz/door.rs.
#![no_main]
#![allow(dead_code, reason = "some of it is for other targets")]

#[path = "../../tests/fuzz/session.rs"]
mod session;
#[path = "../../tests/fuzz/door.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
