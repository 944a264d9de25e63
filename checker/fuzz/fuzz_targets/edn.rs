//! Reads any bytes as `Format::Edn`; see `one.rs`.

#![no_main]

#[path = "../one.rs"]
mod one;

use partita_checker::formats::Format;

libfuzzer_sys::fuzz_target!(|data: &[u8]| one::one(Some(Format::Edn), data));
