//! Writes the seeds of the `ledger_…` targets: a small log by the real writer, its parts, and what a hostile one holds.
//! Synthetic through and through.

use std::fs;
use std::path::{Path, PathBuf};

use chaperone_evidence::{Entry, Ledger, LedgerOptions, SessionEvent};
use chaperone_ledger_format::checkpoint::{Checkpoint, Signer, history, key_pair, push_history};
use chaperone_ledger_format::fuzz::{KEYS, ORIGIN};
use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::{PayloadKey, commitment};
use chaperone_ledger_format::record::{
    Body, CloseReason, Finished, Heartbeat, LoginRefused, Outcome, PayloadRef, Place, Received, Record, Ruling,
    SessionOpened, Span, Statement, Time,
};
use chaperone_ledger_format::segment::{FRAME_HEAD, Frames, HEADER, Header, Kind, Next, push_frame};
use chaperone_ledger_format::tree::{TileName, entries, leaf};
use chaperone_model::{
    Action, AiModel, Effects, Facts, Masks, Need, Principal, Rung, SessionId, TableName, TokenFacts, Workload,
};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (skey, vkey) = key_pair(ORIGIN, &KEYS).unwrap();
    fs::create_dir(dir.join(layout::KEYS)).unwrap();
    fs::write(dir.join(layout::LOG_KEY), &skey).unwrap();
    fs::write(dir.join(layout::PAYLOAD_KEY), PayloadKey::new(KEYS).to_text()).unwrap();
    write_log(dir);
    let report = chaperone_verify::verify(dir, &vkey, Some(&PayloadKey::new(KEYS)));
    assert_eq!(report.exit_code(), 0, "{report}");

    let files = files(dir);
    let segments: Vec<_> = files.iter().filter(|(name, _)| name.starts_with(layout::JOURNAL)).cloned().collect();
    let of = |name: &str| files.iter().find(|(n, _)| n.starts_with(name)).map(|(_, bytes)| bytes.clone()).unwrap();
    segment(&segments);
    record(&segments);
    payload(&segments);
    checkpoint(&of(layout::CHECKPOINT), &of(layout::CHECKPOINTS), &skey, &vkey);
    tree(&of("log/tile/entries/"));
    whole(&files);
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("ledger_{target}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

/// The same with the last third cut off, and with a bit flipped in the middle.
fn hurt(target: &str, name: &str, bytes: &[u8]) {
    seed(target, &format!("cut-{name}"), &bytes[..bytes.len() * 2 / 3]);
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 4;
    seed(target, &format!("flipped-{name}"), flipped);
}

/// A bit of everything.
fn write_log(dir: &Path) {
    let ledger = Ledger::open(dir, LedgerOptions { origin: ORIGIN.to_owned(), segment_size: 4096 }).unwrap();
    ledger.note(Entry::service_started("0.1.0", "digest", "p1")).wait().unwrap();
    let refused = LoginRefused {
        connection: Some("clinic".into()),
        issuer: None,
        peer: "127.0.0.1:5".into(),
        rule: "token.expired".into(),
    };
    ledger.note(Entry::LoginRefused(refused)).wait().unwrap();
    ledger.note(Entry::policy_changed("p2", Some("p1".into()))).wait().unwrap();
    ledger.note(Entry::alert("tail.rate")).wait().unwrap();
    let (mut log, pending) = ledger.open_session(SessionId::generate(), opened());
    pending.wait().unwrap();
    // more than 256 records would be a large seed: full tiles are left to the fuzzer
    for id in 1..=2 {
        drop(log.received(b"select ssn from patient", vec![statement(id)], Some("select null")).wait().unwrap());
        // the second compresses
        let rows = if id == 1 { b"row".to_vec() } else { b"row ".repeat(200) };
        let finished = Finished {
            id,
            outcome: Outcome::Finished,
            rows: Some(1),
            tag: Some("SELECT".into()),
            ..Finished::default()
        };
        drop(log.answered(rows.into(), vec![finished]).wait().unwrap());
    }
    log.mark(SessionEvent::CancelRequested).wait().unwrap();
    log.close(CloseReason::Agent).wait().unwrap();
    ledger.shutdown().unwrap();
}

fn opened() -> SessionOpened {
    let mut masks = Masks::default();
    masks.set(&TableName::new("clinic", "patient"), "ssn", Rung::Redacted);
    masks.set(&TableName::new("a.b", "x\"y"), "born", Rung::Partial);
    SessionOpened {
        abridged: false,
        application_name: Some("psql \u{1F600}".into()),
        classification: "c1".into(),
        connection: "clinic".into(),
        masks: Some(masks),
        peer: "127.0.0.1:5".into(),
        policy: "p2".into(),
        principal: Principal {
            issuer: "corp".into(),
            issuer_url: "https://issuer.example".into(),
            agent: "summarizer".into(),
            acts_for: Some("dr.lee".into()),
            groups: vec!["care".into()],
            scopes: vec!["db".into()],
            model: Some(AiModel { name: "m".into(), version: Some("4".into()) }),
            purpose: Some("treatment".into()),
            workload: Some(Workload {
                namespace: "agents".into(),
                service_account: "summarizer".into(),
                pod: Some("p-1".into()),
                pod_uid: Some("u".into()),
                node: Some("n".into()),
            }),
            token: TokenFacts {
                id: Some("t1".into()),
                key_id: Some("k".into()),
                algorithm: "ES256".into(),
                issued_at: Some(1),
                expires_at: 1 << 53,
            },
        },
        server_version: Some("18.1".into()),
        tls: Some("TLSv1.3".into()),
    }
}

fn statement(id: u64) -> Statement {
    let need = Need { action: Action::Select, table: Some(TableName::new("clinic", "patient")) };
    Statement {
        id,
        decision: Ruling::allowed(&["care"]),
        facts: Some(Facts { kind: "SELECT".into(), needs: vec![need], has_where: false, effects: Effects::Possible }),
        fingerprint: Some("50fde20626009aba".into()),
        normalized: Some("select ssn from patient".into()),
        refers_to: Some(u64::MAX),
        rewritten: true,
        ..Statement::default()
    }
}

/// The files of the evidence itself: names below the folder, and contents.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        [layout::JOURNAL, layout::LOG, layout::CHECKPOINTS].map(|name| dir.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn frames(segments: &[(String, Vec<u8>)], kind: Kind) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (_, segment) in segments {
        let mut frames = Frames::new(segment);
        while let Next::Frame(frame) = frames.next_frame() {
            if frame.kind == kind {
                found.push(frame.body.to_vec());
            }
        }
    }
    found
}

fn segment(segments: &[(String, Vec<u8>)]) {
    for (n, (_, segment)) in segments.iter().enumerate() {
        seed("segment", &format!("real-{n}"), segment);
        hurt("segment", &n.to_string(), segment);
    }
    let mut claims = Header { number: 0, first_record: 0, size: 60 }.to_bytes().to_vec();
    seed("segment", "header-alone", &claims);
    push_frame(&mut claims, Kind::Record, b"{}");
    let at = claims.len();
    push_frame(&mut claims, Kind::Payload, b"");
    claims[at..at + 4].copy_from_slice(&(33u32 << 20).to_le_bytes());
    seed("segment", "claims-much", &claims);
    claims[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    seed("segment", "claims-all", &claims);
}

fn record(segments: &[(String, Vec<u8>)]) {
    let records = frames(segments, Kind::Record);
    for bytes in &records {
        seed("record", &format!("real-{}", Record::parse(bytes).unwrap().body.kind()), bytes);
    }
    let heartbeat = Body::Heartbeat(Heartbeat { checkpoints: 1 << 53 });
    seed("record", "heartbeat", Record { time: Time::from_micros(i64::MAX), place: None, body: heartbeat }.to_bytes());
    let received = records.iter().find(|record| Record::parse(record).unwrap().body.kind() == "received").unwrap();
    hurt("record", "received", received);
    let text = String::from_utf8(received.clone()).unwrap();
    seed("record", "spaced", text.replace(r#""kind":"#, r#" "kind":"#));
    seed("record", "twice", text.replace(r#""v":1"#, r#""v":1,"v":1"#));
    seed("record", "version-2", text.replace(r#""v":1"#, r#""v":2"#));
    seed("record", "float", text.replace(r#""v":1"#, r#""v":1.0"#));
    seed("record", "deep", "[".repeat(1000));
}

fn payload(segments: &[(String, Vec<u8>)]) {
    let payloads = frames(segments, Kind::Payload);
    seed("payload", "real-frame", &payloads[0]);
    hurt("payload", "frame", &payloads[0]);
    let note = br#"{"run":"select null"}"#;
    let plaintext = [&(note.len() as u32).to_le_bytes(), &note[..], b"select ssn"].concat();
    seed("payload", "plaintext", &plaintext);
    seed("payload", "plaintext-without-note", b"\0\0\0\0select ssn");
    seed("payload", "plaintext-omitted", [&16u32.to_le_bytes(), &b"{\"omitted\":true}"[..], b"x"].concat());
    seed("payload", "plaintext-long-note", [&u32::MAX.to_le_bytes(), &note[..]].concat());
    let session = PayloadKey::new(KEYS).session(ORIGIN, "session").unwrap();
    let inner = |codec: u8, length: usize, coded: &[u8]| [&[codec][..], &(length as u32).to_le_bytes(), coded].concat();
    let rows = b"row ".repeat(200);
    let packed = zstd::bulk::compress(&rows, 1).unwrap();
    seed("payload", "inner-plain", inner(0, plaintext.len(), &plaintext));
    seed("payload", "inner-zstd", inner(1, rows.len(), &packed));
    seed("payload", "inner-zstd-claims-less", inner(1, 8, &packed));
    seed("payload", "inner-zstd-claims-much", inner(1, 32 << 20, &packed));
    seed("payload", "inner-zstd-claims-all", inner(1, u32::MAX as usize, &packed));
    seed("payload", "inner-codec-2", inner(2, 0, b""));
    let mut frame = Vec::new();
    let whole = [&[9; 32][..], &inner(0, plaintext.len(), &plaintext)].concat();
    session.seal_into(&mut frame, &[3; 32], 5, &whole).unwrap();
    assert!(!commitment(&[9; 32], &[&plaintext]).is_empty());
    seed("payload", "frame-of-the-session", frame);
}

fn checkpoint(newest: &[u8], older: &[u8], skey: &str, vkey: &str) {
    seed("checkpoint", "real-newest", newest);
    seed("checkpoint", "real-history", older);
    assert!(!history(older).0.is_empty());
    hurt("checkpoint", "newest", newest);
    hurt("checkpoint", "history", older);
    seed("checkpoint", "key-log", skey);
    seed("checkpoint", "key-verify", vkey);
    seed("checkpoint", "key-payload", PayloadKey::new(KEYS).to_text());
    let text = String::from_utf8(newest.to_vec()).unwrap();
    let (body, signatures) = text.split_once("\n\n").unwrap();
    seed("checkpoint", "text", format!("{body}\n"));
    seed("checkpoint", "text-one-line-more", format!("{body}\nmore\n"));
    seed("checkpoint", "text-of-another", format!("{body}\n").replace(ORIGIN, "log.other"));
    seed("checkpoint", "text-of-leading-zeros", format!("{ORIGIN}\n007\n{}\n", body.lines().nth(2).unwrap()));
    let (other, _) = key_pair("witness.example", &[1; 32]).unwrap();
    let second = Signer::new(&other).unwrap().sign(&Checkpoint { size: 1, root: leaf(b"") }).unwrap();
    let second = String::from_utf8(second).unwrap();
    seed("checkpoint", "two-signatures", format!("{body}\n\n{}{signatures}", second.split_once("\n\n").unwrap().1));
    let mut twice = Vec::new();
    push_history(&mut twice, newest);
    push_history(&mut twice, newest);
    seed("checkpoint", "history-twice", twice);
}

fn tree(bundle: &[u8]) {
    seed("tree", "real-bundle", bundle);
    assert!(entries(bundle).is_some());
    hurt("tree", "bundle", bundle);
    let full = vec![0; 2 * 300];
    seed("tree", "bundle-of-empty-records", full);
    for (name, path) in [
        ("path-tile", TileName { level: Some(0), number: 1_234_067, width: 256 }.path()),
        ("path-partial", TileName { level: Some(2), number: 0, width: 1 }.path()),
        ("path-entries", TileName::entries(1000, 255).path()),
        ("path-greatest", TileName { level: Some(255), number: u64::MAX, width: 255 }.path()),
        ("path-signs", "tile/+0/+01.p/+8".to_owned()),
        ("name-segment", layout::segment(42)),
        ("name-history", layout::history("2026-11-24")),
    ] {
        seed("tree", name, path);
    }
}

fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut data = Vec::new();
    for (name, content) in files {
        data.extend_from_slice(name.as_bytes());
        data.push(b'\n');
        data.extend_from_slice(&u16::try_from(content.len()).unwrap().to_le_bytes());
        data.extend_from_slice(content);
    }
    data
}

fn whole(files: &[(String, Vec<u8>)]) {
    seed("folder", "real-log", pack(files));
    // as the writer left it, but smaller and with checksums and signatures made right: for the fuzzer to change
    let mut small = files.to_vec();
    for (name, content) in &mut small {
        if name.starts_with(layout::JOURNAL) {
            let mut frames = Frames::new(content);
            while let Next::Frame(_) = frames.next_frame() {}
            let end = frames.offset();
            content.truncate(end);
        }
        if name.starts_with(layout::JOURNAL) || name.contains("checkpoint") {
            name.insert(0, '!');
        }
    }
    seed("folder", "log", pack(&small));
    hurt("folder", "log", &pack(&small));
    // the journal alone, in a few sizes
    small.retain(|(name, _)| name.starts_with("!journal"));
    seed("folder", "journal", pack(&small));
    seed("folder", "journal-without-its-beginning", pack(&small[1..]));
    hostile(files);
}

/// What only somebody with the keys, or without any, puts into a folder on purpose.
fn hostile(files: &[(String, Vec<u8>)]) {
    let journal = |first_record: u64, records: &[Vec<u8>]| {
        let mut bytes = Header { number: 0, first_record, size: 0 }.to_bytes().to_vec();
        for record in records {
            push_frame(&mut bytes, Kind::Record, record);
        }
        assert!(bytes.len() > HEADER + FRAME_HEAD);
        ("!journal/0000000000.seg".to_owned(), bytes)
    };
    let alert =
        Record { time: Time::default(), place: None, body: Body::Heartbeat(Heartbeat { checkpoints: 0 }) }.to_bytes();
    seed("folder", "first-record-is-the-last-number", pack(&[journal(u64::MAX, &[alert.clone(), alert.clone()])]));
    let place = Some(Place { session: "s\u{1b}[2J\nsound: \u{202e}".to_owned(), seq: u64::MAX });
    let payload = Some(PayloadRef { bytes: u64::MAX, commit: String::new(), ct_sha256: String::new() });
    let input = Span { from: 0, to: u64::MAX };
    let received = Body::Received(Received { abridged: false, input, payload, statements: vec![] });
    let bytes = Record { time: Time::default(), place, body: received }.to_bytes();
    let (name, mut twice) = journal(0, &[alert.clone()]);
    for _ in 0..2 {
        push_frame(&mut twice, Kind::Payload, b"x");
        push_frame(&mut twice, Kind::Record, &bytes);
    }
    seed("folder", "bytes-beyond-64-bits", pack(&[(name, twice)]));
    let bundle = files.iter().find(|(name, _)| name.starts_with("log/tile/entries/")).unwrap().1.clone();
    let count = entries(&bundle).unwrap().len() as u64;
    for number in [u64::MAX, 1 << 56] {
        let name = format!("log/{}", TileName::entries(number, count).path());
        seed("folder", &format!("bundle-number-{number}"), pack(&[(name, bundle.clone())]));
    }
    let root = tlog_tiles::Checkpoint::new(ORIGIN, u64::MAX, leaf(b""), "").unwrap().to_bytes();
    seed("folder", "signed-size-is-the-last-number", pack(&[("!log/checkpoint".to_owned(), root)]));
    seed(
        "folder",
        "names",
        pack(&[
            ("journal/18446744073709551615.seg".to_owned(), vec![]),
            ("journal/0000000000.seg/x".to_owned(), vec![]),
            ("journal/\u{1b}]0;sound".to_owned(), vec![]),
            ("log/tile/0/000/x".to_owned(), vec![]),
            ("log/tile/63/000.tmp".to_owned(), vec![]),
            ("checkpoints/9999-99-99.notes".to_owned(), b"\n\n\n\n".to_vec()),
        ]),
    );
}
