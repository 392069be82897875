//! Queries: `WITH`, `FROM`, and everything between `SELECT` and `LIMIT`.

use chaperone_model::{Refusal, TableName};
use pg_query::protobuf as pg;
use pg_query::{Node, NodeEnum};

use super::refuse::{self, refusal};
use super::{Item, Masker, group, lookup, node, source, string};
use crate::allow::{PG_CATALOG, catalog_relation};
use crate::catalog::Column;
use crate::visit::kind_of;

impl Masker<'_> {
    /// A query in brackets.
    pub(crate) fn subquery(&mut self, query: &mut Option<Box<Node>>) -> Result<(), Refusal> {
        match query.as_mut().and_then(|query| query.node.as_mut()) {
            Some(NodeEnum::SelectStmt(select)) => self.select(select),
            Some(other) => Err(refuse::construct(&format!("`{}` in place of a query", kind_of(other)))),
            None => Err(refuse::internal("a query is missing")),
        }
    }

    /// A query, or a statement that writes.
    pub(crate) fn query_or_write(&mut self, statement: &mut Option<Box<Node>>) -> Result<(), Refusal> {
        match statement.as_mut().and_then(|statement| statement.node.as_mut()) {
            Some(
                statement @ (NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_)),
            ) => self.write(statement).map(drop),
            _ => self.subquery(statement),
        }
    }

    /// A query: every relation in it becomes its masked self.
    pub(crate) fn select(&mut self, select: &mut pg::SelectStmt) -> Result<(), Refusal> {
        if let Some(with) = &mut select.with_clause {
            self.with(with)?;
        }
        self.scopes.push(Vec::new());
        self.wanted.push(lookup::wanted(select));
        let done = self.clauses(select);
        self.wanted.pop();
        let items = self.scopes.pop();
        if self.scopes.is_empty() {
            self.top = items.unwrap_or_default();
        }
        done
    }

    fn clauses(&mut self, select: &mut pg::SelectStmt) -> Result<(), Refusal> {
        if select.into_clause.is_some() {
            return Err(refuse::ddl("SELECT INTO"));
        }
        // the server pushes a lock through to the table below, and asks there for the privilege
        select.locking_clause.iter().try_for_each(locking)?;
        for item in &mut select.from_clause {
            self.from(item, false)?;
            self.within_bounds()?;
        }
        let items = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        group::complete(select, items, self.steps.get_mut());
        let pg::SelectStmt {
            distinct_clause,
            into_clause: _,
            target_list,
            from_clause: _,
            where_clause,
            group_clause,
            group_distinct: _,
            having_clause,
            window_clause,
            values_lists,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause: _,
            with_clause: _,
            op: _,
            all: _,
            larg,
            rarg,
        } = select;
        for list in [distinct_clause, target_list, group_clause, window_clause, values_lists, sort_clause] {
            self.expressions(list)?;
        }
        for expression in [where_clause, having_clause, limit_offset, limit_count] {
            self.optional(expression)?;
        }
        [larg, rarg].into_iter().flatten().try_for_each(|branch| self.select(branch))
    }

    /// An item of `FROM`. Under a join with an alias of its own (`hidden`), its name is out of reach.
    pub(crate) fn from(&mut self, item: &mut Node, hidden: bool) -> Result<(), Refusal> {
        let Some(kind) = &mut item.node else { return Err(refuse::internal("an item of FROM is missing")) };
        match kind {
            NodeEnum::RangeVar(relation) => {
                if let Some(masked) = self.relation(relation, hidden)? {
                    *kind = masked;
                }
                Ok(())
            }
            NodeEnum::RangeSubselect(subselect) => {
                let pg::RangeSubselect { lateral: _, subquery, alias } = &mut **subselect;
                self.subquery(subquery)?;
                self.other(alias.as_ref().or(Some(&pg::Alias::default())));
                Ok(())
            }
            NodeEnum::JoinExpr(join) => {
                let pg::JoinExpr {
                    jointype: _,
                    is_natural,
                    larg,
                    rarg,
                    using_clause,
                    join_using_alias,
                    quals,
                    alias,
                    rtindex: _,
                } = &mut **join;
                for side in [larg, rarg].into_iter().flatten() {
                    self.from(side, hidden || alias.is_some())?;
                }
                if *is_natural || !using_clause.is_empty() {
                    self.implied_operator("=")?;
                }
                self.expressions(using_clause)?;
                self.optional(quals)?;
                self.other(alias.as_ref());
                self.other(join_using_alias.as_ref());
                Ok(())
            }
            NodeEnum::RangeFunction(functions) => {
                in_step(functions);
                let pg::RangeFunction { lateral: _, ordinality: _, is_rowsfrom: _, functions, alias, coldeflist } =
                    functions;
                for function in functions {
                    // a pair: the call, and the columns that it is said to return
                    match &mut function.node {
                        Some(NodeEnum::List(pair)) => {
                            if let Some((call, columns)) = pair.items.split_first_mut() {
                                self.expression(call)?;
                                self.column_definitions(columns)?;
                            }
                        }
                        _ => return Err(refuse::internal("a function in FROM is not a pair")),
                    }
                }
                self.column_definitions(coldeflist)?;
                let alias = alias.as_ref().map_or("", |alias| &*alias.aliasname);
                self.item(Item { function: true, ..Item::other(alias) });
                Ok(())
            }
            NodeEnum::RangeTableSample(_) => Err(refusal(
                "masking.tablesample",
                "TABLESAMPLE is not supported on a connection with protected data".into(),
                "it picks rows by where they lie, and so by the lengths of hidden values",
                "use ORDER BY random() LIMIT n, or a condition on the primary key",
            )),
            other => Err(refuse::construct(&format!("`{}` in FROM", kind_of(other)))),
        }
    }

    fn column_definitions(&mut self, columns: &mut [Node]) -> Result<(), Refusal> {
        for column in columns {
            match &mut column.node {
                None => {}
                Some(NodeEnum::List(list)) => self.column_definitions(&mut list.items)?,
                Some(NodeEnum::ColumnDef(column)) => {
                    if column.raw_default.is_some() || !column.constraints.is_empty() || !column.fdwoptions.is_empty() {
                        return Err(refuse::construct("a column definition with more than a type"));
                    }
                    match &mut column.type_name {
                        Some(ty) => self.type_name(ty)?,
                        None => return Err(refuse::internal("a column definition has no type")),
                    }
                }
                Some(other) => return Err(refuse::construct(&format!("`{}` in FROM", kind_of(other)))),
            }
        }
        Ok(())
    }

    /// Anything in `FROM` with a name of its own that is not a relation.
    pub(crate) fn other(&mut self, alias: Option<&pg::Alias>) {
        if let Some(alias) = alias {
            self.item(Item::other(&alias.aliasname));
        }
    }

    pub(crate) fn item(&mut self, item: Item) {
        self.items += 1;
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(item);
        }
    }

    /// A name in `FROM`: a CTE's stays; a relation's gives way to the subquery that is returned.
    fn relation(&mut self, range: &mut pg::RangeVar, hidden: bool) -> Result<Option<NodeEnum>, Refusal> {
        if let Some(own) = self.own(range)? {
            self.reads_own(own);
            let known_as = range.alias.as_ref().map_or(&*range.relname, |alias| &alias.aliasname);
            self.item(Item::other(known_as));
            return Ok(None);
        }
        let pg::RangeVar { catalogname, schemaname, relname, inh, relpersistence: _, alias, location: _ } = range;
        if !catalogname.is_empty() {
            return Err(refuse::construct("a relation with a database in its name"));
        }
        let known_as = alias.as_ref().map_or(&*relname, |alias| &alias.aliasname).clone();
        // no CTE has the name of a visible relation (checked at the start), so this needs no scopes: where the name is
        // not in scope the server finds nothing
        if schemaname.is_empty() && self.ctes.contains(relname) {
            self.item(Item::other(&known_as));
            return Ok(None);
        }
        // what a view's text names without a schema is the server's own
        let schema = if schemaname.is_empty() && self.views > 0 { PG_CATALOG } else { &**schemaname };
        let Some((name, relation)) = self.catalog.relation(schema, relname) else {
            let name = if schemaname.is_empty() { relname.clone() } else { format!("{schemaname}.{relname}") };
            return Err(refuse::unknown_relation(&name));
        };
        let is_view = relation.kind == 'v' && catalog_relation(&name.schema, &name.name).is_none();
        let mut query = if is_view { self.view(&name, relation)? } else { self.source(&name, !*inh)? };
        self.persons += usize::from(self.knows_subjects && !is_view && self.is_about_persons(&name));
        let primary_key_shown = relation.primary_key.iter().all(|number| {
            relation.columns.iter().any(|column| {
                column.number == *number && source::column_as_stored(&name, column, relation, &self.protection)
            })
        });
        if self.writes {
            let hidden = |column: &&Column| !source::column_as_stored(&name, column, relation, &self.protection);
            let hidden: Vec<String> =
                relation.columns.iter().filter(hidden).map(|column| column.name.clone()).collect();
            if let Some(alias) = alias.as_ref().filter(|_| !hidden.is_empty()) {
                // names that an alias gives to columns
                let names = alias.colnames.iter().filter_map(|name| match &name.node {
                    Some(NodeEnum::String(name)) => Some(name.sval.clone()),
                    _ => None,
                });
                self.hidden_names.extend(names);
            }
            self.hidden_names.extend(hidden);
        }
        let columns_renamed = alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
        let reachable = !hidden && !columns_renamed;
        let key = if !reachable || !primary_key_shown {
            Vec::new()
        } else {
            let name_of = |number: &i16| relation.columns.iter().find(|column| column.number == *number);
            relation.primary_key.iter().filter_map(name_of).map(|column| column.name.clone()).collect()
        };
        if reachable {
            self.look_up(&name, relation, &known_as, &mut query)?;
        }
        self.item(Item {
            function: false,
            renamed: alias.is_some(),
            alias: known_as.clone(),
            reachable,
            columns: (!columns_renamed).then(|| relation.columns.iter().map(|column| column.name.clone()).collect()),
            key,
            groupable: relation
                .columns
                .iter()
                .filter(|column| group::has_equality(column))
                .map(|column| column.name.clone())
                .collect(),
            table: Some(name),
        });
        let alias = alias.clone().unwrap_or(pg::Alias { aliasname: known_as, colnames: Vec::new() });
        Ok(Some(NodeEnum::RangeSubselect(Box::new(pg::RangeSubselect {
            lateral: false,
            subquery: Some(Box::new(node(NodeEnum::SelectStmt(Box::new(query))))),
            alias: Some(alias),
        }))))
    }

    /// The masked self of a relation, and a note that it is used.
    pub(crate) fn source(&mut self, name: &TableName, only: bool) -> Result<pg::SelectStmt, Refusal> {
        let key = (name.clone(), only);
        if let Some(source) = self.sources.get(&key) {
            self.put_in += source.size;
            self.within_bounds()?;
            return Ok(source.query.clone());
        }
        let Some(relation) = self.catalog.relations.get(name) else {
            return Err(refuse::internal("a relation is not in the catalog"));
        };
        let source = source::source(name, relation, only, &self.protection)?;
        let query = source.query.clone();
        self.put_in += source.size;
        self.sources.insert(key, source);
        Ok(query)
    }
}

/// `FOR UPDATE OF alias`: it names items of `FROM`, which are no relations of their own.
fn locking(clause: &Node) -> Result<(), Refusal> {
    let Some(NodeEnum::LockingClause(pg::LockingClause { locked_rels, strength: _, wait_policy: _ })) = &clause.node
    else {
        return Err(refuse::internal("a lock is something else"));
    };
    let alias = |item: &Node| match &item.node {
        Some(NodeEnum::RangeVar(item)) => {
            item.catalogname.is_empty() && item.schemaname.is_empty() && item.alias.is_none()
        }
        _ => false,
    };
    if locked_rels.iter().all(alias) { Ok(()) } else { Err(refuse::construct("a schema in FOR UPDATE OF")) }
}

/// `unnest(a, b)` as the server reads it in `FROM`: `ROWS FROM (unnest(a), unnest(b))`. It does so only where the name has no
/// schema, and a name that was checked has one.
fn in_step(range: &mut pg::RangeFunction) {
    let calls = range.functions.drain(..).flat_map(|function| each_alone(&function).unwrap_or_else(|| vec![function]));
    let calls: Vec<Node> = calls.collect();
    range.is_rowsfrom |= calls.len() > 1;
    range.functions = calls;
}

fn each_alone(function: &Node) -> Option<Vec<Node>> {
    let Some(NodeEnum::List(pair)) = &function.node else { return None };
    let (call, columns) = pair.items.split_first()?;
    let Some(NodeEnum::FuncCall(call)) = &call.node else { return None };
    let plain = call.agg_order.is_empty()
        && call.agg_filter.is_none()
        && call.over.is_none()
        && !(call.agg_star || call.agg_distinct || call.func_variadic);
    let listed = columns.iter().any(|columns| columns.node.is_some());
    if !matches!(super::names::parts(&call.funcname).as_deref(), Ok(["unnest"]))
        || call.args.len() < 2
        || !plain
        || listed
    {
        return None;
    }
    let alone = |arg: &Node| {
        let call = pg::FuncCall { args: vec![arg.clone()], ..(**call).clone() };
        let mut items = vec![node(NodeEnum::FuncCall(Box::new(call)))];
        items.extend(columns.iter().cloned());
        node(NodeEnum::List(pg::List { items }))
    };
    Some(call.args.iter().map(alone).collect())
}

/// `SELECT <columns> FROM ONLY <relation>`, as `COPY relation (columns)` reads it.
pub(crate) fn copied(relation: pg::RangeVar, columns: &[String]) -> pg::SelectStmt {
    let target_list = columns
        .iter()
        .map(|column| {
            let val = node(NodeEnum::ColumnRef(pg::ColumnRef { fields: vec![string(column)], location: 0 }));
            node(NodeEnum::ResTarget(Box::new(pg::ResTarget { val: Some(Box::new(val)), ..Default::default() })))
        })
        .collect();
    pg::SelectStmt {
        target_list,
        from_clause: vec![node(NodeEnum::RangeVar(relation))],
        limit_option: pg::LimitOption::Default as i32,
        op: pg::SetOperation::SetopNone as i32,
        ..Default::default()
    }
}
