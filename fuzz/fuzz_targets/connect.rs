//! `cargo +nightly fuzz run connect`: the target of that name in `crates/fuzz`, and nothing of its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ds01_fuzz::targets::libfuzzer("connect", bytes));
