//! What a rewritten statement may return: the server is asked to disagree before the first row.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chaperone_mask::looks_like_token;
use chaperone_model::{Class, Enumerated, Refusal, SqlState};

/// What the rows of a rewritten statement must look like to be let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What the database must say of them.
    pub returns: Returns,
    /// Whose rows they are; `None` where the statement reads nothing about persons, or the classification does not say of
    /// any table which column names them.
    pub subjects: Option<Subjects>,
    /// The query inside, where the statement's own answer does not say what its columns are: it is described by itself
    /// before the statement runs.
    pub inside: Option<Inside>,
    /// What the statement does to a cursor.
    pub cursor: Option<Cursor>,
    /// The temporary relation that it makes or changes.
    pub defines: Option<String>,
    /// Parameters that are written into columns which can have tokens.
    pub written: Vec<Written>,
}

/// A parameter that is written into a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its number, from 1.
    pub parameter: i32,
    /// The column, as `schema.table.column`.
    pub column: String,
    /// Its class.
    pub class: Class,
}

/// A query inside `COPY … TO STDOUT`, `CREATE TABLE … AS`, `DECLARE` or `PREPARE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// What the server is asked to describe, read off the text that is to run.
    pub text: String,
    /// How it is asked.
    pub described: Described,
    /// What it must say.
    pub returns: Returns,
    /// The temporary relations that it reads.
    pub reads: BTreeSet<String>,
}

/// How a query inside another statement is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Described {
    /// The text is the query.
    AsQuery,
    /// The text prepares the query as [`INSIDE`](crate::INSIDE), since the types of its parameters are names that only the
    /// server can look up.
    AsPrepared,
}

/// What a statement does to a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// `DECLARE`.
    Declare {
        /// Its name.
        name: String,
        /// `WITH HOLD`: it outlives its transaction.
        hold: bool,
    },
    /// `CLOSE`.
    Close(String),
    /// `CLOSE ALL`.
    CloseAll,
}

/// What `RowDescription` must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returns {
    /// The statement returns no rows with a `RowDescription`. What `COPY … TO STDOUT` returns is that of the query
    /// [inside](Output::inside).
    NoRows,
    /// The statement returns rows.
    Rows {
        /// The columns, as (table OID, column number), that may appear as an output column's origin: those shown as
        /// stored, of the tables that the statement names. A masked column never is: a mask is an expression.
        origins: Arc<BTreeSet<(u32, i16)>>,
        /// Where the statement reads temporary relations of the session, whose numbers nobody knows beforehand: the
        /// relations that its columns cannot be of, besides those that it may show.
        permanent: Option<Arc<HashSet<u32>>>,
        /// The output columns, where they can be told from the statement; `None` where the server decides (`*`).
        columns: Option<Vec<Expected>>,
    },
    /// Those of a query that was sent before. Only the session knows which that was: as long as it does not say, nothing
    /// is right.
    Named(Named),
    /// Those of any of these: it is not known yet which of them has the name.
    AnyOf(Vec<Returns>),
}

/// What has a name in the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A cursor, by `FETCH`.
    Cursor(String),
    /// A statement prepared by SQL, by `EXECUTE`.
    Prepared(String),
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
    /// Whether this foretells what `other` does. Which relations there are besides those that are named is no part of that.
    pub fn is_as(&self, other: &Output) -> bool {
        let inside = match (&self.inside, &other.inside) {
            (Some(one), Some(two)) => {
                let rest = |inside: &Inside| Inside { returns: Returns::NoRows, ..inside.clone() };
                one.returns.is_as(&two.returns) && rest(one) == rest(two)
            }
            (one, two) => one.is_none() && two.is_none(),
        };
        let rest = |output: &Output| Output { returns: Returns::NoRows, inside: None, ..output.clone() };
        inside && self.returns.is_as(&other.returns) && rest(self) == rest(other)
    }

    pub(crate) fn of(returns: Returns) -> Self {
        Output { returns, subjects: None, inside: None, cursor: None, defines: None, written: Vec::new() }
    }

    pub(crate) fn no_rows() -> Self {
        Output::of(Returns::NoRows)
    }

    pub(crate) fn rows(origins: Arc<BTreeSet<(u32, i16)>>, columns: Option<Vec<Expected>>) -> Self {
        Output::of(Returns::Rows { origins, permanent: None, columns })
    }

    /// Of a statement with a query inside; the text is for [`Rewritten::new`](crate::Rewritten::new) to read off.
    pub(crate) fn with_inside(returns: Returns) -> Self {
        let inside = Inside { text: String::new(), described: Described::AsQuery, returns, reads: BTreeSet::new() };
        Output { inside: Some(inside), ..Output::no_rows() }
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
        self.returns.check(self.hidden(), columns)
    }

    /// Checks the values of parameters, the first at 0: a token must not take the place of what it stands for.
    ///
    /// # Errors
    /// One is a token of the class of the column that it is written into (rule `masking.echo`).
    pub fn check_parameters<'v>(&self, value: impl Fn(usize) -> Option<&'v [u8]>) -> Result<(), Refusal> {
        for Written { parameter, column, class } in &self.written {
            let value = usize::try_from(*parameter).ok().and_then(|number| value(number.checked_sub(1)?));
            // text is the same bytes in both formats
            if value
                .and_then(|value| std::str::from_utf8(value).ok())
                .is_some_and(|text| looks_like_token(*class, text))
            {
                return Err(is_token(column));
            }
        }
        Ok(())
    }
}

impl Inside {
    /// Checks the server's description of the query, as [`Output::check`] does; `None` is `NoData`.
    ///
    /// # Errors
    /// It differs: the statement must not run.
    pub fn check(&self, columns: Option<&[(&str, u32, i16, u32)]>) -> Result<(), Refusal> {
        match columns {
            Some(columns) => self.returns.check(0, columns),
            None if self.returns == Returns::NoRows => Ok(()),
            None => Err(differs("it returns no rows")),
        }
    }
}

impl Returns {
    fn is_as(&self, other: &Returns) -> bool {
        match (self, other) {
            (Returns::Rows { origins, columns, .. }, Returns::Rows { origins: others, columns: other, .. }) => {
                origins == others && columns == other
            }
            (one, two) => one == two,
        }
    }

    fn check(&self, hidden: usize, columns: &[(&str, u32, i16, u32)]) -> Result<(), Refusal> {
        let (origins, permanent, expected) = match self {
            Returns::NoRows if columns.is_empty() => return Ok(()),
            Returns::NoRows => return Err(differs("it returns rows where none were expected")),
            Returns::Rows { origins, permanent, columns } => (origins, permanent, columns),
            Returns::Named(_) => return Err(differs("it returns rows of a query that is not known")),
            Returns::AnyOf(known) => {
                return match known.iter().any(|returns| returns.check(hidden, columns).is_ok()) {
                    true => Ok(()),
                    false => Err(differs("it returns rows of another query than was sent under the name")),
                };
            }
        };
        let Some((hidden, columns)) = columns.split_at_checked(hidden) else {
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
            let is_own = permanent.as_ref().is_some_and(|permanent| !permanent.contains(table));
            if *table != 0 && !is_own && !origins.contains(&(*table, *column)) {
                return Err(differs("it returns a column as stored that is to be masked, or of another table"));
            }
        }
        Ok(())
    }
}

/// What is written to this column is a token.
pub(crate) fn is_token(column: &str) -> Refusal {
    Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: "masking.echo",
        message: format!("what is written to `{column}` is a token, not what it stands for"),
        detail: "a token stands for a value that is stored already, and would take the place of another".into(),
        hint: "leave the column out; to find a row by its token, compare with it in WHERE".into(),
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
