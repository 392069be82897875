//! One session: the table of contents of its life. Each step is in the file of its verb.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::BytesMut;
use chaperone_evidence::{SessionEvent, SessionLog};
use chaperone_wire::postgres::backend::TransactionStatus;
use chaperone_wire::postgres::{Deframer, Limits, Side};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::bind::Gathered;
use crate::clock::Clock;
use crate::decide::Judge;
use crate::end::End;
use crate::estimate::Estimating;
use crate::execute::ToServer;
use crate::follow::Role;
use crate::inside::Looking;
use crate::prepared::Names;
use crate::queue::Intake;
use crate::receive::{Input, Receiver};
use crate::record::{Answer, Request, Segments, Waiting};
use crate::registry::{Control, Registered};
use crate::release::ToAgent;
use crate::replies::Replies;
use crate::running::Running;
use crate::subjects::Returned;
use crate::upstream::{self, BackendKey, UpstreamStream};

/// Requests that wait for their record before more is read from the agent, in bytes.
const REQUESTS: usize = 256 * 1024;

/// Answer bytes between the database's socket and the agent's, before less is read from the database.
const ANSWERS: usize = 1024 * 1024;

/// A segment is cut at this size; sooner when nothing is on its way to the journal.
const SEGMENT: usize = 192 * 1024;

/// How often in a row the agent is not read from because something else moved.
const PASSED_OVER: u32 = 8;

/// A running session between an agent's stream `S` and the database.
pub struct Session<S> {
    pub(crate) agent: S,
    pub(crate) server: UpstreamStream,
    pub(crate) server_address: upstream::ServerAddress,
    pub(crate) server_key: BackendKey,

    // from the agent
    pub(crate) receiver: Receiver,
    pub(crate) judge: Judge,
    pub(crate) request: Request,
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) waiting_bytes: usize,
    pub(crate) to_server: ToServer,
    pub(crate) agent_closed: bool,
    /// The agent's last message went nowhere, so its later parts do not either.
    pub(crate) withheld: bool,
    /// A long `Bind` that must be whole before it can go on.
    pub(crate) gathered: Option<Gathered>,

    // from the database
    pub(crate) server_intake: Intake,
    pub(crate) server_deframer: Deframer,
    /// The start of a long row whose first columns have not all come.
    pub(crate) row: Option<BytesMut>,
    pub(crate) answer: Answer,
    /// Whose rows the statement returned that the database answers now.
    pub(crate) returned: Option<Returned>,
    pub(crate) segments: Segments,
    pub(crate) to_agent: ToAgent,
    /// The database ended the session by an error of its own.
    pub(crate) server_said_goodbye: bool,

    // what is believed about the database's state
    pub(crate) replies: Replies,
    pub(crate) names: Names,
    /// What was sent and may be in an answer that is not released.
    pub(crate) running: Running,
    pub(crate) transaction: TransactionStatus,
    pub(crate) copying_in: bool,
    /// Everything sent is answered up to its `ReadyForQuery`, before which the database reports changed settings.
    pub(crate) settled: bool,
    /// A message that cannot be judged before it is known what its name means.
    pub(crate) held: Option<Input>,
    /// What the database was asked before that can be judged.
    pub(crate) estimating: Option<Estimating>,
    /// What it is asked about what is inside that.
    pub(crate) looking: Option<Looking>,

    pub(crate) role: Role,
    pub(crate) log: SessionLog,
    pub(crate) registered: Registered,
    pub(crate) clock: Clock,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Runs until either side ends it, then closes its record.
    pub async fn run(mut self) {
        // what changed while the session was opened told nobody: it was not registered yet
        let end = match self.judge.is_stale().then(|| self.judge.reconsider()) {
            Some(Err(end)) => end,
            None | Some(Ok(())) => poll_fn(|cx| self.poll(cx)).await,
        };
        self.finish(end).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    /// Does whatever can be done now, until nothing can.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        self.poll_control(cx)?;
        let busy = !self.replies.is_empty();
        self.clock.poll(cx, busy)?;
        let mut passed_over = 0;
        loop {
            let mut progress = self.poll_release(cx)?;
            progress |= self.poll_waiting(cx)?;
            progress |= self.poll_server(cx)?;
            // what is on its way goes first: to take up and seal what an agent writes in one go takes a while, and it may
            // be told meanwhile that its first statement failed
            if progress && passed_over < PASSED_OVER {
                passed_over += 1;
            } else {
                passed_over = 0;
                progress |= self.poll_agent(cx)?;
            }
            self.cut_answer(cx);
            // room in a full queue lets its reader go on: without this nobody would wake it
            progress |= self.flush(cx)?;
            self.has_ended()?;
            if !progress {
                return Ok(());
            }
        }
    }

    fn poll_control(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        while let Poll::Ready(Some(control)) = self.registered.control.poll_recv(cx) {
            match control {
                Control::Cancel(done) => {
                    // a cancel changes no data: its record may follow it
                    drop(self.log.mark(SessionEvent::CancelRequested));
                    let (address, key) = (self.server_address.clone(), self.server_key.clone());
                    tokio::spawn(async move {
                        if let Err(error) = upstream::cancel(&address, &key).await {
                            tracing::warn!(%error, "a cancel request did not reach the database");
                        }
                        // the receiver may have gone: its agent closed the connection
                        let _ = done.send(());
                    });
                }
                Control::PoliciesChanged => self.judge.reconsider()?,
                Control::Drain(deadline) => {
                    self.clock.drain = Some(deadline);
                    self.clock.wake();
                }
            }
        }
        Ok(())
    }

    /// receive → analyse → decide → rewrite → record → execute
    fn poll_agent(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.agent_closed || self.holds_requests() || !self.poll_role(cx)? {
            return Ok(false);
        }
        if let Some(input) = self.held.take() {
            if let Some(estimating) = &mut self.estimating {
                match estimating.poll(cx) {
                    Poll::Pending => {
                        self.held = Some(input);
                        return Ok(false);
                    }
                    Poll::Ready(estimated) => {
                        self.estimating = None;
                        self.judge.estimated(estimated);
                    }
                }
            }
            if self.is_looking_inside() || self.must_wait(&input)? || self.looks_inside(&input)? {
                self.held = Some(input);
                return Ok(false);
            }
            self.take(input)?;
            self.looking = None;
            self.take_all()?;
            return Ok(true);
        }
        let read = match self.receiver.intake.poll_read(cx, &mut self.agent) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.map_err(End::AgentLost)?,
        };
        if read == 0 {
            self.agent_closed()?;
            return Ok(true);
        }
        self.clock.last_request = Instant::now();
        self.take_all()?;
        Ok(true)
    }

    /// Takes every message that is there.
    fn take_all(&mut self) -> Result<(), End> {
        while let Some(input) = self.receiver.next().map_err(End::from_agent)? {
            self.estimating = self.asks_first(&input)?;
            if self.estimating.is_some() || self.must_wait(&input)? || self.looks_inside(&input)? {
                self.held = Some(input);
                break;
            }
            self.take(input)?;
            if self.request.is_full() {
                self.record_request();
            }
            if self.agent_closed {
                // what follows a goodbye is recorded at the end, and goes nowhere
                break;
            }
        }
        self.record_request();
        self.receiver.intake.rest();
        Ok(())
    }

    /// check → record
    fn poll_server(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        if self.holds_answers() {
            return Ok(false);
        }
        match self.server_intake.poll_read(cx, &mut self.server) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(self.server_closed()),
            Poll::Ready(Ok(_)) => {
                self.check()?;
                self.server_intake.rest();
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(self.server_closed()),
        }
    }

    fn server_closed(&self) -> End {
        if self.server_said_goodbye {
            End::Server
        } else if self.agent_closed {
            End::Agent
        } else {
            End::ServerLost
        }
    }

    /// The agent closed its side. What it sent before still runs and is answered, as PostgreSQL does; then the
    /// database is told goodbye.
    fn agent_closed(&mut self) -> Result<(), End> {
        if !self.receiver.is_between_messages() {
            // the rest of a message will never come: the database must not take what follows for it
            return Err(End::AgentLost(std::io::ErrorKind::UnexpectedEof.into()));
        }
        self.agent_closed = true;
        self.terminate();
        Ok(())
    }

    /// Cuts a segment when it is large, when everything is answered, or when nothing is on its way to the journal and the
    /// answer had its time to gather: so segments grow while the disk is busy, and while the database writes in drops.
    fn cut_answer(&mut self, cx: &mut Context<'_>) {
        if !self.answer.is_empty()
            && (self.answer.len() >= SEGMENT
                || self.replies.is_empty()
                || (self.segments.is_empty() && self.answer.has_gathered(cx)))
        {
            self.record_answer();
        }
    }

    /// confirm → release
    pub(crate) fn poll_release(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut released = false;
        loop {
            // each time anew: what waits next has another ticket
            let checked = self.confirm(cx)?;
            let Poll::Ready(answered) = self.segments.pop_ready(checked, cx) else { return Ok(released) };
            let (answered, ended) = answered?;
            self.to_agent.release(answered);
            self.running.told(ended);
            released = true;
        }
    }

    /// Hands the sockets what waits for them; `true` if a queue that was full has room again.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let (requests, answers) = (self.holds_requests(), self.holds_answers());
        if !self.to_server.is_empty()
            && let Poll::Ready(Err(_)) = self.to_server.poll_write(cx, &mut self.server)
        {
            // what the database said before it closed is still to be read; the reading side notices the end
            self.to_server = ToServer::default();
        }
        if !self.to_agent.is_empty()
            && let Poll::Ready(Err(error)) = self.to_agent.poll_write(cx, &mut self.agent)
        {
            return Err(End::AgentLost(error));
        }
        Ok((requests && !self.holds_requests()) || (answers && !self.holds_answers()))
    }

    /// Whether so much waits for the database that no more is read from the agent.
    fn holds_requests(&self) -> bool {
        self.waiting_bytes + self.to_server.waiting() >= REQUESTS
    }

    /// Whether so much waits for the agent that no more is read from the database.
    fn holds_answers(&self) -> bool {
        self.answer.len() + self.segments.size() + self.to_agent.waiting() >= ANSWERS
    }

    fn has_ended(&mut self) -> Result<(), End> {
        if self.judge.has_lost_path {
            return Err(End::Outdated);
        }
        if self.clock.drain.is_some()
            && self.replies.is_empty()
            && self.transaction == TransactionStatus::Idle
            && self.segments.is_empty()
            && self.answer.is_empty()
            && self.to_agent.is_empty()
        {
            return Err(End::Drained);
        }
        Ok(())
    }
}

/// How a database's bytes are cut into messages.
pub(crate) fn server_limits() -> Limits {
    Limits::new(Side::Backend).whole(64 << 20).threshold(256 << 10)
}
