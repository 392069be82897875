//! Sessions: complete, in order, closed. And the gateway's own life between them.

use std::collections::BTreeMap;

use chaperone_ledger_format::layout;
use chaperone_ledger_format::record::{Body, CloseReason, Place, Record, SessionClosed, Span, Time};

use crate::Report;
use crate::checkpoints::Signed;

/// The gateway writes something each minute; longer silence than this is a gap.
const SILENCE: i64 = 150 * 1_000_000;

/// Everything that must hold between records.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<String, Session>,
    last: Option<Time>,
    /// The most checkpoints that a record says the history holds.
    checkpoints: u64,
}

#[derive(Debug, Default)]
struct Session {
    records: u64,
    input: u64,
    output: u64,
    closed: bool,
}

impl Sessions {
    pub(crate) fn check(&mut self, place: &str, record: &Record, report: &mut Report) {
        self.silence(place, record, report);
        match (&record.place, &record.body) {
            (Some(at), body) => self.session(place, at, body, report),
            (
                None,
                Body::SessionOpened(_)
                | Body::AuthorityChanged(_)
                | Body::Received(_)
                | Body::Answered(_)
                | Body::CancelRequested(_)
                | Body::SessionClosed(_),
            ) => report.tampered(place, "it belongs to no session"),
            (None, Body::Heartbeat(body)) => self.checkpoints = self.checkpoints.max(body.checkpoints),
            (None, Body::ServiceStopped(body)) => self.checkpoints = self.checkpoints.max(body.checkpoints),
            (
                None,
                Body::ServiceStarted(_)
                | Body::LoginRefused(_)
                | Body::PolicyChanged(_)
                | Body::ClassificationChanged(_)
                | Body::CredentialMinted(_)
                | Body::CredentialDropped(_)
                | Body::Alert(_),
            ) => {}
        }
    }

    fn session(&mut self, place: &str, at: &Place, body: &Body, report: &mut Report) {
        let id = &at.session;
        let known = self.sessions.contains_key(id);
        if !known {
            report.counts.sessions += 1;
        }
        let session = self.sessions.entry(id.clone()).or_default();
        if known == matches!(body, Body::SessionOpened(_)) {
            report.tampered(place, format_args!("session {id} does not begin with its opening, or has two"));
        }
        if session.closed {
            report.tampered(place, format_args!("session {id} goes on after its end"));
        }
        if at.seq != session.records {
            let what = format!("session {id} goes on with record {} of its own, not {}", at.seq, session.records);
            report.tampered(place, what);
        }
        session.records = at.seq.saturating_add(1);
        match body {
            Body::Received(body) => {
                let bytes = body.payload.as_ref().map_or(0, |payload| payload.bytes);
                stream(place, "from the agent", &mut session.input, body.input, bytes, report);
            }
            Body::Answered(body) => {
                let bytes = body.payload.as_ref().map_or(0, |payload| payload.bytes);
                stream(place, "to the agent", &mut session.output, body.output, bytes, report);
            }
            Body::SessionClosed(body) => {
                session.closed = true;
                let SessionClosed { input, output, records, reason: _ } = *body;
                if (input, output, records) != (session.input, session.output, session.records) {
                    report.tampered(place, format_args!("the counts of session {id} are not those at its end"));
                }
            }
            Body::SessionOpened(_) | Body::AuthorityChanged(_) | Body::CancelRequested(_) | Body::Alert(_) => {}
            Body::ServiceStarted(_)
            | Body::ServiceStopped(_)
            | Body::Heartbeat(_)
            | Body::LoginRefused(_)
            | Body::PolicyChanged(_)
            | Body::ClassificationChanged(_)
            | Body::CredentialMinted(_)
            | Body::CredentialDropped(_) => report.tampered(place, "it belongs to a session, and may not"),
        }
    }

    fn silence(&mut self, place: &str, record: &Record, report: &mut Report) {
        let begins = match &record.body {
            Body::ServiceStarted(_) => true,
            // what an earlier run left open is closed when the next begins
            Body::SessionClosed(body) => body.reason == CloseReason::GatewayStopped,
            Body::ServiceStopped(_)
            | Body::Heartbeat(_)
            | Body::LoginRefused(_)
            | Body::PolicyChanged(_)
            | Body::ClassificationChanged(_)
            | Body::CredentialMinted(_)
            | Body::CredentialDropped(_)
            | Body::Alert(_)
            | Body::SessionOpened(_)
            | Body::AuthorityChanged(_)
            | Body::Received(_)
            | Body::Answered(_)
            | Body::CancelRequested(_) => false,
        };
        if let Some(last) = self.last {
            let silence = record.time.micros() - last.micros();
            if silence > SILENCE && !begins {
                let seconds = silence / 1_000_000;
                report.incomplete(place, format_args!("{seconds} s of silence before it, and the gateway ran"));
            }
        }
        self.last = Some(record.time);
    }

    pub(crate) fn end(self, signed: &Signed, report: &mut Report) {
        for (id, session) in &self.sessions {
            if !session.closed {
                report.incomplete(format_args!("session {id}"), "it has no end");
            }
        }
        let kept = signed.history.len() as u64 + u64::from(signed.torn);
        if kept < self.checkpoints {
            let what = format!("it holds {kept} checkpoints, and a record says {}", self.checkpoints);
            report.tampered(layout::CHECKPOINTS, what);
        }
    }
}

fn stream(place: &str, which: &str, upto: &mut u64, span: Span, bytes: u64, report: &mut Report) {
    if span.from != *upto || span.to < span.from {
        report.tampered(place, format_args!("bytes {which}: {}..{} after {upto}", span.from, span.to));
    } else if span.to - span.from != bytes {
        report.tampered(place, format_args!("bytes {which}: its payload has {bytes} of {}", span.to - span.from));
    }
    *upto = span.to;
}
