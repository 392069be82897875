//! The thread that makes records durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use chaperone_ledger_format::tree::push_entry;

use crate::journal::Journal;
use crate::queue::{FailOnPanic, Item, Queue};

/// Writes what waits until the queue is closed or a write fails. Records that became durable go to `durable`, as
/// entries of a bundle.
pub(crate) fn run(queue: &Arc<Queue>, mut journal: Journal, durable: &Sender<Vec<u8>>) {
    let _guard = FailOnPanic(queue);
    let mut items: VecDeque<Item> = VecDeque::new();
    while queue.take(&mut items).is_some() {
        if let Err(error) = journal.append(&items) {
            tracing::error!(error = &error as &dyn std::error::Error, "records cannot be made durable");
            // first, so that whoever learns of the failure finds the log failed
            queue.fail(error.clone());
            for item in items.drain(..) {
                item.resolve(Err(error.clone()));
            }
            return;
        }
        let mut entries = Vec::with_capacity(items.len() * 512);
        for item in items.drain(..) {
            // no record is longer than an entry may be
            let _ = push_entry(&mut entries, item.frames.get(item.record.clone()).unwrap_or_default());
            item.resolve(Ok(()));
        }
        // when the publisher has failed, the queue has too
        let _ = durable.send(entries);
        // where sessions wait for a core, they run first: what they append shares the next flush
        std::thread::yield_now();
    }
}
