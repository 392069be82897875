#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chaperone_wire::postgres::sasl::fuzz_sasl(data));
