//! What a rewritten statement may return: the server is asked to disagree before the first row.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chaperone_model::{Enumerated, Refusal, SqlState};

/// What the rows of a rewritten statement must look like to be let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What the database must say of them.
    pub returns: Returns,
    /// Whose rows they are; `None` where the statement reads nothing about persons, or the classification does not say of
    /// any table which column names them.
    pub subjects: Option<Subjects>,
    /// Where the statement reads temporary relations of the session, whose numbers nobody knows beforehand: the relations
    /// that its columns cannot be of, besides those that it may show.
    pub permanent: Option<Arc<HashSet<u32>>>,
}

/// What `RowDescription` must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returns {
    /// The statement returns no rows with a `RowDescription`. For `COPY … TO STDOUT`, which has none, nothing is left
    /// to check but the rewriting itself.
    NoRows,
    /// The statement returns rows.
    Rows {
        /// The columns, as (table OID, column number), that may appear as an output column's origin: those shown as
        /// stored, of the tables that the statement names. A masked column never is: a mask is an expression.
        origins: Arc<BTreeSet<(u32, i16)>>,
        /// The output columns, where they can be told from the statement; `None` where the server decides (`*`).
        columns: Option<Vec<Expected>>,
    },
}

/// Whose rows a statement returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    /// The columns that say so, as `schema.table.column`. For each there is a column at the front of the answer that the
    /// agent did not ask for and must not get: text, the identifier.
    pub columns: Vec<String>,
    /// Whether that is all.
    pub enumerated: Enumerated,
}

/// What is known beforehand of one output column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name, where it can be told.
    pub name: Option<String>,
}

/// The OID of `text` (PostgreSQL, `pg_type.dat`).
const TEXT: u32 = 25;

impl Output {
    pub(crate) fn no_rows() -> Self {
        Output { returns: Returns::NoRows, subjects: None, permanent: None }
    }

    pub(crate) fn rows(origins: Arc<BTreeSet<(u32, i16)>>, columns: Option<Vec<Expected>>) -> Self {
        Output { returns: Returns::Rows { origins, columns }, subjects: None, permanent: None }
    }

    /// How many columns at the front of the answer are not the agent's.
    pub fn hidden(&self) -> usize {
        self.subjects.as_ref().map_or(0, |subjects| subjects.columns.len())
    }

    /// Checks the server's description of the output: (name, table OID, column number, type OID) for each column, the
    /// table and column 0 where it is not a plain column.
    ///
    /// # Errors
    /// The description differs from what the rewriting meant: the rows must not be released, and an alert is due
    /// (rule `masking.output`).
    pub fn check(&self, columns: &[(&str, u32, i16, u32)]) -> Result<(), Refusal> {
        let (origins, expected) = match &self.returns {
            Returns::NoRows if columns.is_empty() => return Ok(()),
            Returns::NoRows => return Err(differs("it returns rows where none were expected")),
            Returns::Rows { origins, columns } => (origins, columns),
        };
        let Some((hidden, columns)) = columns.split_at_checked(self.hidden()) else {
            return Err(differs("it returns another number of columns"));
        };
        // of a column that is text already the cast is none, and the column its own origin
        let is_subject = |(name, table, number, ty): &(&str, u32, i16, u32)| {
            (*name, *ty) == (crate::SUBJECT, TEXT) && (*table == 0 || origins.contains(&(*table, *number)))
        };
        if !hidden.iter().all(is_subject) {
            return Err(differs("what says whose rows they are is not where it should be"));
        }
        if let Some(expected) = expected {
            if expected.len() != columns.len() {
                return Err(differs("it returns another number of columns"));
            }
            for (expected, (name, ..)) in expected.iter().zip(columns) {
                if expected.name.as_deref().is_some_and(|expected| expected != *name) {
                    return Err(differs("it returns a column of another name"));
                }
            }
        }
        for (_, table, column, _) in columns {
            let is_own = self.permanent.as_ref().is_some_and(|permanent| !permanent.contains(table));
            if *table != 0 && !is_own && !origins.contains(&(*table, *column)) {
                return Err(differs("it returns a column as stored that is to be masked, or of another table"));
            }
        }
        Ok(())
    }
}

fn differs(how: &str) -> Refusal {
    Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: "masking.output",
        message: "the answer is not what the masked statement should return".into(),
        detail: format!("the database describes the answer differently: {how}"),
        hint: "the catalog may have changed: try again; if it stays, report it to whoever runs this gateway".into(),
    }
}
