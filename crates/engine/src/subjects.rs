//! Whose rows the answer has: the columns that analysis put in front are read and taken out again.

use std::collections::HashMap;
use std::sync::Arc;

use chaperone_analysis::Output;
use chaperone_evidence::{Seen, SeenDigest, SessionLog, Subjects};
use chaperone_model::Enumerated;
use chaperone_wire::postgres::WireError;
use chaperone_wire::postgres::backend::{Cut, row_without};

use crate::end::End;
use crate::replies::Owed;
use crate::session::Session;

/// Different persons of one statement that are kept in mind. Beyond that they are forgotten, and may be named again.
const KEPT: usize = 65_536;

/// The longest identifiers of one row, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// Those whose rows one statement has returned so far.
#[derive(Debug)]
pub(crate) struct Returned {
    ordinal: u64,
    output: Arc<Output>,
    /// Which of the columns named somebody, as bits.
    known: HashMap<[u8; 16], u8>,
    /// The last identifier of each column: rows of one person often come together.
    last: Vec<Option<Vec<u8>>>,
    count: u64,
    digest: Option<SeenDigest>,
    /// Some row named nobody where it could have.
    nobody: bool,
}

impl Returned {
    fn of(ordinal: u64, output: Arc<Output>) -> Self {
        let last = vec![None; output.hidden()];
        Returned { ordinal, output, known: HashMap::new(), last, count: 0, digest: None, nobody: false }
    }

    pub(crate) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    pub(crate) fn output(&self) -> Arc<Output> {
        self.output.clone()
    }

    fn is_new(&mut self, column: u16, identifier: &[u8]) -> bool {
        let Some(last) = self.last.get_mut(usize::from(column)) else { return true };
        if last.as_deref() == Some(identifier) {
            return false;
        }
        let last = last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(identifier);
        true
    }

    /// Adds somebody, and gives the entry if it is a new one.
    fn add(&mut self, column: u16, name: [u8; 16]) -> Option<[u8; 17]> {
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        let column = u8::try_from(column).unwrap_or(u8::MAX);
        let columns = self.known.entry(name).or_insert(0);
        self.count += u64::from(*columns == 0);
        let bit = 1_u8.checked_shl(column.into()).unwrap_or(0);
        if *columns & bit != 0 {
            return None;
        }
        *columns |= bit;
        let mut entry = [column; 17];
        entry.iter_mut().skip(1).zip(name).for_each(|(to, from)| *to = from);
        self.digest.get_or_insert_default().add(&entry);
        Some(entry)
    }
}

impl<S> Session<S> {
    /// How many columns of the rows that come now are not the agent's.
    pub(crate) fn hidden(&mut self) -> u16 {
        let output = match self.replies.front() {
            Some(Owed::Query(query)) => query.outputs.front(),
            Some(Owed::Execute { output, .. }) => output.as_ref(),
            _ => None,
        };
        output.map_or(0, |output| u16::try_from(output.hidden()).unwrap_or(u16::MAX))
    }

    /// Reads those columns of a row, of which there is at least a part. `None` when they have not all come.
    pub(crate) fn subjects_of(&mut self, row: &[u8], hidden: u16) -> Result<Option<Cut>, End> {
        let (ordinal, output) = match self.replies.front() {
            Some(Owed::Query(query)) => (query.statements.front().copied(), query.outputs.front().cloned()),
            Some(Owed::Execute { ordinal, output, .. }) => (Some(*ordinal), output.clone()),
            _ => (None, None),
        };
        let (Some(ordinal), Some(output)) = (ordinal, output) else { return Err(End::Disagreement) };
        // twice, since what comes in parts must not count twice
        match row_without(row, hidden, |_, _| {}) {
            Ok(_) => {}
            Err(WireError::Truncated { .. }) if row.len() < LONGEST => return Ok(None),
            Err(error) => return Err(End::from_server(error)),
        }
        let mut returned = match self.returned.take() {
            Some(returned) if returned.ordinal == ordinal => returned,
            _ => Returned::of(ordinal, output),
        };
        let (log, seen) = (&self.log, &mut self.answer.subjects);
        let cut = row_without(row, hidden, |column, identifier| match identifier {
            None => returned.nobody = true,
            Some(identifier) if returned.is_new(column, identifier) => {
                note(&mut returned, log, seen, column, identifier);
            }
            Some(_) => {}
        });
        self.returned = Some(returned);
        cut.map(Some).map_err(End::from_server)
    }

    /// Whose rows a statement returned, now that it has ended.
    pub(crate) fn returned(&mut self, ordinal: u64, output: Option<&Output>) -> Option<Subjects> {
        let mut enumerated = output?.subjects.as_ref()?.enumerated;
        let returned = self.returned.take().filter(|returned| returned.ordinal == ordinal);
        if enumerated == Enumerated::All && returned.as_ref().is_some_and(|returned| returned.nobody) {
            enumerated = Enumerated::Part;
        }
        let (count, digest) = returned.map_or((0, None), |returned| (returned.count, returned.digest));
        Some(Subjects { count, digest: digest.map(SeenDigest::finish), enumerated })
    }

    /// The same of one that failed or was cut off: an error, too, can depend on rows that never came.
    pub(crate) fn returned_before(&mut self, ordinal: u64, output: Option<&Output>) -> Option<Subjects> {
        let mut subjects = self.returned(ordinal, output)?;
        subjects.enumerated = if subjects.count > 0 { Enumerated::Part } else { Enumerated::Nothing };
        Some(subjects)
    }
}

fn note(returned: &mut Returned, log: &SessionLog, seen: &mut Vec<Seen>, column: u16, identifier: &[u8]) {
    let Some(entry) = returned.add(column, log.subject(identifier)) else { return };
    match seen.last_mut().filter(|seen| seen.id == returned.ordinal) {
        Some(seen) => seen.entries.extend_from_slice(&entry),
        None => {
            let columns = returned.output.subjects.as_ref().map(|subjects| subjects.columns.clone());
            seen.push(Seen { columns: columns.unwrap_or_default(), entries: entry.to_vec(), id: returned.ordinal });
        }
    }
}
