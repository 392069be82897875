//! `Bind`: a portal of a prepared statement. It goes on as it is, unless the answer has columns that are not the agent's.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chaperone_model::{Effects, Refusal, SqlState};
use chaperone_wire::postgres::{Frame, HEADER, frontend};

use crate::dispatch::unknown_name;
use crate::end::End;
use crate::prepared::{Portal, Prepared};
use crate::replies::Owed;
use crate::rewrite::Runnable;
use crate::session::Session;

/// A long `Bind` as far as it has come, and the statement that it is of.
#[derive(Debug)]
pub(crate) struct Gathered {
    bytes: BytesMut,
    prepared: Arc<Prepared>,
}

impl<S> Session<S> {
    pub(crate) fn bind(&mut self, frame: Frame) -> Result<(), End> {
        let (portal, statement) = frontend::bind_names(frame.body()).map_err(End::from_agent)?;
        let prepared = match self.names.statement(statement) {
            Some(prepared) if !self.names.may_be_anothers(statement, prepared.sent) => prepared.clone(),
            _ if self.judge.is_shielded() => {
                self.withhold(&frame.bytes, Vec::new());
                self.fail(Box::new(unknown_name("26000", "prepared statement")))?;
                return Ok(());
            }
            _ => Arc::new(Prepared::unknown()),
        };
        if let Some(refusal) = self.stale(&prepared) {
            self.withhold(&frame.bytes, Vec::new());
            self.fail(refusal)?;
            return Ok(());
        }
        let hidden = prepared.output.as_ref().map_or(0, |output| output.hidden());
        let length = declared(&frame);
        let written = prepared.output.as_ref().is_some_and(|output| !output.written.is_empty());
        if (hidden > 0 || written) && length > frame.bytes.len() {
            // the formats of its columns, which change, stand at its end, and any of its parameters may be looked at
            self.withhold(&frame.bytes, Vec::new());
            let limit = self.judge.connection.limits.statement;
            if length > usize::try_from(limit).unwrap_or(usize::MAX) {
                return self.fail(Box::new(long_bind(limit)));
            }
            self.withheld = false;
            self.gathered = Some(Gathered { bytes: frame.bytes.into(), prepared });
            return Ok(());
        }
        let name = portal.to_vec();
        self.bound(name, prepared, &frame.bytes, true)
    }

    /// A permitted `Bind` goes on.
    fn bound(&mut self, name: Vec<u8>, prepared: Arc<Prepared>, bytes: &Bytes, record: bool) -> Result<(), End> {
        if let Some(refusal) = is_written(&prepared, bytes) {
            if record {
                self.withhold(bytes, Vec::new());
            }
            return self.fail(refusal);
        }
        let hidden = prepared.output.as_ref().map_or(0, |output| output.hidden());
        let sent = self.names.moment(self.replies.segment());
        // planning computes what is declared to be constant, so it may run code
        let effects = prepared.facts.as_ref().map_or(Effects::Possible, |facts| facts.effects);
        self.runs_prepared(&prepared);
        let previous = self.names.set_portal(name.clone(), Arc::new(Portal { statement: prepared, sent }));
        let runnable = match hidden {
            0 => Runnable::protocol(bytes.clone(), effects),
            hidden => {
                let body = bytes.get(HEADER..).unwrap_or_default();
                // what is no `Bind` the database refuses, in its own words
                Runnable::bind(body, hidden, effects).unwrap_or_else(|_| Runnable::protocol(bytes.clone(), effects))
            }
        };
        self.owe(Owed::Bind { name, previous });
        match record {
            true => self.request.add(bytes, runnable, Vec::new()),
            false => self.request.also(runnable),
        }
        Ok(())
    }

    /// A later part of a long `Bind` that must be whole before it can go on.
    pub(crate) fn gather(&mut self, bytes: &[u8], last: bool) -> Result<(), End> {
        self.request.withhold(bytes, Vec::new());
        let Some(gathered) = &mut self.gathered else { return Ok(()) };
        gathered.bytes.extend_from_slice(bytes);
        let Some(Gathered { bytes, prepared }) = self.gathered.take_if(|_| last) else { return Ok(()) };
        let bytes = bytes.freeze();
        let (portal, _) = frontend::bind_names(bytes.get(HEADER..).unwrap_or_default()).map_err(End::from_agent)?;
        self.bound(portal.to_vec(), prepared, &bytes, false)
    }
}

/// Why the values of parameters may not be written.
fn is_written(prepared: &Prepared, bytes: &[u8]) -> Option<Box<Refusal>> {
    let output = prepared.output.as_ref().filter(|output| !output.written.is_empty())?;
    let body = bytes.get(HEADER..)?;
    // what is no `Bind` the database refuses, in its own words
    let bind = frontend::Bind::parse(body).ok()?;
    output.check_parameters(|i| body.get(bind.params.get(i)?.clone()?)).err().map(Box::new)
}

/// Bytes of a message, as its header says.
fn declared(frame: &Frame) -> usize {
    let length =
        frame.bytes.get(1..).and_then(|bytes| bytes.first_chunk()).map_or(0, |length| u32::from_be_bytes(*length));
    usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1)
}

fn long_bind(limit: u32) -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "subjects.size",
        message: "parameters are too long".to_owned(),
        detail: format!(
            "where it is kept on record whose rows are returned, the parameters of a statement have at most {limit} bytes"
        ),
        hint: "send them in parts".to_owned(),
    }
}
