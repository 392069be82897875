//! The order of rows (rule R9).
//!
//! An index of a masked column and another one can hand out rows in the order of the masked one: index-only scans do
//! whenever the index is smaller than the table, and so does any scan that looks up, or sorts by, the other column:
//! with an index `(unit, last_name)`, the rows of one unit come sorted by name. So a table with such an index is read
//! in the order of its primary key. Conditions still reach the table, and its indexes, through that.

use std::collections::{BTreeMap, BTreeSet};

use chaperone_mask::quoted;
use chaperone_model::{Refusal, TableName};

use super::{group, refuse};
use crate::allow::PG_CATALOG;
use crate::catalog::{Catalog, Column, Relation};

/// The columns of a relation that are not shown as stored, by number, and whether nothing of them is shown at all.
#[derive(Default)]
pub(crate) struct Hidden(BTreeMap<i16, bool>);

impl Hidden {
    pub(crate) fn insert(&mut self, column: i16, redacted: bool) {
        self.0.insert(column, redacted);
    }

    fn is_hidden(&self, column: i16) -> bool {
        column <= 0 || self.0.contains_key(&column)
    }

    fn is_visible(&self, column: i16) -> bool {
        column > 0 && self.0.get(&column) != Some(&true)
    }
}

/// What to add to the query that stands for a relation: nothing, or an order that no index can show through.
pub(crate) fn of(
    name: &TableName,
    relation: &Relation,
    only: bool,
    hidden: &Hidden,
    catalog: &Catalog,
) -> Result<String, Refusal> {
    let mut indexes: BTreeSet<Vec<i16>> = relation.indexes.iter().cloned().collect();
    let mut has_children = false;
    if !only {
        let mut parents = vec![name];
        let mut seen = BTreeSet::new();
        while let Some(parent) = parents.pop() {
            for child in catalog.children.get(parent).into_iter().flatten().filter(|child| seen.insert(*child)) {
                has_children = true;
                parents.push(child);
                if let Some(child) = catalog.relations.get(child) {
                    indexes.extend(child.indexes.iter().map(|index| as_of_parent(index, child, relation)));
                }
            }
        }
    }
    // of a table that others inherit from, the key is unique in each of them at best
    let key: &[i16] = if has_children && relation.kind != 'p' { &[] } else { &relation.primary_key };
    let key_shown = !key.is_empty() && !key.iter().any(|number| hidden.is_hidden(*number));
    let shows = |index: &Vec<i16>| {
        let first = index.iter().position(|number| hidden.is_hidden(*number));
        let before = index.get(..first.unwrap_or(index.len())).unwrap_or_default();
        // rows that differ in what comes before have no order left to be told
        let told = key_shown && key.iter().all(|number| before.contains(number));
        let other = |at: usize| index.iter().enumerate().any(|(n, column)| n != at && hidden.is_visible(*column));
        !told && index.iter().enumerate().any(|(at, column)| hidden.is_hidden(*column) && other(at))
    };
    if !indexes.iter().any(shows) {
        return Ok(String::new());
    }
    let in_order =
        |column: &&Column| if key_shown { key.contains(&column.number) } else { hidden.is_visible(column.number) };
    let columns: Vec<&Column> = relation.columns.iter().filter(in_order).collect();
    if columns.is_empty() || !columns.iter().all(|column| key_shown || sorts(column)) {
        return Err(refuse::relation(
            &name.to_string(),
            "it has no primary key that is shown, and an index of it could show the order of what is masked",
            "ask the connection's owner for another way",
        ));
    }
    // a bare name here is that of an output column, so of the mask
    let columns: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    Ok(format!(" ORDER BY {}", columns.join(", ")))
}

/// Whether values of the column have an order.
fn sorts(column: &Column) -> bool {
    let base = column.element.as_ref().unwrap_or(&column.base);
    let ordered = base.schema == PG_CATALOG && !matches!(&*base.name, "aclitem" | "xid" | "cid" | "pg_node_tree");
    group::has_equality(column) && (ordered || column.base_kind == 'e')
}

/// A child's index in the numbers of its parent's columns; 0 for what the parent does not have.
fn as_of_parent(index: &[i16], child: &Relation, parent: &Relation) -> Vec<i16> {
    let number = |number: &i16| {
        let name = &child.columns.iter().find(|column| column.number == *number)?.name;
        Some(parent.columns.iter().find(|column| column.name == *name)?.number)
    };
    index.iter().map(|column| number(column).unwrap_or(0)).collect()
}
