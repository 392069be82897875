//! The log as the gateway sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::{PayloadKey, digest};
use chaperone_ledger_format::record::{Body, CloseReason, ServiceStopped, SessionClosed, SessionOpened};
use chaperone_model::SessionId;

use crate::folder::{Folder, Keys, write_whole};
use crate::publish::Publisher;
use crate::queue::Queue;
use crate::recover::{OpenSession, Recovered, recover};
use crate::{Entry, LedgerError, Pending, SessionLog, flush, publish};

/// How a log is opened.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// The log's name, unique among logs: it is in every checkpoint and in the name of the key. No space, no plus.
    /// Counts when the keys are made; later the key's name does.
    pub origin: String,
    /// Bytes of a journal segment, reserved when it is begun.
    pub segment_size: u64,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        LedgerOptions { origin: "chaperone.local".to_owned(), segment_size: 64 << 20 }
    }
}

/// The evidence log. Clones are the same log.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    origin: String,
    identity: String,
    payload_key: PayloadKey,
    dir: PathBuf,
    running: Mutex<Option<Running>>,
}

/// The threads, and what they work in.
#[derive(Debug)]
struct Running {
    flusher: JoinHandle<()>,
    publisher: JoinHandle<()>,
    _folder: Arc<Folder>,
}

impl Ledger {
    /// Opens the log in a folder, which is made where it is missing. Reads the whole journal, repairs what a crash
    /// left, and closes sessions that it finds open. Blocks.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: the folder is in use, cannot be written, or is not what was signed.
    pub fn open(dir: &Path, options: LedgerOptions) -> Result<Ledger, LedgerError> {
        let folder = Arc::new(Folder::open(dir)?);
        let Keys { signer, verifier, payload } = folder.keys(&options.origin)?;
        let origin = signer.origin().to_owned();
        let identity = signer.vkey().to_owned();
        let mut publisher = Publisher::new(Arc::clone(&folder), signer);
        let Recovered { journal, open, checkpoints } =
            recover(&folder, &mut publisher, &verifier, options.segment_size)?;
        let queue = Arc::new(Queue::default());
        queue.checkpoints.store(checkpoints, Ordering::Release);
        let (durable, derived) = mpsc::channel();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work).map_err(LedgerError::io("start a thread for", dir))
        };
        let flusher = {
            let queue = Arc::clone(&queue);
            spawn("ledger-flush", Box::new(move || flush::run(&queue, journal, &durable)))?
        };
        let publisher = {
            let queue = Arc::clone(&queue);
            spawn("ledger-publish", Box::new(move || publish::run(&queue, publisher, &derived)))?
        };
        let running = Mutex::new(Some(Running { flusher, publisher, _folder: folder }));
        let ledger = Ledger {
            inner: Arc::new(Inner { queue, origin, identity, payload_key: payload, dir: dir.to_owned(), running }),
        };
        ledger.close_left_open(open)?;
        Ok(ledger)
    }

    fn close_left_open(&self, open: std::collections::BTreeMap<String, OpenSession>) -> Result<(), LedgerError> {
        let mut last = None;
        for (id, session) in open {
            let closed = SessionClosed {
                input: session.input,
                output: session.output,
                reason: CloseReason::GatewayStopped,
                records: session.records + 1,
            };
            last = Some(self.inner.queue.push_record(Some(session.place(&id)), Body::SessionClosed(closed)));
        }
        last.map_or(Ok(()), Pending::wait)
    }

    /// Records an event outside any session.
    pub fn note(&self, entry: Entry) -> Pending {
        self.inner.queue.push_record(None, entry.into_body())
    }

    /// Keeps something that decides (policies, a classification, a configuration) for as long as the log, before any
    /// record speaks of it: records name it by the version that this gives back, the start of its SHA-256 in hex.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: it cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> Result<String, LedgerError> {
        let mut version = digest(bytes);
        version.truncate(layout::VERSION);
        if let Some(name) = layout::version(&version) {
            let path = self.inner.dir.join(name);
            if fs::read(&path).is_ok_and(|kept| kept == bytes) {
                return Ok(version);
            }
            write_whole(&path, bytes, 0o600, true)?;
        }
        Ok(version)
    }

    /// Begins a session's records.
    pub fn open_session(&self, id: SessionId, opened: SessionOpened) -> (SessionLog, Pending) {
        let Inner { queue, payload_key, origin, .. } = &*self.inner;
        SessionLog::open(Arc::clone(queue), payload_key, origin, id, opened)
    }

    /// Whether records can be appended.
    pub fn is_healthy(&self) -> bool {
        self.inner.queue.failure().is_none()
    }

    /// What no other log has: its name with its verification key (C2SP signed-note, "vkey").
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    /// Records the orderly stop, makes everything durable, signs a last checkpoint and lets the folder go. Appends
    /// fail from then on. Blocks.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]: something of it failed, now or before.
    pub fn shutdown(&self) -> Result<(), LedgerError> {
        let queue = &self.inner.queue;
        let stopped = Body::ServiceStopped(ServiceStopped { checkpoints: queue.checkpoints() });
        let written = queue.push_record(None, stopped).wait();
        self.inner.stop();
        written?;
        match queue.failure() {
            None | Some(LedgerError::Closed) => Ok(()),
            Some(error) => Err(error),
        }
    }
}

impl Inner {
    fn stop(&self) {
        self.queue.close();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { flusher, publisher, _folder }) = running {
            // a thread that panicked has failed the queue
            let _ = flusher.join();
            let _ = publisher.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}
