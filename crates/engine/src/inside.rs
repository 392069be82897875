//! The query inside `COPY … TO STDOUT`, `CREATE TABLE … AS`, `DECLARE` and `PREPARE` is described before the statement runs.
//!
//! The answers of these have no `RowDescription` by which the database could disagree with the rewriting. So it is asked
//! for one: the query as it stands in the text that is to run is parsed and described in the agent's own session and
//! transaction, and must return what the rewriting foretells. The agent's message is held meanwhile, and goes on with a
//! [`Foretold`] only.
//!
//! ```text
//! agent     COPY (SELECT … FROM clinic.patient) TO STDOUT
//! database  ◄ Parse SELECT … FROM (SELECT …) patient, Describe, Close
//! database  ► RowDescription                      it agrees, so
//! database  ◄ COPY (SELECT … FROM (SELECT …) patient) TO STDOUT
//! ```
//!
//! - For a text of one statement no `Sync` stands between the two: one transaction holds the locks that parsing took, so
//!   that the tables cannot change in between. In a text of several all are described first, in a transaction of their own
//!   where there is none, since `BEGIN ISOLATION LEVEL …` must be the first of its transaction.
//! - The error of a description is the statement's own: it goes to the agent, and the transaction has failed as it would
//!   have by the statement.
//! - By the extended protocol the description stands before `Execute`, and errors come when they would.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use chaperone_analysis::{Described, Inside, Output};
use chaperone_evidence::{Ruling, SessionEvent, Statement};
use chaperone_model::{Effects, Refusal, SqlState};
use chaperone_policy::Permit;
use chaperone_wire::postgres::backend::{Fields, Severity, Tag, TransactionStatus};
use chaperone_wire::postgres::frontend::{self, encode};

use crate::check::{Pass, columns, refused, scrubbed, unasked};
use crate::decide::{Cleared, Judged};
use crate::end::End;
use crate::receive::Input;
use crate::replies::Owed;
use crate::rewrite::Runnable;
use crate::session::Session;

/// The rule of an alert: the database describes something else than the rewriting foretells.
pub(crate) const DIFFERS: &str = "masking.output";

/// Which of a text's statements have a query inside that must be described first. What reads a temporary relation that
/// the same text makes cannot be: it is not there yet.
pub(crate) fn to_describe(outputs: &[Arc<Output>]) -> impl Iterator<Item = usize> {
    let describes = |i: &usize| {
        let made = |name: &String| outputs[..*i].iter().any(|before| before.defines.as_ref() == Some(name));
        outputs[*i].inside.as_ref().is_some_and(|inside| !inside.reads.iter().any(made))
    };
    (0..outputs.len()).filter(describes)
}

/// A query to be described.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The statement that it is in may run.
    pub(crate) permit: Permit,
    /// Which of the text.
    pub(crate) statement: usize,
    /// What is foretold of it.
    pub(crate) output: Arc<Output>,
    /// Types of parameters that the agent gave.
    pub(crate) types: Vec<u32>,
}

/// What the database is asked about the message that is held.
#[derive(Debug)]
pub(crate) struct Looking {
    asked: Vec<Asked>,
    started: Instant,
    told: Told,
}

#[derive(Debug)]
struct Asked {
    statement: usize,
    output: Arc<Output>,
}

/// What it has said so far.
#[derive(Debug)]
enum Told {
    /// It agrees in so many.
    Agrees(usize),
    /// It disagrees.
    Differs { statement: usize, refusal: Refusal },
    /// An error.
    Failed { statement: usize, code: String, report: Bytes },
}

/// Shows that what statements have inside was described, and is what was foretold.
#[derive(Debug)]
pub(crate) struct Foretold(());

impl Foretold {
    /// Of these outputs.
    ///
    /// # Errors
    /// The database disagrees, or was not asked about one.
    pub(crate) fn of(outputs: &[Arc<Output>], looking: Option<&Looking>) -> Result<Self, Box<Refusal>> {
        for inside in to_describe(outputs).filter_map(|i| outputs[i].inside.as_ref()) {
            match looking {
                Some(looking) if looking.agrees_in(inside) => {}
                Some(Looking { told: Told::Differs { refusal, .. }, .. }) => return Err(Box::new(refusal.clone())),
                _ => return Err(Box::new(not_asked())),
            }
        }
        Ok(Foretold(()))
    }
}

impl Looking {
    fn agrees(&self) -> bool {
        matches!(self.told, Told::Agrees(count) if count == self.asked.len())
    }

    fn agrees_in(&self, inside: &Inside) -> bool {
        self.agrees() && self.asked.iter().any(|asked| asked.output.inside.as_ref() == Some(inside))
    }

    /// The statement in whose query the database disagrees.
    fn differs_in(&self) -> Option<usize> {
        match self.told {
            Told::Differs { statement, .. } => Some(statement),
            Told::Agrees(_) | Told::Failed { .. } => None,
        }
    }

    /// Whether the database now skips what the agent sends: an error came instead of an answer, here or before.
    fn is_skipped(&self) -> bool {
        match self.told {
            Told::Agrees(count) => count < self.asked.len(),
            Told::Failed { .. } => true,
            Told::Differs { .. } => false,
        }
    }
}

impl<S> Session<S> {
    /// Whether a message must wait for the description of what is inside; if so, the database is asked.
    pub(crate) fn looks_inside(&mut self, input: &Input) -> Result<bool, End> {
        let (Input::Message(frame) | Input::Start(frame)) = input else { return Ok(false) };
        if self.copying_in || self.looking.as_ref().is_some_and(|looking| !looking.agrees()) {
            // that is for whoever takes the message to say
            return Ok(false);
        }
        let (wanted, apart) = match frontend::Tag::from_byte(frame.tag) {
            Some(frontend::Tag::Query) => {
                let query = frontend::Query::parse(frame.body()).map_err(End::from_agent)?;
                let text = String::from_utf8_lossy(query.text);
                let (wanted, statements) = self.judge.queries_inside(&text);
                // what is prepared to be described is run by `Execute`, which later servers remember up to the `Sync`
                let prepares = wanted.iter().any(|wanted| is_prepared(&wanted.output));
                (wanted, (statements > 1 || prepares) && (self.settled || self.replies.ends_segment()))
            }
            Some(frontend::Tag::Execute) => {
                let execute = frontend::Execute::parse(frame.body()).map_err(End::from_agent)?;
                (self.query_of_portal(execute.portal).into_iter().collect(), false)
            }
            _ => return Ok(false),
        };
        let known = |wanted: &Wanted| {
            let inside = wanted.output.inside.as_ref();
            inside.is_none_or(|inside| self.looking.as_ref().is_some_and(|looking| looking.agrees_in(inside)))
        };
        if wanted.iter().all(known) {
            return Ok(false);
        }
        self.ask(wanted, apart)?;
        Ok(true)
    }

    /// The query inside what a portal runs, if that may run.
    fn query_of_portal(&mut self, name: &[u8]) -> Option<Wanted> {
        let portal = self.names.portal(name)?;
        let (prepared, sent) = (portal.statement.clone(), portal.sent);
        let output = prepared.output.clone().filter(|output| output.inside.is_some())?;
        if self.names.may_be_anothers(name, sent) || self.stale(&prepared).is_some() {
            return None;
        }
        let (permit, _) = self.judge.run(0, prepared.facts.as_deref(), prepared.estimate).ok()?;
        Some(Wanted { permit, statement: 0, output, types: prepared.types.clone() })
    }

    /// Asks; `apart` in a transaction of its own where there is none.
    fn ask(&mut self, wanted: Vec<Wanted>, apart: bool) -> Result<(), End> {
        let mut asked = Vec::with_capacity(wanted.len());
        for (query, Wanted { permit, statement, output, types }) in wanted.into_iter().enumerate() {
            let Some(inside) = &output.inside else { continue };
            self.request.also(Runnable::describe_inside(permit, inside, &types).map_err(End::from_agent)?);
            self.owe(Owed::Inside { query, steps: steps(inside.described) });
            asked.push(Asked { statement, output });
        }
        let mut end = BytesMut::new();
        match apart {
            true => encode::sync(&mut end),
            false => encode::flush(&mut end),
        }
        self.request.also(Runnable::protocol(end.freeze(), Effects::None));
        if apart {
            self.owe(Owed::SyncInside);
        }
        self.record_request();
        self.looking = Some(Looking { asked, started: Instant::now(), told: Told::Agrees(0) });
        Ok(())
    }

    /// Whether answers to that are outstanding.
    pub(crate) fn is_looking_inside(&self) -> bool {
        self.looking.is_some() && self.replies.owe_inside()
    }

    /// A message that belongs to the description of what is inside; `None` for all others.
    pub(crate) fn told_inside(&mut self, tag: Tag, body: &[u8]) -> Result<Option<Pass>, End> {
        let Some(looking) = &mut self.looking else { return Ok(None) };
        let (query, steps) = match self.replies.front() {
            Some(Owed::Inside { query, steps }) => (*query, steps),
            Some(Owed::SyncInside) if tag == Tag::ReadyForQuery => {
                self.transaction = TransactionStatus::parse(body).map_err(End::from_server)?;
                self.replies.pop();
                return Ok(Some(Pass::Drop));
            }
            _ => return Ok(None),
        };
        let Some(Asked { statement, output }) = looking.asked.get(query) else { return Err(unasked()) };
        let statement = *statement;
        match tag {
            // what the statement itself would give notice of, it will
            Tag::NoticeResponse => return Ok(Some(Pass::Drop)),
            Tag::NotificationResponse | Tag::ParameterStatus => return Ok(None),
            Tag::ErrorResponse => {
                let fields = Fields::parse(body).map_err(End::from_server)?;
                if matches!(fields.severity(), Some(Severity::Fatal | Severity::Panic)) {
                    return Ok(None);
                }
                looking.told = Told::Failed { statement, code: fields.code().to_owned(), report: scrubbed(body)? };
                let skipped = self.replies.skip_to_sync(&mut self.names);
                self.skipped(&skipped);
                return Ok(Some(Pass::Drop));
            }
            _ => {}
        }
        let Some((step, rest)) = steps.split_first().filter(|(step, _)| step.answers(tag)) else {
            return Err(unasked());
        };
        let mut alert = false;
        if let (Step::Description, Some(inside)) = (step, &output.inside) {
            let described = match tag {
                Tag::RowDescription => inside.check(Some(&columns(body)?)),
                _ => inside.check(None),
            };
            match (described, &mut looking.told) {
                (Ok(()), Told::Agrees(count)) => *count += 1,
                (Err(refusal), told @ Told::Agrees(_)) => {
                    *told = Told::Differs { statement, refusal };
                    alert = true;
                }
                _ => {}
            }
        }
        *steps = rest;
        if rest.is_empty() {
            self.replies.pop();
        }
        if alert {
            self.alert(DIFFERS);
        }
        Ok(Some(Pass::Drop))
    }

    /// What becomes of a judged text, now that the database was asked about what is inside.
    pub(crate) fn heard(
        &mut self,
        frame: &Bytes,
        lines: &mut Vec<Statement>,
        judged: Judged,
    ) -> Result<Heard<Cleared>, End> {
        let looking = self.looking.take();
        if let Some(looking) = looking.as_ref().filter(|looking| looking.is_skipped()) {
            let refusal = match &judged {
                Judged::Refused(refusal) | Judged::Unreadable(refusal) => Some(&**refusal),
                Judged::Run(_) => None,
            };
            let failed = matches!(looking.told, Told::Failed { .. });
            self.stop(frame, std::mem::take(lines), looking, refusal, failed)?;
            return Ok(Heard::Stopped);
        }
        let cleared = match judged {
            Judged::Run(cleared) => cleared,
            Judged::Refused(refusal) => return Ok(Heard::Refused(refusal)),
            Judged::Unreadable(refusal) => return Ok(Heard::Unreadable(refusal)),
        };
        Ok(match Foretold::of(&cleared.text.outputs, looking.as_ref()) {
            Ok(foretold) => Heard::Runs(cleared, foretold),
            Err(refusal) => {
                let statement = looking.as_ref().and_then(Looking::differs_in).unwrap_or(0);
                if let Some(line) = lines.get_mut(statement) {
                    line.decision = Ruling::refused(&refusal);
                }
                Heard::Refused(refusal)
            }
        })
    }

    /// The same of a portal's run.
    pub(crate) fn heard_of_portal(
        &mut self,
        frame: &Bytes,
        line: &Statement,
        output: Option<&Arc<Output>>,
    ) -> Result<Heard<()>, End> {
        let looking = self.looking.take();
        if let Some(looking) = looking.as_ref().filter(|looking| looking.is_skipped()) {
            self.stop(frame, vec![line.clone()], looking, None, false)?;
            return Ok(Heard::Stopped);
        }
        Ok(match Foretold::of(output.map_or(&[], std::slice::from_ref), looking.as_ref()) {
            Ok(foretold) => Heard::Runs((), foretold),
            Err(refusal) => Heard::Refused(refusal),
        })
    }

    /// A message that goes nowhere, since the database would skip it. The error of the description is its answer.
    fn stop(
        &mut self,
        frame: &Bytes,
        lines: Vec<Statement>,
        looking: &Looking,
        refusal: Option<&Refusal>,
        sync: bool,
    ) -> Result<(), End> {
        let ordinals: Vec<u64> = lines.iter().map(|line| line.id).collect();
        self.withhold(frame, lines);
        if sync {
            // by the simple protocol the agent sends none
            let mut out = BytesMut::new();
            encode::sync(&mut out);
            self.request.also(Runnable::protocol(out.freeze(), Effects::None));
            self.owe(Owed::Sync);
        }
        self.record_request();
        let failed = match &looking.told {
            Told::Failed { statement, code, report } => {
                // no statement is sent before this one's answer is here, so it is the next thing that the agent is told
                self.answer.add(&refusal.map_or_else(|| report.clone(), refused));
                self.answer.urgent = true;
                ordinals.get(*statement).map(|ordinal| (*ordinal, code))
            }
            Told::Agrees(_) | Told::Differs { .. } => None,
        };
        for ordinal in ordinals {
            match failed {
                Some((failed, code)) if failed == ordinal => {
                    self.ended(ordinal, None, looking.started, refusal, code);
                }
                _ => self.skipped(&[ordinal]),
            }
        }
        Ok(())
    }

    /// Masking was not what was meant, by this rule.
    pub(crate) fn alert(&mut self, rule: &str) {
        // it precedes in the journal whatever is told of it
        drop(self.log.mark(SessionEvent::Alert { rule: rule.to_owned() }));
    }
}

/// What becomes of a message.
pub(crate) enum Heard<T> {
    /// It may go on.
    Runs(T, Foretold),
    /// It may not.
    Refused(Box<Refusal>),
    /// Nobody can tell what it is.
    Unreadable(Box<Refusal>),
    /// It went nowhere.
    Stopped,
}

/// What is answered on the way to a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Closed,
    Parsed,
    Bound,
    Ran,
    Parameters,
    Description,
}

impl Step {
    fn answers(self, tag: Tag) -> bool {
        match self {
            Step::Closed => tag == Tag::CloseComplete,
            Step::Parsed => tag == Tag::ParseComplete,
            Step::Bound => tag == Tag::BindComplete,
            Step::Ran => tag == Tag::CommandComplete,
            Step::Parameters => tag == Tag::ParameterDescription,
            Step::Description => matches!(tag, Tag::RowDescription | Tag::NoData),
        }
    }
}

/// The answers to [`Runnable::describe_inside`].
fn steps(described: Described) -> &'static [Step] {
    use Step::{Bound, Closed, Description, Parameters, Parsed, Ran};
    match described {
        Described::AsQuery => &[Closed, Parsed, Parameters, Description, Closed],
        Described::AsPrepared => {
            &[Closed, Closed, Closed, Parsed, Bound, Ran, Parameters, Description, Closed, Closed, Closed]
        }
    }
}

fn is_prepared(output: &Output) -> bool {
    output.inside.as_ref().is_some_and(|inside| inside.described == Described::AsPrepared)
}

fn not_asked() -> Refusal {
    Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: "masking.inside",
        message: "the statement cannot be checked before it runs".to_owned(),
        detail: "the database was not asked about this query, since policies or the catalog have just changed"
            .to_owned(),
        hint: "try again".to_owned(),
    }
}
