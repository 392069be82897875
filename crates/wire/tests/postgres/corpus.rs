//! The seeds of `fuzz/`, through the same bodies, and each of them changed at random.

use std::fs;
use std::path::Path;

use chaperone_wire::postgres::{backend, frontend, sasl, startup};
use proptest::prelude::*;

type Body = fn(&[u8]);
const TARGETS: [(&str, Body); 4] = [
    ("startup", startup::fuzz_startup),
    ("frontend", frontend::fuzz_frontend),
    ("backend", backend::fuzz_backend),
    ("sasl", sasl::fuzz_sasl),
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn every_seed_passes() {
    for (target, body) in TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 5, "`{target}` has {} seeds", seeds.len());
        seeds.iter().for_each(|seed| body(seed));
    }
}

#[test]
fn every_cut_of_every_seed_passes() {
    for (target, body) in TARGETS {
        for seed in seeds(target) {
            (0..seed.len()).for_each(|end| body(&seed[..end]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_seeds_pass(
        target in 0..TARGETS.len(),
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (name, body) = TARGETS[target];
        let seeds = seeds(name);
        let mut seed = which.get(&seeds).clone();
        for (place, byte) in changes {
            if !seed.is_empty() {
                let at = place.index(seed.len());
                seed[at] = byte;
            }
        }
        body(&seed);
    }

    #[test]
    fn noise_passes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        TARGETS.iter().for_each(|(_, body)| body(&data));
    }
}
