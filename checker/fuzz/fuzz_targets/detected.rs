//! Reads any bytes in the format that they seem to have; see `one.rs`.

#![no_main]

#[path = "../one.rs"]
mod one;

libfuzzer_sys::fuzz_target!(|data: &[u8]| one::one(None, data));
