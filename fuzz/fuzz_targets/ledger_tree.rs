#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chaperone_ledger_format::fuzz::fuzz_tree(data));
