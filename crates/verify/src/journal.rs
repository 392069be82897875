//! The journal: segments, frames, records, payloads.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::{self, Note, PayloadKey, SessionKey};
use chaperone_ledger_format::record::{Body, PayloadRef, Record, RecordError};
use chaperone_ledger_format::segment::{Frames, Header, Kind, Next};
use chaperone_ledger_format::tree::{Tree, leaf};

use crate::checkpoints::{Signed, stray};
use crate::sessions::Sessions;
use crate::subjects::Subjects;
use crate::versions::Versions;
use crate::{Report, content};

/// Reads the journal and checks everything in it.
pub(crate) fn read(
    dir: &Path,
    origin: &str,
    signed: &Signed,
    log: &Tree,
    payload_key: Option<&PayloadKey>,
    report: &mut Report,
) {
    let mut journal = Journal {
        log,
        payloads: Payloads { origin, key: payload_key, sessions: BTreeMap::new() },
        sessions: Sessions::default(),
        subjects: Subjects::default(),
        versions: Versions::default(),
        index: 0,
        ended: false,
        report,
    };
    let numbers = segments(dir, journal.report);
    for (i, &number) in numbers.iter().enumerate() {
        let place = format!("{}/{}", layout::JOURNAL, layout::segment(number));
        match content(&dir.join(&place)) {
            Ok(bytes) => journal.segment(&place, number, &bytes, i + 1 == numbers.len(), signed.size()),
            Err(error) => journal.report.cannot_check(&place, error),
        }
    }
    journal.end(dir, signed);
}

fn segments(dir: &Path, report: &mut Report) -> Vec<u64> {
    let mut numbers = Vec::new();
    match fs::read_dir(dir.join(layout::JOURNAL)) {
        Ok(entries) => {
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                match layout::segment_number(&name) {
                    Some(number) => numbers.push(number),
                    None => stray(&format!("{}/{name}", layout::JOURNAL), report),
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => report.cannot_check(layout::JOURNAL, error),
    }
    numbers.sort_unstable();
    if numbers.is_empty() {
        report.cannot_check(layout::JOURNAL, "there is no segment");
    }
    let last = numbers.last().copied().unwrap_or(0);
    for number in (0..last).filter(|number| numbers.binary_search(number).is_err()).take(16) {
        report.tampered(format_args!("{}/{}", layout::JOURNAL, layout::segment(number)), "it is missing");
    }
    numbers
}

struct Journal<'a> {
    log: &'a Tree,
    payloads: Payloads<'a>,
    sessions: Sessions,
    subjects: Subjects,
    versions: Versions,
    /// The index of the next record.
    index: u64,
    /// Whether the last record says that the gateway stopped.
    ended: bool,
    report: &'a mut Report,
}

impl Journal<'_> {
    fn segment(&mut self, place: &str, number: u64, bytes: &[u8], last: bool, signed: u64) {
        match Header::from_bytes(bytes) {
            Some(header) if header.number != number => {
                return self.report.tampered(place, format_args!("it is segment {}", header.number));
            }
            Some(header) => {
                if header.size != bytes.len() as u64 {
                    self.report.tampered(place, "it is longer or shorter than it was made");
                }
                if header.first_record != self.index {
                    let what = format!("it begins with record {}, not {}", header.first_record, self.index);
                    self.report.tampered(place, what);
                    self.index = header.first_record;
                }
            }
            None => return self.report.tampered(place, "it has no valid header"),
        }
        let mut frames = Frames::new(bytes);
        let mut before: Option<&[u8]> = None;
        loop {
            let at = frames.offset();
            match frames.next_frame() {
                Next::Frame(frame) if frame.kind == Kind::Payload => {
                    if before.replace(frame.body).is_some() {
                        self.report.tampered(place, format_args!("a payload without a record before byte {at}"));
                    }
                }
                Next::Frame(frame) => self.record(frame.body, before.take()),
                Next::End if before.is_some() && (!last || self.ended || self.index < signed) => {
                    return self.report.tampered(place, "the last payload has no record");
                }
                Next::End if before.is_some() => {
                    return self.report.incomplete(place, "the last payload's record was not written any more");
                }
                Next::End => return,
                // only a crash leaves a torn end, behind everything that was signed
                Next::Broken if last && !self.ended && self.index >= signed => {
                    return self.report.incomplete(place, format_args!("torn or changed from byte {at} on"));
                }
                Next::Broken => return self.report.tampered(place, format_args!("changed at byte {at} or after")),
            }
        }
    }

    fn record(&mut self, bytes: &[u8], payload: Option<&[u8]>) {
        let index = self.index;
        // a header may claim any number, and was reported then
        self.index = index.saturating_add(1);
        self.report.counts.records += 1;
        let place = format!("record {index}");
        if self.log.leaf(index).is_some_and(|expected| expected != leaf(bytes)) {
            self.report.tampered(&place, "the journal's is not the log's");
        }
        let record = match Record::parse(bytes) {
            Ok(record) => record,
            Err(RecordError::Version) => return self.report.cannot_check(place, RecordError::Version),
            Err(error) => return self.report.tampered(place, error),
        };
        self.ended = matches!(record.body, Body::ServiceStopped(_));
        let note = match (record.body.payload(), payload) {
            (None, None) => Some(Note::default()),
            (reference, payload) => self.payload(&place, &record, reference, payload),
        };
        match note {
            _ if self.payloads.key.is_none() => {}
            Some(note) => self.subjects.check(&place, &record, &note, self.report),
            None => self.subjects.lost(&record),
        }
        if let (Body::SessionClosed(_), Some(at)) = (&record.body, &record.place) {
            self.payloads.sessions.remove(&at.session);
        }
        self.sessions.check(&place, &record, self.report);
        self.versions.note(&place, &record.body);
    }

    /// The payload's note, where it opens.
    fn payload(
        &mut self,
        place: &str,
        record: &Record,
        reference: Option<&PayloadRef>,
        payload: Option<&[u8]>,
    ) -> Option<Note> {
        match (reference, payload) {
            (None, None) => {}
            (None, Some(_)) => self.report.tampered(place, "there is a payload that it does not know of"),
            (Some(_), None) => self.report.tampered(place, "its payload is missing"),
            (Some(reference), Some(frame)) => {
                return self.payloads.check(place, record, reference, frame, self.report);
            }
        }
        None
    }

    fn end(self, dir: &Path, signed: &Signed) {
        let report = self.report;
        let size = signed.size();
        if self.index < size {
            let what = format!(
                "it ends with {} records, and {size} were signed: it was cut, or copied before the log while the gateway wrote",
                self.index
            );
            report.incomplete(layout::JOURNAL, what);
        } else if self.index > size {
            let what = format!("the last {} records are not covered by a checkpoint yet", self.index - size);
            report.incomplete(layout::JOURNAL, what);
        }
        let in_history = signed.history.last().map_or(0, |last| last.size);
        if self.ended && in_history < self.index {
            report.incomplete(layout::CHECKPOINTS, "the last checkpoint of a gateway that stopped in order is missing");
        }
        self.sessions.end(signed, report);
        self.versions.check(dir, report);
    }
}

/// Compares payloads with what their records say.
struct Payloads<'a> {
    origin: &'a str,
    key: Option<&'a PayloadKey>,
    sessions: BTreeMap<String, SessionKey>,
}

impl Payloads<'_> {
    /// The payload's note, where there is a key that opens it.
    fn check(
        &mut self,
        place: &str,
        record: &Record,
        reference: &PayloadRef,
        frame: &[u8],
        report: &mut Report,
    ) -> Option<Note> {
        report.counts.payloads += 1;
        report.counts.bytes = report.counts.bytes.saturating_add(reference.bytes);
        if payload::digest(frame) != reference.ct_sha256 {
            report.tampered(place, "its payload is not the one that it commits to");
            return None;
        }
        let (Some(key), Some(at)) = (self.key, &record.place) else { return None };
        if !self.sessions.contains_key(&at.session) {
            match key.session(self.origin, &at.session) {
                Some(session) => self.sessions.insert(at.session.clone(), session),
                None => {
                    report.cannot_check(place, "its payload's key cannot be derived");
                    return None;
                }
            };
        }
        match self.sessions.get(&at.session)?.open(frame, at.seq, reference) {
            Ok(opened) => {
                report.counts.opened += 1;
                return Some(opened.note);
            }
            // the digest is right, so this is what the writer wrote
            Err(error @ payload::PayloadError::Wrap) => report.cannot_check(place, error),
            Err(error) => report.tampered(place, error),
        }
        None
    }
}
