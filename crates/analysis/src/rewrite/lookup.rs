//! Conditions on tokens that find their rows through an index.
//!
//! ```sql
//! … FROM clinic.patient p WHERE p.mrn = 'phi_mrn_…'
//! -- becomes
//! … FROM (SELECT …, <token of mrn> AS mrn, … FROM clinic.patient WHERE mrn = <the value of that token>) p
//!   WHERE p.mrn = 'phi_mrn_…'
//! ```
//! Without it every row is hashed to be compared. The added condition removes no row of the answer: a token is injective,
//! so `token(mrn) = t` holds for the one value of `t` only, and that value equals itself under any `=`. It stands beside
//! the condition on the token, never in its place; and what is wrong with a token is left to that: where it has no value,
//! nothing is added. The value is worked out by the database (see [`chaperone_mask::TokenKeys::lookup`]).
//!
//! Of a parameter nobody knows yet what it will hold. What is added is true for whatever has not the form of a token that
//! can be inverted, and the planner sees that when it knows the value ([`chaperone_mask::TokenKeys::lookup_parameter`]).

use std::collections::BTreeSet;

use chaperone_mask::quoted;
use chaperone_model::{Refusal, Rung, TableName};
use pg_query::protobuf::{self as pg, AExprKind, BoolExprType};
use pg_query::{Node, NodeEnum};

use super::{Masker, node, refuse};
use crate::allow::PG_CATALOG;
use crate::catalog::Relation;
use crate::depth::Depth;
use crate::parse;

/// Conditions of one query that are looked up.
const MOST: usize = 32;

/// A condition of the form `alias.column = token`.
///
/// Of several tokens in an `IN` none is looked up: the index would hand out their rows in the order of the values behind
/// them, and so tell it (C1 of the review). Rows of one value have no such order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `None` where the query has one item only, whose columns need no name before them.
    alias: Option<String>,
    column: String,
    token: Token,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Constant(String),
    Parameter(i32),
}

/// The conditions of a query that every row of its answer meets, as far as they compare a column with constants and
/// parameters.
pub(super) fn wanted(select: &pg::SelectStmt) -> Vec<Wanted> {
    let single = match &select.from_clause[..] {
        [item] => matches!(item.node, Some(NodeEnum::RangeVar(_))),
        _ => false,
    };
    let mut found = Vec::new();
    conjuncts(select.where_clause.as_deref(), single, &mut found);
    found
}

fn conjuncts(condition: Option<&Node>, single: bool, found: &mut Vec<Wanted>) {
    match condition.and_then(|condition| condition.node.as_ref()) {
        Some(NodeEnum::BoolExpr(both)) if both.boolop == BoolExprType::AndExpr as i32 => {
            for condition in &both.args {
                conjuncts(Some(condition), single, found);
            }
        }
        Some(NodeEnum::AExpr(comparison)) if found.len() < MOST => found.extend(compared(comparison, single)),
        _ => {}
    }
}

fn compared(comparison: &pg::AExpr, single: bool) -> Option<Wanted> {
    let [operator] = &comparison.name[..] else { return None };
    if !matches!(&operator.node, Some(NodeEnum::String(name)) if name.sval == "=") {
        return None;
    }
    let (left, right) = (comparison.lexpr.as_deref()?, comparison.rexpr.as_deref()?);
    let (column, token) = match (AExprKind::try_from(comparison.kind).ok()?, constant(left), constant(right)) {
        (AExprKind::AexprOp, None, Some(token)) => (left, token),
        (AExprKind::AexprOp, Some(token), None) => (right, token),
        _ => return None,
    };
    let Some(NodeEnum::ColumnRef(column)) = &column.node else { return None };
    let names: Option<Vec<&str>> = column
        .fields
        .iter()
        .map(|field| match &field.node {
            Some(NodeEnum::String(name)) => Some(&*name.sval),
            _ => None,
        })
        .collect();
    let (alias, column) = match names?[..] {
        [column] if single => (None, column.to_owned()),
        [alias, column] => (Some(alias.to_owned()), column.to_owned()),
        _ => return None,
    };
    Some(Wanted { alias, column, token })
}

/// A string or a parameter, with or without a cast to `text`.
fn constant(value: &Node) -> Option<Token> {
    match value.node.as_ref()? {
        NodeEnum::ParamRef(parameter) => Some(Token::Parameter(parameter.number)),
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            pg::a_const::Val::Sval(text) => Some(Token::Constant(text.sval.clone())),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => {
            let ty = cast.type_name.as_ref()?;
            let names: Vec<&str> = ty
                .names
                .iter()
                .filter_map(|name| match &name.node {
                    Some(NodeEnum::String(name)) => Some(&*name.sval),
                    _ => None,
                })
                .collect();
            let text = matches!(names[..], ["text"] | [PG_CATALOG, "text"]) && ty.array_bounds.is_empty();
            cast.arg.as_deref().filter(|_| text).and_then(constant)
        }
        _ => None,
    }
}

impl Masker<'_> {
    /// Adds to the masked self of a relation, known as `known_as`, what the query's conditions on its tokens allow.
    pub(super) fn look_up(
        &mut self,
        name: &TableName,
        relation: &Relation,
        known_as: &str,
        query: &mut pg::SelectStmt,
    ) -> Result<(), Refusal> {
        let Some(keys) = self.protection.masker.keys else { return Ok(()) };
        let wanted = self.wanted.last().map(Vec::as_slice).unwrap_or_default();
        let mut conditions = Vec::new();
        let mut done = BTreeSet::new();
        for one in wanted.iter().filter(|one| one.alias.as_deref().is_none_or(|alias| alias == known_as)) {
            let Some(column) = relation.columns.iter().find(|column| column.name == one.column) else { continue };
            // where a collation takes other values for equal, the index hands out their rows too, and conditions of the
            // agent's, which can raise, may see those before the one on the token does
            let plain = column.bytewise
                && column.type_oid == column.base_oid
                && column.base.schema == PG_CATALOG
                && matches!(&*column.base.name, "text" | "varchar");
            let is_token = self.protection.masks.rung(name, &column.name) == Rung::Token;
            let class = self.protection.classification.get(name).map(|classes| classes.class(&column.name));
            let (true, true, None, Some(class)) = (plain, is_token, &column.generated_from, class) else { continue };
            let own = quoted(&column.name);
            let condition = match &one.token {
                Token::Constant(token) => {
                    keys.lookup(class, token).map(|value| format!("{own} OPERATOR(pg_catalog.=) {value}"))
                }
                Token::Parameter(number) if self.catalog.utf8 => keys.lookup_parameter(class, &own, *number),
                Token::Parameter(_) => None,
            };
            conditions.extend(condition.filter(|_| done.insert(column.number)));
        }
        if conditions.is_empty() {
            return Ok(());
        }
        let text = format!("SELECT WHERE {}", conditions.join(" AND "));
        let condition = match parse::tree(&text, Depth::of(&text)?)?.pop().and_then(|raw| raw.stmt?.node) {
            Some(NodeEnum::SelectStmt(select)) => select.where_clause,
            _ => None,
        };
        let condition = condition.ok_or_else(|| refuse::internal("a condition on tokens does not parse"))?;
        query.where_clause = Some(match query.where_clause.take() {
            None => condition,
            Some(before) => Box::new(node(NodeEnum::BoolExpr(Box::new(pg::BoolExpr {
                boolop: BoolExprType::AndExpr as i32,
                args: vec![*before, *condition],
                ..Default::default()
            })))),
        });
        self.put_in += super::proof::size(query);
        self.looked_up.push(query.clone());
        Ok(())
    }
}
