//! Between those who append and the one thread that writes.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{SystemTime, UNIX_EPOCH};

use chaperone_ledger_format::record::{Body, Place, Record, Time};
use chaperone_ledger_format::segment::{Kind, begin_frame, seal_frame};
use tokio::sync::oneshot;

use crate::LedgerError;

/// Frames that belong together: a record, and its payload before it.
#[derive(Debug)]
pub(crate) struct Item {
    /// As they go on disk.
    pub(crate) frames: Vec<u8>,
    /// Where in `frames` the record's bytes are.
    pub(crate) record: Range<usize>,
    waiter: oneshot::Sender<Result<(), LedgerError>>,
}

impl Item {
    /// Tells whoever waits.
    pub(crate) fn resolve(self, outcome: Result<(), LedgerError>) {
        // nobody has to wait
        let _ = self.waiter.send(outcome);
    }
}

/// What waits to be written, and what the whole ledger must know.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    /// Checkpoints in the history.
    pub(crate) checkpoints: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    /// Why nothing can be appended any more.
    failed: Option<LedgerError>,
    closing: bool,
}

impl Queue {
    /// Appends a record that has no payload.
    pub(crate) fn push_record(&self, place: Option<Place>, body: Body) -> Pending {
        self.push(Vec::new(), place, body)
    }

    /// Appends a record after its payload's frame. Never blocks for long: the record is encoded before the lock.
    pub(crate) fn push(&self, mut frames: Vec<u8>, place: Option<Place>, body: Body) -> Pending {
        let bytes = Record { time: now(), place, body }.to_bytes();
        let start = begin_frame(&mut frames, Kind::Record);
        let at = frames.len();
        frames.extend_from_slice(&bytes);
        seal_frame(&mut frames, start);
        let record = at..frames.len();
        let (waiter, wait) = oneshot::channel();
        let item = Item { frames, record, waiter };
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            let error = error.clone();
            drop(state);
            item.resolve(Err(error));
        } else {
            let was_empty = state.items.is_empty();
            state.items.push(item);
            drop(state);
            if was_empty {
                self.filled.notify_one();
            }
        }
        Pending(wait)
    }

    /// Everything that waits; blocks while nothing does. `None` when the queue is closed and empty.
    pub(crate) fn take(&self, into: &mut VecDeque<Item>) -> Option<()> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if state.closing {
                state.failed.get_or_insert(LedgerError::Closed);
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        into.extend(state.items.drain(..));
        Some(())
    }

    /// From now on every append fails, and so does what still waits.
    pub(crate) fn fail(&self, error: LedgerError) {
        let mut state = self.lock();
        let error = state.failed.get_or_insert(error).clone();
        let items = std::mem::take(&mut state.items);
        drop(state);
        for item in items {
            item.resolve(Err(error.clone()));
        }
    }

    /// What is in the queue is still written, then the writer ends.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.filled.notify_all();
    }

    /// Why appends fail, if they do.
    pub(crate) fn failure(&self) -> Option<LedgerError> {
        self.lock().failed.clone()
    }

    pub(crate) fn checkpoints(&self) -> u64 {
        self.checkpoints.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code that holds the lock can leave it half-changed
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails the queue when the thread that holds it panics: nobody may wait for ever for a thread that is gone.
#[derive(Debug)]
pub(crate) struct FailOnPanic<'a>(pub(crate) &'a Queue);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(LedgerError::Damaged("a thread of the log panicked".to_owned()));
        }
    }
}

/// The time of a record.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Resolves when a record is durable, or can never be. Dropping it changes nothing: the record is written all the
/// same.
#[derive(Debug)]
#[must_use = "the record is not durable before this resolves"]
pub struct Pending(oneshot::Receiver<Result<(), LedgerError>>);

impl Future for Pending {
    type Output = Result<(), LedgerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // a writer that is gone without a word has written nothing more
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.unwrap_or(Err(LedgerError::Closed)))
    }
}

impl Pending {
    /// Blocks the thread until the record is durable. For use outside of any runtime.
    ///
    /// # Errors
    ///
    /// As the future's.
    pub fn wait(mut self) -> Result<(), LedgerError> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut cx) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chaperone_ledger_format::record::Alert;

    use super::*;

    #[test]
    fn a_thread_that_panics_leaves_nobody_waiting() {
        let queue = Arc::new(Queue::default());
        let alert = || Body::Alert(Alert { rule: "x".to_owned() });
        let waiting = queue.push_record(None, alert());
        let panics = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let _guard = FailOnPanic(&queue);
                panic!("as a bug would");
            }
        });
        assert!(panics.join().is_err());
        assert!(matches!(waiting.wait(), Err(LedgerError::Damaged(_))));
        assert!(matches!(queue.push_record(None, alert()).wait(), Err(LedgerError::Damaged(_))));
    }
}
