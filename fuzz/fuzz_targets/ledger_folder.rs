#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let scratch = std::env::temp_dir().join(format!("chaperone-fuzz-{}", std::process::id()));
    chaperone_verify::fuzz_folder(&scratch, data);
});
