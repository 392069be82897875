//! The rung of every classified column: one mask vector per session.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{Rung, TableName};

/// The mask vector of a session, decided once from what holds for the whole of it.
///
/// What is not in it is [`Rung::Redacted`]: forgetting a column can only hide more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Masks {
    rungs: BTreeMap<TableName, BTreeMap<String, Rung>>,
    /// Masked columns whose stored values may decide which rows are seen, and in what order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filters: BTreeMap<TableName, BTreeSet<String>>,
    /// Masked columns with whose stored values the constraints of a write may be compared.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    probes: BTreeMap<TableName, BTreeSet<String>>,
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

    /// Lets the stored values of a masked column decide which rows are seen, and in what order: where the database does
    /// so by itself (a partition key, a policy of row security) and no mask can stand before it.
    pub fn permit_filter(&mut self, table: &TableName, column: &str) {
        self.filters.entry(table.clone()).or_default().insert(column.to_owned());
    }

    /// Whether [`permit_filter`](Masks::permit_filter) was said of a column.
    pub fn may_filter(&self, table: &TableName, column: &str) -> bool {
        self.filters.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Lets a write be compared with the stored values of a masked column, by a constraint of its table: that it
    /// succeeds or fails then tells whether a value is there.
    pub fn permit_probe(&mut self, table: &TableName, column: &str) {
        self.probes.entry(table.clone()).or_default().insert(column.to_owned());
    }

    /// Whether [`permit_probe`](Masks::permit_probe) was said of a column.
    pub fn may_probe(&self, table: &TableName, column: &str) -> bool {
        self.probes.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Every column that was set, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TableName, &str, Rung)> {
        self.rungs.iter().flat_map(|(table, columns)| columns.iter().map(move |(c, r)| (table, c.as_str(), *r)))
    }
}
