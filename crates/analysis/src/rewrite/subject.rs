//! Whose rows a query returns.
//!
//! ```sql
//! SELECT p.sex, e.unit FROM clinic.patient p JOIN clinic.encounter e ON e.patient_id = p.id ORDER BY 2
//! -- becomes, where `id` and `patient_id` are the tables' subjects,
//! SELECT p.id::text AS "chaperone subject", e.patient_id::text AS "chaperone subject", p.sex, e.unit
//! FROM (…) p JOIN (…) e ON e.patient_id = p.id ORDER BY 4
//! ```
//! The gateway takes these columns out of the answer and keeps a keyed hash of them (45 CFR 164.528). They are columns of
//! the masked subqueries, shown as stored there or not added at all, so that they tell the gateway nothing that the agent
//! may not see; and they are added only where they change no row: not to aggregates, not to groups that they do not
//! belong to. What cannot be told this way is said to be so.

use std::collections::HashSet;

use chaperone_model::{Enumerated, Subject, TableName};
use pg_query::protobuf::{self as pg, a_const::Val};
use pg_query::{Node, NodeEnum};

use super::group::{self, Name};
use super::summed::{aggregates, has_windows, names_it};
use super::{Item, Masker, node, source, string};
use crate::allow::PG_CATALOG;
use crate::catalog::Column;
use crate::output::Subjects;

/// What the added columns are called.
pub const COLUMN: &str = "chaperone subject";

/// Tables of one query whose subjects are told.
const MOST: usize = 8;

/// The types whose text is the same whatever the session's settings.
const TYPES: [&str; 8] = ["int2", "int4", "int8", "numeric", "text", "varchar", "bpchar", "uuid"];

impl Masker<'_> {
    /// Whether rows of a relation may be about persons: a table of the classification that does not say that they are not.
    pub(super) fn is_about_persons(&self, name: &TableName) -> bool {
        self.protection.classification.get(name).is_some_and(|classes| classes.subject != Some(Subject::Nobody))
    }

    /// Nothing can be told of what the statement reads about persons.
    pub(super) fn untold(&self) -> Option<Subjects> {
        (self.persons > 0).then(|| Subjects { columns: Vec::new(), enumerated: Enumerated::Nothing })
    }

    /// Adds the subjects' columns to a query whose sources are masked already.
    pub(super) fn subjects(&self, select: &mut pg::SelectStmt) -> Option<Subjects> {
        if self.persons == 0 {
            return None;
        }
        let mut told: Vec<(&Item, &TableName, &Column)> = Vec::new();
        if let Some(grouped) = rows_of(select, &self.top) {
            for item in &self.top {
                if let Some((table, column)) = self.subject(item)
                    // where several values are equal, a group of them has more than one name
                    && grouped.as_ref().is_none_or(|grouped| column.bytewise && grouped.names(&self.top, item, &column.name))
                    && told.len() < MOST
                {
                    told.push((item, table, column));
                }
            }
        }
        if told.is_empty() || names_it(select) || !moved(select, &self.top, told.len()) {
            return self.untold();
        }
        let columns = told.iter().map(|(_, table, column)| format!("{table}.{}", column.name)).collect();
        // a window shows values of rows that may not come out themselves
        let whole = told.len() == self.persons && !has_windows(select);
        let enumerated = if whole { Enumerated::All } else { Enumerated::Part };
        let added: Vec<Node> = told.into_iter().map(|(item, _, column)| as_text(&item.alias, column)).collect();
        select.target_list.splice(0..0, added);
        Some(Subjects { columns, enumerated })
    }

    /// The subject's column of an item of `FROM`, where it can be told.
    fn subject<'i>(&'i self, item: &'i Item) -> Option<(&'i TableName, &'i Column)> {
        let table = item.table.as_ref().filter(|_| item.reachable)?;
        let subject = self.protection.classification.get(table)?.subject_column()?;
        let relation = self.catalog.relations.get(table)?;
        let column = relation.columns.iter().find(|column| column.name == subject)?;
        let shown = source::column_as_stored(table, column, relation, &self.protection);
        (shown && is_told(column)).then_some((table, column))
    }
}

/// Whether the gateway can tell one value of the column from another by its text.
pub(crate) fn is_told(column: &Column) -> bool {
    column.element.is_none() && column.base.schema == PG_CATALOG && TYPES.contains(&&*column.base.name)
}

/// What a query's rows stand for: nothing that can be told (`None`), rows of its sources (`Some(None)`), or groups of
/// them that have these columns alike.
fn rows_of(select: &pg::SelectStmt, items: &[Item]) -> Option<Option<Alike>> {
    if select.op != pg::SetOperation::SetopNone as i32 || !select.values_lists.is_empty() || items.is_empty() {
        return None;
    }
    let mut alike: Option<Alike> = None;
    if !select.group_clause.is_empty() {
        if select.group_clause.iter().any(|node| matches!(node.node, Some(NodeEnum::GroupingSet(_)))) {
            return None;
        }
        alike = Some(Alike::of_groups(select, items));
    } else if select.having_clause.is_some() || aggregates(select, items) {
        return None;
    }
    // DISTINCT ON, which names expressions, shows one row of each group as it is
    if !select.distinct_clause.is_empty() && select.distinct_clause.iter().all(|node| node.node.is_none()) {
        let distinct = Alike::of_targets(select);
        alike = Some(match alike {
            Some(grouped) => grouped.and(distinct),
            None => distinct,
        });
    }
    Some(alike)
}

/// Columns that have one value for all rows that an output row stands for.
struct Alike {
    names: HashSet<Name>,
    /// `alias.*`
    stars: Vec<String>,
    star: bool,
}

impl Alike {
    /// What `GROUP BY` names: columns, or output columns that are columns.
    fn of_groups(select: &pg::SelectStmt, items: &[Item]) -> Self {
        let target = |found: Option<&Node>| match found.and_then(|target| target.node.as_ref()) {
            Some(NodeEnum::ResTarget(target)) => match target.val.as_ref().and_then(|val| val.node.as_ref()) {
                Some(NodeEnum::ColumnRef(column)) => group::column_name(column),
                _ => None,
            },
            _ => None,
        };
        let named = |name: &str| {
            select.target_list.iter().find(|target| match &target.node {
                Some(NodeEnum::ResTarget(target)) => target.name == name,
                _ => false,
            })
        };
        // a name is an input column's first, and an output column's only where there is none
        let is_input =
            |name: &String| items.iter().any(|item| item.columns.as_ref().is_none_or(|columns| columns.contains(name)));
        let names = select.group_clause.iter().filter_map(|element| match element.node.as_ref()? {
            NodeEnum::ColumnRef(column) => {
                let name = group::column_name(column)?;
                let output = name.table.is_none() && !is_input(&name.column);
                if output { target(named(&name.column)) } else { Some(name) }
            }
            NodeEnum::AConst(constant) => match &constant.val {
                Some(Val::Ival(number)) => {
                    target(select.target_list.get(usize::try_from(number.ival).ok()?.checked_sub(1)?))
                }
                _ => None,
            },
            _ => None,
        });
        Alike { names: names.collect(), stars: Vec::new(), star: false }
    }

    fn of_targets(select: &pg::SelectStmt) -> Self {
        let mut alike = Alike { names: HashSet::new(), stars: Vec::new(), star: false };
        for target in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { continue };
            let Some(Some(NodeEnum::ColumnRef(column))) = target.val.as_ref().map(|val| &val.node) else { continue };
            match &column.fields[..] {
                // what `USING` joins is one column of two
                [star] if is_star(star) => alike.star = !select.from_clause.iter().any(merges),
                [table, star] if is_star(star) => alike.stars.extend(text(table).map(str::to_owned)),
                _ => alike.names.extend(group::column_name(column)),
            }
        }
        alike
    }

    /// Those of both. What only one of them has by a `*` is left out: groups name their columns.
    fn and(self, other: Alike) -> Alike {
        let names = self.names.into_iter().filter(|name| {
            let starred = name.table.as_ref().is_some_and(|table| other.stars.contains(table));
            other.star || starred || other.names.contains(name)
        });
        Alike { names: names.collect(), stars: Vec::new(), star: false }
    }

    /// Whether a column of `item` is one of them.
    fn names(&self, items: &[Item], item: &Item, column: &str) -> bool {
        let qualified = Name { table: Some(item.alias.clone()), column: column.to_owned() };
        if self.star || self.stars.contains(&item.alias) || self.names.contains(&qualified) {
            return true;
        }
        // without a table it is this one's if no other can have such a column
        let others = || items.iter().filter(|other| !std::ptr::eq(*other, item));
        self.names.contains(&Name { table: None, column: column.to_owned() })
            && others().all(|other| other.columns.as_ref().is_some_and(|columns| !columns.iter().any(|c| c == column)))
    }
}

/// Whether an item of `FROM` makes one column of two.
fn merges(item: &Node) -> bool {
    match &item.node {
        Some(NodeEnum::JoinExpr(join)) => {
            join.is_natural
                || !join.using_clause.is_empty()
                || [&join.larg, &join.rarg].into_iter().flatten().any(|side| merges(side))
        }
        _ => false,
    }
}

fn is_star(field: &Node) -> bool {
    matches!(field.node, Some(NodeEnum::AStar(_)))
}

fn text(field: &Node) -> Option<&str> {
    match &field.node {
        Some(NodeEnum::String(text)) => Some(&text.sval),
        _ => None,
    }
}

/// `alias.column::text AS "chaperone subject"`; of numbers that are equal, the same text.
fn as_text(alias: &str, column: &Column) -> Node {
    let reference = pg::ColumnRef { fields: vec![string(alias), string(&column.name)], location: 0 };
    let reference = node(NodeEnum::ColumnRef(reference));
    let value = match &*column.base.name {
        "numeric" => node(NodeEnum::FuncCall(Box::new(pg::FuncCall {
            funcname: vec![string(PG_CATALOG), string("trim_scale")],
            args: vec![reference],
            funcformat: pg::CoercionForm::CoerceExplicitCall as i32,
            ..Default::default()
        }))),
        _ => reference,
    };
    let ty = pg::TypeName { names: vec![string(PG_CATALOG), string("text")], typemod: -1, ..Default::default() };
    let cast = pg::TypeCast { arg: Some(Box::new(value)), type_name: Some(ty), location: 0 };
    node(NodeEnum::ResTarget(Box::new(pg::ResTarget {
        name: COLUMN.to_owned(),
        val: Some(Box::new(node(NodeEnum::TypeCast(Box::new(cast))))),
        ..Default::default()
    })))
}

/// Output columns that are named by number are now further right; `false` where a number is none of an output column, so
/// that what the database says of it must stay.
fn moved(select: &mut pg::SelectStmt, items: &[Item], by: usize) -> bool {
    let starred = select.target_list.iter().any(|target| match &target.node {
        Some(NodeEnum::ResTarget(target)) => match target.val.as_ref().and_then(|val| val.node.as_ref()) {
            Some(NodeEnum::ColumnRef(column)) => column.fields.last().is_some_and(is_star),
            Some(NodeEnum::AIndirection(indirection)) => indirection.indirection.last().is_some_and(is_star),
            _ => false,
        },
        _ => false,
    });
    // a `*` is at least the columns that are known of
    let known = if starred { items.iter().filter_map(|item| Some(item.columns.as_ref()?.len())).sum() } else { 0 };
    let listed = select.target_list.len();
    let least = if starred { known } else { listed };
    let (Ok(by), Ok(least)) = (i32::try_from(by), i32::try_from(least)) else { return false };
    // PostgreSQL's limit of output columns, 1,664, is the agent's
    if known + listed + select.group_clause.len() + select.sort_clause.len() > 1_600 {
        return false;
    }
    // (1, 2) are two numbers there
    if select.group_clause.iter().any(|element| matches!(element.node, Some(NodeEnum::RowExpr(_)))) {
        return false;
    }
    let mut numbers: Vec<&mut i32> = Vec::new();
    for element in select.group_clause.iter_mut().chain(&mut select.distinct_clause) {
        numbers.extend(number(element));
    }
    for element in &mut select.sort_clause {
        if let Some(NodeEnum::SortBy(sort)) = &mut element.node
            && let Some(element) = &mut sort.node
        {
            numbers.extend(number(element));
        }
    }
    if numbers.iter().any(|number| **number < 1 || **number > least) {
        return false;
    }
    for number in numbers {
        *number = number.saturating_add(by);
    }
    true
}

/// The number that an element of `GROUP BY`, `DISTINCT ON` or `ORDER BY` is.
fn number(element: &mut Node) -> Option<&mut i32> {
    match &mut element.node {
        Some(NodeEnum::AConst(constant)) => match &mut constant.val {
            Some(Val::Ival(number)) => Some(&mut number.ival),
            _ => None,
        },
        _ => None,
    }
}
