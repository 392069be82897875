//! Ends without warning, and disks that fail.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

use super::*;

const CHILD: &str = "LEDGER_TEST_CHILD";

/// What is acknowledged is in the log, whatever follows.
#[test]
fn a_torn_end_at_any_byte_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let options = LedgerOptions { segment_size: 16 << 10, ..options() };
    let ledger = Ledger::open(dir.path(), options.clone()).unwrap();
    let (id, mut log) = begin(&ledger);
    let _ = log.received(b"first", vec![statement(1)], None).wait().unwrap();
    // what is signed so far is kept in a copy: as if the process had been killed before the next second
    std::thread::sleep(Duration::from_millis(1500));
    let base = tempfile::tempdir().unwrap();
    copy(dir.path(), base.path());
    let _ = log.received(b"second", vec![statement(2)], None).wait().unwrap();
    drop(log.answered(Bytes::from_static(b"third"), vec![finished(2)], vec![]));
    log.close(CloseReason::Agent).wait().unwrap();
    let segment = Path::new(layout::JOURNAL).join(layout::segment(0));
    let full = fs::read(dir.path().join(&segment)).unwrap();
    ledger.shutdown().unwrap();

    let mut frames = Frames::new(&full);
    let mut ends = vec![];
    while let Next::Frame(_) = frames.next_frame() {
        ends.push(frames.offset());
    }
    let kept = {
        let mut frames = Frames::new(&fs::read(base.path().join(&segment)).unwrap().leak()[..]).clone();
        while let Next::Frame(_) = frames.next_frame() {}
        frames.offset()
    };
    let end = *ends.last().unwrap();
    // each byte at which the write may have stopped, and garbage after it in some
    for cut in (kept..=end).filter(|cut| cut % 11 == 0 || ends.contains(cut) || ends.contains(&(cut + 1))) {
        let torn = tempfile::tempdir().unwrap();
        copy(base.path(), torn.path());
        let mut bytes = full.clone();
        bytes[cut..].fill(0);
        if cut % 2 == 0 && cut + 40 < bytes.len() {
            bytes[cut + 30] = 0xff;
        }
        fs::write(torn.path().join(&segment), bytes).unwrap();
        let before = check(torn.path());
        assert_eq!(before.exit_code(), 2, "cut at {cut}: {before}");
        let ledger = Ledger::open(torn.path(), options.clone()).unwrap();
        ledger.shutdown().unwrap();
        sound(torn.path());
        let sessions = read::sessions(torn.path()).unwrap();
        assert_eq!(sessions.len(), 1);
        assert!(sessions[0].input >= 5 && sessions[0].closed.is_some(), "cut at {cut}");
        assert_eq!(sessions[0].id, id.to_string());
    }
}

#[test]
fn lost_tiles_and_checkpoints_are_derived_again() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for file in files(dir.path()) {
        let name = file.strip_prefix(dir.path()).unwrap();
        if name.starts_with(layout::LOG) {
            fs::remove_file(&file).unwrap();
        }
    }
    fs::write(dir.path().join("journal/0000000009.seg.tmp"), b"x").unwrap();
    open(dir.path()).shutdown().unwrap();
    sound(dir.path());
}

/// Not a test of its own: the process that is killed in the one below.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let ledger = open(Path::new(&dir));
    drop(ledger.note(Entry::service_started("1", "d", "p")));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| work(&ledger));
        }
    });
}

fn work(ledger: &Ledger) -> ! {
    loop {
        let (id, mut log) = begin(ledger);
        for n in 1..=200 {
            drop(log.received(b"select 1", vec![statement(n)], None));
            let answered = log.answered(Bytes::from(vec![b'r'; 300]), vec![finished(n)], vec![]).wait().unwrap();
            // only what is durable is told to the one who counts
            println!("sent {id} {}", answered.to());
        }
        drop(log.close(CloseReason::Agent));
    }
}

#[test]
fn killed_at_any_instant() {
    let dir = tempfile::tempdir().unwrap();
    // the keys are there before anybody is killed
    open(dir.path()).shutdown().unwrap();
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut sent = Vec::new();
            for line in lines.lines().map_while(Result::ok) {
                let words: Vec<_> = line.split(' ').collect();
                // the last line may be cut
                if let ["sent", id, upto] = words[..]
                    && let (36, Ok(upto)) = (id.len(), upto.parse::<u64>())
                {
                    sent.push((id.to_owned(), upto));
                }
            }
            sent
        });
        std::thread::sleep(Duration::from_millis(60 + round * 97 % 700));
        child.kill().unwrap();
        child.wait().unwrap();
        for (id, upto) in reader.join().unwrap() {
            // a number that was cut is smaller than the one before it
            let most = sent.entry(id).or_default();
            *most = upto.max(*most);
        }
        let report = check(dir.path());
        assert!([0, 2].contains(&report.exit_code()), "round {round}: {report}");
        if round % 5 == 4 {
            open(dir.path()).shutdown().unwrap();
            sound(dir.path());
        }
    }
    let recorded: BTreeMap<_, _> =
        read::sessions(dir.path()).unwrap().into_iter().map(|s| (s.id.clone(), s.output)).collect();
    assert!(!sent.is_empty());
    for (id, upto) in sent {
        assert!(recorded.get(&id).is_some_and(|output| *output >= upto), "{id}: {upto} bytes left, {recorded:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Ledger::open(file.path(), options()), Err(LedgerError::Io { .. })));
    // root may write where nobody may, but not into the kernel's tables
    assert!(matches!(Ledger::open(Path::new("/proc/sys/ledger"), options()), Err(LedgerError::Io { .. })));
}

/// A full disk, for real where the test may mount one: what was acknowledged stays, everything after fails.
#[test]
fn a_full_disk_refuses_and_keeps() {
    let mount = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(mount.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("skipped: a file system cannot be mounted here");
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill(&mount.path().join("evidence")));
    assert!(Command::new("umount").arg(mount.path()).status().unwrap().success());
    outcome.unwrap();
}

fn fill(dir: &Path) {
    let ledger = Ledger::open(dir, LedgerOptions { segment_size: 512 << 10, ..options() }).unwrap();
    let (id, mut log) = begin(&ledger);
    let mut kept = 0;
    let noise: Vec<u8> = (0..50_000u64).map(|i| ((i * i * 2_654_435_761) >> 13) as u8).collect();
    let error = loop {
        match log.answered(Bytes::from(noise.clone()), vec![], vec![]).wait() {
            Ok(answered) => kept = answered.to(),
            Err(error) => break error,
        }
        assert!(kept < 20_000_000, "the disk never filled");
    };
    assert!(matches!(error, LedgerError::Io { .. }), "{error}");
    assert!(!ledger.is_healthy());
    assert!(ledger.note(Entry::alert("x")).wait().is_err());
    assert!(log.received(b"x", vec![], None).wait().is_err());
    assert!(ledger.shutdown().is_err());
    assert_ne!(check(dir).exit_code(), 1, "{}", check(dir));
    let found = read::sessions(dir).unwrap();
    assert_eq!(found[0].id, id.to_string());
    assert!(found[0].output >= kept, "{} of {kept}", found[0].output);
}

/// A write in the middle of what was acknowledged is no torn end.
#[test]
fn only_an_end_can_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let last = files(dir.path()).into_iter().rfind(|f| f.extension().is_some_and(|e| e == "seg")).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&last).unwrap();
    file.write_all_at(&[0; 8], 60).unwrap();
    let report = check(dir.path());
    assert_eq!(report.exit_code(), 1, "{report}");
    assert!(matches!(Ledger::open(dir.path(), options()), Err(LedgerError::Damaged(_))));
}
