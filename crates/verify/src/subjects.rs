//! Whose rows answers had: what records say, against what is sealed in the payloads.

use std::collections::BTreeMap;

use chaperone_ledger_format::payload::Note;
use chaperone_ledger_format::record::{Body, Record};
use chaperone_ledger_format::subject::{ENTRY, SeenDigest};

use crate::Report;

/// Entries of statements that have not ended, by session and ordinal.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    /// `None` of a session of which a payload does not open, so that nothing can be compared any more.
    open: BTreeMap<String, Option<Statements>>,
}

/// How many entries, and their digest, by the ordinal of the statement.
type Statements = BTreeMap<u64, (u64, SeenDigest)>;

impl Subjects {
    /// Looks at a record whose payload opened, or that has none.
    pub(crate) fn check(&mut self, place: &str, record: &Record, note: &Note, report: &mut Report) {
        let Some(at) = &record.place else { return };
        match &record.body {
            Body::Answered(answered) => {
                let statements = self.open.entry(at.session.clone()).or_insert_with(|| Some(BTreeMap::new()));
                let Some(statements) = statements else { return };
                for seen in &note.subjects {
                    if seen.entries.is_empty() || seen.entries.len() % ENTRY != 0 {
                        report.tampered(place, "its payload names those whose rows it has in no form that is written");
                    }
                    let (entries, digest) = statements.entry(seen.id).or_default();
                    *entries += (seen.entries.len() / ENTRY) as u64;
                    digest.add(&seen.entries);
                }
                for ended in &answered.finished {
                    let (entries, digest) = statements.remove(&ended.id).unzip();
                    let sealed = digest.map(SeenDigest::finish);
                    let said = ended.subjects.as_ref();
                    let count = said.map_or(0, |subjects| subjects.count);
                    // one person can be named by several columns
                    let counted = count <= entries.unwrap_or(0) && (count > 0) == entries.is_some();
                    if !counted || sealed != said.and_then(|subjects| subjects.digest.clone()) {
                        let what = format!("whose rows statement {} returned is not what its payloads say", ended.id);
                        report.tampered(place, what);
                    }
                }
            }
            Body::SessionClosed(_) => _ = self.open.remove(&at.session),
            _ => {}
        }
    }

    /// The record's payload does not open, which is said elsewhere.
    pub(crate) fn lost(&mut self, record: &Record) {
        if let Some(at) = &record.place {
            self.open.insert(at.session.clone(), None);
        }
    }
}
