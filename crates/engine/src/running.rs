//! What runs, and what it was taken to mean: an answer goes to the agent only while that still holds.
//!
//! A statement was rewritten by the catalog as it was known. Should another have been read before the answer may go, the
//! statement is rewritten by that too, and must come out the same; otherwise the database may have computed something else
//! than what was meant, with values that were to be masked, and nothing of it goes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chaperone_analysis::{Catalog, Output, Protection, Statements, Temporaries};
use chaperone_model::{Action, Masks, Need, TableClasses, TableName};

use crate::catalogs::Numbered;
use crate::masking::Masking;

/// A statement, what it was rewritten to, and all that this depended on besides the catalog.
#[derive(Debug)]
pub(crate) struct Meant {
    pub(crate) statements: Arc<Statements>,
    /// Which of them.
    pub(crate) index: usize,
    /// The catalog by which it was rewritten.
    pub(crate) by: Arc<Catalog>,
    /// Where names are looked up.
    pub(crate) path: Arc<[String]>,
    pub(crate) masks: Arc<Masks>,
    pub(crate) tables: Arc<BTreeMap<TableName, TableClasses>>,
    pub(crate) masking: Arc<Masking>,
    pub(crate) cutoff_year: i32,
    /// The session's own, as they were.
    pub(crate) temporaries: Temporaries,
    pub(crate) run: Box<str>,
    pub(crate) output: Output,
    /// The newest catalog by which it comes out so.
    pub(crate) known_until: AtomicU64,
    /// It changes the catalog itself, for good. Its answer has no rows.
    pub(crate) changes_schema: bool,
}

impl Meant {
    /// Whether it comes out the same by this catalog; if so, that is remembered.
    pub(crate) fn holds(&self, newer: &Numbered) -> bool {
        if self.known_until.load(Ordering::Relaxed) >= newer.number {
            return true;
        }
        let holds = self.changes_schema || self.comes_out_the_same(&newer.catalog) || self.holds_but_for_columns(newer);
        if holds {
            self.known_until.store(newer.number, Ordering::Relaxed);
        }
        holds
    }

    /// Whether a query comes out the same but for columns that were added to its tables, or dropped. What runs names the
    /// columns of each table one by one; so it does not read those that came, and of those that went it was answered
    /// before, or fails. In the target of a write a name may come to mean a column that was not there.
    fn holds_but_for_columns(&self, newer: &Numbered) -> bool {
        let reads = |need: &Need| matches!(need.action, Action::Connect | Action::Select | Action::Copy);
        self.statements.facts(self.index).needs.iter().all(reads)
            && newer.with_columns_of(&self.by).is_some_and(|catalog| self.comes_out_the_same(&catalog))
    }

    fn comes_out_the_same(&self, catalog: &Catalog) -> bool {
        if catalog.path() != &*self.path {
            return false;
        }
        let protection = Protection {
            catalog,
            classification: &self.tables,
            masks: &self.masks,
            masker: self.masking.masker(self.cutoff_year),
        };
        chaperone_analysis::rewrite_within(&self.statements, self.index, &protection, &self.temporaries)
            .is_ok_and(|again| again.text == *self.run && again.output.is_as(&self.output))
    }

    /// Whether it is known to hold by a catalog.
    pub(crate) fn is_known_until(&self, number: u64) -> bool {
        self.known_until.load(Ordering::Relaxed) >= number
    }

    /// Whether it moves on in some cursor and says how far.
    pub(crate) fn moves(&self) -> bool {
        self.statements.facts(self.index).kind == "MOVE"
    }

    /// Whether it ends a transaction, and so runs what is left of cursors that outlive it.
    pub(crate) fn commits(&self) -> bool {
        matches!(&*self.statements.facts(self.index).kind, "COMMIT" | "END" | "PREPARE TRANSACTION")
    }
}

/// What was sent to the database and may be in an answer that the agent has not got.
#[derive(Debug, Default)]
pub(crate) struct Running {
    sent: VecDeque<Sent>,
    /// How many there were before the first of these.
    gone: u64,
    /// The newest catalog by which all of them are known to hold.
    known: u64,
}

#[derive(Debug)]
struct Sent {
    meant: Arc<Meant>,
    /// The segment of the protocol in which it was sent: what lies between two messages that `ReadyForQuery` answers.
    segment: u64,
}

/// The database may have computed something else than what was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outdated;

/// A statement is sent again and again between two `Sync`; this far back it is noticed.
const REPEATED: usize = 16;

impl Running {
    /// A statement is sent, in this segment of the protocol.
    pub(crate) fn add(&mut self, meant: &Arc<Meant>, segment: u64) {
        let is_same = |sent: &&Sent| sent.segment == segment && Arc::ptr_eq(&sent.meant, meant);
        if self.sent.iter().rev().take(REPEATED).find(is_same).is_none() {
            self.known = self.known.min(meant.known_until.load(Ordering::Relaxed));
            self.sent.push_back(Sent { meant: meant.clone(), segment });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The newest catalog by which all of it is known to hold.
    pub(crate) fn known(&self) -> u64 {
        self.known
    }

    /// Catalogs were read that are newer than [`Running::known`], in this order. All of it must hold by each.
    ///
    /// # Errors
    /// [`Outdated`]; also where a catalog was read in between that is not kept any more.
    pub(crate) fn hold(&mut self, newer: &[Numbered]) -> Result<(), Outdated> {
        for numbered in newer {
            for Sent { meant, .. } in &self.sent {
                let known = meant.known_until.load(Ordering::Relaxed);
                if known + 1 < numbered.number || !meant.holds(numbered) {
                    return Err(Outdated);
                }
            }
            self.known = numbered.number;
        }
        Ok(())
    }

    /// What was sent before the `ReadyForQuery` that came last has ended. Counted from the session's first.
    pub(crate) fn ended(&self, ready: u64) -> u64 {
        let ended = self.sent.iter().take_while(|sent| sent.segment < ready).count();
        self.gone + u64::try_from(ended).unwrap_or(0)
    }

    /// The agent has got all that the first so many answered.
    pub(crate) fn told(&mut self, count: u64) {
        while self.gone < count && self.sent.pop_front().is_some() {
            self.gone += 1;
        }
    }

    /// The database ignores so many `Sync`: what runs ends with a later one.
    pub(crate) fn ignored(&mut self, syncs: u64) {
        self.sent.iter_mut().for_each(|sent| sent.segment += syncs);
    }
}
