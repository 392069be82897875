//! Opening a log that was left in any state: the journal is read to its last whole record, and everything else is
//! derived from it by the code that derives it always.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use chaperone_ledger_format::checkpoint::{Checkpoint, Verifier, history};
use chaperone_ledger_format::layout;
use chaperone_ledger_format::record::{Body, Place, Record};
use chaperone_ledger_format::segment::{Frames, Header, Kind, Next, is_zero};

use crate::LedgerError;
use crate::folder::Folder;
use crate::journal::Journal;
use crate::publish::Publisher;

/// After so many records tiles are written, which bounds memory.
const TILES_EVERY: u64 = 1 << 16;

/// What is needed to go on.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) journal: Journal,
    /// Sessions that never ended.
    pub(crate) open: BTreeMap<String, OpenSession>,
    /// Checkpoints in the history.
    pub(crate) checkpoints: u64,
}

/// How far a session came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenSession {
    pub(crate) records: u64,
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl OpenSession {
    /// The place of its next record.
    pub(crate) fn place(&self, session: &str) -> Place {
        Place { session: session.to_owned(), seq: self.records }
    }
}

/// Reads the journal, repairs a torn end, fills `publisher` and brings its files up to date. Refuses a log that is
/// not what was signed.
pub(crate) fn recover(
    folder: &Arc<Folder>,
    publisher: &mut Publisher,
    verifier: &Verifier,
    segment_size: u64,
) -> Result<Recovered, LedgerError> {
    remove_unfinished(folder, layout::JOURNAL)?;
    remove_unfinished(folder, layout::LOG)?;
    remove_unfinished(folder, layout::CHECKPOINTS)?;
    let signed = signed_before(folder, verifier)?;
    let checkpoints = signed.history;
    let mut scan = Scan { publisher, open: BTreeMap::new(), signed: signed.roots };
    let numbers = segments(folder)?;
    let mut end = None;
    for (i, &number) in numbers.iter().enumerate() {
        let last = i + 1 == numbers.len();
        end = Some((number, scan.segment(folder, number, last)?));
    }
    let Scan { publisher, open, signed } = scan;
    // nothing was changed so far: a journal that is shorter than what was signed is never continued
    if let Some((size, _)) = signed.last_key_value() {
        return Err(LedgerError::Damaged(format!(
            "the journal holds {} records, but a checkpoint says {size}",
            publisher.tree().size()
        )));
    }
    publisher.write_tiles()?;
    publisher.recovered(signed_in_history(folder, verifier)?);
    let journal_folder = folder.at(layout::JOURNAL);
    let journal = match end {
        None => Journal::create(journal_folder, segment_size)?,
        Some((number, offset)) => {
            zero_from(folder, number, offset)?;
            Journal::resume(journal_folder, number, offset, publisher.tree().size(), segment_size)?
        }
    };
    Ok(Recovered { journal, open, checkpoints })
}

struct Scan<'a> {
    publisher: &'a mut Publisher,
    open: BTreeMap<String, OpenSession>,
    /// Roots that were signed, by size; taken out when the tree has them.
    signed: BTreeMap<u64, [u8; 32]>,
}

impl Scan<'_> {
    /// Returns where the last whole record ends.
    fn segment(&mut self, folder: &Folder, number: u64, last: bool) -> Result<u64, LedgerError> {
        let path = folder.at(layout::JOURNAL).join(layout::segment(number));
        let bytes = fs::read(&path).map_err(LedgerError::io("read", &path))?;
        let header = Header { number, first_record: self.publisher.tree().size(), size: bytes.len() as u64 };
        if Header::from_bytes(&bytes) != Some(header) {
            return Err(LedgerError::Damaged(format!("segment {number} has the wrong header")));
        }
        let mut frames = Frames::new(&bytes);
        let mut end = frames.offset();
        loop {
            match frames.next_frame() {
                Next::Frame(frame) if frame.kind == Kind::Record => {
                    self.record(frame.body)?;
                    end = frames.offset();
                }
                Next::Frame(_) => {}
                Next::End if last || end == frames.offset() => break,
                Next::Broken if last => break,
                Next::End | Next::Broken => {
                    return Err(LedgerError::Damaged(format!("segment {number} is broken at byte {end}")));
                }
            }
        }
        Ok(end as u64)
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        self.publisher.add(bytes)?;
        let size = self.publisher.tree().size();
        if let Some(root) = self.signed.remove(&size)
            && self.publisher.tree().root(size).is_none_or(|found| found.0 != root)
        {
            return Err(LedgerError::Damaged(format!("the first {size} records are not those that were signed")));
        }
        if size.is_multiple_of(TILES_EVERY) {
            self.publisher.write_tiles()?;
        }
        let record = Record::parse(bytes)
            .map_err(|error| LedgerError::Damaged(format!("record {} is not one: {error}", size - 1)))?;
        let Some(place) = record.place else { return Ok(()) };
        if matches!(record.body, Body::SessionClosed(_)) {
            self.open.remove(&place.session);
            return Ok(());
        }
        let session = self.open.entry(place.session).or_default();
        session.records = place.seq + 1;
        match record.body {
            Body::Received(body) => session.input = body.input.to,
            Body::Answered(body) => session.output = body.output.to,
            Body::ServiceStarted(_)
            | Body::ServiceStopped(_)
            | Body::Heartbeat(_)
            | Body::LoginRefused(_)
            | Body::PolicyChanged(_)
            | Body::ClassificationChanged(_)
            | Body::CredentialMinted(_)
            | Body::CredentialDropped(_)
            | Body::Alert(_)
            | Body::SessionOpened(_)
            | Body::AuthorityChanged(_)
            | Body::CancelRequested(_)
            | Body::SessionClosed(_) => {}
        }
        Ok(())
    }
}

struct Signed {
    roots: BTreeMap<u64, [u8; 32]>,
    history: u64,
}

/// Every checkpoint that this log signed and kept. A torn entry at the end of the history is cut off.
fn signed_before(folder: &Folder, verifier: &Verifier) -> Result<Signed, LedgerError> {
    let mut signed = Signed { roots: BTreeMap::new(), history: 0 };
    let path = folder.at(layout::CHECKPOINT);
    match fs::read(&path) {
        Ok(note) => {
            let Checkpoint { size, root } = verifier
                .verify(&note)
                .map_err(|error| LedgerError::Damaged(format!("`{}`: {error}", layout::CHECKPOINT)))?;
            signed.roots.insert(size, root.0);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(LedgerError::io("read", &path)(error)),
    }
    let names = folder.list(layout::CHECKPOINTS)?;
    for (i, name) in names.iter().enumerate() {
        let path = folder.at(layout::CHECKPOINTS).join(name);
        let bytes = fs::read(&path).map_err(LedgerError::io("read", &path))?;
        let (notes, torn) = history(&bytes);
        for note in &notes {
            let Checkpoint { size, root } = verifier
                .verify(note)
                .map_err(|error| LedgerError::Damaged(format!("`{}/{name}`: {error}", layout::CHECKPOINTS)))?;
            if signed.roots.insert(size, root.0).is_some_and(|other| other != root.0) {
                return Err(LedgerError::Damaged(format!("two checkpoints of size {size} differ")));
            }
        }
        signed.history += notes.len() as u64;
        if !torn.is_empty() {
            if i + 1 < names.len() {
                return Err(LedgerError::Damaged(format!("`{}/{name}` ends in a part", layout::CHECKPOINTS)));
            }
            let whole = (bytes.len() - torn.len()) as u64;
            let file = OpenOptions::new().write(true).open(&path).map_err(LedgerError::io("open", &path))?;
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(LedgerError::io("cut", &path))?;
        }
    }
    signed.roots.remove(&0);
    Ok(signed)
}

fn signed_in_history(folder: &Folder, verifier: &Verifier) -> Result<u64, LedgerError> {
    let Some(name) = folder.list(layout::CHECKPOINTS)?.pop() else { return Ok(0) };
    let path = folder.at(layout::CHECKPOINTS).join(name);
    let bytes = fs::read(&path).map_err(LedgerError::io("read", &path))?;
    let last = history(&bytes).0.last().and_then(|note| verifier.verify(note).ok());
    Ok(last.map_or(0, |checkpoint| checkpoint.size))
}

fn segments(folder: &Folder) -> Result<Vec<u64>, LedgerError> {
    let mut numbers = Vec::new();
    for name in folder.list(layout::JOURNAL)? {
        match layout::segment_number(&name) {
            Some(number) if number == numbers.len() as u64 => numbers.push(number),
            _ => return Err(LedgerError::Damaged(format!("`{}/{name}` is out of place", layout::JOURNAL))),
        }
    }
    Ok(numbers)
}

/// Zeroes what follows the last whole record: a torn write, which nobody was told of.
fn zero_from(folder: &Folder, number: u64, offset: u64) -> Result<(), LedgerError> {
    const CHUNK: usize = 1 << 20;
    let path = folder.at(layout::JOURNAL).join(layout::segment(number));
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(LedgerError::io("open", &path))?;
    let length = file.metadata().map_err(LedgerError::io("read", &path))?.len();
    let mut at = offset;
    let mut buffer = vec![0; CHUNK];
    let mut torn = false;
    while at < length {
        let want = usize::try_from(length - at).unwrap_or(CHUNK).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..want) else { break };
        file.read_exact_at(chunk, at).map_err(LedgerError::io("read", &path))?;
        if !is_zero(chunk) {
            chunk.fill(0);
            file.write_all_at(chunk, at).map_err(LedgerError::io("write", &path))?;
            torn = true;
        }
        at += want as u64;
    }
    if torn {
        tracing::warn!(segment = number, offset, "a torn write at the end of the journal was removed");
        file.sync_all().map_err(LedgerError::io("sync", &path))?;
    }
    Ok(())
}

fn remove_unfinished(folder: &Folder, below: &str) -> Result<(), LedgerError> {
    let mut pending = vec![folder.at(below)];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path).map_err(LedgerError::io("list", &path))? {
            let path = entry.map_err(LedgerError::io("list", &path))?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.to_str().is_some_and(|name| name.ends_with(layout::UNFINISHED)) {
                fs::remove_file(&path).map_err(LedgerError::io("remove", &path))?;
            }
        }
    }
    Ok(())
}
