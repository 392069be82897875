//! Statements that write: their targets keep their place, and what looks at a target's rows looks at masked ones
//! ([`super::target`]). What a write may tell by succeeding is looked at in [`super::probe`].
//!
//! A mask must not come to stand in a table ([`super::echo`]).

use std::collections::BTreeSet;

use chaperone_model::{Refusal, Rung};
use pg_query::protobuf::{self as pg, CmdType, MergeMatchKind, OnConflictAction};
use pg_query::{Node, NodeEnum};

use super::echo::echo;
use super::probe::Written;
use super::refuse::{self, refusal};
use super::target::{References, Target};
use super::{Item, Masker, expected_of, node, source};
use crate::output::{self, Expected};
use crate::parse;

/// The columns that a write returns, where it returns any; `None` within where the server decides.
type Returned = Option<Option<Vec<Expected>>>;

impl Masker<'_> {
    /// A statement that writes.
    pub(super) fn write(&mut self, statement: &mut NodeEnum) -> Result<Returned, Refusal> {
        self.scopes.push(Vec::new());
        self.wanted.push(Vec::new());
        let done = match statement {
            NodeEnum::InsertStmt(insert) => self.insert(insert),
            NodeEnum::UpdateStmt(update) => self.update(update),
            NodeEnum::DeleteStmt(delete) => self.delete(delete),
            NodeEnum::MergeStmt(merge) => self.merge(merge),
            other => Err(refuse::construct(&format!("`{}` in WITH", crate::visit::kind_of(other)))),
        };
        self.wanted.pop();
        self.scopes.pop();
        done
    }

    fn update(&mut self, update: &mut pg::UpdateStmt) -> Result<Returned, Refusal> {
        let pg::UpdateStmt { relation, target_list, where_clause, from_clause, returning_clause, with_clause } = update;
        let as_sent = (from_clause.clone(), with_clause.clone());
        with_clause.as_mut().map_or(Ok(()), |with| self.with(with))?;
        let target = self.target(named(relation)?)?;
        for item in from_clause.iter_mut() {
            self.from(item, false)?;
        }
        let tainted = self.shows_masked(&as_sent.0) || self.shows_masked(&as_sent.1);
        let written = self.assignments(target_list, &target, tainted)?;
        self.may_write(&target, &Written::Updated(written))?;
        self.rows(where_clause, &target)?;
        self.returning(returning_clause, &target, from_clause)
    }

    fn delete(&mut self, delete: &mut pg::DeleteStmt) -> Result<Returned, Refusal> {
        let pg::DeleteStmt { relation, using_clause, where_clause, returning_clause, with_clause } = delete;
        with_clause.as_mut().map_or(Ok(()), |with| self.with(with))?;
        let target = self.target(named(relation)?)?;
        for item in using_clause.iter_mut() {
            self.from(item, false)?;
        }
        self.may_write(&target, &Written::Deleted)?;
        self.rows(where_clause, &target)?;
        self.returning(returning_clause, &target, using_clause)
    }

    fn insert(&mut self, insert: &mut pg::InsertStmt) -> Result<Returned, Refusal> {
        let pg::InsertStmt {
            relation,
            cols,
            select_stmt,
            on_conflict_clause,
            returning_clause,
            with_clause,
            r#override: _,
        } = insert;
        let as_sent = (select_stmt.clone(), with_clause.clone());
        with_clause.as_mut().map_or(Ok(()), |with| self.with(with))?;
        if select_stmt.is_some() {
            self.subquery(select_stmt)?;
        }
        // the rows to insert cannot see the target
        let mut target = self.target(named(relation)?)?;
        if !target.own && (self.shows_masked(&as_sent.0) || self.shows_masked(&as_sent.1)) {
            return Err(echo("what is inserted"));
        }
        let columns = match cols.is_empty() {
            true => target.columns.clone(),
            false => cols.iter().map(assigned).collect::<Result<_, _>>()?,
        };
        for column in &columns {
            self.may_hold(&target, column)?;
        }
        for row in rows_of(as_sent.0.as_deref()) {
            columns.iter().zip(row).try_for_each(|(column, value)| self.no_token(&target, column, value))?;
        }
        self.may_write(&target, &Written::Inserted)?;
        if let Some(conflict) = on_conflict_clause {
            self.on_conflict(conflict, &mut target)?;
        }
        self.returning(returning_clause, &target, &[])
    }

    fn on_conflict(&mut self, conflict: &mut pg::OnConflictClause, target: &mut Target) -> Result<(), Refusal> {
        let pg::OnConflictClause { action, infer, target_list, where_clause, location: _ } = conflict;
        if let Some(infer) = infer {
            let pg::InferClause { index_elems, where_clause, conname: _, location: _ } = &mut **infer;
            for element in index_elems {
                let Some(NodeEnum::IndexElem(element)) = &element.node else {
                    return Err(refuse::internal("an index's element is something else"));
                };
                if element.expr.is_some() || !element.opclass.is_empty() || !element.opclassopts.is_empty() {
                    return Err(refuse::construct("ON CONFLICT with an expression"));
                }
            }
            if let Some(predicate) = where_clause {
                self.expression(predicate)?;
                if !target.shows_through(predicate) {
                    return Err(refuse::construct("ON CONFLICT with a condition on masked columns"));
                }
            }
        }
        if *action != OnConflictAction::OnconflictUpdate as i32 {
            return Ok(());
        }
        if target.alias == EXCLUDED {
            return Err(refuse::construct("a target called `excluded`"));
        }
        self.item(Item::other(EXCLUDED));
        target.excluded = true;
        let written = self.assignments(target_list, target, false)?;
        self.may_write(target, &Written::Updated(written))?;
        self.condition(where_clause, target)?;
        target.excluded = false;
        Ok(())
    }

    fn merge(&mut self, merge: &mut pg::MergeStmt) -> Result<Returned, Refusal> {
        let pg::MergeStmt {
            relation,
            source_relation,
            join_condition,
            merge_when_clauses,
            returning_clause,
            with_clause,
        } = merge;
        let as_sent = (source_relation.clone(), with_clause.clone());
        with_clause.as_mut().map_or(Ok(()), |with| self.with(with))?;
        let target = self.target(named(relation)?)?;
        let Some(source) = source_relation else { return Err(refuse::internal("MERGE has no source")) };
        self.from(source, false)?;
        let tainted = self.shows_masked(&as_sent.0) || self.shows_masked(&as_sent.1);
        let Some(join) = join_condition else { return Err(refuse::internal("MERGE has no condition")) };
        self.expression(join)?;
        if !target.shows_through(join) {
            return Err(refusal(
                "masking.merge",
                "MERGE … ON a masked column of its target is not supported".into(),
                "each row of the source would be compared with each row of the target",
                "join on columns that are not masked, and put the rest into WHEN … AND",
            ));
        }
        for clause in merge_when_clauses {
            let Some(NodeEnum::MergeWhenClause(clause)) = &mut clause.node else {
                return Err(refuse::internal("a clause of MERGE is something else"));
            };
            self.when(clause, &target, tainted)?;
        }
        self.returning(returning_clause, &target, std::slice::from_ref(source))
    }

    fn when(&mut self, clause: &mut pg::MergeWhenClause, target: &Target, tainted: bool) -> Result<(), Refusal> {
        let pg::MergeWhenClause { match_kind, command_type, r#override: _, condition, target_list, values } = clause;
        match MergeMatchKind::try_from(*match_kind) {
            Ok(MergeMatchKind::MergeWhenMatched | MergeMatchKind::MergeWhenNotMatchedBySource) => {
                self.condition(condition, target)?;
            }
            // there is no row of the target here, and the server lets nobody name one
            Ok(MergeMatchKind::MergeWhenNotMatchedByTarget) => {
                self.optional(condition)?;
            }
            Ok(MergeMatchKind::Undefined) | Err(_) => return Err(refuse::construct("a clause of MERGE")),
        }
        match CmdType::try_from(*command_type) {
            Ok(CmdType::CmdUpdate) => {
                let written = self.assignments(target_list, target, tainted)?;
                self.may_write(target, &Written::Updated(written))
            }
            Ok(CmdType::CmdDelete) => self.may_write(target, &Written::Deleted),
            Ok(CmdType::CmdInsert) => {
                let as_sent = values.clone();
                self.expressions(values)?;
                as_sent.iter().try_for_each(|value| self.no_mask(value, target, tainted))?;
                let columns: Vec<String> = match target_list.is_empty() {
                    true => target.columns.clone(),
                    false => target_list.iter().map(assigned).collect::<Result<_, _>>()?,
                };
                columns.iter().try_for_each(|column| self.may_hold(target, column))?;
                columns.iter().zip(&as_sent).try_for_each(|(column, value)| self.no_token(target, column, value))?;
                self.may_write(target, &Written::Inserted)
            }
            Ok(CmdType::CmdNothing) => Ok(()),
            _ => Err(refuse::construct("a clause of MERGE")),
        }
    }

    /// Which rows: a condition, or where a cursor is.
    fn rows(&mut self, condition: &mut Option<Box<Node>>, target: &Target) -> Result<(), Refusal> {
        match condition.as_ref().and_then(|condition| condition.node.as_ref()) {
            // the cursor was declared by a statement that was masked, and is at a row of it
            Some(NodeEnum::CurrentOfExpr(current)) if current.cursor_param == 0 => Ok(()),
            _ => self.condition(condition, target),
        }
    }

    /// `SET`: the columns that are written.
    fn assignments(&mut self, list: &mut [Node], target: &Target, tainted: bool) -> Result<BTreeSet<String>, Refusal> {
        one_by_one(list)?;
        let mut written = BTreeSet::new();
        for assignment in list {
            let column = assigned(assignment)?;
            let Some(NodeEnum::ResTarget(assignment)) = &mut assignment.node else {
                return Err(refuse::internal("an assignment is something else"));
            };
            let Some(value) = &mut assignment.val else { return Err(refuse::internal("an assignment has no value")) };
            let as_sent = value.clone();
            self.expression(value)?;
            self.no_mask(&as_sent, target, tainted)?;
            self.may_hold(target, &column)?;
            self.no_token(target, &column, &as_sent)?;
            self.wrap(value, target)?;
            if target.masked.contains(&column) && !matches!(value.node, Some(NodeEnum::SetToDefault(_))) {
                self.guard(value, target, &column)?;
            }
            written.insert(column);
        }
        Ok(written)
    }

    /// Whether a value of the agent's may come to stand in a column.
    pub(super) fn may_hold(&self, target: &Target, column: &str) -> Result<(), Refusal> {
        let live =
            self.relation_of(target).and_then(|relation| relation.columns.iter().find(|live| live.name == column));
        if live.is_some_and(|live| source::poisoned(live, &self.protection)) {
            return Err(refusal(
                "masking.code",
                format!("nothing may be written to `{}.{column}`", target.name),
                "a value that becomes one of its type can run code of the database, which could read protected columns",
                "name the other columns, and leave it out",
            ));
        }
        let token = self.protection.masks.rung(&target.name, column) == Rung::Token;
        if token && !self.protection.masks.may_probe(&target.name, column) {
            return Err(refusal(
                "masking.dictionary",
                format!("`{}.{column}` is shown as tokens, so nothing may be written to it", target.name),
                "who may write values and read their tokens can find out which token is whose",
                "leave the column out; whoever keeps the policies can permit `probe` on it",
            ));
        }
        Ok(())
    }

    /// A token must not take the place of what it stands for: agents write back what they were shown.
    fn no_token(&mut self, target: &Target, column: &str, value: &Node) -> Result<(), Refusal> {
        let class = self.protection.classification.get(&target.name).map(|classes| classes.class(column));
        let Some(class) = class.filter(|class| class.may_be_token()) else { return Ok(()) };
        let full = || format!("{}.{column}", target.name);
        let mut value = value;
        while let Some(NodeEnum::TypeCast(cast)) = &value.node {
            let Some(inner) = cast.arg.as_deref() else { break };
            value = inner;
        }
        if let Some(NodeEnum::ParamRef(parameter)) = &value.node {
            let column = full();
            self.written.push(output::Written { parameter: parameter.number, column, class });
        }
        match parse::constant(value) {
            Some(text) if chaperone_mask::looks_like_token(class, &text) => Err(output::is_token(&full())),
            _ => Ok(()),
        }
    }

    /// `RETURNING`: rows as they are now, masked.
    fn returning(
        &mut self,
        clause: &mut Option<pg::ReturningClause>,
        target: &Target,
        from: &[Node],
    ) -> Result<Returned, Refusal> {
        let Some(pg::ReturningClause { options, exprs }) = clause else { return Ok(None) };
        if !options.is_empty() {
            return Err(refuse::construct("RETURNING WITH"));
        }
        let mut list = Vec::with_capacity(exprs.len());
        for mut expr in std::mem::take(exprs) {
            self.expression(&mut expr)?;
            let Some(NodeEnum::ResTarget(returned)) = &mut expr.node else {
                return Err(refuse::internal("RETURNING holds something else"));
            };
            let Some(value) = &mut returned.val else { return Err(refuse::internal("RETURNING holds nothing")) };
            self.no_old_or_new(value, target)?;
            match star_of(value) {
                // of a column of that name there is no star
                Some(Some(alias)) if matches!(&*alias, "old" | "new") && !self.is_in_from(&alias) => {
                    return Err(refuse::construct("`old` or `new` in RETURNING"));
                }
                // as it is: nothing of it is masked
                Some(None | Some(_)) if target.own => list.push(expr),
                Some(None) => {
                    self.all_columns(target, &mut list)?;
                    for item in from {
                        list.extend(all_of(item)?);
                    }
                }
                Some(Some(alias)) if alias == target.alias => self.all_columns(target, &mut list)?,
                Some(Some(_)) => list.push(expr),
                None => {
                    self.wrap(value, target)?;
                    list.push(expr);
                }
            }
        }
        *exprs = list;
        Ok(Some(expected_of(exprs)))
    }

    /// `target.*`, column by column: a query in brackets has no star.
    fn all_columns(&mut self, target: &Target, list: &mut Vec<Node>) -> Result<(), Refusal> {
        for column in &target.columns {
            let mut value = target.column(column);
            self.wrap(&mut value, target)?;
            let returned = pg::ResTarget { name: column.clone(), val: Some(Box::new(value)), ..Default::default() };
            list.push(node(NodeEnum::ResTarget(Box::new(returned))));
        }
        Ok(())
    }

    fn is_in_from(&self, alias: &str) -> bool {
        self.scopes.last().is_some_and(|items| items.iter().any(|item| item.alias == *alias))
    }

    /// From version 18 on `old` and `new` are rows as stored (PostgreSQL manual, 6.4).
    fn no_old_or_new(&self, value: &Node, target: &Target) -> Result<(), Refusal> {
        let names = References::of(value, false);
        let is_row = |name: &String| (name == "old" || name == "new") && !self.is_in_from(name);
        let found = names.names.iter().any(|reference| match &reference[..] {
            [name] => is_row(name) && !target.columns.contains(name),
            [first, ..] => is_row(first),
            [] => false,
        });
        if found { Err(refuse::construct("`old` or `new` in RETURNING")) } else { Ok(()) }
    }
}

/// The row that was to be inserted, in `ON CONFLICT DO UPDATE`.
pub(super) const EXCLUDED: &str = "excluded";

fn named(relation: &mut Option<pg::RangeVar>) -> Result<&mut pg::RangeVar, Refusal> {
    relation.as_mut().ok_or_else(|| refuse::internal("a write has no target"))
}

/// The rows that `INSERT` is given one by one, or the one that its query makes for each row.
fn rows_of(query: Option<&Node>) -> Vec<Vec<&Node>> {
    let Some(NodeEnum::SelectStmt(select)) = query.and_then(|query| query.node.as_ref()) else { return Vec::new() };
    let listed = select.values_lists.iter().filter_map(|row| match &row.node {
        Some(NodeEnum::List(row)) => Some(row.items.iter().collect()),
        _ => None,
    });
    let made = select.target_list.iter().map_while(|target| match &target.node {
        Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
        _ => None,
    });
    listed.chain([made.collect()]).collect()
}

/// The column that an assignment is to.
fn assigned(assignment: &Node) -> Result<String, Refusal> {
    match &assignment.node {
        Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => Ok(target.name.clone()),
        Some(NodeEnum::ResTarget(_)) => Err(refuse::construct("an assignment to a part of a column")),
        _ => Err(refuse::internal("an assignment is something else")),
    }
}

/// `SET (a, b) = (1, 2)` as `SET a = 1, b = 2`.
fn one_by_one(list: &mut [Node]) -> Result<(), Refusal> {
    for assignment in list {
        let Some(NodeEnum::ResTarget(target)) = &mut assignment.node else { continue };
        let value = match target.val.as_mut().and_then(|val| val.node.as_mut()) {
            Some(NodeEnum::MultiAssignRef(part)) => {
                let source = part.source.take().and_then(|source| source.node);
                let number = usize::try_from(part.colno).ok().and_then(|number| number.checked_sub(1));
                match (source, number) {
                    (Some(NodeEnum::RowExpr(row)), Some(number))
                        if usize::try_from(part.ncolumns).ok() == Some(row.args.len()) =>
                    {
                        row.args.into_iter().nth(number)
                    }
                    _ => return Err(refuse::construct("an assignment of a row that is not written out")),
                }
            }
            _ => continue,
        };
        target.val = value.map(Box::new);
    }
    Ok(())
}

/// Whether an expression is `*` (`Some(None)`) or `alias.*`.
fn star_of(value: &Node) -> Option<Option<String>> {
    let Some(NodeEnum::ColumnRef(column)) = &value.node else { return None };
    let is_star = |field: &Node| matches!(field.node, Some(NodeEnum::AStar(_)));
    match &column.fields[..] {
        [star] if is_star(star) => Some(None),
        [alias, star] if is_star(star) => match &alias.node {
            Some(NodeEnum::String(alias)) => Some(Some(alias.sval.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// `alias.*` of an item of `FROM`.
fn all_of(item: &Node) -> Result<Option<Node>, Refusal> {
    let alias = match &item.node {
        Some(NodeEnum::RangeSubselect(item)) => item.alias.as_ref().map(|alias| alias.aliasname.clone()),
        Some(NodeEnum::RangeFunction(item)) => item.alias.as_ref().map(|alias| alias.aliasname.clone()),
        Some(NodeEnum::RangeVar(item)) => {
            Some(item.alias.as_ref().map_or(&item.relname, |alias| &alias.aliasname).clone())
        }
        _ => None,
    };
    let Some(alias) = alias else {
        return Err(refuse::construct("`RETURNING *` with a join"));
    };
    let star = node(NodeEnum::AStar(pg::AStar {}));
    let value = node(NodeEnum::ColumnRef(pg::ColumnRef { fields: vec![super::string(&alias), star], location: 0 }));
    Ok(Some(node(NodeEnum::ResTarget(Box::new(pg::ResTarget { val: Some(Box::new(value)), ..Default::default() })))))
}
