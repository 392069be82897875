//! Where the columns of a view come from, read off its definition.
//!
//! Every column that an expression mentions counts, in its conditions too. What is not understood makes the whole view
//! opaque: then each of its columns is taken to show everything that the view reads.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use chaperone_model::TableName;
use pg_query::protobuf::{CommonTableExpr, SelectStmt, SetOperation, WithClause};
use pg_query::{Node, NodeEnum};

use super::load::Snapshot;
use crate::allow;
use crate::parse::parse;
use crate::visit::{Visit, visit};

/// What one column of a view shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Origin {
    /// Columns, as places of a relation and in it.
    pub(super) columns: BTreeSet<(usize, usize)>,
    /// It only counts rows.
    pub(super) counts: bool,
    /// Something may come in that is not among `columns`: a function of somebody's, a subquery.
    pub(super) opaque: bool,
}

impl Origin {
    fn add(&mut self, other: &Origin) {
        // a count of what is counted elsewhere is read as if it were the thing itself
        self.counts = self.counts && other.counts;
        self.opaque |= other.opaque;
        self.columns.extend(&other.columns);
    }
}

/// Subqueries in subqueries that are followed.
const DEEPEST: usize = 32;
/// Queries of one view that are read, those of recursive ones each time.
const MOST_STEPS: usize = 5_000;

/// The origins of a view's columns, in order; `None` where the definition is not understood.
pub(super) fn of(snapshot: &Snapshot, definition: &str) -> Option<Vec<Origin>> {
    let statements = parse(definition).ok()?;
    if statements.len() != 1 {
        return None;
    }
    statements.depth().run(|| match statements.node(0) {
        NodeEnum::SelectStmt(select) => {
            let reader = Reader { snapshot, left: Cell::new(MOST_STEPS) };
            let columns = reader.select(select, &Scope::default(), 0)?;
            Some(columns.into_iter().map(|(_, origin)| origin).collect())
        }
        _ => None,
    })
}

type Columns = Vec<(String, Origin)>;

/// Something in a `FROM` list.
#[derive(Clone)]
struct Item {
    alias: String,
    columns: Columns,
    /// Any other column of it, where its columns have no names that we know.
    rest: Option<Origin>,
}

/// What names mean in one query.
#[derive(Clone, Default)]
struct Scope {
    /// Those of the queries around it first.
    items: Vec<Item>,
    ctes: HashMap<String, Columns>,
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    /// Steps that may still be taken.
    left: Cell<usize>,
}

impl Reader<'_> {
    fn select(&self, select: &SelectStmt, outer: &Scope, depth: usize) -> Option<Columns> {
        if depth > DEEPEST {
            return None;
        }
        self.left.set(self.left.get().checked_sub(1)?);
        let mut scope = outer.clone();
        if let Some(with) = &select.with_clause {
            self.with(with, &mut scope, depth)?;
        }
        if SetOperation::try_from(select.op).ok()? != SetOperation::SetopNone {
            let left = self.select(select.larg.as_deref()?, &scope, depth + 1)?;
            let right = self.select(select.rarg.as_deref()?, &scope, depth + 1)?;
            if left.len() != right.len() {
                return None;
            }
            return Some(
                left.into_iter().zip(right).map(|((name, left), (_, right))| (name, either(left, right))).collect(),
            );
        }
        if let Some(first) = select.values_lists.first() {
            let Some(NodeEnum::List(row)) = first.node.as_ref() else { return None };
            let mut columns: Columns =
                (1..=row.items.len()).map(|n| (format!("column{n}"), Origin::default())).collect();
            for row in &select.values_lists {
                let Some(NodeEnum::List(row)) = row.node.as_ref() else { return None };
                for ((_, origin), value) in columns.iter_mut().zip(&row.items) {
                    origin.add(&self.expression(value, &scope)?);
                }
            }
            return Some(columns);
        }
        for node in &select.from_clause {
            let found = self.from(node, &scope, depth)?;
            scope.items.extend(found);
        }
        // grouping sets, windows and the like choose rows and show nothing
        let mut columns = Columns::new();
        for target in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = target.node.as_ref() else { return None };
            let value = target.val.as_deref()?;
            let origin = self.target(value, &scope)?;
            columns.push((if target.name.is_empty() { implied(value) } else { target.name.clone() }, origin));
        }
        Some(columns)
    }

    fn with(&self, with: &WithClause, scope: &mut Scope, depth: usize) -> Option<()> {
        for node in &with.ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = node.node.as_ref() else { return None };
            if with.recursive {
                // its own name means what its first arm gives
                let first = first_arm(cte)?;
                let columns = renamed(self.select(first, scope, depth + 1)?, &cte.aliascolnames)?;
                scope.ctes.insert(cte.ctename.clone(), columns);
            }
            let NodeEnum::SelectStmt(select) = cte.ctequery.as_deref()?.node.as_ref()? else { return None };
            // what comes back from the second arm may go round again, through another column, until nothing is new
            loop {
                let columns = renamed(self.select(select, scope, depth + 1)?, &cte.aliascolnames)?;
                let known = scope.ctes.insert(cte.ctename.clone(), columns.clone());
                if !with.recursive || known == Some(columns) {
                    break;
                }
            }
        }
        Some(())
    }

    fn from(&self, node: &Node, scope: &Scope, depth: usize) -> Option<Vec<Item>> {
        if depth > DEEPEST {
            return None;
        }
        match node.node.as_ref()? {
            NodeEnum::RangeVar(range) => {
                let columns = self.relation(&range.schemaname, &range.relname, scope)?;
                let (alias, names) = match &range.alias {
                    Some(alias) => (alias.aliasname.clone(), &alias.colnames[..]),
                    None => (range.relname.clone(), &[][..]),
                };
                Some(vec![Item { alias, columns: renamed(columns, names)?, rest: None }])
            }
            NodeEnum::JoinExpr(join) => {
                let mut items = self.from(join.larg.as_deref()?, scope, depth + 1)?;
                let mut inner = scope.clone();
                inner.items.extend(items.iter().cloned());
                items.extend(self.from(join.rarg.as_deref()?, &inner, depth + 1)?);
                match &join.alias {
                    None => Some(items),
                    // its names for the columns of both sides are rarely written: any may be any
                    Some(alias) => {
                        let mut all = Origin::default();
                        items.iter().for_each(|item| all.add(&whole(item)));
                        items.push(Item { alias: alias.aliasname.clone(), columns: Vec::new(), rest: Some(all) });
                        Some(items)
                    }
                }
            }
            NodeEnum::RangeSubselect(sub) => {
                let NodeEnum::SelectStmt(select) = sub.subquery.as_deref()?.node.as_ref()? else { return None };
                let columns = self.select(select, scope, depth + 1)?;
                let (alias, names) = match &sub.alias {
                    Some(alias) => (alias.aliasname.clone(), &alias.colnames[..]),
                    None => (String::new(), &[][..]),
                };
                Some(vec![Item { alias, columns: renamed(columns, names)?, rest: None }])
            }
            NodeEnum::RangeFunction(function) => {
                let mut all = Origin::default();
                for part in &function.functions {
                    let Some(NodeEnum::List(list)) = part.node.as_ref() else { return None };
                    for node in list.items.iter().filter(|node| node.node.is_some()) {
                        all.add(&self.expression(node, scope)?);
                    }
                }
                let alias = function.alias.as_ref().map(|alias| alias.aliasname.clone()).unwrap_or_default();
                Some(vec![Item { alias, columns: Vec::new(), rest: Some(all) }])
            }
            _ => None,
        }
    }

    fn relation(&self, schema: &str, name: &str, scope: &Scope) -> Option<Columns> {
        if schema.is_empty()
            && let Some(columns) = scope.ctes.get(name)
        {
            return Some(columns.clone());
        }
        let place = if schema.is_empty() {
            // a definition that was not written for an empty search path: only a name that can mean one thing
            let mut found = self.snapshot.by_name.iter().filter(|(known, _)| known.name == name);
            let (_, place) = found.next()?;
            if found.next().is_some() {
                return None;
            }
            *place
        } else {
            *self.snapshot.by_name.get(&TableName::new(schema, name))?
        };
        let relation = self.snapshot.relations.get(place)?;
        let columns = relation.columns.iter().enumerate().map(|(at, column)| {
            let columns = BTreeSet::from([(place, at)]);
            (column.name.clone(), Origin { columns, ..Origin::default() })
        });
        Some(columns.collect())
    }

    fn target(&self, value: &Node, scope: &Scope) -> Option<Origin> {
        if let Some(NodeEnum::FuncCall(call)) = value.node.as_ref()
            && matches!(&names(&call.funcname)[..], [name] | [_, name] if name == "count")
            && call.agg_filter.is_none()
            && call.over.is_none()
            && allow::function(&names(&call.funcname))
        {
            return Some(Origin { counts: true, ..Origin::default() });
        }
        self.expression(value, scope)
    }

    fn expression(&self, node: &Node, scope: &Scope) -> Option<Origin> {
        let mut mentioned = Mentioned::default();
        visit(node, &mut mentioned);
        mentioned.finish();
        let mut origin = Origin { opaque: mentioned.opaque, ..Origin::default() };
        for reference in &mentioned.references {
            origin.add(&resolve(reference, scope)?);
        }
        Some(origin)
    }
}

/// What a reference means. The innermost query is looked at first; a name without a table may be in several.
fn resolve(reference: &Reference, scope: &Scope) -> Option<Origin> {
    let names: Vec<&str> = reference.names.iter().map(String::as_str).collect();
    let item = |alias: &str| scope.items.iter().rev().find(|item| item.alias == alias);
    match (&names[..], reference.star) {
        ([.., alias], true) => Some(whole(item(alias)?)),
        ([.., alias, column], false) => column_of(item(alias)?, column),
        ([column], false) => {
            let mut all = Origin::default();
            let mut found = false;
            for origin in scope.items.iter().filter_map(|item| column_of(item, column)) {
                all.add(&origin);
                found = true;
            }
            // the name of a table stands for its row
            if found { Some(all) } else { item(column).map(whole) }
        }
        _ => None,
    }
}

fn column_of(item: &Item, column: &str) -> Option<Origin> {
    let named = item.columns.iter().find(|(name, _)| name == column).map(|(_, origin)| origin.clone());
    named.or_else(|| item.rest.clone())
}

fn whole(item: &Item) -> Origin {
    let mut all = item.rest.clone().unwrap_or_default();
    item.columns.iter().for_each(|(_, origin)| all.add(origin));
    all
}

fn either(mut left: Origin, right: Origin) -> Origin {
    left.counts &= right.counts;
    left.opaque |= right.opaque;
    left.columns.extend(right.columns);
    left
}

fn renamed(mut columns: Columns, names: &[Node]) -> Option<Columns> {
    if names.len() > columns.len() {
        return None;
    }
    for ((name, _), new) in columns.iter_mut().zip(names) {
        let NodeEnum::String(new) = new.node.as_ref()? else { return None };
        name.clone_from(&new.sval);
    }
    Some(columns)
}

/// The name that PostgreSQL gives a column of a subquery without `AS`: only references matter here, `pg_get_viewdef`
/// writes the others out.
fn implied(value: &Node) -> String {
    match value.node.as_ref() {
        Some(NodeEnum::ColumnRef(reference)) => names(&reference.fields).pop().unwrap_or_default(),
        _ => String::new(),
    }
}

fn first_arm(cte: &CommonTableExpr) -> Option<&SelectStmt> {
    let NodeEnum::SelectStmt(select) = cte.ctequery.as_deref()?.node.as_ref()? else { return None };
    Some(select.larg.as_deref().unwrap_or(select))
}

fn names(nodes: &[Node]) -> Vec<String> {
    let strings = nodes.iter().filter_map(|node| match node.node.as_ref() {
        Some(NodeEnum::String(string)) => Some(string.sval.clone()),
        _ => None,
    });
    strings.collect()
}

/// A reference to a column or to a whole row.
#[derive(Debug, Default)]
struct Reference {
    names: Vec<String>,
    star: bool,
}

/// What an expression mentions, wherever in it.
#[derive(Default)]
struct Mentioned {
    references: Vec<Reference>,
    opaque: bool,
    path: Vec<(&'static str, &'static str)>,
    /// Parts of the name of a function or operator that is being read.
    called: Vec<String>,
}

impl Mentioned {
    fn finish(&mut self) {
        if !self.called.is_empty() {
            let name = std::mem::take(&mut self.called);
            self.opaque |= !allow::function(&name) && !allow::operator(&name);
        }
    }
}

impl Visit for Mentioned {
    fn enter(&mut self, kind: &'static str) -> bool {
        match kind {
            "SubLink" | "SelectStmt" => {
                self.opaque = true;
                return false;
            }
            "ColumnRef" => {
                self.finish();
                self.references.push(Reference::default());
            }
            "AStar" => {
                if let Some(reference) = self.references.last_mut() {
                    reference.star = true;
                }
            }
            "FuncCall" | "AExpr" => self.finish(),
            _ => {}
        }
        self.path.push((kind, ""));
        true
    }

    fn field(&mut self, name: &'static str) {
        if let Some(place) = self.path.last_mut() {
            if matches!((place.0, place.1), ("FuncCall", "funcname") | ("AExpr", "name")) {
                let called = std::mem::take(&mut self.called);
                self.opaque |= !called.is_empty() && !allow::function(&called) && !allow::operator(&called);
            }
            place.1 = name;
        }
    }

    fn text(&mut self, value: &str) {
        let around: Vec<_> = self.path.iter().rev().take(2).collect();
        match around[..] {
            [("String", _), ("ColumnRef", "fields"), ..] => {
                if let Some(reference) = self.references.last_mut() {
                    reference.names.push(value.to_owned());
                }
            }
            [("String", _), ("FuncCall", "funcname") | ("AExpr", "name"), ..] => self.called.push(value.to_owned()),
            _ => {}
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, _: &'static str) {
        self.path.pop();
    }
}

#[cfg(test)]
mod tests;
