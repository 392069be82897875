#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chaperone_analysis::fuzz_parse(data));
