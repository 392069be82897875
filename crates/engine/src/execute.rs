//! execute: what goes to the database, and the proof that it was recorded first.

use std::io;
use std::task::{Context, Poll};

use chaperone_evidence::Received;
use tokio::io::AsyncWrite;

use crate::queue::Queue;
use crate::rewrite::{Batch, ReadBatch};

/// The way to the database.
///
/// Nothing with effects goes without the proof that it was recorded:
/// ```compile_fail,E0061
/// fn skip(server: &mut chaperone_engine::ToServer, batch: chaperone_engine::Batch) {
///     server.execute(batch);
/// }
/// ```
/// a proof is used once:
/// ```compile_fail,E0382
/// fn reuse(
///     server: &mut chaperone_engine::ToServer,
///     (one, two): (chaperone_engine::Batch, chaperone_engine::Batch),
///     proof: chaperone_evidence::Received,
/// ) {
///     server.execute(one, proof);
///     server.execute(two, proof);
/// }
/// ```
/// and bytes alone are not a batch:
/// ```compile_fail,E0308
/// fn raw(server: &mut chaperone_engine::ToServer, bytes: bytes::Bytes, proof: chaperone_evidence::Received) {
///     server.execute(bytes, proof);
/// }
/// ```
#[derive(Debug, Default)]
pub struct ToServer {
    queue: Queue,
}

impl ToServer {
    /// Runs a batch whose record is durable.
    pub fn execute(&mut self, batch: Batch, _durable: Received) {
        self.send(batch);
    }

    /// Runs a batch that is proven to have no effects before its record is durable. Its answer cannot get ahead of
    /// the record: the journal is one sequence, so an `Answered` is given out only when everything before it is
    /// durable too.
    pub fn execute_read(&mut self, batch: ReadBatch) {
        self.send(batch.into_batch());
    }

    fn send(&mut self, batch: Batch) {
        for part in batch.into_parts() {
            self.queue.push(part);
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut W,
    ) -> Poll<io::Result<()>> {
        self.queue.poll_write(cx, socket)
    }
}
