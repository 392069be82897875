//! What masks statements on a connection that holds protected data: the live catalog, the classes, the session's masks.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chaperone_analysis::{Catalog, Protection, Rewritten, Statements, Temporaries};
use chaperone_mask::Masker;
use chaperone_model::{Action, Facts, Masks, Refusal, Rung, TableClasses, TableName};
use chaperone_policy::Authority;

use crate::catalogs::Numbered;
use crate::masking::Masking;
use crate::minter::{Minter, Plan};
use crate::running::Meant;

/// One session's protection.
#[derive(Debug)]
pub(crate) struct Shield {
    pub(crate) catalog: Arc<Catalog>,
    /// Which of all that were read.
    pub(crate) number: u64,
    /// Where names are looked up, from the session's beginning to its end.
    pub(crate) path: Arc<[String]>,
    tables: Arc<BTreeMap<TableName, TableClasses>>,
    pub(crate) masks: Arc<Masks>,
    masking: Arc<Masking>,
    pub(crate) cutoff_year: i32,
    /// Grows whenever any of the above is replaced, and when the session's own relations change.
    generation: Cell<u64>,
    /// What was rewritten under all of the above, by the exact text of the statement.
    known: RefCell<HashMap<Box<str>, Rewritten>>,
}

/// Rewritten statements that a session remembers, and the longest of them in bytes.
const KNOWN: usize = 256;
const LONGEST_KNOWN: usize = 16 * 1024;

impl Shield {
    pub(crate) fn new(
        Numbered { catalog, number, .. }: Numbered,
        tables: Arc<BTreeMap<TableName, TableClasses>>,
        masking: Arc<Masking>,
        authority: &mut Authority,
        now: i64,
        generation: u64,
    ) -> Self {
        let columns = catalog.columns_of(tables.keys());
        let masks = authority.masks(&columns, now);
        let (cutoff_year, generation) = (cutoff_year(now), Cell::new(generation));
        let path = catalog.path().into();
        Shield { catalog, number, path, tables, masks, masking, cutoff_year, generation, known: RefCell::default() }
    }

    /// The catalog.
    pub(crate) fn known_by(&self) -> Numbered {
        Numbered::new(self.catalog.clone(), self.number)
    }

    /// By what protection, as a number, something was rewritten.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Statement `i` under the masks of its permit.
    pub(crate) fn rewrite(
        &self,
        statements: &Statements,
        i: usize,
        masks: &Arc<Masks>,
        temporaries: &Temporaries,
    ) -> Result<Rewritten, Refusal> {
        let text = statements.text(i);
        // what is remembered is remembered under these masks only
        let ours = Arc::ptr_eq(masks, &self.masks) && text.len() <= LONGEST_KNOWN;
        if ours && let Some(known) = self.known.borrow().get(text) {
            return Ok(known.clone());
        }
        let protection = Protection {
            catalog: &self.catalog,
            classification: &self.tables,
            masks,
            masker: self.masking.masker(self.cutoff_year),
        };
        let rewritten = chaperone_analysis::rewrite_within(statements, i, &protection, temporaries)?;
        if ours {
            let mut known = self.known.borrow_mut();
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(text.into(), rewritten.clone());
        }
        Ok(rewritten)
    }

    /// What a role must be able to read that runs what is rewritten here.
    pub(crate) fn plan(&self, minter: &Minter) -> Arc<Plan> {
        let protection = Protection {
            catalog: &self.catalog,
            classification: &self.tables,
            masks: &self.masks,
            masker: self.masking.masker(self.cutoff_year),
        };
        minter.plan(Some((&protection, &(self.catalog.clone(), self.masks.clone()))))
    }

    /// What statement `i` was taken to mean when it was rewritten.
    pub(crate) fn meant(
        &self,
        statements: &Arc<Statements>,
        i: usize,
        masks: &Arc<Masks>,
        temporaries: &Temporaries,
        rewritten: &Rewritten,
    ) -> Arc<Meant> {
        Arc::new(Meant {
            statements: statements.clone(),
            index: i,
            by: self.catalog.clone(),
            path: self.path.clone(),
            masks: masks.clone(),
            tables: self.tables.clone(),
            masking: self.masking.clone(),
            cutoff_year: self.cutoff_year,
            temporaries: temporaries.clone(),
            run: rewritten.text.as_str().into(),
            output: rewritten.output.clone(),
            known_until: self.number.into(),
            // what is about temporary relations alone is known by the catalog only, and few statements have to be asked of
            changes_schema: is_ddl(statements.facts(i)) && is_ddl(&self.facts(statements, i, temporaries)),
        })
    }

    /// What was rewritten may be something else by now: the session's own relations have changed.
    pub(crate) fn forget(&self) {
        self.known.borrow_mut().clear();
        // what was prepared, too: what it writes could be masks by now
        self.generation.set(self.generation() + 1);
    }

    /// Statement `i` with all that is protected redacted, whatever the session may see of it; `None` where it cannot be
    /// masked.
    pub(crate) fn redacted(&self, statements: &Statements, i: usize, temporaries: &Temporaries) -> Option<String> {
        let mut masks = Masks::default();
        for (table, column, rung) in self.masks.iter().filter(|(.., rung)| *rung == Rung::Raw) {
            if self.tables.get(table).is_some_and(|classes| !classes.class(column).is_protected()) {
                masks.set(table, column, rung);
            }
        }
        let protection = Protection {
            catalog: &self.catalog,
            classification: &self.tables,
            masks: &masks,
            masker: Masker { unforeseen: true, keys: None, ..self.masking.masker(self.cutoff_year) },
        };
        let rewritten = chaperone_analysis::rewrite_within(statements, i, &protection, temporaries);
        rewritten.ok().map(|rewritten| rewritten.text)
    }

    /// Whether the masks are those of this year: the year before which births are hidden moves at New Year.
    pub(crate) fn is_of(&self, now: i64) -> bool {
        self.cutoff_year == cutoff_year(now)
    }

    /// The facts of a statement, its relations resolved as the server resolves them.
    pub(crate) fn facts(&self, statements: &Statements, i: usize, temporaries: &Temporaries) -> Facts {
        statements.facts_within(i, &self.catalog, temporaries)
    }
}

fn is_ddl(facts: &Facts) -> bool {
    facts.needs.iter().any(|need| need.action == Action::Ddl)
}

/// Births of this year and later may be shown by their year: everyone born in it is under 90 until the year ends, so
/// that no mask changes on a birthday (45 CFR 164.514(b)(2)(i)(C)).
fn cutoff_year(now: i64) -> i32 {
    let year = time::OffsetDateTime::from_unix_timestamp(now).map_or(9999, time::OffsetDateTime::year);
    year - 89
}
