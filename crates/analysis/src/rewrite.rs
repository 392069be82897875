//! The statement with its sources masked.

use std::collections::BTreeMap;

use chaperone_model::{Masks, Refusal, SqlState, TableClasses, TableName};

use crate::catalog::Catalog;
use crate::output::Output;
use crate::parse::Statements;

/// Everything that masking depends on, besides the statement.
#[derive(Debug, Clone, Copy)]
pub struct Protection<'a> {
    /// The live catalog.
    pub catalog: &'a Catalog,
    /// The tables that may be read, with the class of each column.
    pub classification: &'a BTreeMap<TableName, TableClasses>,
    /// The rung of each column, for this session.
    pub masks: &'a Masks,
    /// Births before this year are not shown even as a year (45 CFR 164.514(b)(2)(i)(C)): the current year less 90.
    pub cutoff_year: i32,
}

/// A statement that may run in place of the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The text to run.
    pub text: String,
    /// What it may return.
    pub output: Output,
}

/// Masks the sources of statement `i`.
///
/// # Errors
/// Whatever is not known to be safe is refused, by name.
pub fn rewrite(statements: &Statements, i: usize, protection: &Protection<'_>) -> Result<Rewritten, Refusal> {
    let _ = protection;
    Err(Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "masking.statement",
        message: format!("{} is not supported on protected data", statements.tag(i)),
        detail: "it cannot be masked yet".into(),
        hint: "use SELECT".into(),
    })
}
