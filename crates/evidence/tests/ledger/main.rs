//! The writer and the verifier against each other, on real files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chaperone_evidence::read::{self, Payload};
use chaperone_evidence::{
    CloseReason, Entry, Finished, Ledger, LedgerError, LedgerOptions, Outcome, Ruling, SessionEvent, SessionLog,
    SessionOpened, Statement,
};
use chaperone_ledger_format::layout;
use chaperone_ledger_format::record::Body;
use chaperone_ledger_format::segment::{Frames, Next};
use chaperone_model::{Principal, SessionId, TokenFacts};
use chaperone_verify::{Report, verify};

mod crash;
mod tamper;

fn options() -> LedgerOptions {
    LedgerOptions { origin: "log.example".to_owned(), segment_size: 32 << 10 }
}

fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, options()).unwrap()
}

fn opened() -> SessionOpened {
    SessionOpened {
        abridged: false,
        application_name: None,
        classification: "c".to_owned(),
        connection: "clinic".to_owned(),
        masks: None,
        peer: "127.0.0.1:1".to_owned(),
        policy: "p".to_owned(),
        principal: Principal {
            issuer: "corp".to_owned(),
            issuer_url: "https://issuer.example".to_owned(),
            agent: "a".to_owned(),
            acts_for: None,
            groups: vec![],
            scopes: vec![],
            model: None,
            purpose: None,
            workload: None,
            token: TokenFacts { id: None, key_id: None, algorithm: "RS256".to_owned(), issued_at: None, expires_at: 1 },
        },
        server_version: None,
        tls: None,
    }
}

fn statement(id: u64) -> Statement {
    Statement { id, decision: Ruling::allowed(&["care"]), ..Statement::default() }
}

fn finished(id: u64) -> Finished {
    Finished { id, outcome: Outcome::Finished, ..Finished::default() }
}

fn begin(ledger: &Ledger) -> (SessionId, SessionLog) {
    let id = SessionId::generate();
    let (log, pending) = ledger.open_session(id, opened());
    pending.wait().unwrap();
    (id, log)
}

/// A log with a bit of everything in it, over several segments.
fn filled(dir: &Path) {
    let ledger = open(dir);
    ledger.note(Entry::service_started("1", "digest", "p")).wait().unwrap();
    let (_, mut log) = begin(&ledger);
    for id in 1..=150 {
        drop(log.received(format!("select {id}").as_bytes(), vec![statement(id)], Some("select null")));
        let noise: Vec<u8> = (0..1500u64).map(|i| (i * i * id % 251) as u8).collect();
        let _ = log.answered(Bytes::from(noise), vec![finished(id)], vec![]).wait().unwrap();
    }
    log.mark(SessionEvent::CancelRequested).wait().unwrap();
    log.close(CloseReason::Agent).wait().unwrap();
    ledger.shutdown().unwrap();
}

fn vkey(dir: &Path) -> String {
    fs::read_to_string(dir.join(layout::LOG_VKEY)).unwrap()
}

fn check(dir: &Path) -> Report {
    verify(dir, &vkey(dir), read::payload_key(dir).as_ref())
}

fn sound(dir: &Path) -> Report {
    let report = check(dir);
    assert_eq!(report.exit_code(), 0, "{report}");
    report
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file of the evidence itself.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join(layout::JOURNAL), dir.join(layout::LOG), dir.join(layout::CHECKPOINTS)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_written_verifies_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (id, mut log) = begin(&ledger);
    let received = log.received(b"select ssn", vec![statement(1)], Some("select null")).wait().unwrap();
    assert!(received.covers(id, 10) && !received.covers(id, 11) && !received.covers(SessionId::generate(), 1));
    // large enough for compression, and for several records
    let answer = Bytes::from(b"row ".repeat(600_000));
    let answered = log.answered(answer.clone(), vec![finished(1)], vec![]).wait().unwrap();
    assert_eq!((answered.from(), answered.to(), answered.session()), (0, 2_400_000, id));
    assert_eq!(answered.into_bytes(), answer);
    drop(log.received(b"", vec![statement(2)], None));
    log.close(CloseReason::Idle).wait().unwrap();
    let (dropped, log) = begin(&ledger);
    drop(log);
    ledger.shutdown().unwrap();
    assert!(matches!(ledger.note(Entry::alert("x")).wait(), Err(LedgerError::Closed)));

    let report = sound(dir.path());
    assert_eq!((report.counts.sessions, report.counts.payloads, report.counts.opened), (2, 4, 4));
    assert_eq!(report.counts.bytes, 2_400_010);
    assert_eq!(report.counts.signed, report.counts.records);

    let sessions = read::sessions(dir.path()).unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0].id, sessions[0].closed), (&id.to_string(), Some(CloseReason::Idle)));
    assert_eq!((sessions[0].statements, sessions[0].input, sessions[0].output), (2, 10, 2_400_000));
    assert_eq!((&sessions[1].id, sessions[1].closed), (&dropped.to_string(), Some(CloseReason::GatewayFault)));
    let key = read::payload_key(dir.path());
    let records = read::session(dir.path(), &id.to_string(), key.as_ref()).unwrap();
    let mut out = Vec::new();
    for record in &records {
        match (&record.record.body, &record.payload) {
            (Body::Received(body), Payload::Opened(opened)) => {
                assert_eq!((&opened.bytes[..], opened.note.run.as_deref()), (&b"select ssn"[..], Some("select null")));
                assert_eq!(body.input.to, 10);
            }
            (Body::Answered(_), Payload::Opened(opened)) => out.extend_from_slice(&opened.bytes),
            (_, payload) => assert_eq!(*payload, Payload::None),
        }
    }
    assert_eq!(out, answer);
    let sealed = read::session(dir.path(), &id.to_string(), None).unwrap();
    assert!(sealed.iter().any(|record| record.payload == Payload::Sealed));
    // the payload's values are nowhere in the clear
    for file in files(dir.path()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(10).any(|w| w == b"select ssn" || w == b"row row ro"), "{}", file.display());
    }
    let other = verify(dir.path(), &vkey(dir.path()), Some(&chaperone_verify::PayloadKey::new([1; 32])));
    assert_eq!(other.exit_code(), 3, "{other}");
}

#[test]
fn many_sessions_share_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let ledger = ledger.clone();
            scope.spawn(move || {
                let (_, mut log) = begin(&ledger);
                for id in 1..=120 {
                    drop(log.received(b"select 1", vec![statement(id)], None));
                    let _ = log.answered(Bytes::from_static(b"one row"), vec![finished(id)], vec![]).wait().unwrap();
                }
                log.close(CloseReason::Agent).wait().unwrap();
            });
        }
    });
    ledger.shutdown().unwrap();
    let report = sound(dir.path());
    assert_eq!((report.counts.sessions, report.counts.payloads), (8, 8 * 240));
}

#[test]
fn a_running_log_is_verified_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (_, mut log) = begin(&ledger);
    let _ = log.received(b"select 1", vec![statement(1)], None).wait().unwrap();
    let report = check(dir.path());
    assert_eq!(report.exit_code(), 2, "{report}");
    assert!(report.to_string().contains("it has no end"), "{report}");
    // while it is written
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = log.answered(Bytes::from_static(b"x"), vec![], vec![]).wait().unwrap();
            }
            log.close(CloseReason::Agent).wait().unwrap();
        }
    });
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(300));
        let report = check(dir.path());
        assert_eq!(report.exit_code(), 2, "{report}");
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    // an idle one is signed within about a second
    std::thread::sleep(Duration::from_millis(2500));
    sound(dir.path());
    ledger.shutdown().unwrap();
    sound(dir.path());
}

#[test]
fn a_folder_has_one_writer_and_its_keys_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    assert!(matches!(Ledger::open(dir.path(), options()), Err(LedgerError::Locked)));
    ledger.shutdown().unwrap();
    open(dir.path()).shutdown().unwrap();
    for key in [layout::LOG_KEY, layout::PAYLOAD_KEY] {
        assert_eq!(fs::metadata(dir.path().join(key)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // a log whose key is gone is not continued under another
    fs::remove_file(dir.path().join(layout::LOG_KEY)).unwrap();
    assert!(matches!(Ledger::open(dir.path(), options()), Err(LedgerError::Io { .. })));
    sound(dir.path());
}

#[test]
fn a_bad_origin_is_refused_with_words() {
    let dir = tempfile::tempdir().unwrap();
    let error = Ledger::open(dir.path(), LedgerOptions { origin: "a log".to_owned(), ..options() }).unwrap_err();
    assert!(error.to_string().contains("origin `a log`"), "{error}");
}

#[test]
fn runs_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..4 {
        let ledger = open(dir.path());
        ledger.note(Entry::service_started("1", "digest", "p")).wait().unwrap();
        let (_, log) = begin(&ledger);
        if run % 2 == 0 {
            // left open by a process that ends without a word; here the log's memory of it is simply lost
            std::mem::forget(log);
        } else {
            log.close(CloseReason::Agent).wait().unwrap();
        }
        ledger.shutdown().unwrap();
    }
    open(dir.path()).shutdown().unwrap();
    assert_eq!(sound(dir.path()).counts.sessions, 4);
    let reasons: Vec<_> = read::sessions(dir.path()).unwrap().into_iter().map(|s| s.closed.unwrap()).collect();
    use CloseReason::{Agent, GatewayStopped};
    assert_eq!(reasons, [GatewayStopped, Agent, GatewayStopped, Agent]);
}
