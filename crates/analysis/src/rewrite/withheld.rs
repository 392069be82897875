//! Functions of the server that clients call in passing, and that show how much hidden data there is or what it may be:
//! pages on the disk, rows that were counted, bounds of partitions, bodies of functions.
//!
//! Lists of tables and administrators' tools ask for them beside much that may be shown (`\dt+`), so they are not
//! refused: `NULL` of their type stands in their place. Their arguments stay, so that parameters keep their numbers and
//! types.

use pg_query::protobuf::{self as pg, AExprKind, a_const::Val};
use pg_query::{Node, NodeEnum};

use super::{node, string};
use crate::allow::PG_CATALOG;

/// What a function returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returns {
    Bigint,
    Text,
}

/// Name, type of the first argument, result.
const WITHHELD: [(&str, &str, Returns); 12] = [
    ("pg_database_size", "text", Returns::Bigint),
    ("pg_get_function_sqlbody", "oid", Returns::Text),
    ("pg_get_functiondef", "oid", Returns::Text),
    ("pg_get_partition_constraintdef", "oid", Returns::Text),
    ("pg_indexes_size", "regclass", Returns::Bigint),
    ("pg_relation_size", "regclass", Returns::Bigint),
    ("pg_stat_get_dead_tuples", "oid", Returns::Bigint),
    ("pg_stat_get_live_tuples", "oid", Returns::Bigint),
    ("pg_stat_get_numscans", "oid", Returns::Bigint),
    ("pg_table_size", "regclass", Returns::Bigint),
    ("pg_tablespace_size", "text", Returns::Bigint),
    ("pg_total_relation_size", "regclass", Returns::Bigint),
];

/// Whether a function of `pg_catalog` is one of them.
pub(crate) fn is_one(name: &str) -> bool {
    WITHHELD.iter().any(|(withheld, ..)| *withheld == name)
}

/// The name that the server gives to a column of an answer which is such a call, or the OID of a relation, if `value` is
/// one: what stands in its place would be named otherwise.
pub(crate) fn called(value: Option<&Node>) -> Option<String> {
    let name = match value.and_then(|value| value.node.as_ref()) {
        Some(NodeEnum::FuncCall(call)) => last(&call.funcname).filter(|name| is_one(name)),
        Some(NodeEnum::ColumnRef(column)) => last(&column.fields).filter(|name| *name == "tableoid"),
        _ => None,
    };
    name.map(str::to_owned)
}

fn last(name: &[Node]) -> Option<&str> {
    match name.last().and_then(|name| name.node.as_ref()) {
        Some(NodeEnum::String(name)) => Some(&name.sval),
        _ => None,
    }
}

/// `size(a, b)` becomes `int8(CASE WHEN num_nonnulls(a::…, b) < 0 THEN 0 END)`: never, so `NULL`. For a text it is
/// `btrim(CASE … THEN '' END)`.
pub(crate) fn hide(call: &mut pg::FuncCall) {
    let entry = WITHHELD.iter().find(|(name, ..)| Some(*name) == last(&call.funcname));
    let Some((_, ty, returns)) = entry else { return };
    let mut args = std::mem::take(&mut call.args);
    if let Some(arg) = args.first_mut() {
        let type_name =
            pg::TypeName { names: vec![string(PG_CATALOG), string(ty)], typemod: -1, ..pg::TypeName::default() };
        let cast = pg::TypeCast { arg: Some(Box::new(arg.clone())), type_name: Some(type_name), location: 0 };
        *arg = node(NodeEnum::TypeCast(Box::new(cast)));
    }
    let explicit = pg::CoercionForm::CoerceExplicitCall as i32;
    let counted = pg::FuncCall {
        funcname: vec![string(PG_CATALOG), string("num_nonnulls")],
        args,
        funcformat: explicit,
        ..pg::FuncCall::default()
    };
    let zero = || Val::Ival(pg::Integer { ival: 0 });
    let never = pg::AExpr {
        kind: AExprKind::AexprOp as i32,
        name: vec![string(PG_CATALOG), string("<")],
        lexpr: Some(Box::new(node(NodeEnum::FuncCall(Box::new(counted))))),
        rexpr: Some(Box::new(constant(zero()))),
        ..pg::AExpr::default()
    };
    let (converted, result) = match returns {
        Returns::Bigint => ("int8", zero()),
        Returns::Text => ("btrim", Val::Sval(pg::String::default())),
    };
    let when = pg::CaseWhen {
        expr: Some(Box::new(node(NodeEnum::AExpr(Box::new(never))))),
        result: Some(Box::new(constant(result))),
        ..pg::CaseWhen::default()
    };
    let case = pg::CaseExpr { args: vec![node(NodeEnum::CaseWhen(Box::new(when)))], ..pg::CaseExpr::default() };
    call.funcname = vec![string(PG_CATALOG), string(converted)];
    call.args = vec![node(NodeEnum::CaseExpr(Box::new(case)))];
}

fn constant(val: Val) -> Node {
    node(NodeEnum::AConst(pg::AConst { val: Some(val), ..pg::AConst::default() }))
}
