//! The Merkle log, derived from records that are durable: tiles, checkpoints, their history, and heartbeats.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use chaperone_ledger_format::checkpoint::{Checkpoint, Signer, push_history};
use chaperone_ledger_format::layout;
use chaperone_ledger_format::record::{Body, Heartbeat};
use chaperone_ledger_format::tree::{TILE_WIDTH, TileName, Tree, entries, leaf, push_entry};

use crate::LedgerError;
use crate::folder::{Folder, write_whole};
use crate::queue::{FailOnPanic, Queue, now};

/// A checkpoint is signed this long after the one before, if there is something new.
const EVERY: Duration = Duration::from_secs(1);
/// Or when there are so many new records.
const OR_RECORDS: u64 = 4096;
/// What becomes durable within this is taken up together.
const GATHERS: Duration = Duration::from_millis(10);
/// A checkpoint goes into the history this long after the one before.
const HISTORY_EVERY: Duration = Duration::from_secs(60);
/// The gateway says that it lives.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(60);

/// The log as published so far.
#[derive(Debug)]
pub(crate) struct Publisher {
    folder: Arc<Folder>,
    signer: Signer,
    tree: Tree,
    /// The last, partial bundle of entries.
    bundle: Vec<u8>,
    /// By level, how many full tiles are written.
    full: Vec<u64>,
    /// Partial tiles of the last checkpoint.
    partial: Vec<TileName>,
    /// The size in the newest checkpoint.
    signed: u64,
    /// The size in the newest checkpoint of the history.
    in_history: u64,
    /// Leave alone what is there already and right: while recovering.
    compare: bool,
}

impl Publisher {
    /// An empty log, to be filled with every record that the journal holds.
    pub(crate) fn new(folder: Arc<Folder>, signer: Signer) -> Self {
        Publisher {
            folder,
            signer,
            tree: Tree::default(),
            bundle: Vec::new(),
            full: Vec::new(),
            partial: Vec::new(),
            signed: 0,
            in_history: 0,
            compare: true,
        }
    }

    /// The records so far.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Recovery is done: from here on files are written without looking. `in_history` is the size in the newest
    /// checkpoint of the history.
    pub(crate) fn recovered(&mut self, in_history: u64) {
        self.compare = false;
        self.in_history = in_history;
    }

    /// Adds a durable record.
    pub(crate) fn add(&mut self, record: &[u8]) -> Result<(), LedgerError> {
        self.tree.push(leaf(record));
        // no record is longer than an entry may be
        let _ = push_entry(&mut self.bundle, record);
        if self.tree.size().is_multiple_of(TILE_WIDTH) {
            let name = TileName::entries(self.tree.size() / TILE_WIDTH - 1, TILE_WIDTH);
            let bundle = std::mem::take(&mut self.bundle);
            self.write(name, &bundle)?;
        }
        Ok(())
    }

    /// Writes the tiles that are new.
    pub(crate) fn write_tiles(&mut self) -> Result<(), LedgerError> {
        let size = self.tree.size();
        let full = |level: u8| self.full.get(usize::from(level)).copied().unwrap_or(0);
        let names = Tree::tiles(size, full);
        let mut partial = Vec::new();
        for name in &names {
            let Some(level) = name.level else { continue };
            let content = self.tree.tile(level, name.number, name.width).map(<[u8]>::to_vec);
            self.write(*name, &content.unwrap_or_default())?;
            if name.width < TILE_WIDTH {
                partial.push(*name);
            } else {
                let level = usize::from(level);
                if self.full.len() <= level {
                    self.full.resize(level + 1, 0);
                }
                if let Some(full) = self.full.get_mut(level) {
                    *full = name.number + 1;
                }
            }
        }
        if !size.is_multiple_of(TILE_WIDTH) {
            let name = TileName::entries(size / TILE_WIDTH, size % TILE_WIDTH);
            let bundle = std::mem::take(&mut self.bundle);
            self.write(name, &bundle)?;
            self.bundle = bundle;
            partial.push(name);
        }
        self.tree.forget_full_tiles();
        std::mem::swap(&mut self.partial, &mut partial);
        // the checkpoint before this one may still be read by somebody; its full tiles serve them as well
        for old in partial.iter().filter(|old| !self.partial.contains(old)) {
            let path = self.folder.at(layout::LOG).join(old.path());
            let _ = fs::remove_file(&path);
            let _ = path.parent().map(fs::remove_dir);
        }
        Ok(())
    }

    /// Signs what there is, if it is more than was signed.
    pub(crate) fn sign(&mut self, into_history: bool) -> Result<(), LedgerError> {
        let size = self.tree.size();
        let history = into_history && size > self.in_history;
        if size <= self.signed && !history {
            return Ok(());
        }
        self.write_tiles()?;
        let damaged = || LedgerError::Damaged("the tree has no root".to_owned());
        let checkpoint = Checkpoint { size, root: self.tree.root(size).ok_or_else(damaged)? };
        let note = self.signer.sign(&checkpoint).map_err(|error| LedgerError::Key(error.to_string()))?;
        // stopped before this: the journal is ahead of the checkpoint, and `recover` signs a new one
        write_whole(&self.folder.at(layout::CHECKPOINT), &note, 0o644, true)?;
        self.signed = size;
        if history {
            self.push_history(&note)?;
            self.in_history = size;
        }
        Ok(())
    }

    fn push_history(&self, note: &[u8]) -> Result<(), LedgerError> {
        let path = self.folder.at(layout::CHECKPOINTS).join(layout::history(&now().date()));
        let mut entry = Vec::with_capacity(note.len() + 1);
        push_history(&mut entry, note);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o644)
            .open(&path)
            .map_err(LedgerError::io("open", &path))?;
        file.write_all(&entry).map_err(LedgerError::io("write", &path))?;
        // stopped here: perhaps a torn entry at the end, which `recover` cuts off
        file.sync_all().map_err(LedgerError::io("sync", &path))
    }

    fn write(&self, name: TileName, content: &[u8]) -> Result<(), LedgerError> {
        let path = self.folder.at(layout::LOG).join(name.path());
        if self.compare && fs::read(&path).is_ok_and(|old| old == content) {
            return Ok(());
        }
        // not synced: it is derived, and `recover` derives it again
        write_whole(&path, content, 0o644, false)
    }
}

/// Publishes until the flusher is gone, then once more.
pub(crate) fn run(queue: &Arc<Queue>, mut publisher: Publisher, durable: &Receiver<Vec<u8>>) {
    let _guard = FailOnPanic(queue);
    if let Err(error) = publish(queue, &mut publisher, durable) {
        tracing::error!(error = &error as &dyn std::error::Error, "the log cannot be published");
        queue.fail(error);
    }
}

fn publish(queue: &Arc<Queue>, publisher: &mut Publisher, durable: &Receiver<Vec<u8>>) -> Result<(), LedgerError> {
    let mut signed = Instant::now();
    let mut history: Option<Instant> = None;
    let mut heartbeat = Instant::now();
    loop {
        let new = publisher.tree.size() - publisher.signed;
        let wait = if new > 0 { EVERY.saturating_sub(signed.elapsed()) } else { HEARTBEAT_EVERY };
        let wait = wait.min(HEARTBEAT_EVERY.saturating_sub(heartbeat.elapsed()));
        match durable.recv_timeout(wait) {
            Ok(first) => {
                // under load the flushing thread need not wake this one for each of its flushes
                thread::sleep(GATHERS);
                for bundle in std::iter::once(first).chain(durable.try_iter()) {
                    for record in entries(&bundle).unwrap_or_default() {
                        publisher.add(record)?;
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                publisher.sign(true)?;
                return Ok(());
            }
        }
        let new = publisher.tree.size() - publisher.signed;
        if new > 0 && (signed.elapsed() >= EVERY || new >= OR_RECORDS) {
            let into_history = history.is_none_or(|last| last.elapsed() >= HISTORY_EVERY);
            let before = publisher.in_history;
            publisher.sign(into_history)?;
            signed = Instant::now();
            if publisher.in_history > before {
                queue.checkpoints.fetch_add(1, Ordering::AcqRel);
                history = Some(Instant::now());
            }
        }
        if heartbeat.elapsed() >= HEARTBEAT_EVERY {
            drop(queue.push_record(None, Body::Heartbeat(Heartbeat { checkpoints: queue.checkpoints() })));
            heartbeat = Instant::now();
        }
    }
}
