//! One session's records.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chaperone_ledger_format::payload::{Note, PayloadKey, SessionKey};
use chaperone_ledger_format::record::{
    Answered, Body, CloseReason, Finished, PayloadRef, Place, Received, SessionClosed, SessionOpened, Span, Statement,
};
use chaperone_ledger_format::subject::{Name, Seen, SubjectKey};
use chaperone_model::SessionId;

use crate::queue::Queue;
use crate::receipt::{PendingAnswered, PendingReceived};
use crate::{LedgerError, Pending, SessionEvent, seal};

/// How many bytes an answer gathers at most before it is recorded and released.
pub const MAX_SEGMENT: usize = 256 << 10;

/// More bytes than this in one call become several records.
const MAX_PIECE: usize = 1 << 20;

/// The records of one session, in order: the writer of its `seq` and of its two byte streams.
///
/// Dropped without [`SessionLog::close`], it closes itself with the reason `gateway_fault`.
pub struct SessionLog {
    queue: Arc<Queue>,
    key: Option<SessionKey>,
    subjects: SubjectKey,
    connection: String,
    id: SessionId,
    session: String,
    seq: u64,
    input: u64,
    output: u64,
    open: bool,
}

impl fmt::Debug for SessionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionLog({} seq {})", self.session, self.seq)
    }
}

impl SessionLog {
    pub(crate) fn open(
        queue: Arc<Queue>,
        payload_key: &PayloadKey,
        origin: &str,
        id: SessionId,
        opened: SessionOpened,
    ) -> (Self, Pending) {
        let session = id.to_string();
        let mut log = SessionLog {
            queue,
            key: payload_key.session(origin, &session),
            subjects: payload_key.subjects(origin),
            connection: opened.connection.clone(),
            id,
            session,
            seq: 0,
            input: 0,
            output: 0,
            open: true,
        };
        let pending = log.push(Vec::new(), Body::SessionOpened(Box::new(opened)));
        (log, pending)
    }

    /// The session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Bytes from the agent that are on record so far, durable or on the way.
    pub fn received_bytes(&self) -> u64 {
        self.input
    }

    /// Bytes to the agent that are on record so far, durable or on the way.
    pub fn answered_bytes(&self) -> u64 {
        self.output
    }

    /// Records the next bytes from the agent (there may be none) and the statements that end in them; `run` is the
    /// text that runs in their place, where it differs.
    pub fn received(&mut self, bytes: &[u8], statements: Vec<Statement>, run: Option<&str>) -> PendingReceived {
        let (first, last) = split_pieces(bytes);
        for piece in first {
            // durable whenever a later record is: the journal is one sequence
            drop(self.receive(piece, Vec::new(), None));
        }
        let pending = self.receive(last, statements, run);
        PendingReceived { pending, session: self.id, upto: self.input }
    }

    /// The name in this log of whoever has this identifier.
    pub fn subject(&self, identifier: &[u8]) -> Name {
        self.subjects.name(&self.connection, identifier)
    }

    /// Records the next bytes to the agent (there may be none), whose rows are in them, and the statements that end in
    /// them.
    pub fn answered(&mut self, bytes: Bytes, finished: Vec<Finished>, mut seen: Vec<Seen>) -> PendingAnswered {
        let from = self.output;
        let (first, last) = split_pieces(&bytes);
        for piece in first {
            // with the first piece, so that no row is out before it is known whose it is
            drop(self.answer(piece, Vec::new(), std::mem::take(&mut seen)));
        }
        let pending = self.answer(last, finished, seen);
        PendingAnswered { pending, session: self.id, from, bytes }
    }

    /// Records an event.
    pub fn mark(&mut self, event: SessionEvent) -> Pending {
        self.push(Vec::new(), event.into_body())
    }

    /// Records the session's end.
    pub fn close(mut self, reason: CloseReason) -> Pending {
        self.end(reason)
    }

    fn end(&mut self, reason: CloseReason) -> Pending {
        self.open = false;
        let records = self.seq + 1;
        self.push(
            Vec::new(),
            Body::SessionClosed(SessionClosed { input: self.input, output: self.output, reason, records }),
        )
    }

    fn receive(&mut self, bytes: &[u8], statements: Vec<Statement>, run: Option<&str>) -> Pending {
        let input = advance(&mut self.input, bytes);
        let note = Note { run: run.map(str::to_owned), ..Note::default() };
        let (frames, payload) = match self.seal(bytes, note) {
            Ok(sealed) => sealed,
            Err(error) => return self.fail(error),
        };
        self.push(frames, Body::Received(Received { abridged: false, input, payload, statements }))
    }

    fn answer(&mut self, bytes: &[u8], finished: Vec<Finished>, subjects: Vec<Seen>) -> Pending {
        let output = advance(&mut self.output, bytes);
        let (frames, payload) = match self.seal(bytes, Note { subjects, ..Note::default() }) {
            Ok(sealed) => sealed,
            Err(error) => return self.fail(error),
        };
        self.push(frames, Body::Answered(Answered { abridged: false, finished, output, payload }))
    }

    fn seal(&self, bytes: &[u8], note: Note) -> Result<(Vec<u8>, Option<PayloadRef>), LedgerError> {
        if bytes.is_empty() && note == Note::default() {
            return Ok((Vec::new(), None));
        }
        let key = self.key.as_ref().ok_or(LedgerError::Seal)?;
        let (frames, payload) = seal::seal(key, self.seq, bytes, note)?;
        Ok((frames, Some(payload)))
    }

    /// What cannot be sealed cannot be recorded, and a gap in a session's streams must never look whole.
    fn fail(&mut self, error: LedgerError) -> Pending {
        self.queue.fail(error);
        self.push(Vec::new(), Body::CancelRequested(chaperone_ledger_format::record::CancelRequested {}))
    }

    fn push(&mut self, frames: Vec<u8>, body: Body) -> Pending {
        let place = Place { session: self.session.clone(), seq: self.seq };
        self.seq += 1;
        self.queue.push(frames, Some(place), body)
    }
}

impl Drop for SessionLog {
    fn drop(&mut self) {
        if self.open {
            drop(self.end(CloseReason::GatewayFault));
        }
    }
}

fn advance(offset: &mut u64, bytes: &[u8]) -> Span {
    let from = *offset;
    *offset += bytes.len() as u64;
    Span { from, to: *offset }
}

/// All pieces but the last, and the last.
fn split_pieces(bytes: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let whole = bytes.len().saturating_sub(1) / MAX_PIECE * MAX_PIECE;
    let (first, last) = bytes.split_at_checked(whole).unwrap_or((&[], bytes));
    (first.chunks(MAX_PIECE), last)
}
