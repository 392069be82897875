//! The rung of every classified column: one mask vector per session.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Rung, TableName};

/// The mask vector of a session, decided once from what holds for the whole of it.
///
/// What is not in it is [`Rung::Redacted`]: forgetting a column can only hide more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Masks {
    rungs: BTreeMap<TableName, BTreeMap<String, Rung>>,
}

impl Masks {
    /// Sets the rung of one column.
    pub fn set(&mut self, table: &TableName, column: &str, rung: Rung) {
        self.rungs.entry(table.clone()).or_default().insert(column.to_owned(), rung);
    }

    /// The rung of one column.
    pub fn rung(&self, table: &TableName, column: &str) -> Rung {
        self.rungs.get(table).and_then(|columns| columns.get(column)).copied().unwrap_or(Rung::Redacted)
    }

    /// Every column that was set, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TableName, &str, Rung)> {
        self.rungs.iter().flat_map(|(table, columns)| columns.iter().map(move |(c, r)| (table, c.as_str(), *r)))
    }
}
