//! What an answer says of the statements that it ends.

use std::time::Instant;

use chaperone_analysis::Output;
use chaperone_evidence::{Finished, Outcome};
use chaperone_model::Refusal;
use chaperone_wire::postgres::backend::CommandComplete;

use crate::end::End;
use crate::replies::{Owed, Query};
use crate::session::Session;

impl<S> Session<S> {
    /// A statement ran to its end.
    pub(crate) fn completed(&mut self, complete: Option<&CommandComplete<'_>>) -> Result<(), End> {
        let (ordinal, output, started, rows) = match self.replies.front() {
            Some(Owed::Query(query)) => {
                let Some(ordinal) = query.statements.pop_front() else { return Ok(()) };
                let output = query.outputs.pop_front();
                query.checked = false;
                let rows = std::mem::take(&mut query.rows);
                let statement = (ordinal, output, query.started, rows);
                if complete.is_some_and(|complete| complete.verb() == b"COPY") {
                    self.replies.copy_in_ended();
                }
                statement
            }
            Some(Owed::Execute { ordinal, output, started, rows, .. }) => {
                let statement = (*ordinal, output.take(), *started, *rows);
                self.replies.pop();
                statement
            }
            _ => return Err(End::ServerViolation("an answer that nothing asked for")),
        };
        let tag = complete.and_then(|complete| std::str::from_utf8(complete.verb()).ok()).map(str::to_owned);
        let rows = complete.and_then(CommandComplete::rows).unwrap_or(rows);
        // the names that SQL takes away are taken away here too; one too few is judged as one that SQL gave
        if matches!(tag.as_deref(), Some("DISCARD ALL" | "DEALLOCATE ALL")) {
            self.names.forget_statements(self.replies.answered());
        }
        if tag.as_deref() == Some("PREPARE") {
            self.judge.made.confirm(ordinal);
        }
        self.judge.cursors.done(ordinal);
        if tag.as_deref() == Some("DISCARD ALL") {
            self.judge.cursors.discarded(ordinal);
        }
        let subjects = self.returned(ordinal, output.as_deref());
        self.answer.finished.push(Finished {
            id: ordinal,
            outcome: Outcome::Finished,
            tag,
            rows: Some(rows),
            subjects,
            code: None,
            micros: micros(started),
        });
        Ok(())
    }

    /// A portal gave the rows that were asked for, and has more.
    pub(crate) fn suspended(&mut self) -> Result<(), End> {
        match self.replies.pop() {
            Some(Owed::Execute { ordinal, output, started, rows, .. }) => {
                let subjects = self.returned(ordinal, output.as_deref());
                self.answer.finished.push(Finished {
                    id: ordinal,
                    outcome: Outcome::Suspended,
                    tag: None,
                    rows: Some(rows),
                    subjects,
                    code: None,
                    micros: micros(started),
                });
                Ok(())
            }
            _ => Err(End::ServerViolation("an answer that nothing asked for")),
        }
    }

    /// The database reports an error with this code. Returns the refusal when the error is that of a text that went
    /// there in place of a refused one.
    pub(crate) fn failed(&mut self, code: &str) -> Option<Box<Refusal>> {
        let mut skipped = Vec::new();
        let mut refusal = None;
        match self.replies.front() {
            // of its own accord, or at the commit of an implicit transaction
            None | Some(Owed::Sync) => return None,
            Some(Owed::Query(query)) => {
                refusal = query.refusal.take();
                let (started, mut statements) = (query.started, std::mem::take(&mut query.statements));
                let output = query.outputs.pop_front();
                query.outputs.clear();
                if let Some(failed) = statements.pop_front() {
                    self.ended(failed, output.as_deref(), started, refusal.as_deref(), code);
                }
                skipped.extend(statements);
            }
            Some(_) => {
                // a copy that runs in the extended protocol is over; in the simple one `ReadyForQuery` says so
                self.copying_in = false;
                match self.replies.pop() {
                    Some(Owed::Parse { name, previous, refusal: refused }) => {
                        let failed = Owed::Parse { name, previous, refusal: None };
                        self.replies.take_back(vec![failed], &mut self.names);
                        refusal = refused;
                    }
                    Some(failed @ Owed::Bind { .. }) => self.replies.take_back(vec![failed], &mut self.names),
                    Some(Owed::Execute { ordinal, output, started, .. }) => {
                        self.ended(ordinal, output.as_deref(), started, None, code);
                    }
                    Some(Owed::Probe) => {
                        if let Some(Owed::Probed { statements, started, .. }) = self.replies.pop() {
                            for ordinal in statements {
                                self.ended(ordinal, None, started, None, code);
                            }
                        }
                    }
                    Some(Owed::Probed { statements, started, refusal: refused }) => {
                        for ordinal in statements {
                            self.ended(ordinal, None, started, Some(&refused), code);
                        }
                        refusal = Some(refused);
                    }
                    Some(
                        Owed::Query(Query { .. })
                        | Owed::Close { .. }
                        | Owed::DescribeStatement { .. }
                        | Owed::DescribePortal { .. }
                        | Owed::Sync
                        | Owed::Inside { .. }
                        | Owed::SyncInside
                        | Owed::CopyEnd,
                    )
                    | None => {}
                }
                skipped = self.replies.skip_to_sync(&mut self.names);
            }
        }
        self.skipped(&skipped);
        refusal
    }

    /// Statements that the database does not run, for an error before them.
    pub(crate) fn skipped(&mut self, ordinals: &[u64]) {
        ordinals.iter().for_each(|ordinal| self.judge.cursors.undone(*ordinal));
        let skipped = ordinals.iter().map(|id| Finished { id: *id, outcome: Outcome::Skipped, ..Finished::default() });
        self.answer.finished.extend(skipped);
    }

    /// Statements whose answers will never end.
    pub(crate) fn cut_off(&mut self, ordinals: Vec<u64>) {
        let output = self.returned.as_ref().map(|returned| returned.output());
        for id in ordinals {
            let begun = self.returned.as_ref().is_some_and(|returned| returned.ordinal() == id);
            let subjects = self.returned_before(id, output.as_deref().filter(|_| begun));
            self.answer.finished.push(Finished { id, outcome: Outcome::CutOff, subjects, ..Finished::default() });
        }
    }

    /// A statement failed.
    pub(crate) fn ended(
        &mut self,
        ordinal: u64,
        output: Option<&Output>,
        started: Instant,
        refusal: Option<&Refusal>,
        code: &str,
    ) {
        let (outcome, code) = match refusal {
            Some(refusal) => (Outcome::Denied, refusal.code.0),
            None => (Outcome::Failed, code),
        };
        self.judge.cursors.undone(ordinal);
        let subjects = self.returned_before(ordinal, output);
        self.answer.finished.push(Finished {
            id: ordinal,
            outcome,
            tag: None,
            rows: None,
            subjects,
            code: Some(code.to_owned()),
            micros: micros(started),
        });
    }
}

fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
