//! The body of the fuzz target `ledger_folder`.

use std::fs;
use std::path::{Component, Path};

use chaperone_ledger_format::checkpoint::{Checkpoint, Signer, key_pair};
use chaperone_ledger_format::fuzz::{KEYS, ORIGIN};
use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::PayloadKey;
use chaperone_ledger_format::segment::{FRAME_HEAD, HEADER, Header, seal_frame};

use crate::report::KEPT;
use crate::{Report, Severity, verify};

/// Whatever is in the folder, verification ends without a panic, and calls it sound only if everything in it is
/// covered and opens. `scratch` is a folder for this alone.
///
/// The data are files: each a line with its name, the length of its content in two bytes (little-endian), and its
/// content. A `!` before the name: checksums or signatures in it are made right, so that what they protect is read.
#[doc(hidden)]
pub fn fuzz_folder(scratch: &Path, data: &[u8]) {
    fs::create_dir_all(scratch).expect("a scratch folder");
    unpack(scratch, data);
    let (_, vkey) = key_pair(ORIGIN, &KEYS).expect("a key");
    let key = PayloadKey::new(KEYS);
    let sealed = verify(scratch, &vkey, None);
    let opened = verify(scratch, &vkey, Some(&key));
    fs::remove_dir_all(scratch).expect("removing the scratch folder");
    for report in [&sealed, &opened] {
        plausible(report);
    }
    assert!(opened.worst() >= sealed.worst(), "the payload key shows more, not less");
    assert_eq!(sealed.counts.opened, 0);
    assert!(opened.counts.opened <= opened.counts.payloads);
    if opened.worst().is_none() {
        assert_eq!(opened.counts.opened, opened.counts.payloads);
    }
}

fn plausible(report: &Report) {
    let worst = report.findings.iter().map(|finding| finding.severity).max();
    assert!(worst <= report.worst() && worst.is_some() == report.worst().is_some());
    assert_eq!(report.exit_code() == 0, report.verdict() == "sound");
    assert!(report.findings.len() <= KEPT && (report.more_findings == 0 || report.findings.len() == KEPT));
    if report.worst().is_none() {
        assert_eq!(report.counts.signed, report.counts.records);
    }
    if report.counts.signed < report.counts.records {
        assert!(report.worst() >= Some(Severity::Incomplete));
    }
    assert!(report.findings.iter().all(|finding| !finding.to_string().contains(char::is_control)));
}

/// Writes the files; those with an impossible name are left out.
fn unpack(folder: &Path, mut data: &[u8]) {
    for _ in 0..64 {
        let Some(end) = data.iter().position(|&byte| byte == b'\n') else { return };
        let (name, rest) = data.split_at(end);
        let Some((length, rest)) = rest.get(1..).and_then(<[u8]>::split_first_chunk) else { return };
        let (content, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        data = rest;
        let name = String::from_utf8_lossy(name);
        let (name, repair) = name.strip_prefix('!').map_or((&*name, false), |name| (name, true));
        let path = Path::new(name);
        let inside = name.len() < 200 && path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.contains('\0') {
            continue;
        }
        let mut content = content.to_vec();
        if repair && path.starts_with(layout::JOURNAL) {
            reseal(&mut content);
        } else if repair {
            content = sign_again(&content);
        }
        let path = folder.join(path);
        // a name may be a folder already, or below a file
        if path.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok()) {
            let _ = fs::write(path, content);
        }
    }
}

/// The right checksums for the header and for frames as long as they claim; the last may be cut.
fn reseal(segment: &mut [u8]) {
    let size = segment.len() as u64;
    let Some((header, mut frames)) = segment.split_first_chunk_mut::<HEADER>() else { return };
    let number = |at: usize| header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_le_bytes(*b));
    *header = Header { number: number(8), first_record: number(16), size }.to_bytes();
    while let Some(length) = frames.first_chunk::<4>().map(|length| u32::from_le_bytes(*length)) {
        let end = FRAME_HEAD.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        if length == 0 || end > frames.len() {
            return;
        }
        let (frame, rest) = frames.split_at_mut(end);
        seal_frame(frame, 0);
        frames = rest;
    }
}

/// The notes in a file, each of what it says, signed by the log's key.
fn sign_again(file: &[u8]) -> Vec<u8> {
    let (skey, _) = key_pair(ORIGIN, &KEYS).expect("a key");
    let signer = Signer::new(&skey).expect("a signer");
    let mut signed = Vec::new();
    // three lines of text, an empty one, a signature; in a history an empty one more
    for part in file.split_inclusive(|&byte| byte == b'\n').collect::<Vec<_>>().chunks(6) {
        let (text, end) = (part.iter().take(3), part.iter().skip(5));
        let body = tlog_tiles::Checkpoint::from_bytes(&text.copied().collect::<Vec<_>>().concat());
        let note = body.ok().and_then(|body| signer.sign(&Checkpoint { size: body.size(), root: *body.hash() }).ok());
        match note {
            Some(note) => signed.extend(note.iter().chain(end.copied().flatten())),
            None => signed.extend(part.concat()),
        }
    }
    signed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Finding;

    fn seeds() -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/ledger_folder");
        let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        let mut seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect();
        seeds.sort();
        seeds
    }

    fn report(seed: &str) -> Report {
        let scratch = tempfile::tempdir().unwrap();
        let (_, data) = seeds().into_iter().find(|(name, _)| name == seed).unwrap();
        unpack(scratch.path(), &data);
        verify(scratch.path(), &key_pair(ORIGIN, &KEYS).unwrap().1, Some(&PayloadKey::new(KEYS)))
    }

    /// The seeds of the target: whole, cut here and there, and with bytes replaced.
    #[test]
    fn the_corpus() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("log");
        let seeds = seeds();
        assert!(seeds.len() >= 10);
        for (_, seed) in seeds {
            let step = seed.len() / 40 + 1;
            for end in (0..=seed.len()).rev().step_by(step) {
                fuzz_folder(&folder, &seed[..end]);
            }
            for at in (0..seed.len()).step_by(step) {
                for byte in [0, 0xff, seed[at] ^ 1] {
                    let mut changed = seed.clone();
                    changed[at] = byte;
                    fuzz_folder(&folder, &changed);
                }
            }
        }
    }

    /// A target that gave up early would pass everything.
    #[test]
    fn what_a_log_wrote_is_sound() {
        let report = report("real-log");
        assert_eq!(report.exit_code(), 0, "{report}");
        assert!(report.counts.opened >= 4 && report.counts.sessions == 1 && report.counts.checkpoints > 1);
    }

    #[test]
    fn numbers_without_a_place_are_findings() {
        let found = |seed: &str, severity, what: &str| {
            let report = report(seed);
            let is = |finding: &Finding| finding.severity == severity && finding.what.contains(what);
            assert!(report.findings.iter().any(is), "{seed}: {report}");
            report
        };
        found("first-record-is-the-last-number", Severity::Tampered, "it begins with record 18446744073709551615");
        assert_eq!(found("bytes-beyond-64-bits", Severity::Tampered, "payload").counts.bytes, u64::MAX);
        found("bundle-number-18446744073709551615", Severity::Incomplete, "the entries before it are missing");
        // its first entry would be number 2^64, and is not number 0
        found("bundle-number-72057594037927936", Severity::Incomplete, "the entries before it are missing");
        found("signed-size-is-the-last-number", Severity::Incomplete, "and the log holds 0");
    }

    #[test]
    fn a_finding_is_one_line_whatever_the_names() {
        for seed in ["bytes-beyond-64-bits", "names"] {
            let report = report(seed);
            assert_eq!(report.exit_code(), 1);
            let lines = 1 + report.findings.len();
            assert_eq!(report.to_string().lines().count(), lines, "{report}");
            assert!(!report.to_string().contains(['\u{1b}', '\u{202e}']));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_device_in_place_of_a_file_is_not_read() {
        let scratch = tempfile::tempdir().unwrap();
        for folder in [layout::JOURNAL, layout::LOG] {
            fs::create_dir(scratch.path().join(folder)).unwrap();
        }
        for name in [layout::CHECKPOINT, "journal/0000000000.seg"] {
            std::os::unix::fs::symlink("/dev/null", scratch.path().join(name)).unwrap();
        }
        let report = verify(scratch.path(), &key_pair(ORIGIN, &KEYS).unwrap().1, None);
        assert_eq!(report.exit_code(), 3, "{report}");
    }
}
