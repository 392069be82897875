//! What a check constraint says of a column's values: all of them, or a pattern.

use pg_query::protobuf::{AExprKind, BoolExprType};
use pg_query::{Node, NodeEnum};

use crate::parse::{constant, parse};

/// What was found.
#[derive(Default)]
pub(super) struct Constraint {
    /// Every value there can be (or NULL).
    pub(super) values: Option<Vec<String>>,
    /// Strings that values are compared with otherwise.
    pub(super) patterns: Vec<String>,
}

/// Looks at an expression as `pg_get_expr` writes it, over one column.
pub(super) fn constraint(expression: &str) -> Constraint {
    let Ok(statements) = parse(&format!("SELECT {expression}")) else { return Constraint::default() };
    if statements.len() != 1 {
        return Constraint::default();
    }
    statements.depth().run(|| {
        let target = match statements.node(0) {
            NodeEnum::SelectStmt(select) => select.target_list.first(),
            _ => None,
        };
        let value = target.and_then(|target| match target.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
            _ => None,
        });
        let mut found = Constraint::default();
        if let Some(value) = value {
            found.values = values(value);
            if found.values.is_none() {
                strings(value, &mut found.patterns);
            }
        }
        found
    })
}

/// `c = ANY (ARRAY['a', 'b'])`, `c = 'a'`, one of them and something else, `c IS NULL` or one of them, and `c = 'a' OR
/// c = 'b'`.
fn values(node: &Node) -> Option<Vec<String>> {
    match bare(node) {
        NodeEnum::AExpr(expression) => {
            let operator = expression.name.last().and_then(|name| match name.node.as_ref() {
                Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
                _ => None,
            });
            if operator != Some("=") || !is_column(expression.lexpr.as_deref()?) {
                return None;
            }
            let right = expression.rexpr.as_deref()?;
            match AExprKind::try_from(expression.kind).ok()? {
                AExprKind::AexprOpAny => match bare(right) {
                    NodeEnum::AArrayExpr(array) => array.elements.iter().map(one).collect(),
                    _ => None,
                },
                AExprKind::AexprIn => match bare(right) {
                    NodeEnum::List(list) => list.items.iter().map(one).collect(),
                    _ => None,
                },
                AExprKind::AexprOp => one(right).map(|value| vec![value]),
                _ => None,
            }
        }
        NodeEnum::BoolExpr(expression) => match BoolExprType::try_from(expression.boolop).ok()? {
            BoolExprType::AndExpr => expression.args.iter().find_map(values),
            BoolExprType::OrExpr => {
                let mut all = Vec::new();
                for arm in &expression.args {
                    if !matches!(bare(arm), NodeEnum::NullTest(_)) {
                        all.extend(values(arm)?);
                    }
                }
                Some(all)
            }
            BoolExprType::NotExpr | BoolExprType::Undefined => None,
        },
        _ => None,
    }
}

fn one(node: &Node) -> Option<String> {
    match bare(node) {
        NodeEnum::AConst(_) => constant(strip(node)),
        _ => None,
    }
}

fn is_column(node: &Node) -> bool {
    matches!(bare(node), NodeEnum::ColumnRef(_))
}

/// The node under any casts.
fn strip(mut node: &Node) -> &Node {
    while let Some(NodeEnum::TypeCast(cast)) = node.node.as_ref()
        && let Some(inner) = cast.arg.as_deref()
    {
        node = inner;
    }
    node
}

fn bare(node: &Node) -> &NodeEnum {
    const NOTHING: &NodeEnum = &NodeEnum::CheckPointStmt(pg_query::protobuf::CheckPointStmt {});
    strip(node).node.as_ref().unwrap_or(NOTHING)
}

fn strings(node: &Node, found: &mut Vec<String>) {
    match bare(node) {
        NodeEnum::AConst(_) => found.extend(constant(strip(node))),
        NodeEnum::AExpr(expression) => {
            let sides = [expression.lexpr.as_deref(), expression.rexpr.as_deref()];
            sides.into_iter().flatten().for_each(|side| strings(side, found));
        }
        NodeEnum::BoolExpr(expression) => expression.args.iter().for_each(|arm| strings(arm, found)),
        _ => {}
    }
}
