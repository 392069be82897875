//! release: what goes to the agent, and the proof that those very bytes were recorded.

use std::io;
use std::task::{Context, Poll};

use chaperone_evidence::Answered;
use tokio::io::AsyncWrite;

use crate::queue::Queue;

/// The way to the agent.
///
/// Bytes that are not on record cannot be sent:
/// ```compile_fail,E0308
/// fn unrecorded(agent: &mut chaperone_engine::ToAgent, bytes: bytes::Bytes) {
///     agent.release(bytes);
/// }
/// ```
/// and what is on record is sent once:
/// ```compile_fail,E0382
/// fn again(agent: &mut chaperone_engine::ToAgent, answered: chaperone_evidence::Answered) {
///     agent.release(answered);
///     agent.release(answered);
/// }
/// ```
#[derive(Debug, Default)]
pub struct ToAgent {
    queue: Queue,
}

impl ToAgent {
    /// Sends a durable segment: the bytes come out of the proof, so nothing else can be sent in their place.
    pub fn release(&mut self, answered: Answered) {
        self.queue.push(answered.into_bytes());
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
