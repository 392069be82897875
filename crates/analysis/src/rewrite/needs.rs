//! What a session's own database role must be able to read, and nothing besides (rule R15).

use std::collections::{BTreeMap, BTreeSet};

use chaperone_model::TableName;
use pg_query::protobuf::SelectStmt;

use super::Protection;
use super::source::source;
use crate::catalog::Relation;
use crate::visit::{Visit, visit};

/// A table that is read under some masks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its OID: a table that was made again under the same name has no privileges yet.
    pub oid: u32,
    /// The columns that its masked self names, by number; `tableoid` has a number below 0.
    pub read: BTreeMap<i16, String>,
    /// Columns that it does not: their privilege must not be there.
    pub hidden: BTreeMap<i16, String>,
}

/// Every classified table, with the columns that its masks read. Nothing is read of one that is refused.
pub fn needs(protection: &Protection<'_>) -> BTreeMap<TableName, Need> {
    let mut needs = BTreeMap::new();
    for name in protection.classification.keys() {
        let Some(relation) = protection.catalog.relations.get(name) else { continue };
        let mut named = Named::default();
        for only in [false, true] {
            if let Ok(source) = source(name, relation, only, protection) {
                named.take(&source.query);
            }
        }
        needs.insert(name.clone(), need(relation, &named.columns));
    }
    needs
}

/// `pg_attribute.attnum` of `tableoid` (PostgreSQL's access/sysattr.h).
const TABLEOID: i16 = -6;

fn need(relation: &Relation, named: &BTreeSet<String>) -> Need {
    let own = relation.columns.iter().map(|column| (column.number, column.name.clone()));
    let (mut read, hidden): (BTreeMap<_, _>, BTreeMap<_, _>) = own.partition(|(_, name)| named.contains(name));
    if named.contains("tableoid") {
        read.insert(TABLEOID, "tableoid".to_owned());
    }
    Need { oid: relation.oid, read, hidden }
}

/// Every name in a reference to a column, wherever it stands: more than the columns is no harm, fewer would be.
#[derive(Default)]
struct Named {
    columns: BTreeSet<String>,
    /// How deep we are in references.
    inside: usize,
}

impl Named {
    fn take(&mut self, query: &SelectStmt) {
        visit(query, self);
    }
}

impl Visit for Named {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.inside += usize::from(kind == "ColumnRef" || self.inside > 0);
        true
    }
    fn field(&mut self, _: &'static str) {}
    fn text(&mut self, value: &str) {
        if self.inside > 0 {
            self.columns.insert(value.to_owned());
        }
    }
    fn number(&mut self, _: i64) {}
    fn leave(&mut self, _: &'static str) {
        self.inside = self.inside.saturating_sub(1);
    }
}
