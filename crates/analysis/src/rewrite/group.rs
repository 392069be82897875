//! `GROUP BY` a primary key.
//!
//! PostgreSQL lets a query that groups by a table's primary key name the table's other columns outside aggregates. It
//! cannot see the key through the masked subquery, so those columns are added to the list: within a group of one key
//! they have one value, so the groups stay the same (and the planner drops them again).

use std::collections::BTreeSet;

use pg_query::protobuf as pg;
use pg_query::{Node, NodeEnum};

use super::{Item, node, string};
use crate::catalog::Column;
use crate::visit::{Visit, visit};

/// Whether values of the column can be grouped by.
pub(crate) fn has_equality(column: &Column) -> bool {
    let base = column.element.as_ref().unwrap_or(&column.base);
    !matches!(
        &*base.name,
        "json" | "xml" | "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" | "jsonpath"
    ) && column.base_kind != 'c'
}

/// Adds what is missing to `GROUP BY`. `items` is what `FROM` names.
pub(crate) fn complete(select: &mut pg::SelectStmt, items: &[Item]) {
    if select.group_clause.is_empty()
        || select.group_clause.iter().any(|node| matches!(node.node, Some(NodeEnum::GroupingSet(_))))
    {
        return;
    }
    let grouped: Vec<Name> = select.group_clause.iter().filter_map(|node| grouping(node, select)).collect();
    let mut added = Vec::new();
    for item in items {
        let by = |column: &str| {
            grouped.iter().any(|name| name.column == column && name.table.as_ref().is_none_or(|t| *t == item.alias))
        };
        if item.key.is_empty() || !item.key.iter().all(|column| by(column)) {
            continue;
        }
        let used = used(select, &item.alias);
        for column in &item.groupable {
            if !by(column) && used.names(column) {
                let fields = vec![string(&item.alias), string(column)];
                added.push(node(NodeEnum::ColumnRef(pg::ColumnRef { fields, location: 0 })));
            }
        }
    }
    select.group_clause.extend(added);
}

/// A column as written: with its table's alias or without.
struct Name {
    table: Option<String>,
    column: String,
}

/// The column that an element of `GROUP BY` is, if it is one: by name, by the number of an output column, or by an
/// output column's name.
fn grouping(element: &Node, select: &pg::SelectStmt) -> Option<Name> {
    let target = |number: usize| match &select.target_list.get(number)?.node {
        Some(NodeEnum::ResTarget(target)) => Some(&**target),
        _ => None,
    };
    match element.node.as_ref()? {
        NodeEnum::ColumnRef(column) => {
            let name = column_name(column)?;
            let renamed = (0..select.target_list.len())
                .filter_map(target)
                .find(|target| name.table.is_none() && target.name == name.column);
            match renamed.and_then(|target| target.val.as_ref()).map(|val| &val.node) {
                Some(Some(NodeEnum::ColumnRef(column))) => column_name(column),
                _ => Some(name),
            }
        }
        NodeEnum::AConst(constant) => match &constant.val {
            Some(pg::a_const::Val::Ival(number)) => {
                let number = usize::try_from(number.ival).ok()?.checked_sub(1)?;
                match &target(number)?.val.as_ref()?.node {
                    Some(NodeEnum::ColumnRef(column)) => column_name(column),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

fn column_name(column: &pg::ColumnRef) -> Option<Name> {
    let mut names = column.fields.iter().rev().map(|field| match &field.node {
        Some(NodeEnum::String(name)) => Some(name.sval.clone()),
        _ => None,
    });
    let column = names.next()??;
    let table = names.next().flatten();
    Some(Name { table, column })
}

/// Columns of one item that a query may name outside `FROM`, `WHERE` and `GROUP BY`.
#[derive(Default)]
struct Used {
    alias: String,
    columns: BTreeSet<String>,
    all: bool,
    /// The column reference that is being read.
    fields: Option<Vec<String>>,
    star: bool,
}

impl Used {
    fn names(&self, column: &str) -> bool {
        self.all || self.columns.contains(column)
    }
}

fn used(select: &pg::SelectStmt, alias: &str) -> Used {
    let mut used = Used { alias: alias.to_owned(), ..Used::default() };
    for list in [&select.target_list, &select.sort_clause, &select.window_clause, &select.distinct_clause] {
        list.iter().for_each(|node| visit(node, &mut used));
    }
    select.having_clause.iter().for_each(|node| visit(&**node, &mut used));
    used
}

impl Visit for Used {
    fn enter(&mut self, kind: &'static str) -> bool {
        match kind {
            "ColumnRef" => self.fields = Some(Vec::new()),
            "AStar" if self.fields.is_some() => self.star = true,
            _ => {}
        }
        true
    }

    fn field(&mut self, _: &'static str) {}

    fn text(&mut self, value: &str) {
        if let Some(fields) = &mut self.fields {
            fields.push(value.to_owned());
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, kind: &'static str) {
        if kind != "ColumnRef" {
            return;
        }
        let star = std::mem::take(&mut self.star);
        match self.fields.take().unwrap_or_default().as_slice() {
            [] => self.all |= star,
            // a whole row, or a column without its table
            [name] => {
                self.all |= *name == self.alias;
                self.columns.insert(name.clone());
            }
            [.., table] if star => self.all |= *table == self.alias,
            [.., table, column] => {
                if *table == self.alias {
                    self.columns.insert(column.clone());
                }
            }
        }
    }
}
