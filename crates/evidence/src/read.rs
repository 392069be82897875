//! Reading sessions back, from the journal alone and without its lock: works while the gateway runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use chaperone_ledger_format::checkpoint::Verifier;
use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::{Opened, PayloadError, PayloadKey, SessionKey};
use chaperone_ledger_format::record::{Body, CloseReason, Record, SessionOpened, Subjects, Time, Verdict};
use chaperone_ledger_format::segment::{Frames, Header, Kind, Next};
use chaperone_ledger_format::subject::Name;
use chaperone_model::Enumerated;

use crate::LedgerError;

/// One session in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its id.
    pub id: String,
    /// When it began.
    pub began: Time,
    /// When its last record was made.
    pub last: Time,
    /// Who, where, under what authority.
    pub opened: SessionOpened,
    /// Statements received.
    pub statements: u64,
    /// Of those, denied or refused.
    pub denied: u64,
    /// Bytes from the agent.
    pub input: u64,
    /// Bytes to the agent.
    pub output: u64,
    /// Why it ended; `None` while it has not.
    pub closed: Option<CloseReason>,
}

/// A record with its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedRecord {
    /// Its index in the log.
    pub index: u64,
    /// The record.
    pub record: Record,
    /// What it commits to.
    pub payload: Payload,
}

/// The payload of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The record has none.
    None,
    /// There is no key to open it with.
    Sealed,
    /// Opened, and what the record commits to.
    Opened(Opened),
    /// It does not open.
    Failed(PayloadError),
}

/// Every session in the log, in order of its beginning.
///
/// # Errors
///
/// [`LedgerError`]: the journal cannot be read, or holds something that is no record.
pub fn sessions(dir: &Path) -> Result<Vec<SessionSummary>, LedgerError> {
    let mut order = Vec::new();
    let mut found: BTreeMap<String, SessionSummary> = BTreeMap::new();
    each_record(dir, |_, record, _| {
        let Record { time, place: Some(place), body } = record else { return };
        if let Body::SessionOpened(opened) = body {
            order.push(place.session.clone());
            found.insert(
                place.session.clone(),
                SessionSummary {
                    id: place.session,
                    began: time,
                    last: time,
                    opened: *opened,
                    statements: 0,
                    denied: 0,
                    input: 0,
                    output: 0,
                    closed: None,
                },
            );
            return;
        }
        let Some(summary) = found.get_mut(&place.session) else { return };
        summary.last = time;
        match body {
            Body::Received(body) => {
                summary.input = body.input.to;
                summary.statements += body.statements.len() as u64;
                let denied = body.statements.iter().filter(|line| line.decision.verdict != Verdict::Allow);
                summary.denied += denied.count() as u64;
            }
            Body::Answered(body) => summary.output = body.output.to,
            Body::SessionClosed(body) => summary.closed = Some(body.reason),
            Body::ServiceStarted(_)
            | Body::ServiceStopped(_)
            | Body::Heartbeat(_)
            | Body::LoginRefused(_)
            | Body::PolicyChanged(_)
            | Body::ClassificationChanged(_)
            | Body::CredentialMinted(_)
            | Body::CredentialDropped(_)
            | Body::Alert(_)
            | Body::SessionOpened(_)
            | Body::AuthorityChanged(_)
            | Body::CancelRequested(_) => {}
        }
    })?;
    Ok(order.into_iter().filter_map(|id| found.remove(&id)).collect())
}

/// Every record of one session, with payloads opened where `key` is given.
///
/// # Errors
///
/// [`LedgerError`]: the journal cannot be read, or holds something that is no record.
pub fn session(dir: &Path, id: &str, key: Option<&PayloadKey>) -> Result<Vec<DecodedRecord>, LedgerError> {
    let session_key = match key {
        Some(key) => key.session(&origin(dir)?, id),
        None => None,
    };
    let mut records = Vec::new();
    each_record(dir, |index, record, frame| {
        let Some(place) = record.place.as_ref().filter(|place| place.session == id) else { return };
        let payload = match (record.body.payload(), &session_key, frame) {
            (None, ..) => Payload::None,
            (Some(_), None, _) => Payload::Sealed,
            (Some(_), Some(_), None) => Payload::Failed(PayloadError::Malformed),
            (Some(reference), Some(key), Some(frame)) => match key.open(frame, place.seq, reference) {
                Ok(opened) => Payload::Opened(opened),
                Err(error) => Payload::Failed(error),
            },
        };
        records.push(DecodedRecord { index, record, payload });
    })?;
    Ok(records)
}

/// Where somebody's rows were returned, and what cannot tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Each statement that returned a row of theirs.
    pub seen: Vec<Sighting>,
    /// Statements, by session, that read about persons and did not name all of them.
    pub untold: BTreeMap<String, u64>,
    /// Answers whose payload does not open.
    pub sealed: u64,
}

/// A statement that returned somebody's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The session.
    pub session: String,
    /// The ordinal of the statement in it.
    pub statement: u64,
    /// When the answer was recorded.
    pub time: Time,
    /// The column that named them, as `schema.table.column`.
    pub column: String,
    /// Which of the identifiers, counted from 0.
    pub identifier: usize,
}

/// Looks in every session for rows of whoever has one of the identifiers, as the database writes them as text.
///
/// # Errors
///
/// [`LedgerError`]: the journal cannot be read, or holds something that is no record.
pub fn sightings(dir: &Path, key: &PayloadKey, identifiers: &[Vec<u8>]) -> Result<Sightings, LedgerError> {
    let origin = origin(dir)?;
    let subjects = key.subjects(&origin);
    let mut found = Sightings::default();
    let mut open: BTreeMap<String, (Option<SessionKey>, Vec<Name>)> = BTreeMap::new();
    let mut known = BTreeSet::new();
    each_record(dir, |_, record, frame| {
        let Some(place) = &record.place else { return };
        match &record.body {
            Body::SessionOpened(opened) => {
                let names = identifiers.iter().map(|identifier| subjects.name(&opened.connection, identifier));
                open.insert(place.session.clone(), (key.session(&origin, &place.session), names.collect()));
            }
            Body::SessionClosed(_) => _ = open.remove(&place.session),
            Body::Answered(answered) => {
                let whole = |subjects: &Subjects| subjects.enumerated == Enumerated::All;
                let untold = answered.finished.iter().filter_map(|ended| ended.subjects.as_ref());
                let untold = untold.filter(|subjects| !whole(subjects)).count() as u64;
                if untold > 0 {
                    *found.untold.entry(place.session.clone()).or_default() += untold;
                }
                let (Some(reference), Some((key, names))) = (&answered.payload, open.get(&place.session)) else {
                    return;
                };
                let opened = key.as_ref().zip(frame).map(|(key, frame)| key.open(frame, place.seq, reference));
                let Some(Ok(opened)) = opened else {
                    found.sealed += 1;
                    return;
                };
                for seen in &opened.note.subjects {
                    for (column, name) in seen.iter() {
                        let Some(identifier) = names.iter().position(|own| *own == name) else { continue };
                        let column = column.unwrap_or_default();
                        // of very many persons some are named again
                        if known.insert((place.session.clone(), seen.id, identifier, column.to_owned())) {
                            found.seen.push(Sighting {
                                session: place.session.clone(),
                                statement: seen.id,
                                time: record.time,
                                column: column.to_owned(),
                                identifier,
                            });
                        }
                    }
                }
            }
            _ => {}
        }
    })?;
    Ok(found)
}

/// The payload key in the log's own folder, if it is there.
pub fn payload_key(dir: &Path) -> Option<PayloadKey> {
    PayloadKey::from_text(&fs::read_to_string(dir.join(layout::PAYLOAD_KEY)).ok()?)
}

/// The log's name, from its public key.
fn origin(dir: &Path) -> Result<String, LedgerError> {
    let path = dir.join(layout::LOG_VKEY);
    let text = fs::read_to_string(&path).map_err(LedgerError::io("read", &path))?;
    let verifier =
        Verifier::new(&text).map_err(|error| LedgerError::Key(format!("`{}`: {error}", layout::LOG_VKEY)))?;
    Ok(verifier.origin().to_owned())
}

/// Calls `visit` with each record up to the last whole one, and the payload before it.
fn each_record(dir: &Path, mut visit: impl FnMut(u64, Record, Option<&[u8]>)) -> Result<(), LedgerError> {
    let mut index = 0;
    for number in 0.. {
        let path = dir.join(layout::JOURNAL).join(layout::segment(number));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if number > 0 && error.kind() == std::io::ErrorKind::NotFound => break,
            Err(error) => return Err(LedgerError::io("read", &path)(error)),
        };
        if Header::from_bytes(&bytes).is_none() {
            return Err(LedgerError::Damaged(format!("segment {number} has the wrong header")));
        }
        let mut frames = Frames::new(&bytes);
        let mut payload = None;
        while let Next::Frame(frame) = frames.next_frame() {
            match frame.kind {
                Kind::Payload => payload = Some(frame.body),
                Kind::Record => {
                    let record = Record::parse(frame.body)
                        .map_err(|error| LedgerError::Damaged(format!("record {index} is not one: {error}")))?;
                    visit(index, record, payload.take());
                    index += 1;
                }
            }
        }
    }
    Ok(())
}
