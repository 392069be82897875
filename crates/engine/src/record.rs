//! record: what came in and what goes out, into the journal.
//!
//! Both byte streams of a session are recorded whole, in segments. [`Request`] gathers what the agent sent until it is
//! worth a record; [`Answer`] gathers what may go to the agent until it is worth a segment.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use chaperone_evidence::{
    Answered, Finished, MAX_SEGMENT, PendingAnswered, PendingReceived, Seen, SessionEvent, Statement,
};
use chaperone_wire::postgres::backend::Cut;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::end::End;
use crate::rewrite::{Batch, Runnable};
use crate::session::Session;

/// An answer that goes on and is smaller than this waits for more, in bytes: one `fdatasync` serves all of it.
const GATHERED: usize = 64 * 1024;

/// … but not for longer than this.
const PATIENCE: Duration = Duration::from_millis(5);

/// Ends of statements in one segment, so that its record stays small.
pub(crate) const FINISHED: usize = 48;

/// Statements in one request record.
const STATEMENTS: usize = 12;

/// The agent's bytes that wait for a record, and the messages that go to the database behind it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// As the agent sent them.
    bytes: BytesMut,
    batch: Batch,
    statements: Vec<Statement>,
    /// What runs instead, where that differs.
    run: Option<String>,
    /// Whether something in it must be on record before it goes on. A lone `Sync` or `Describe` carries nothing, and
    /// is recorded together with what follows it.
    matters: bool,
}

impl Request {
    /// A message that does nothing by itself.
    pub(crate) fn pass(&mut self, as_sent: &[u8], runnable: Runnable) {
        self.bytes.extend_from_slice(as_sent);
        self.batch.push(runnable);
    }

    /// A message that must be on record.
    pub(crate) fn add(&mut self, as_sent: &[u8], runnable: Runnable, statements: Vec<Statement>) {
        self.pass(as_sent, runnable);
        self.statements.extend(statements);
        self.matters = true;
    }

    /// Text that runs in place of the agent's.
    pub(crate) fn runs(&mut self, text: &str) {
        let run = self.run.get_or_insert_default();
        if !run.is_empty() {
            run.push_str(";\n");
        }
        run.push_str(text);
    }

    /// A message that goes nowhere but on record.
    pub(crate) fn withhold(&mut self, as_sent: &[u8], statements: Vec<Statement>) {
        self.bytes.extend_from_slice(as_sent);
        self.statements.extend(statements);
        self.matters = true;
    }

    /// A message that goes to the database beside the agent's.
    pub(crate) fn also(&mut self, runnable: Runnable) {
        self.batch.push(runnable);
    }

    /// Whether it has to be recorded before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.statements.len() >= STATEMENTS || self.bytes.len() >= MAX_SEGMENT / 2
    }
}

/// A batch that waits for its turn.
#[derive(Debug)]
pub(crate) struct Waiting {
    batch: Batch,
    /// Its record; `None` for one without effects that only waits for those before it.
    record: Option<PendingReceived>,
    size: usize,
}

/// What may go to the agent, not yet recorded.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    bytes: BytesMut,
    /// Statements that ended within those bytes.
    pub(crate) finished: Vec<Finished>,
    /// Whose rows are in them.
    pub(crate) subjects: Vec<Seen>,
    /// The agent may wait for what is in it before it goes on.
    pub(crate) urgent: bool,
    /// How long it waits for more; runs since the first byte, if it was ever needed.
    patience: Option<Pin<Box<Sleep>>>,
    gathers: bool,
}

impl Answer {
    /// Whether an answer that goes on waited long enough for more, or need not wait.
    pub(crate) fn has_gathered(&mut self, cx: &mut Context<'_>) -> bool {
        if self.urgent || self.bytes.len() >= GATHERED {
            return true;
        }
        let deadline = Instant::now() + PATIENCE;
        let timer = self.patience.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.gathers {
            self.gathers = true;
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).is_ready()
    }

    /// Takes the first `count` bytes of `from`.
    pub(crate) fn keep(&mut self, from: &mut BytesMut, count: usize) {
        if count == 0 {
        } else if self.bytes.is_empty() {
            self.bytes = from.split_to(count);
        } else {
            self.bytes.extend_from_slice(from.get(..count).unwrap_or_default());
            from.advance(count.min(from.len()));
        }
    }

    /// The bytes do not go; what is known of statements is kept.
    pub(crate) fn give_up(&mut self) {
        self.bytes.clear();
    }

    /// Adds bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds what is left of a message.
    pub(crate) fn add_cut(&mut self, cut: Cut, message: &[u8]) {
        self.add(&cut.head);
        self.add(message.get(cut.rest..).unwrap_or_default());
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.finished.is_empty() && self.subjects.is_empty()
    }
}

/// Segments on their way into the journal.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pending: VecDeque<Segment>,
    size: usize,
    /// What was released last ends within a message.
    cut: bool,
    /// What follows is words of ours.
    ours: bool,
}

#[derive(Debug)]
struct Segment {
    pending: PendingAnswered,
    /// It is durable, and waits for the catalog to be looked at.
    durable: Option<Answered>,
    /// What answers to that.
    ticket: Option<(u64, Instant)>,
    /// How many statements had ended with it.
    ended: u64,
    size: usize,
    /// Ends within a message.
    cut: bool,
}

impl Segments {
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Bytes in them.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Whether something can follow what was released: not in the middle of a message.
    pub(crate) fn released_whole(&self) -> bool {
        !self.cut
    }

    /// The ticket that is to be answered next, and since when.
    pub(crate) fn first_ticket(&self) -> Option<(u64, Instant)> {
        self.pending.front().and_then(|segment| segment.ticket)
    }

    /// Whether what follows is words of ours.
    pub(crate) fn takes_no_tickets(&self) -> bool {
        self.ours
    }

    /// What is here does not go, nor does anything of the database's that follows: words of ours do.
    pub(crate) fn give_up(&mut self) {
        self.pending.clear();
        self.size = 0;
        self.ours = true;
    }

    /// The next segment, if it is durable and its ticket is answered; with how many statements had ended with it.
    pub(crate) fn pop_ready(&mut self, checked: u64, cx: &mut Context<'_>) -> Poll<Result<(Answered, u64), End>> {
        let Some(front) = self.pending.front_mut() else { return Poll::Pending };
        if front.durable.is_none() {
            match std::task::ready!(Pin::new(&mut front.pending).poll(cx)) {
                Ok(answered) => front.durable = Some(answered),
                Err(_) => {
                    self.size -= front.size;
                    self.pending.pop_front();
                    return Poll::Ready(Err(End::Ledger));
                }
            }
        }
        if front.ticket.is_some_and(|(ticket, _)| ticket > checked) {
            return Poll::Pending;
        }
        let Some(answered) = front.durable.take() else { return Poll::Pending };
        if front.size > 0 {
            self.cut = front.cut;
        }
        self.size -= front.size;
        let ended = front.ended;
        self.pending.pop_front();
        Poll::Ready(Ok((answered, ended)))
    }
}

impl<S> Session<S> {
    /// Records what was gathered from the agent and sends it on: at once when it has no effects and nothing waits
    /// before it, else when its record is durable.
    pub(crate) fn record_request(&mut self) {
        if let Some(news) = self.judge.news() {
            // what follows it in the journal was decided by it
            drop(self.log.mark(SessionEvent::AuthorityChanged(Box::new(news))));
        }
        let batch = std::mem::take(&mut self.request.batch);
        // what carries nothing is recorded with what follows it, as long as that is not too much
        let record = (self.request.matters || self.request.is_full()).then(|| {
            let bytes = self.request.bytes.split();
            let statements = std::mem::take(&mut self.request.statements);
            let run = self.request.run.take();
            self.request.matters = false;
            self.log.received(&bytes, statements, run.as_deref())
        });
        if batch.is_empty() && record.is_none() {
            return;
        }
        match batch.proven_read() {
            Ok(read) if self.waiting.is_empty() => self.to_server.execute_read(read),
            Ok(read) => {
                let batch = read.into_batch();
                let size = batch.size();
                self.waiting.push_back(Waiting { batch, record: None, size });
                self.waiting_bytes += size;
            }
            Err(batch) => {
                let record = record.unwrap_or_else(|| {
                    // only what matters can have effects; should that ever be wrong, it is recorded all the same
                    let bytes = self.request.bytes.split();
                    self.log.received(&bytes, Vec::new(), None)
                });
                let size = batch.size();
                self.waiting.push_back(Waiting { batch, record: Some(record), size });
                self.waiting_bytes += size;
            }
        }
    }

    /// Moves batches whose turn it is to the database.
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut moved = false;
        while let Some(front) = self.waiting.front_mut() {
            let received = match &mut front.record {
                None => None,
                Some(record) => match Pin::new(record).poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(received) => Some(received.map_err(|_| End::Ledger)?),
                },
            };
            let Some(Waiting { batch, size, .. }) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= size;
            moved = true;
            match (received, batch.proven_read()) {
                (Some(received), Ok(read)) => self.to_server.execute(read.into_batch(), received),
                (Some(received), Err(batch)) => self.to_server.execute(batch, received),
                (None, Ok(read)) => self.to_server.execute_read(read),
                (None, Err(_)) => return Err(End::Ledger),
            }
        }
        Ok(moved)
    }

    /// Makes what was gathered for the agent into segments.
    pub(crate) fn record_answer(&mut self) {
        self.answer.urgent = false;
        self.answer.gathers = false;
        while !self.answer.is_empty() {
            let size = self.answer.bytes.len().min(MAX_SEGMENT);
            let bytes = self.answer.bytes.split_to(size).freeze();
            let last = self.answer.bytes.is_empty();
            let mut finished = if last { std::mem::take(&mut self.answer.finished) } else { Vec::new() };
            // what a record cannot hold all of would be left out of it
            let more = finished.split_off(finished.len().min(FINISHED));
            // a part may end where a message does, but that is not known of any but the last
            let cut = !last || self.server_deframer.remaining() > 0;
            // with the first part: no row is out before it is known whose it is
            let seen = std::mem::take(&mut self.answer.subjects);
            self.record_segment(bytes, finished, seen, cut);
            for finished in more.chunks(FINISHED) {
                self.record_segment(Bytes::new(), finished.to_vec(), Vec::new(), cut);
            }
        }
    }

    fn record_segment(&mut self, bytes: Bytes, finished: Vec<Finished>, seen: Vec<Seen>, cut: bool) {
        let size = bytes.len();
        let (ticket, ended) = (self.ticket(), self.running.ended(self.replies.answered()));
        let pending = self.log.answered(bytes, finished, seen);
        self.segments.pending.push_back(Segment { pending, durable: None, ticket, ended, size, cut });
        self.segments.size += size;
    }

    /// At the end: whatever bytes of the agent's have no record yet.
    pub(crate) fn record_rest(&mut self) {
        let mut bytes = self.request.bytes.split();
        if let Some(held) = self.held.take() {
            bytes.extend_from_slice(held.bytes());
        }
        bytes.extend_from_slice(&self.receiver.intake.bytes.split());
        if !bytes.is_empty() {
            let mut statements = std::mem::take(&mut self.request.statements);
            for piece in bytes.chunks(MAX_SEGMENT) {
                drop(self.log.received(piece, std::mem::take(&mut statements), None));
            }
        }
    }
}
