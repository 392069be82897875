//! Whether a query sums its rows up: aggregates, window functions.

use pg_query::protobuf as pg;

use super::Item;
use super::subject::COLUMN;
use crate::allow::AGGREGATES;
use crate::visit::{Visit, visit};

/// Whether a query without `GROUP BY` sums its rows up. In doubt it does: an aggregate in a subquery may be of the query
/// around it.
pub(super) fn aggregates(select: &pg::SelectStmt, items: &[Item]) -> bool {
    let mut found = Aggregates { items, found: false, calls: Vec::new(), reference: None, field: "", subqueries: 0 };
    for list in [&select.target_list, &select.distinct_clause, &select.sort_clause, &select.window_clause] {
        list.iter().for_each(|node| visit(node, &mut found));
    }
    found.found
}

/// Whether a query calls a window function.
pub(super) fn has_windows(select: &pg::SelectStmt) -> bool {
    let mut found = Looks { kind: "WindowDef", name: "", found: false };
    for list in [&select.target_list, &select.distinct_clause, &select.sort_clause] {
        list.iter().for_each(|node| visit(node, &mut found));
    }
    found.found
}

/// Whether a query has the name of the added columns in it.
pub(super) fn names_it(select: &pg::SelectStmt) -> bool {
    let mut found = Looks { kind: "", name: COLUMN, found: false };
    for list in [&select.target_list, &select.distinct_clause, &select.group_clause, &select.sort_clause] {
        list.iter().for_each(|node| visit(node, &mut found));
    }
    found.found
}

/// Looks for a kind of node, or a name.
struct Looks {
    kind: &'static str,
    name: &'static str,
    found: bool,
}

impl Visit for Looks {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.found |= kind == self.kind;
        !self.found
    }

    fn field(&mut self, _: &'static str) {}

    fn text(&mut self, value: &str) {
        self.found |= !self.name.is_empty() && value == self.name;
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, _: &'static str) {}
}

/// Looks for aggregates of the query whose `FROM` names `items`.
struct Aggregates<'i> {
    items: &'i [Item],
    found: bool,
    /// Calls of functions around this place.
    calls: Vec<Call>,
    /// The column reference that is being read.
    reference: Option<Vec<String>>,
    field: &'static str,
    /// How many subqueries there are around this place.
    subqueries: usize,
}

struct Call {
    name: String,
    over: bool,
    within_group: bool,
    /// How many subqueries there are around it.
    subqueries: usize,
    /// It names columns.
    names_columns: bool,
    /// One of them is of a subquery around the call.
    is_of_subquery: bool,
}

impl Aggregates<'_> {
    /// Whether a column may be one of the query itself, for one who names it in a subquery.
    fn may_be_own(&self, reference: &[String]) -> bool {
        match reference {
            [.., table, _] => self.items.iter().any(|item| item.alias == *table),
            [column] => self.items.iter().any(|item| {
                item.alias == *column || item.columns.as_ref().is_none_or(|columns| columns.contains(column))
            }),
            [] => true,
        }
    }
}

impl Visit for Aggregates<'_> {
    fn enter(&mut self, kind: &'static str) -> bool {
        match kind {
            "SelectStmt" => self.subqueries += 1,
            "FuncCall" => self.calls.push(Call {
                name: String::new(),
                over: false,
                within_group: false,
                subqueries: self.subqueries,
                names_columns: false,
                is_of_subquery: false,
            }),
            "WindowDef" if self.field == "over" => {
                if let Some(call) = self.calls.last_mut() {
                    call.over = true;
                }
            }
            "ColumnRef" => self.reference = Some(Vec::new()),
            "JsonArrayAgg" | "JsonObjectAgg" | "JsonAggConstructor" => self.found = true,
            _ => {}
        }
        !self.found
    }

    fn field(&mut self, name: &'static str) {
        // the text of a name is in a struct of its own
        if name != "sval" {
            self.field = name;
        }
    }

    fn text(&mut self, value: &str) {
        if let Some(reference) = &mut self.reference {
            reference.push(value.to_owned());
        } else if self.field == "funcname"
            && let Some(call) = self.calls.last_mut()
        {
            value.clone_into(&mut call.name);
        }
    }

    fn number(&mut self, value: i64) {
        if self.field == "agg_within_group"
            && let Some(call) = self.calls.last_mut()
        {
            call.within_group = value != 0;
        }
    }

    fn leave(&mut self, kind: &'static str) {
        match kind {
            "SelectStmt" => self.subqueries = self.subqueries.saturating_sub(1),
            "ColumnRef" => {
                let reference = self.reference.take().unwrap_or_default();
                let own = self.may_be_own(&reference);
                for call in &mut self.calls {
                    call.names_columns = true;
                    // a column of a subquery in the arguments says nothing
                    call.is_of_subquery |= !own && call.subqueries == self.subqueries;
                }
            }
            "FuncCall" => {
                let Some(call) = self.calls.pop() else { return };
                let aggregate = call.within_group || AGGREGATES.binary_search(&&*call.name).is_ok();
                let of_subquery = call.subqueries > 0 && (call.is_of_subquery || !call.names_columns);
                self.found |= aggregate && !call.over && !of_subquery;
            }
            _ => {}
        }
    }
}
