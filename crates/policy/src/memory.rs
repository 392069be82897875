//! What a session was told before, so that Cedar is asked once for each thing that could change the answer.
//!
//! A key holds everything that the answer depends on and nothing else: the need itself, and of the statement and the
//! time only what some applicable policy reads. Never a fingerprint of the statement: `LIMIT 1` and `LIMIT 1000000`
//! share one.

use std::collections::HashMap;

use chaperone_model::Need;

use crate::authority::Verdict;
use crate::reads::Reads;
use crate::request::{Classes, Shape};

/// How many verdicts a session remembers. An agent chooses what it asks for, so there must be a bound; a real session
/// stays far below it.
const REMEMBERED: usize = 4096;

/// Verdicts by what they depend on.
#[derive(Default)]
pub(crate) struct Remembered {
    at: i64,
    count: usize,
    shapes: Vec<(KnownShape, HashMap<Need, Verdict>)>,
}

/// Of a statement, what is read; `None` is what is not.
#[derive(PartialEq, Eq)]
struct KnownShape {
    /// Whether the verdicts hold only at `Remembered::at`.
    timed: bool,
    kind: Option<String>,
    has_where: Option<bool>,
    tables: Option<i64>,
    classes: Option<Classes>,
    estimated_rows: Option<Option<i64>>,
}

impl KnownShape {
    fn of(shape: &Shape<'_>, reads: Reads) -> Self {
        KnownShape {
            timed: reads.now,
            kind: reads.kind.then(|| shape.kind.to_owned()),
            has_where: reads.has_where.then_some(shape.has_where),
            tables: reads.tables.then_some(shape.tables),
            classes: reads.classes.then_some(shape.classes),
            estimated_rows: reads.estimated_rows.then_some(shape.estimated_rows),
        }
    }

    fn is(&self, shape: &Shape<'_>, reads: Reads) -> bool {
        self.timed == reads.now
            && self.kind.as_deref() == reads.kind.then_some(shape.kind)
            && self.has_where == reads.has_where.then_some(shape.has_where)
            && self.tables == reads.tables.then_some(shape.tables)
            && self.classes == reads.classes.then_some(shape.classes)
            && self.estimated_rows == reads.estimated_rows.then_some(shape.estimated_rows)
    }
}

impl Remembered {
    /// The verdict on `need` in a statement of this shape, whose applicable policies read `reads`.
    pub(crate) fn get(&self, need: &Need, shape: &Shape<'_>, reads: Reads, now: i64) -> Option<Verdict> {
        if reads.now && self.at != now {
            return None;
        }
        let (_, verdicts) = self.shapes.iter().find(|(known, _)| known.is(shape, reads))?;
        verdicts.get(need).cloned()
    }

    pub(crate) fn put(&mut self, need: &Need, shape: &Shape<'_>, reads: Reads, now: i64, verdict: Verdict) {
        if self.count >= REMEMBERED {
            *self = Remembered::default();
        }
        if reads.now && self.at != now {
            self.shapes.retain(|(known, _)| !known.timed);
            self.count = self.len();
            self.at = now;
        }
        self.count += 1;
        match self.shapes.iter_mut().find(|(known, _)| known.is(shape, reads)) {
            Some((_, verdicts)) => _ = verdicts.insert(need.clone(), verdict),
            None => self.shapes.push((KnownShape::of(shape, reads), HashMap::from([(need.clone(), verdict)]))),
        }
    }

    /// How many verdicts are remembered.
    pub(crate) fn len(&self) -> usize {
        self.shapes.iter().map(|(_, verdicts)| verdicts.len()).sum()
    }
}
