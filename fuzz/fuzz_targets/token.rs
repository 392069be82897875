#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chaperone_gateway::identity::fuzz_token(data));
