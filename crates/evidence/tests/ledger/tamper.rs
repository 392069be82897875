//! Changes that the verifier must see.

use super::*;

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// A log small enough to verify some thousand times.
fn small(dir: &Path) {
    let ledger = Ledger::open(dir, LedgerOptions { segment_size: 2048, ..options() }).unwrap();
    let (_, mut log) = begin(&ledger);
    for id in 1..=3 {
        drop(log.received(b"select 1", vec![statement(id)], None));
        let _ = log.answered(Bytes::from(vec![7; 600]), vec![finished(id)], vec![]).wait().unwrap();
    }
    log.close(CloseReason::Agent).wait().unwrap();
    ledger.shutdown().unwrap();
}

#[test]
fn every_byte_counts() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    sound(dir.path());
    let vkey = vkey(dir.path());
    let files = files(dir.path());
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, &bad).unwrap();
            // without the payload key: the digests have to do
            let report = verify(dir.path(), &vkey, None);
            assert_eq!(report.exit_code(), 1, "byte {at} of {}: {report}", file.display());
        }
        fs::write(&file, &good).unwrap();
    }
    sound(dir.path());
}

#[test]
fn bytes_at_random_in_a_larger_log() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let report = sound(dir.path());
    assert!(report.counts.records > 256, "{report}");
    let files = files(dir.path());
    assert!(files.iter().filter(|file| file.to_string_lossy().ends_with(".seg")).count() > 2);
    let vkey = vkey(dir.path());
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for file in files {
        let good = fs::read(&file).unwrap();
        for _ in 0..12 {
            let at = random.below(good.len() as u64) as usize;
            let mut bad = good.clone();
            bad[at] ^= 1 << random.below(8);
            fs::write(&file, &bad).unwrap();
            let report = verify(dir.path(), &vkey, None);
            assert_eq!(report.exit_code(), 1, "byte {at} of {}: {report}", file.display());
        }
        // cut at random, and made longer
        let cut = random.below(good.len() as u64) as usize;
        fs::write(&file, &good[..cut]).unwrap();
        assert_ne!(verify(dir.path(), &vkey, None).exit_code(), 0, "{} cut at {cut}", file.display());
        fs::write(&file, [&good[..], &[0]].concat()).unwrap();
        assert_ne!(verify(dir.path(), &vkey, None).exit_code(), 0, "{} with a zero more", file.display());
        fs::remove_file(&file).unwrap();
        let gone = verify(dir.path(), &vkey, None);
        assert_ne!(gone.exit_code(), 0, "{} removed: {gone}", file.display());
        fs::write(&file, &good).unwrap();
    }
    sound(dir.path());
}

#[test]
fn what_is_cut_or_swapped_or_added_is_seen_even_with_right_checksums() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let segment = dir.path().join(layout::JOURNAL).join(layout::segment(0));
    let good = fs::read(&segment).unwrap();
    let mut places = Vec::new();
    let mut frames = Frames::new(&good);
    while let Next::Frame(frame) = frames.next_frame() {
        places.push((frame.at, frames.offset()));
    }
    let whole = frames.offset();
    let with = |middle: &[&[u8]]| {
        let mut bytes = middle.concat();
        bytes.resize(good.len(), 0);
        fs::write(&segment, bytes).unwrap();
        let report = check(dir.path());
        assert_eq!(report.exit_code(), 1, "{report}");
    };
    let (first, second) = (places[6], places[8]);
    // two payloads and their records change places; one is dropped; one is there twice
    let pair = |i: usize| &good[places[i].0..places[i + 1].1];
    assert!(first.0 < second.0);
    let start = places.iter().position(|p| p.0 == places[4].0).unwrap();
    with(&[&good[..places[start].0], pair(start + 2), pair(start), &good[places[start + 3].1..whole]]);
    with(&[&good[..places[start].0], &good[places[start + 1].1..whole]]);
    with(&[&good[..places[start].0], pair(start), pair(start), &good[places[start + 1].1..whole]]);
    fs::write(&segment, &good).unwrap();

    // files that no log has
    for name in ["log/tile/0/999", "log/readme", "journal/9", "checkpoints/none", "checkpoints/2000-01-01.notes"] {
        fs::write(dir.path().join(name), b"").unwrap();
        assert_ne!(check(dir.path()).exit_code(), 0, "{name}");
        fs::remove_file(dir.path().join(name)).unwrap();
    }

    // another key's checkpoint over the same log
    let (skey, _) = chaperone_ledger_format::checkpoint::key_pair("log.example", &[5; 32]).unwrap();
    let checkpoint = dir.path().join(layout::CHECKPOINT);
    let note = fs::read(&checkpoint).unwrap();
    let own = chaperone_ledger_format::checkpoint::Verifier::new(&vkey(dir.path())).unwrap().verify(&note).unwrap();
    let forged = chaperone_ledger_format::checkpoint::Signer::new(&skey).unwrap().sign(&own).unwrap();
    fs::write(&checkpoint, forged).unwrap();
    assert_eq!(check(dir.path()).exit_code(), 1);
    fs::write(&checkpoint, note).unwrap();
    sound(dir.path());
    assert_eq!(verify(dir.path(), "not a key", None).exit_code(), 3);
}

/// The writer does not go on where the verifier would find a change.
#[test]
fn a_changed_log_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let keep = tempfile::tempdir().unwrap();
    copy(dir.path(), keep.path());
    let refused = |what: &str| {
        let before: BTreeMap<_, _> = files(dir.path()).into_iter().map(|f| (f.clone(), fs::read(f).unwrap())).collect();
        let error = Ledger::open(dir.path(), options()).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged(_)), "{what}: {error}");
        for (file, bytes) in before {
            if file.starts_with(dir.path().join(layout::JOURNAL)) {
                assert_eq!(fs::read(&file).unwrap(), bytes, "{what} changed {}", file.display());
            }
        }
    };
    let segments: Vec<_> =
        files(dir.path()).into_iter().filter(|f| f.extension().is_some_and(|e| e == "seg")).collect();
    let last = segments.last().unwrap();
    for segment in [&segments[0], last] {
        let good = fs::read(segment).unwrap();
        let mut bad = good.clone();
        bad[100] ^= 1;
        fs::write(segment, bad).unwrap();
        refused("a changed frame");
        fs::write(segment, good).unwrap();
    }
    fs::remove_file(last).unwrap();
    refused("a segment less");
    copy(keep.path(), dir.path());
    fs::write(dir.path().join(layout::CHECKPOINT), b"x").unwrap();
    refused("no checkpoint in its file");
    copy(keep.path(), dir.path());
    open(dir.path()).shutdown().unwrap();
    sound(dir.path());
}
