//! `GROUP BY` a primary key.
//!
//! PostgreSQL lets a query that groups by a table's primary key name the table's other columns outside aggregates. It
//! cannot see the key through the masked subquery, so those columns are added to the list: within a group of one key
//! they have one value, so the groups stay the same (and the planner drops them again). A key within `ROLLUP`, `CUBE` or
//! `GROUPING SETS` is not in every group, and determines nothing.

use std::collections::{HashMap, HashSet};

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

/// Adds what is missing to `GROUP BY`. `items` is what `FROM` names. `steps` bounds the search for what is named: when
/// they are used up, all is taken to be, which adds more to the list than is needed and changes no group.
pub(crate) fn complete(select: &mut pg::SelectStmt, items: &[Item], steps: &mut u64) {
    if select.group_clause.is_empty() || items.iter().all(|item| item.key.is_empty()) {
        return;
    }
    let mut targets: HashMap<&str, &pg::ResTarget> = HashMap::new();
    for target in &select.target_list {
        if let Some(NodeEnum::ResTarget(target)) = &target.node {
            targets.entry(&target.name).or_insert(target);
        }
    }
    let in_all = select.group_clause.iter().filter_map(|node| grouping(node, select, &targets));
    let in_all: HashSet<Name> = in_all.collect();
    let mut in_some = HashSet::new();
    select.group_clause.iter().for_each(|node| in_sets(node, select, &targets, &mut in_some));
    let named = |names: &HashSet<Name>, item: &Item, column: &String| {
        names.contains(&Name { table: None, column: column.clone() })
            || names.contains(&Name { table: Some(item.alias.clone()), column: column.clone() })
    };
    // a column of ROLLUP, CUBE or GROUPING SETS is NULL in some of the groups: added, it would no longer be
    let by = |item: &Item, column: &String| named(&in_all, item, column) || named(&in_some, item, column);
    let mut used = None;
    let mut added = Vec::new();
    for item in items {
        if item.key.is_empty() || !item.key.iter().all(|column| named(&in_all, item, column)) {
            continue;
        }
        let used = used.get_or_insert_with(|| used_in(select, steps));
        for column in &item.groupable {
            if !by(item, column) && used.names(&item.alias, column) {
                let fields = vec![string(&item.alias), string(column)];
                added.push(node(NodeEnum::ColumnRef(pg::ColumnRef { fields, location: 0 })));
            }
        }
    }
    select.group_clause.extend(added);
}

/// A column as written: with its table's alias or without.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) table: Option<String>,
    pub(crate) column: String,
}

/// The column that an element of `GROUP BY` is, if it is one: by name, by the number of an output column, or by an
/// output column's name.
fn grouping(element: &Node, select: &pg::SelectStmt, targets: &HashMap<&str, &pg::ResTarget>) -> Option<Name> {
    match element.node.as_ref()? {
        NodeEnum::ColumnRef(column) => {
            let name = column_name(column)?;
            let renamed = targets.get(&*name.column).filter(|_| name.table.is_none());
            match renamed.and_then(|target| target.val.as_ref()).map(|val| &val.node) {
                Some(Some(NodeEnum::ColumnRef(column))) => column_name(column),
                _ => Some(name),
            }
        }
        NodeEnum::AConst(constant) => match &constant.val {
            Some(pg::a_const::Val::Ival(number)) => {
                let number = usize::try_from(number.ival).ok()?.checked_sub(1)?;
                let Some(NodeEnum::ResTarget(target)) = &select.target_list.get(number)?.node else { return None };
                match &target.val.as_ref()?.node {
                    Some(NodeEnum::ColumnRef(column)) => column_name(column),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    }
}

/// The columns within `ROLLUP`, `CUBE` and `GROUPING SETS`.
fn in_sets(node: &Node, select: &pg::SelectStmt, targets: &HashMap<&str, &pg::ResTarget>, names: &mut HashSet<Name>) {
    let Some(NodeEnum::GroupingSet(set)) = &node.node else { return };
    for element in &set.content {
        let inner = match &element.node {
            Some(NodeEnum::RowExpr(row)) => &*row.args,
            _ => std::slice::from_ref(element),
        };
        names.extend(inner.iter().filter_map(|element| grouping(element, select, targets)));
        in_sets(element, select, targets, names);
    }
}

pub(crate) fn column_name(column: &pg::ColumnRef) -> Option<Name> {
    let mut names = column.fields.iter().rev().map(|field| match &field.node {
        Some(NodeEnum::String(name)) => Some(name.sval.clone()),
        _ => None,
    });
    let column = names.next()??;
    let table = names.next().flatten();
    Some(Name { table, column })
}

/// Columns that a query may name outside `FROM`, `WHERE` and `GROUP BY`.
#[derive(Default)]
struct Used {
    /// Written with a table's alias.
    qualified: HashSet<(String, String)>,
    /// Written without: columns, or whole rows by their alias.
    bare: HashSet<String>,
    /// `alias.*`
    stars: HashSet<String>,
    all: bool,
    /// The column reference that is being read.
    fields: Option<Vec<String>>,
    star: bool,
    steps: u64,
}

impl Used {
    fn names(&self, alias: &str, column: &str) -> bool {
        self.all
            || self.bare.contains(column)
            || self.bare.contains(alias)
            || self.stars.contains(alias)
            || self.qualified.contains(&(alias.to_owned(), column.to_owned()))
    }
}

fn used_in(select: &pg::SelectStmt, steps: &mut u64) -> Used {
    let mut used = Used { steps: *steps, ..Used::default() };
    for list in [&select.target_list, &select.sort_clause, &select.window_clause, &select.distinct_clause] {
        list.iter().for_each(|node| visit(node, &mut used));
    }
    select.having_clause.iter().for_each(|node| visit(&**node, &mut used));
    *steps = used.steps;
    used
}

impl Visit for Used {
    fn enter(&mut self, kind: &'static str) -> bool {
        match self.steps.checked_sub(1) {
            Some(left) => self.steps = left,
            None => {
                self.all = true;
                return false;
            }
        }
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
            [.., table] if star => _ = self.stars.insert(table.clone()),
            // a whole row, or a column without its table
            [name] => _ = self.bare.insert(name.clone()),
            [.., table, column] => _ = self.qualified.insert((table.clone(), column.clone())),
        }
    }
}
