//! The bodies of the fuzz targets `ledger_…` that need no files. Each ends in assertions: nothing panics, what parses
//! is written again as the same bytes, and what was changed is refused.

use std::sync::LazyLock;

use crate::checkpoint::{self, Checkpoint, Signer, Verifier};
use crate::payload::{self, KEY, PayloadError, PayloadKey, SALT, SessionKey};
use crate::record::{MAX_RECORD, PayloadRef, Record};
use crate::segment::{self, Frames, HEADER, Header, Kind, Next};
use crate::tree::{HASH_SIZE, TILE_WIDTH, TileName, Tree, entries, leaf, push_entry};
use crate::{layout, payload::digest};

/// The seed of the log's key and the payload key of every log in the seeds.
pub const KEYS: [u8; KEY] = [7; KEY];
/// The name of every log in the seeds.
pub const ORIGIN: &str = "log.example";

/// A segment's file: its header and its frames.
pub fn fuzz_segment(data: &[u8]) {
    if let Some(header) = Header::from_bytes(data) {
        assert!(data.starts_with(&header.to_bytes()));
    }
    let mut frames = Frames::new(data);
    let mut again = data.iter().copied().take(HEADER).collect::<Vec<_>>();
    let end = loop {
        match frames.next_frame() {
            Next::Frame(frame) => {
                assert_eq!(frame.at, again.len());
                segment::push_frame(&mut again, frame.kind, frame.body);
                assert_eq!(frames.offset(), again.len());
            }
            end => break end,
        }
    };
    assert!(data.starts_with(&again), "frames are read as they are written");
    assert_eq!(frames.next_frame(), end);
    let zeros = data[again.len()..].iter().all(|&byte| byte == 0);
    assert_eq!(end == Next::End, zeros);

    // the checksum keeps chance out: lines of the data as bodies, with the right one
    let lines = || (0u8..).zip(data.split(|&byte| byte == b'\n').take(64));
    let kind = |n: u8| if n.is_multiple_of(2) { Kind::Payload } else { Kind::Record };
    let mut written = Header { number: 1, first_record: u64::MAX, size: 2 }.to_bytes().to_vec();
    lines().for_each(|(n, line)| segment::push_frame(&mut written, kind(n), line));
    let mut frames = Frames::new(&written);
    for (n, line) in lines() {
        assert!(matches!(frames.next_frame(), Next::Frame(frame) if frame.kind == kind(n) && frame.body == line));
    }
    assert_eq!(frames.next_frame(), Next::End);
}

/// A record.
pub fn fuzz_record(data: &[u8]) {
    let Ok(mut record) = Record::parse(data) else { return };
    assert!(data.len() <= MAX_RECORD);
    assert!(data.iter().all(|byte| *byte >= b' '), "a record is one line");
    assert_eq!(record.to_bytes(), data);
    for other in [[data, b" "].concat(), [b"\n", data].concat(), [data, data].concat()] {
        assert!(Record::parse(&other).is_err());
    }
}

static SESSION: LazyLock<SessionKey> =
    LazyLock::new(|| PayloadKey::new(KEYS).session(ORIGIN, "session").expect("a session's key"));

/// A payload: as a frame, as what is sealed in one, and as a plaintext.
pub fn fuzz_payload(data: &[u8]) {
    let reference = |bytes, commit| PayloadRef { bytes, commit, ct_sha256: digest(data) };
    // nobody without the key makes a frame that opens, and the seeds are other sessions'
    assert!(SESSION.open(data, 5, &reference(0, String::new())).is_err());

    let sealed = |inner: &[u8]| {
        let mut frame = Vec::new();
        SESSION.seal_into(&mut frame, &[3; KEY], 5, inner).expect("sealing");
        frame
    };
    let salt = [9; SALT];
    let refused = SESSION.open(&sealed(&[&salt, data].concat()), 5, &reference(0, String::new()));
    assert!(matches!(refused, Err(PayloadError::Malformed | PayloadError::Commitment)));

    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let note = data.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    let bytes = u64::from(length).saturating_sub(4).saturating_sub(note);
    let committed = reference(bytes, hex::encode(payload::commitment(&salt, &[data])));
    let frame = sealed(&[&salt, &[0][..], &length.to_le_bytes(), data].concat());
    match SESSION.open(&frame, 5, &committed) {
        Ok(opened) => {
            assert_eq!(opened.bytes.len() as u64, bytes);
            assert!(data.ends_with(&opened.bytes));
            assert!(!format!("{opened:?}").contains("run"), "no values in debug output");
            let more = PayloadRef { bytes: bytes + 1, ..committed };
            assert_eq!(SESSION.open(&frame, 5, &more), Err(PayloadError::Commitment));
        }
        Err(error) => assert_eq!(error, PayloadError::Malformed),
    }
}

/// The log's keys: to sign checkpoints, to sign anything, to verify.
fn log() -> (Signer, signed_note::StandardSigner, Verifier) {
    let (skey, vkey) = checkpoint::key_pair(ORIGIN, &KEYS).expect("a key");
    let anything = signed_note::StandardSigner::new(&skey).expect("a signer");
    (Signer::new(&skey).expect("a signer"), anything, Verifier::new(&vkey).expect("a verifier"))
}

thread_local!(static LOG: (Signer, signed_note::StandardSigner, Verifier) = log());

/// A checkpoint, a history of them, or a key.
pub fn fuzz_checkpoint(data: &[u8]) {
    LOG.with(|(signer, anything, verifier)| notes(data, signer, anything, verifier));

    let (notes, rest) = checkpoint::history(data);
    let mut again = Vec::new();
    notes.iter().for_each(|note| checkpoint::push_history(&mut again, note));
    assert_eq!([&again, rest].concat(), data);
    assert_eq!(checkpoint::history(rest), (vec![], rest));

    let text = String::from_utf8_lossy(data);
    if let Ok(signer) = Signer::new(&text) {
        let verifier = Verifier::new(signer.vkey()).expect("the key of a signer");
        assert_eq!(verifier.origin(), signer.origin());
    }
    let _ = Verifier::new(&text);
    if let Some(key) = PayloadKey::from_text(&text) {
        assert!(key.to_text().trim().eq_ignore_ascii_case(text.trim()));
    }
}

/// What the log signed, and what it would have to sign.
fn notes(data: &[u8], signer: &Signer, anything: &signed_note::StandardSigner, verifier: &Verifier) {
    if let Ok(checkpoint) = verifier.verify(data) {
        canonical(signer, &checkpoint, data);
        let mut file = Vec::new();
        checkpoint::push_history(&mut file, data);
        assert_eq!(checkpoint::history(&file), (vec![data], &b""[..]));
    }
    if let Ok(mut note) = signed_note::Note::new(data, &[])
        && note.add_sigs(&[anything]).is_ok()
        && let Ok(checkpoint) = verifier.verify(&note.to_bytes())
    {
        canonical(signer, &checkpoint, data);
    }
}

/// A note begins with the text that the log writes for what it says.
fn canonical(signer: &Signer, checkpoint: &Checkpoint, note: &[u8]) {
    let written = signer.sign(checkpoint).expect("signing");
    let text = written.windows(2).position(|pair| pair == b"\n\n").expect("a text and signatures") + 1;
    assert!(note.starts_with(&written[..text]));
    assert!(matches!(note[text..], [] | [b'\n', ..]), "no line more");
}

/// A bundle of entries, a tile's path, or another name in the folder.
pub fn fuzz_tree(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        if let Some(name) = TileName::from_path(text) {
            assert_eq!(name.path(), text);
            assert!((1..=TILE_WIDTH).contains(&name.width));
            assert!(Tree::default().tile(name.level.unwrap_or(0), name.number, name.width).is_none());
        }
        if let Some(number) = layout::segment_number(text) {
            assert_eq!(layout::segment(number), text);
        }
        if layout::is_history(text) {
            assert!(!text.contains(['/', '\\']) && text.len() == layout::history("2026-11-24").len());
        }
    }
    if let Some((number, [level, width, ..])) = data.split_first_chunk::<8>() {
        let level = level.is_multiple_of(2).then_some(level / 2);
        let name = TileName { level, number: u64::from_be_bytes(*number), width: u64::from(*width) + 1 };
        assert_eq!(TileName::from_path(&name.path()), Some(name));
    }
    let Some(records) = entries(data) else { return };
    let mut again = Vec::new();
    assert!(records.iter().all(|record| push_entry(&mut again, record)));
    assert_eq!(again, data);
    let mut tree = Tree::default();
    records.iter().for_each(|record| tree.push(leaf(record)));
    let (size, root) = (tree.size(), tree.root(tree.size()));
    assert!(size == records.len() as u64 && root.is_some() && tree.root(size + 1).is_none());
    for name in Tree::tiles(size, |_| 0) {
        let tile = tree.tile(name.level.unwrap_or(0), name.number, name.width);
        assert_eq!(tile.map(|tile| (tile.len() / HASH_SIZE) as u64), Some(name.width));
    }
    tree.forget_full_tiles();
    assert_eq!(tree.root(size), root);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Body = fn(&[u8]);

    /// The seeds of the targets: whole, cut anywhere, and with bytes replaced.
    #[test]
    fn the_corpus() {
        let targets: [(&str, Body); 5] = [
            ("segment", fuzz_segment),
            ("record", fuzz_record),
            ("payload", fuzz_payload),
            ("checkpoint", fuzz_checkpoint),
            ("tree", fuzz_tree),
        ];
        for (target, body) in targets {
            let seeds = seeds(target);
            assert!(seeds.len() >= 5, "`{target}` has {} seeds", seeds.len());
            for (_, seed) in seeds {
                // short seeds everywhere, long ones here and there
                let step = seed.len() / 300 + 1;
                for end in (0..=seed.len()).rev().step_by(step) {
                    body(&seed[..end]);
                }
                for at in (0..seed.len()).step_by(step) {
                    for byte in [0, b'\n', b'"', b'9', 0xff, seed[at] ^ 1] {
                        let mut changed = seed.clone();
                        changed[at] = byte;
                        body(&changed);
                    }
                }
            }
        }
    }

    /// A target that gave up early would pass everything: what the writer wrote is understood to the end.
    #[test]
    fn what_a_log_wrote_is_understood_to_the_end() {
        let real = |target| {
            let seeds: Vec<_> = seeds(target).into_iter().filter(|(name, _)| name.starts_with("real-")).collect();
            assert!(!seeds.is_empty(), "{target}");
            seeds.into_iter().map(|(_, seed)| seed)
        };
        let mut kinds = Vec::new();
        for record in real("record") {
            kinds.push(Record::parse(&record).unwrap().body.kind());
            let value: serde_json::Value = serde_json::from_slice(&record).unwrap();
            assert_eq!(serde_json_canonicalizer::to_vec(&value).unwrap(), record, "RFC 8785, by other code");
        }
        kinds.dedup();
        assert!(kinds.len() >= 8, "{kinds:?}");
        for segment in real("segment") {
            assert!(Header::from_bytes(&segment).is_some());
            let mut frames = Frames::new(&segment);
            let count = std::iter::from_fn(|| matches!(frames.next_frame(), Next::Frame(_)).then_some(())).count();
            assert!(count >= 3 && frames.next_frame() == Next::End, "{count}");
        }
        for bundle in real("tree") {
            assert!(entries(&bundle).unwrap().into_iter().all(|record| Record::parse(record).is_ok()));
        }
        for note in real("checkpoint") {
            let (notes, rest) = checkpoint::history(&note);
            let all = if notes.is_empty() { vec![rest] } else { notes };
            assert!(all.into_iter().all(|note| log().2.verify(note).is_ok()));
        }
    }

    fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(format!("ledger_{target}"));
        let mut seeds: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        seeds.sort();
        seeds
    }
}
