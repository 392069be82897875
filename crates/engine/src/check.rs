//! check: every message of the database, before it may become part of an answer.
//!
//! On a connection without protected data everything passes as it is. Where masks apply, the server is asked to
//! disagree: a `RowDescription` must match what the rewriting predicts before a row passes; errors and notices lose
//! what could carry data; notifications, and reports of settings that nobody expects, are dropped.

use std::mem;

use bytes::{Bytes, BytesMut};
use chaperone_analysis::Output;
use chaperone_model::{Refusal, SqlState};
use chaperone_wire::postgres::backend::{
    CommandComplete, Cut, Fields, ParameterStatus, Report, RowDescription, Severity, Tag, TransactionStatus,
    description_without, field,
};
use chaperone_wire::postgres::{Frame, HEADER, Piece, WireError, scan};

use crate::end::End;
use crate::record::FINISHED;
use crate::replies::Owed;
use crate::session::Session;

/// What becomes of a message.
pub(crate) enum Pass {
    Keep,
    Drop,
    Replace(Bytes),
    /// Without its first columns.
    Cut(Cut),
}

impl<S> Session<S> {
    /// Looks at what was read from the database and moves it to the outgoing segment.
    pub(crate) fn check(&mut self) -> Result<(), End> {
        let mut bytes = mem::take(&mut self.server_intake.bytes);
        let outcome = self.check_all(&mut bytes);
        // what is left is the start of a message
        self.server_intake.bytes = bytes;
        outcome
    }

    fn check_all(&mut self, bytes: &mut BytesMut) -> Result<(), End> {
        loop {
            if self.server_deframer.remaining() == 0 {
                self.check_whole(bytes)?;
            }
            // a row or a piece of a copy that is too long to be kept whole
            match self.server_deframer.next(bytes).map_err(End::from_server)? {
                None => return Ok(()),
                Some(Piece::Whole(Frame { tag, bytes })) => match self.message(tag, &bytes)? {
                    Pass::Keep => self.answer.add(&bytes),
                    Pass::Drop => {}
                    Pass::Replace(instead) => self.answer.add(&instead),
                    Pass::Cut(cut) => self.answer.add_cut(cut, &bytes),
                },
                Some(Piece::Start { tag, bytes, .. }) => {
                    let tag = Tag::from_byte(tag).ok_or(End::ServerViolation("message type"))?;
                    self.counted(tag)?;
                    match tag == Tag::DataRow && self.hidden() > 0 {
                        true => self.start_of_row(bytes.into())?,
                        false => self.answer.add(&bytes),
                    }
                }
                Some(Piece::More(bytes) | Piece::End(bytes)) => match self.row.take() {
                    None => self.answer.add(&bytes),
                    Some(mut row) => {
                        row.extend_from_slice(&bytes);
                        self.start_of_row(row)?;
                    }
                },
            }
        }
    }

    /// The whole messages at the front: runs of those that pass unchanged move as one piece.
    fn check_whole(&mut self, bytes: &mut BytesMut) -> Result<(), End> {
        let limits = *self.server_deframer.limits();
        'run: loop {
            let mut passed = 0;
            for message in scan(bytes, &limits) {
                let (tag, range) = message.map_err(End::from_server)?;
                let end = range.end;
                match self.message(tag, bytes.get(range).unwrap_or_default())? {
                    Pass::Keep => passed = end,
                    other => {
                        let length = end - passed;
                        self.answer.keep(bytes, passed);
                        let message = bytes.split_to(length);
                        match other {
                            Pass::Replace(instead) => self.answer.add(&instead),
                            Pass::Cut(cut) => self.answer.add_cut(cut, &message),
                            Pass::Keep | Pass::Drop => {}
                        }
                        self.limit_finished();
                        continue 'run;
                    }
                }
                if self.answer.finished.len() >= FINISHED {
                    self.answer.keep(bytes, passed);
                    self.limit_finished();
                    continue 'run;
                }
            }
            self.answer.keep(bytes, passed);
            return Ok(());
        }
    }

    /// The start of a long row, as much of it as there is.
    fn start_of_row(&mut self, row: BytesMut) -> Result<(), End> {
        let hidden = self.hidden();
        match self.subjects_of(&row, hidden)? {
            Some(cut) => self.answer.add_cut(cut, &row),
            // all of it has come, and they are not in it
            None if self.server_deframer.remaining() == 0 => return Err(End::ServerViolation("row")),
            None => self.row = Some(row),
        }
        Ok(())
    }

    fn limit_finished(&mut self) {
        if self.answer.finished.len() >= FINISHED {
            self.record_answer();
        }
    }

    fn message(&mut self, tag: u8, message: &[u8]) -> Result<Pass, End> {
        let body = message.get(HEADER..).unwrap_or_default();
        let tag = Tag::from_byte(tag).ok_or(End::ServerViolation("message type"))?;
        // rows and what leads to them may wait for more of them; a notice, an error, a request for data may not
        self.answer.urgent |=
            !matches!(tag, Tag::DataRow | Tag::CopyData | Tag::RowDescription | Tag::ParseComplete | Tag::BindComplete);
        if self.looking.is_some()
            && let Some(pass) = self.told_inside(tag, body)?
        {
            return Ok(pass);
        }
        match tag {
            Tag::DataRow => self.data_row(message),
            Tag::CopyData => self.counted(tag).map(|()| Pass::Keep),
            Tag::RowDescription => self.row_description(message, body),
            Tag::NoData => self.no_data(),
            Tag::CommandComplete => {
                let complete = CommandComplete::parse(body).map_err(End::from_server)?;
                self.completed(Some(&complete))?;
                Ok(Pass::Keep)
            }
            Tag::EmptyQueryResponse | Tag::FunctionCallResponse => {
                self.completed(None)?;
                Ok(Pass::Keep)
            }
            Tag::PortalSuspended => {
                self.suspended()?;
                Ok(Pass::Keep)
            }
            Tag::ReadyForQuery => self.ready(TransactionStatus::parse(body).map_err(End::from_server)?),
            Tag::ParseComplete => match self.replies.pop() {
                Some(Owed::Parse { .. }) => Ok(Pass::Keep),
                Some(Owed::Probe) => Ok(Pass::Drop),
                _ => Err(unasked()),
            },
            Tag::BindComplete => self.settle(|owed| matches!(owed, Owed::Bind { .. })),
            Tag::CloseComplete => self.settle(|owed| matches!(owed, Owed::Close { .. })),
            Tag::ParameterDescription | Tag::CopyOutResponse | Tag::CopyDone => Ok(Pass::Keep),
            Tag::ErrorResponse => self.error(body),
            Tag::NoticeResponse if self.judge.is_shielded() => Ok(Pass::Replace(scrubbed(body)?)),
            Tag::NoticeResponse => Ok(Pass::Keep),
            Tag::NotificationResponse if self.judge.is_shielded() => Ok(Pass::Drop),
            Tag::NotificationResponse => Ok(Pass::Keep),
            Tag::ParameterStatus => self.parameter_status(body),
            Tag::CopyInResponse => {
                self.copying_in = true;
                let before = self.replies.answered();
                let in_order = self.replies.copy_in_started();
                self.running.ignored(self.replies.answered() - before);
                match in_order {
                    true => Ok(Pass::Keep),
                    false => Err(End::AgentViolation(COPYING)),
                }
            }
            // log-in is over, and replication is refused at its start
            Tag::Authentication | Tag::BackendKeyData | Tag::NegotiateProtocolVersion | Tag::CopyBothResponse => {
                Err(End::ServerViolation("message type"))
            }
        }
    }

    /// A row, or a line of a copy.
    fn counted(&mut self, tag: Tag) -> Result<(), End> {
        let shielded = self.judge.is_shielded();
        match self.replies.front() {
            Some(Owed::Query(query)) => {
                query.rows += 1;
                if shielded && tag == Tag::DataRow && !query.checked {
                    return Err(End::Disagreement);
                }
                Ok(())
            }
            Some(Owed::Execute { rows, checked, .. }) => {
                *rows += 1;
                if shielded && tag == Tag::DataRow && !*checked {
                    return Err(End::Disagreement);
                }
                Ok(())
            }
            _ => Err(unasked()),
        }
    }

    fn data_row(&mut self, message: &[u8]) -> Result<Pass, End> {
        self.counted(Tag::DataRow)?;
        match self.hidden() {
            0 => Ok(Pass::Keep),
            hidden => match self.subjects_of(message, hidden)? {
                Some(cut) => Ok(Pass::Cut(cut)),
                None => Err(End::ServerViolation("row")),
            },
        }
    }

    fn row_description(&mut self, message: &[u8], body: &[u8]) -> Result<Pass, End> {
        let (output, hidden, described) = match self.replies.front() {
            Some(Owed::Query(query)) => {
                query.checked = true;
                (query.outputs.front().cloned(), false, false)
            }
            Some(Owed::DescribeStatement { output }) => (output.take(), false, true),
            Some(Owed::DescribePortal { output, hidden }) => (output.take(), *hidden, true),
            _ => return Err(unasked()),
        };
        if self.judge.is_shielded() {
            agrees(output.as_deref(), body)?;
        }
        let columns = output.map_or(0, |output| u16::try_from(output.hidden()).unwrap_or(u16::MAX));
        if described {
            self.replies.pop();
        }
        if hidden {
            self.replies.front_is_checked();
        }
        Ok(match columns {
            _ if hidden => Pass::Drop,
            0 => Pass::Keep,
            columns => Pass::Cut(description_without(message, columns).map_err(End::from_server)?),
        })
    }

    fn no_data(&mut self) -> Result<Pass, End> {
        match self.replies.pop() {
            Some(Owed::DescribeStatement { .. } | Owed::DescribePortal { hidden: false, .. }) => Ok(Pass::Keep),
            Some(Owed::DescribePortal { hidden: true, .. }) => Ok(Pass::Drop),
            _ => Err(unasked()),
        }
    }

    fn settle(&mut self, expected: impl FnOnce(&Owed) -> bool) -> Result<Pass, End> {
        match self.replies.pop() {
            Some(owed) if expected(&owed) => Ok(Pass::Keep),
            _ => Err(unasked()),
        }
    }

    fn ready(&mut self, status: TransactionStatus) -> Result<Pass, End> {
        match self.replies.pop() {
            Some(Owed::Query(_) | Owed::Sync) => {}
            _ => return Err(unasked()),
        }
        self.replies.ready();
        self.settled = self.replies.is_empty();
        self.transaction = status;
        self.copying_in = false;
        if status == TransactionStatus::Idle && self.replies.is_empty() {
            self.names.close_portals();
            self.judge.cursors.transaction_ended();
        }
        Ok(Pass::Keep)
    }

    fn error(&mut self, body: &[u8]) -> Result<Pass, End> {
        let fields = Fields::parse(body).map_err(End::from_server)?;
        let goodbye = matches!(fields.severity(), Some(Severity::Fatal | Severity::Panic));
        self.server_said_goodbye |= goodbye;
        Ok(match self.failed(fields.code()) {
            Some(refusal) if !goodbye => Pass::Replace(refused(&refusal)),
            _ if self.judge.is_shielded() => Pass::Replace(scrubbed(body)?),
            _ => Pass::Keep,
        })
    }

    fn parameter_status(&mut self, body: &[u8]) -> Result<Pass, End> {
        let status = ParameterStatus::parse(body).map_err(End::from_server)?;
        if status.name == b"client_encoding" && !crate::open::encoding_is_safe(status.value) {
            return Err(End::Encoding);
        }
        let expected = !self.judge.is_shielded() || REPORTED.contains(&status.name);
        Ok(if expected { Pass::Keep } else { Pass::Drop })
    }
}

/// Settings that every server reports (PostgreSQL manual 55.2.7); none can hold data of a table.
const REPORTED: [&[u8]; 15] = [
    b"application_name",
    b"client_encoding",
    b"DateStyle",
    b"default_transaction_read_only",
    b"in_hot_standby",
    b"integer_datetimes",
    b"IntervalStyle",
    b"is_superuser",
    b"scram_iterations",
    b"search_path",
    b"server_encoding",
    b"server_version",
    b"session_authorization",
    b"standard_conforming_strings",
    b"TimeZone",
];

/// What an agent is told that does something else while the database copies in.
pub(crate) const COPYING: &str = "only copy data, its end, `Sync` or `Flush` may come while the database copies in";

pub(crate) fn unasked() -> End {
    End::ServerViolation("an answer that nothing asked for")
}

/// The server's description of the rows against what the rewriting predicts.
fn agrees(output: Option<&Output>, body: &[u8]) -> Result<(), End> {
    let columns = columns(body)?;
    match output {
        Some(output) if output.check(&columns).is_ok() => Ok(()),
        Some(_) | None => Err(End::Disagreement),
    }
}

/// The columns of a `RowDescription`: name, table OID, column number, type OID.
pub(crate) fn columns(body: &[u8]) -> Result<Vec<(&str, u32, i16, u32)>, End> {
    let described = RowDescription::parse(body).map_err(End::from_server)?;
    let columns = described.columns.iter().map(|column| {
        let name = std::str::from_utf8(column.name).ok()?;
        Some((name, column.table_oid, column.attnum, column.type_oid))
    });
    columns.collect::<Option<_>>().ok_or(End::Disagreement)
}

/// A refusal as the agent's driver sees it.
pub(crate) fn refused(refusal: &Refusal) -> Bytes {
    encoded(&Report::refusal(Severity::Error, refusal))
}

/// The end of a session as the agent's driver sees it.
pub(crate) fn fatal(code: SqlState, message: &str, hint: &str) -> Bytes {
    encoded(&Report::fatal(code.0, message).hint(hint))
}

/// An error or a notice without what could carry data: severity and code stay, the text becomes that of the code, and
/// only where it can name nothing but names of the schema does the server's own text stay.
pub(crate) fn scrubbed(body: &[u8]) -> Result<Bytes, End> {
    let fields = Fields::parse(body).map_err(End::from_server)?;
    let severity = fields.severity().unwrap_or(Severity::Error);
    let own = fields.get(field::MESSAGE).and_then(|text| std::str::from_utf8(text).ok());
    let text = match own {
        Some(text) if names_only(fields.code(), text) => text,
        _ => chaperone_analysis::scrubbed_message(fields.code()),
    };
    Ok(encoded(&Report::new(severity, fields.code(), text)))
}

/// Whether a message of this code can name nothing but names of the schema and types, so that it may be told: without it
/// nobody can correct a statement. What a cast to `regproc` or `regclass` says is not among them, since it repeats the
/// value.
fn names_only(code: &str, message: &str) -> bool {
    match code {
        // ambiguous or undefined column, grouping, type mismatch, undefined parameter, indeterminate type
        "42702" | "42703" | "42803" | "42804" | "42P02" | "42P10" | "42P18" => true,
        // undefined function or operator, with its signature
        "42883" => {
            message.starts_with("operator does not exist: ")
                || (message.starts_with("function ")
                    && !message.starts_with("function \"")
                    && message.ends_with(") does not exist"))
        }
        _ => false,
    }
}

fn encoded(report: &Report<'_>) -> Bytes {
    let mut out = BytesMut::new();
    report.encode(&mut out);
    out.freeze()
}

impl End {
    pub(crate) fn from_server(error: WireError) -> Self {
        tracing::warn!(%error, "the database does not speak the protocol");
        End::ServerViolation("malformed message")
    }
}
