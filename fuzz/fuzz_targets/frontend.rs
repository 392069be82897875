#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chaperone_wire::postgres::frontend::fuzz_frontend(data));
