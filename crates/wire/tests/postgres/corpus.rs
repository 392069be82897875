//! The seeds of `fuzz/`, through the same bodies, and each of them changed at random.

use std::fs;
use std::path::Path;

use bytes::BytesMut;
use chaperone_wire::postgres::{HEADER, Limits, Side, backend, frontend, sasl, scan, startup};
use proptest::prelude::*;

type Body = fn(&[u8]);
const TARGETS: [(&str, Body); 4] = [
    ("startup", startup::fuzz_startup),
    ("frontend", frontend::fuzz_frontend),
    ("backend", backend::fuzz_backend),
    ("sasl", sasl::fuzz_sasl),
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    named(target, "")
}

fn named(target: &str, prefix: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds in `{}`", folder.display());
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

/// A target that gave up early would pass everything: what real servers and clients say is understood to the end.
#[test]
fn real_sessions_are_understood_to_the_end() {
    for (target, side) in [("frontend", Side::Frontend), ("backend", Side::Backend)] {
        for seed in named(target, "real-") {
            let limits = Limits::new(side);
            let mut messages = scan(&seed, &limits);
            let mut count = 0;
            for found in messages.by_ref() {
                let (tag, range) = found.unwrap();
                let body = &seed[range.start + HEADER..range.end];
                let understood = match side {
                    Side::Frontend => frontend::Message::parse(frontend::Tag::from_byte(tag).unwrap(), body).map(drop),
                    Side::Backend => backend::Message::parse(backend::Tag::from_byte(tag).unwrap(), body).map(drop),
                };
                assert_eq!(understood, Ok(()), "{}", char::from(tag));
                count += 1;
            }
            assert_eq!(messages.consumed(), seed.len());
            assert!(count >= 5, "{count}");
        }
    }
    for seed in named("startup", "real-") {
        let opening = startup::next(&mut BytesMut::from(&seed[..])).unwrap();
        assert!(matches!(opening, Some(startup::Opening::Startup(message)) if message.user() == "postgres"));
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
