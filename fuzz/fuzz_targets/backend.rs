#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chaperone_wire::postgres::backend::fuzz_backend(data));
