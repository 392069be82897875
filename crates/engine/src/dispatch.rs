//! analyse → decide → rewrite, message by message: what each frontend message does to the session.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use chaperone_evidence::{Op, Ruling, Statement};
use chaperone_model::{Action, Effects, Facts, Refusal, SqlState};
use chaperone_wire::postgres::Frame;
use chaperone_wire::postgres::frontend::{self, Object, Tag};

use crate::check::COPYING;
use crate::decide::{Cleared, Judged};
use crate::end::End;
use crate::estimate::Estimated;
use crate::inside::{Foretold, Heard};
use crate::made;
use crate::prepared::{Prepared, Source};
use crate::receive::Input;
use crate::replies::{Owed, Query};
use crate::rewrite::Runnable;
use crate::session::Session;

impl<S> Session<S> {
    /// Takes one message of the agent's.
    pub(crate) fn take(&mut self, input: Input) -> Result<(), End> {
        match input {
            Input::Message(frame) | Input::Start(frame) => {
                self.withheld = false;
                self.message_from_agent(frame)
            }
            Input::More(bytes) if self.gathered.is_some() => self.gather(&bytes, false),
            Input::End(bytes) if self.gathered.is_some() => self.gather(&bytes, true),
            Input::More(bytes) | Input::End(bytes) => {
                self.part(bytes);
                Ok(())
            }
        }
    }

    fn message_from_agent(&mut self, frame: Frame) -> Result<(), End> {
        let Some(tag) = Tag::from_byte(frame.tag) else { return Err(End::AgentViolation("unknown message type")) };
        let of_a_copy = matches!(tag, Tag::CopyData | Tag::CopyDone | Tag::CopyFail | Tag::Sync | Tag::Flush);
        if self.copying_in && !of_a_copy && tag != Tag::Terminate {
            return Err(End::AgentViolation(COPYING));
        }
        match tag {
            Tag::Query => self.query(frame)?,
            Tag::Parse => self.parse(frame)?,
            Tag::Bind => self.bind(frame)?,
            Tag::Describe => self.describe(frame)?,
            Tag::Execute => self.execute(frame)?,
            Tag::Close => self.close(frame)?,
            Tag::Sync => {
                // while the database copies in it ignores this message
                if !self.copying_in {
                    self.owe(Owed::Sync);
                }
                self.request.pass(&frame.bytes, Runnable::protocol(frame.bytes.clone(), Effects::None));
                self.record_request();
            }
            Tag::Flush => {
                self.request.pass(&frame.bytes, Runnable::protocol(frame.bytes.clone(), Effects::None));
                self.record_request();
            }
            Tag::CopyData => self.part(frame.bytes),
            Tag::CopyDone | Tag::CopyFail => {
                self.copying_in = false;
                self.owe(Owed::CopyEnd);
                self.part(frame.bytes);
                self.record_request();
            }
            Tag::FunctionCall => self.function_call(frame)?,
            Tag::Terminate => {
                self.request.pass(&frame.bytes, Runnable::protocol(frame.bytes.clone(), Effects::None));
                self.agent_closed = true;
            }
            Tag::Password => return Err(End::AgentViolation("a password after authentication")),
        }
        Ok(())
    }

    /// Data of a permitted `COPY`, or a later part of a long `Bind` or function call: durable before it goes on.
    fn part(&mut self, bytes: Bytes) {
        if self.withheld {
            self.request.withhold(&bytes, Vec::new());
            return;
        }
        self.request.add(&bytes, Runnable::protocol(bytes.clone(), Effects::Possible), Vec::new());
    }

    /// The database owes an answer for what is sent now, unless it is skipping to a `Sync`.
    pub(crate) fn owe(&mut self, owed: Owed) {
        self.settled = false;
        if let Some(skipped) = self.replies.push(owed) {
            self.skipped(&skipped.ordinals());
            self.replies.take_back(vec![skipped], &mut self.names);
        }
    }

    /// A message that goes on record and nowhere else; nor do its later parts.
    pub(crate) fn withhold(&mut self, bytes: &[u8], lines: Vec<Statement>) {
        self.withheld = true;
        self.request.withhold(bytes, lines);
    }

    /// The agent is gone: the database is told goodbye after what was sent before.
    pub(crate) fn terminate(&mut self) {
        let mut out = BytesMut::new();
        frontend::encode::terminate(&mut out);
        self.request.also(Runnable::protocol(out.freeze(), Effects::None));
        self.record_request();
    }

    fn query(&mut self, frame: Frame) -> Result<(), End> {
        let query = frontend::Query::parse(frame.body()).map_err(End::from_agent)?;
        let text = String::from_utf8_lossy(query.text);
        let (mut lines, judged) = match self.may_be_read_otherwise(query.text) {
            true => self.judge.ambiguous(Op::Query),
            false => {
                self.judge.hidden_portals = self.names.has_hidden_portals();
                self.judge.names_of_protocol = self.names.has_named_statements();
                self.judge.text(&text, Op::Query)
            }
        };
        if lines.iter().any(|line| gives_names(line.facts.as_ref())) {
            self.names.shared_with_sql();
        }
        let mut owed = Query::of(lines.iter().map(|line| line.id));
        match self.heard(&frame.bytes, &mut lines, judged)? {
            Heard::Runs(Cleared { text, permitted, effects, .. }, foretold) => {
                if let Some(run) = &text.run {
                    self.request.runs(run);
                }
                let proof = (permitted, foretold);
                let runnable = Runnable::query(proof, &frame.bytes, &text, effects).map_err(End::from_agent)?;
                self.runs(&text.meant, &text.outputs);
                for ((line, output), meant) in lines.iter().zip(&text.outputs).zip(&text.meant) {
                    self.judge.cursors.sent(line.id, output, Some(meant));
                }
                owed.outputs = text.outputs.iter().map(|output| self.outcome(output)).collect();
                self.request.add(&frame.bytes, runnable, lines);
                self.owe(Owed::Query(owed));
            }
            Heard::Unreadable(refusal) if !self.judge.is_shielded() => {
                // the database's own words for its own syntax error: it is asked to parse, which runs nothing; should
                // it succeed, a text that cannot be parsed follows
                self.withhold(&frame.bytes, lines);
                self.request.also(Runnable::probe(query.text, &[], true).map_err(End::from_agent)?);
                self.owe(Owed::Probe);
                self.owe(Owed::Probed { statements: owed.statements, started: owed.started, refusal });
                self.owe(Owed::Sync);
            }
            Heard::Stopped => return Ok(()),
            Heard::Refused(refusal) | Heard::Unreadable(refusal) => {
                owed.refusal = Some(refusal);
                self.withhold(&frame.bytes, lines);
                self.request.also(Runnable::failing_query().map_err(End::from_agent)?);
                self.owe(Owed::Query(owed));
            }
        }
        self.record_request();
        Ok(())
    }

    /// Whether the database may read the text as another than we do: it may have been told a client encoding in which
    /// a backslash can be the second half of a character, and has not yet reported that, which ends the session.
    fn may_be_read_otherwise(&self, text: &[u8]) -> bool {
        !self.settled
            && !self.judge.is_shielded()
            && text.windows(2).any(|pair| matches!(pair, [first, b'\\'] if !first.is_ascii()))
    }

    fn parse(&mut self, frame: Frame) -> Result<(), End> {
        let parse = frontend::Parse::parse(frame.body()).map_err(End::from_agent)?;
        let text = String::from_utf8_lossy(parse.text);
        let (lines, judged) = match self.may_be_read_otherwise(parse.text) {
            true => self.judge.ambiguous(Op::Prepare),
            false => {
                self.judge.hidden_portals = self.names.has_hidden_portals();
                self.judge.names_of_protocol = self.names.has_named_statements();
                self.judge.text(&text, Op::Prepare)
            }
        };
        let ordinal = lines.first().map_or(0, |line| line.id);
        match judged {
            Judged::Run(cleared) => {
                let source = cleared.text.run.as_ref().zip(cleared.text.meant.first()).map(|(run, meant)| {
                    let (text, run, meant) = (text.into_owned(), run.clone(), meant.clone().into());
                    Arc::new(Source { text, run, generation: self.judge.generation(), meant })
                });
                self.runs(&cleared.text.meant, &cleared.text.outputs);
                if let Some(run) = &cleared.text.run {
                    self.request.runs(run);
                }
                let runnable =
                    Runnable::parse(cleared.permitted, &frame.bytes, &cleared.text, &parse).map_err(End::from_agent)?;
                let output = cleared.text.outputs.into_iter().next();
                let has_inside = output.as_ref().is_some_and(|output| output.inside.is_some());
                let prepared = Prepared {
                    ordinal,
                    facts: cleared.facts,
                    estimate: cleared.estimate,
                    named: self.named_now(output.as_ref()),
                    types: if has_inside { parse.types.clone() } else { Vec::new() },
                    output,
                    source,
                    sent: self.names.moment(self.replies.segment()),
                };
                self.prepared(parse.name, prepared);
                self.request.add(&frame.bytes, runnable, lines);
            }
            Judged::Unreadable(refusal) if !self.judge.is_shielded() => {
                // as for a simple query: the database's own words, and nothing that could be run
                self.withhold(&frame.bytes, lines);
                self.request.also(Runnable::probe(parse.text, &parse.types, false).map_err(End::from_agent)?);
                self.owe(Owed::Probe);
                self.owe(Owed::Probed { statements: [].into(), started: Instant::now(), refusal });
            }
            Judged::Refused(refusal) | Judged::Unreadable(refusal) => {
                self.withhold(&frame.bytes, lines);
                self.fail(refusal)?;
            }
        }
        Ok(())
    }

    fn prepared(&mut self, name: &[u8], prepared: Prepared) {
        let previous = self.names.set_statement(name.to_vec(), Arc::new(prepared));
        self.owe(Owed::Parse { name: name.to_vec(), previous, refusal: None });
    }

    /// In place of a refused message of the extended protocol: one that the database refuses, after which it skips to
    /// the next `Sync` by itself.
    pub(crate) fn fail(&mut self, refusal: Box<Refusal>) -> Result<(), End> {
        self.request.also(Runnable::failing_parse().map_err(End::from_agent)?);
        let previous = self.names.statement(b"").cloned();
        self.owe(Owed::Parse { name: Vec::new(), previous, refusal: Some(refusal) });
        Ok(())
    }

    /// A statement that was prepared under another policy or catalog is looked at again: it may go on when it would
    /// be prepared just the same.
    pub(crate) fn stale(&mut self, prepared: &Prepared) -> Option<Box<Refusal>> {
        // what it names is looked up only when it runs, and by now it could be a statement of the protocol
        let by_name = prepared.facts.as_ref().is_some_and(|facts| facts.kind == "EXECUTE");
        if by_name && self.judge.is_shielded() && self.names.has_named_statements() {
            return Some(Box::new(made::of_the_protocol()));
        }
        let source = prepared.source.as_ref()?;
        if let Err(refusal) = self.judge.refresh() {
            return Some(Box::new(refusal));
        }
        if source.generation == self.judge.generation() {
            return None;
        }
        self.judge.names_of_protocol = self.names.has_named_statements();
        self.judge.estimated(Estimated { text: source.text.clone(), rows: vec![prepared.estimate] });
        match self.judge.text(&source.text, Op::Prepare) {
            (_, Judged::Run(cleared)) if cleared.text.run.as_deref() == Some(source.run.as_str()) => {
                cleared.text.meant.iter().for_each(|meant| source.means(meant));
                None
            }
            (_, Judged::Run(_)) => Some(Box::new(Refusal {
                code: SqlState::FEATURE_NOT_SUPPORTED,
                rule: "masking.prepared",
                message: "cached plan must not change result type".to_owned(),
                detail: "the policy or the schema has changed since this statement was prepared".to_owned(),
                hint: "prepare the statement again".to_owned(),
            })),
            (_, Judged::Refused(refusal) | Judged::Unreadable(refusal)) => Some(refusal),
        }
    }

    fn describe(&mut self, frame: Frame) -> Result<(), End> {
        let describe = frontend::Describe::parse(frame.body()).map_err(End::from_agent)?;
        let output = match describe.object {
            Object::Statement => self.names.statement(describe.name).and_then(|prepared| self.outcome_of(prepared)),
            Object::Portal => self.names.portal(describe.name).and_then(|portal| self.outcome_of(&portal.statement)),
        };
        self.owe(match describe.object {
            Object::Statement => Owed::DescribeStatement { output },
            Object::Portal => Owed::DescribePortal { output, hidden: false },
        });
        self.request.pass(&frame.bytes, Runnable::protocol(frame.bytes.clone(), Effects::None));
        Ok(())
    }

    fn execute(&mut self, frame: Frame) -> Result<(), End> {
        let execute = frontend::Execute::parse(frame.body()).map_err(End::from_agent)?;
        let prepared = match self.names.portal(execute.portal) {
            Some(portal) if !self.names.may_be_anothers(execute.portal, portal.sent) => portal.statement.clone(),
            _ if self.judge.is_shielded() => {
                self.withhold(&frame.bytes, Vec::new());
                self.fail(Box::new(unknown_name("34000", "portal")))?;
                return Ok(());
            }
            _ => Arc::new(Prepared::unknown()),
        };
        let ordinal = self.judge.ordinal();
        let judged = match self.stale(&prepared) {
            Some(refusal) => {
                let ruling = Ruling::refused(&refusal);
                Err(Box::new((*refusal, ruling)))
            }
            None => self.judge.run(ordinal, prepared.facts.as_deref(), prepared.estimate),
        };
        let mut line = Statement { id: ordinal, op: Op::Execute, ..Statement::default() };
        line.estimated_rows = prepared.estimate;
        if prepared.ordinal > 0 {
            line.refers_to = Some(prepared.ordinal);
        }
        let judged = match judged {
            Ok((permit, ruling)) => {
                line.decision = ruling;
                match self.heard_of_portal(&frame.bytes, &line, prepared.output.as_ref())? {
                    Heard::Runs((), foretold) => Ok((permit, foretold)),
                    Heard::Refused(refusal) | Heard::Unreadable(refusal) => {
                        let ruling = Ruling::refused(&refusal);
                        Err(Box::new((*refusal, ruling)))
                    }
                    Heard::Stopped => return Ok(()),
                }
            }
            Err(refused) => Err(refused),
        };
        match judged {
            Ok(proof) => {
                line.rewritten = prepared.source.is_some();
                if gives_names(prepared.facts.as_deref()) {
                    self.names.shared_with_sql();
                }
                let output = self.outcome_of(&prepared);
                if let Some(output) = &output {
                    let meant = prepared.source.as_ref().map(|source| source.meant());
                    self.judge.cursors.sent(ordinal, output, meant.as_ref());
                }
                self.runs_prepared(&prepared);
                if self.judge.is_shielded() {
                    self.request.also(Runnable::describe_portal(execute.portal).map_err(End::from_agent)?);
                    self.owe(Owed::DescribePortal { output: output.clone(), hidden: true });
                }
                let effects = prepared.facts.as_ref().map_or(Effects::Possible, |facts| facts.effects);
                self.request.add(&frame.bytes, Runnable::execute(proof, &frame.bytes, effects), vec![line]);
                self.owe(Owed::Execute { ordinal, output, started: Instant::now(), rows: 0, checked: false });
            }
            Err(refused) => {
                let (refusal, ruling) = *refused;
                line.decision = ruling;
                self.withhold(&frame.bytes, vec![line]);
                self.fail(Box::new(refusal))?;
            }
        }
        Ok(())
    }

    fn close(&mut self, frame: Frame) -> Result<(), End> {
        let close = frontend::Close::parse(frame.body()).map_err(End::from_agent)?;
        let (statement, portal) = match close.object {
            Object::Statement => (self.names.close_statement(close.name), None),
            Object::Portal => (None, self.names.close_portal(close.name)),
        };
        self.names.closed = Some(self.replies.segment());
        self.owe(Owed::Close { name: close.name.to_vec(), statement, portal });
        self.request.pass(&frame.bytes, Runnable::protocol(frame.bytes.clone(), Effects::None));
        Ok(())
    }

    fn function_call(&mut self, frame: Frame) -> Result<(), End> {
        let ordinal = self.judge.ordinal();
        let mut line = Statement { id: ordinal, op: Op::FunctionCall, ..Statement::default() };
        let mut owed = Query::of([ordinal]);
        let judged = if self.judge.is_shielded() {
            let refusal = function_call_refused();
            let ruling = Ruling::refused(&refusal);
            Err(Box::new((refusal, ruling)))
        } else {
            self.judge.run(ordinal, Some(&crate::decide::function_call()), None).and_then(|(permit, ruling)| {
                // a call has no query inside
                let foretold = Foretold::of(&[], None).map_err(|refusal| (*refusal, ruling.clone()))?;
                Ok(((permit, foretold), ruling))
            })
        };
        match judged {
            Ok((proof, ruling)) => {
                line.decision = ruling;
                self.request.add(&frame.bytes, Runnable::execute(proof, &frame.bytes, Effects::Possible), vec![line]);
            }
            Err(refused) => {
                let (refusal, ruling) = *refused;
                line.decision = ruling;
                self.withhold(&frame.bytes, vec![line]);
                self.request.also(Runnable::failing_query().map_err(End::from_agent)?);
                owed.refusal = Some(Box::new(refusal));
            }
        }
        self.owe(Owed::Query(owed));
        self.record_request();
        Ok(())
    }
}

pub(crate) fn unknown_name(code: &'static str, what: &str) -> Refusal {
    Refusal {
        code: SqlState(code),
        rule: "masking.prepared",
        message: format!("{what} does not exist"),
        detail: format!("no {what} of this name was made by the extended protocol in this session"),
        hint: "prepare and bind it with the driver; names made by `PREPARE` or `DECLARE` cannot be used here"
            .to_owned(),
    }
}

/// Whether running it may give a name in the spaces that the protocol shares with SQL.
fn gives_names(facts: Option<&Facts>) -> bool {
    facts.is_none_or(|facts| {
        matches!(&*facts.kind, "PREPARE" | "DECLARE CURSOR" | "UNREADABLE")
            || facts.needs.iter().any(|need| need.action == Action::Call)
    })
}

fn function_call_refused() -> Refusal {
    Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "masking.function_call",
        message: "function-call messages are not supported on this connection".to_owned(),
        detail: "a function called by its number bypasses masking at the source".to_owned(),
        hint: "call the function in a `SELECT`".to_owned(),
    }
}
