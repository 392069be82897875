//! Proofs that something is durable.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chaperone_model::SessionId;

use crate::{LedgerError, Pending};

/// Proof that what an agent sent is durable, up to a byte of its session. Only the ledger makes one, and it can be
/// handed in once:
/// ```compile_fail
/// fn twice(received: chaperone_evidence::Received) -> [chaperone_evidence::Received; 2] {
///     [received.clone(), received]
/// }
/// ```
#[must_use]
pub struct Received {
    session: SessionId,
    upto: u64,
}

impl Received {
    /// Whether the first `upto` bytes of `session`'s agent are durable.
    pub fn covers(&self, session: SessionId, upto: u64) -> bool {
        self.session == session && upto <= self.upto
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({} up to {})", self.session, self.upto)
    }
}

/// Proof that bytes for an agent are durable. It holds these very bytes, so that what is sent is what was recorded:
/// ```compile_fail
/// fn forge(bytes: bytes::Bytes) -> chaperone_evidence::Answered {
///     chaperone_evidence::Answered { bytes, ..todo!() }
/// }
/// ```
#[must_use]
pub struct Answered {
    session: SessionId,
    from: u64,
    bytes: Bytes,
}

impl Answered {
    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The place of the first byte in the session's stream to the agent.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The place after the last byte.
    pub fn to(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// The bytes, to be sent.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answered({} {}..{})", self.session, self.from, self.to())
    }
}

/// Resolves to [`Received`] when the record is durable.
#[derive(Debug)]
#[must_use = "nothing is durable before this resolves"]
pub struct PendingReceived {
    pub(crate) pending: Pending,
    pub(crate) session: SessionId,
    pub(crate) upto: u64,
}

impl Future for PendingReceived {
    type Output = Result<Received, LedgerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.pending).poll(cx));
        Poll::Ready(outcome.map(|()| Received { session: self.session, upto: self.upto }))
    }
}

impl PendingReceived {
    /// Blocks the thread until it resolves. For use outside of any runtime.
    ///
    /// # Errors
    ///
    /// As the future's.
    pub fn wait(self) -> Result<Received, LedgerError> {
        let PendingReceived { pending, session, upto } = self;
        pending.wait().map(|()| Received { session, upto })
    }
}

/// Resolves to [`Answered`] when the record is durable.
#[must_use = "nothing is durable before this resolves"]
pub struct PendingAnswered {
    pub(crate) pending: Pending,
    pub(crate) session: SessionId,
    pub(crate) from: u64,
    pub(crate) bytes: Bytes,
}

impl Future for PendingAnswered {
    type Output = Result<Answered, LedgerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.pending).poll(cx));
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready(outcome.map(|()| Answered { session: self.session, from: self.from, bytes }))
    }
}

impl PendingAnswered {
    /// Blocks the thread until it resolves. For use outside of any runtime.
    ///
    /// # Errors
    ///
    /// As the future's.
    pub fn wait(self) -> Result<Answered, LedgerError> {
        let PendingAnswered { pending, session, from, bytes } = self;
        pending.wait().map(|()| Answered { session, from, bytes })
    }
}

impl fmt::Debug for PendingAnswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingAnswered({} from {}, {} bytes)", self.session, self.from, self.bytes.len())
    }
}
