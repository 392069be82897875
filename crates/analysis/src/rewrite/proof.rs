//! The proof that a rewriting is what was meant, by a second look that shares nothing with the first.
//!
//! The rewritten tree is written out, read again, and must come back the same. In what comes back, every relation must
//! stand inside a masked self, node for node as it was made; every node must be of a kind that is allowed; every
//! function must be named with `pg_catalog` and be on the list, or be one of an extension's that are.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chaperone_model::{Refusal, TableName};
use pg_query::protobuf::{self as pg, ParseResult, RawStmt};
use pg_query::{Node, NodeEnum};

use super::{node, refuse};
use crate::allow::{PG_CATALOG, PURE, READS_SETTINGS, RELEASES};
use crate::catalog::{Catalog, Namesakes};
use crate::depth::Depth;
use crate::parse;
use crate::temporary::PG_TEMP;
use crate::visit::{Visit, visit};

/// The major version and more of the grammar, as its trees carry it.
pub(super) const VERSION: i32 = 180_000;

/// What was put into a statement, and what it may name.
pub(crate) struct PutIn<'a> {
    /// Masked selves of relations.
    pub(crate) sources: Vec<&'a pg::SelectStmt>,
    /// What keeps a stored value where its mask comes back.
    pub(crate) guards: &'a [Node],
    /// Names of CTEs.
    pub(crate) ctes: &'a BTreeSet<String>,
    /// Tables that are written to.
    pub(crate) targets: &'a BTreeSet<TableName>,
    /// What is not masked: the session's own relations, and what is defined.
    pub(crate) bare: &'a BTreeSet<TableName>,
}

/// Writes `statement` out and proves it.
pub(crate) fn prove(
    statement: NodeEnum,
    put_in: &PutIn<'_>,
    catalog: &Catalog,
    depth: Depth,
) -> Result<String, Refusal> {
    let raw = RawStmt { stmt: Some(Box::new(node(statement))), stmt_location: 0, stmt_len: 0 };
    let meant = ParseResult { version: VERSION, stmts: vec![raw] };
    let text = match catch_unwind(AssertUnwindSafe(|| pg_query::deparse(&meant, pg_query::DeparseOptions::default()))) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) | Err(_) => return Err(refuse::internal("the rewritten statement cannot be written out")),
    };
    let again = parse::tree(&text, depth).map_err(|_| refuse::internal("the rewritten statement does not parse"))?;
    let [RawStmt { stmt: Some(again), .. }] = &again[..] else {
        return Err(refuse::internal("the rewritten statement is more than one"));
    };
    let meant = meant.stmts.first().map(|raw| tokens(&raw.stmt)).unwrap_or_default();
    let again = tokens(&Some(again));
    if meant != again {
        return Err(refuse::internal("the rewritten statement does not read as it was meant"));
    }
    let mut known: Vec<Vec<Token>> = put_in.sources.iter().map(|source| tokens(*source)).collect();
    known.extend(put_in.guards.iter().map(tokens));
    check(&again, &known, put_in, catalog)?;
    Ok(text)
}

/// The row of a target, for [`wrapped`].
pub(crate) struct Row<'a> {
    /// What it is known as.
    pub(crate) alias: &'a str,
    pub(crate) columns: &'a [String],
    /// Columns that may be named within a wrapping only.
    pub(crate) masked: &'a BTreeSet<String>,
    /// `excluded` is the row that was to be inserted.
    pub(crate) excluded: bool,
}

/// Whether an expression over a target's rows names what is masked only within a query over their masked selves.
pub(crate) fn wrapped(expression: &Node, wraps: &[pg::SelectStmt], row: &Row<'_>) -> Result<(), Refusal> {
    let Row { alias, columns, masked, excluded } = row;
    let shown = |name: &str| columns.iter().any(|column| column == name) && !masked.contains(name);
    let raw = || Err(refuse::internal("an expression over a row that is written would see it as stored"));
    let wraps: Vec<Vec<Token>> = wraps.iter().map(tokens).collect();
    let tree = tokens(expression);
    let mut rest = &tree[..];
    // the parts of the column reference that is being read, and whether a field of a row may come
    let mut reference: Option<Vec<&str>> = None;
    let mut open: Vec<&'static str> = Vec::new();
    while let Some((token, after)) = rest.split_first() {
        if *token == Token::Enter("SelectStmt") {
            match wraps.iter().find(|wrap| rest.starts_with(wrap)) {
                Some(wrap) => {
                    rest = rest.get(wrap.len()..).unwrap_or_default();
                    continue;
                }
                // a query of its own could reach the row from within
                None => return raw(),
            }
        }
        rest = after;
        match token {
            Token::Enter("AStar") => return raw(),
            Token::Enter(kind) => {
                open.push(kind);
                if *kind == "ColumnRef" {
                    reference = Some(Vec::new());
                }
            }
            Token::Text(value) => match &mut reference {
                Some(reference) => reference.push(value),
                None if open.contains(&"AIndirection") && masked.contains(value) => return raw(),
                None => {}
            },
            Token::Leave => {
                if open.pop() == Some("ColumnRef") {
                    let names = reference.take().unwrap_or_default();
                    let passes = match names[..] {
                        ["excluded", name] if *excluded => columns.iter().any(|column| column == name),
                        [name] => !masked.contains(name) && name != *alias,
                        // what is no column of the row could be a function of it
                        [first, name] if first == *alias => shown(name),
                        [first, name] => !masked.contains(first) && !masked.contains(name),
                        _ => false,
                    };
                    if !passes {
                        return raw();
                    }
                }
            }
            Token::Field(_) | Token::Number(_) | Token::Many(_) => {}
        }
    }
    Ok(())
}

/// A tree, flat: equal trees have equal tokens. Positions in the text are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Enter(&'static str),
    Field(&'static str),
    Text(String),
    Number(i64),
    Many(usize),
    Leave,
}

fn tokens<T: serde::Serialize + ?Sized>(tree: &T) -> Vec<Token> {
    let mut tokens = Tokens { tokens: Vec::new(), position: false };
    visit(tree, &mut tokens);
    tokens.tokens
}

/// How many parts a tree has.
pub(crate) fn size<T: serde::Serialize + ?Sized>(tree: &T) -> usize {
    tokens(tree).len()
}

struct Tokens {
    tokens: Vec<Token>,
    /// The field that is being read is a position.
    position: bool,
}

/// Fields that say where in a text something stood.
const POSITIONS: [&str; 10] = [
    "location",
    "stmt_location",
    "stmt_len",
    "list_start",
    "list_end",
    "rexpr_list_start",
    "rexpr_list_end",
    "name_location",
    "arg_location",
    "payload_location",
];

impl Visit for Tokens {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.tokens.push(Token::Enter(kind));
        true
    }

    fn field(&mut self, name: &'static str) {
        self.position = POSITIONS.contains(&name);
        self.tokens.push(Token::Field(name));
    }

    fn text(&mut self, value: &str) {
        self.tokens.push(Token::Text(value.to_owned()));
    }

    fn number(&mut self, value: i64) {
        if !self.position {
            self.tokens.push(Token::Number(value));
        }
    }

    fn many(&mut self, len: usize) {
        self.tokens.push(Token::Many(len));
    }

    fn leave(&mut self, _: &'static str) {
        self.tokens.push(Token::Leave);
    }
}

/// Kinds of nodes that may be in a rewritten statement.
#[rustfmt::skip]
const KINDS: [&str; 84] = [
    "SelectStmt", "WithClause", "CommonTableExpr", "RangeVar", "RangeSubselect", "RangeFunction", "JoinExpr", "Alias",
    "ResTarget", "ColumnRef", "ParamRef", "AConst", "AExpr", "BoolExpr", "NullTest", "BooleanTest", "SubLink",
    "CaseExpr", "CaseWhen", "CoalesceExpr", "MinMaxExpr", "RowExpr", "AArrayExpr", "AIndirection", "AIndices", "AStar",
    "TypeCast", "TypeName", "CollateClause", "FuncCall", "NamedArgExpr", "SqlValueFunction", "GroupingFunc",
    "GroupingSet", "SortBy", "WindowDef", "ColumnDef", "List", "String", "Integer", "Float", "Boolean", "BitString",
    "ExplainStmt", "DefElem", "DeclareCursorStmt", "CopyStmt", "FetchStmt", "ClosePortalStmt", "TransactionStmt",
    "VariableSetStmt", "VariableShowStmt", "DiscardStmt", "DeallocateStmt", "UnlistenStmt", "LockingClause",
    "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "MergeWhenClause", "OnConflictClause", "InferClause",
    "IndexElem", "ReturningClause", "SetToDefault", "CurrentOfExpr", "PrepareStmt", "ExecuteStmt",
    "CreateStmt", "Constraint", "TableLikeClause", "CreateTableAsStmt", "IntoClause", "ViewStmt", "IndexStmt",
    "AlterTableStmt", "AlterTableCmd", "DropStmt", "TruncateStmt", "VacuumStmt", "VacuumRelation", "CteSearchClause",
    "CteCycleClause",
];

/// Walks the flat tree past the masked selves.
fn check(tree: &[Token], known: &[Vec<Token>], put_in: &PutIn<'_>, catalog: &Catalog) -> Result<(), Refusal> {
    let mut rest = tree;
    let mut field = "";
    // inside which relation or call, and the parts of its name so far
    let mut open: Vec<&'static str> = Vec::new();
    let mut relation: Vec<&str> = Vec::new();
    let mut aliased = false;
    let mut function: Option<(usize, Vec<&str>)> = None;
    while let Some((token, after)) = rest.split_first() {
        if matches!(token, Token::Enter("SelectStmt" | "CaseExpr" | "CoalesceExpr"))
            && let Some(source) = known.iter().find(|source| rest.starts_with(source))
        {
            rest = rest.get(source.len()..).unwrap_or_default();
            continue;
        }
        rest = after;
        match token {
            Token::Enter(kind) if !KINDS.contains(kind) => {
                return Err(refuse::internal("the rewritten statement has a node of a kind that is not allowed"));
            }
            Token::Enter(kind) => {
                open.push(kind);
                if *kind == "RangeVar" {
                    relation.clear();
                    aliased = false;
                }
                aliased |= *kind == "Alias";
            }
            Token::Field(name) => {
                field = name;
                match (open.last(), *name) {
                    (Some(&"FuncCall"), "funcname") => function = Some((open.len(), Vec::new())),
                    (Some(&"FuncCall"), "args") => {
                        if let Some((depth, name)) = function.take()
                            && depth == open.len()
                        {
                            pinned(&name, catalog)?;
                        }
                    }
                    _ => {}
                }
            }
            Token::Text(value) => {
                // a field of a value, which may be no row
                if let [.., "AIndirection", "String"] = open[..]
                    && catalog.attribute_runs_code(value, true)
                {
                    return Err(refuse::internal("a field could be a function"));
                }
                if open.last() == Some(&"RangeVar") && field != "relpersistence" {
                    relation.push(value);
                }
                if let Some((depth, name)) = &mut function
                    && open.len() == *depth + 1
                {
                    name.push(value);
                }
            }
            Token::Number(_) | Token::Many(_) => {}
            Token::Leave => {
                if open.pop() == Some("RangeVar") {
                    let holder = open.last().copied().unwrap_or_default();
                    match relation[..] {
                        // an alias: what is locked must be in FROM
                        ["", "", _] if holder == "LockingClause" => {}
                        // what is written to, known by an alias and no other name
                        ["", schema, name]
                            if aliased
                                && WRITES.contains(&holder)
                                && put_in.targets.contains(&TableName::new(schema, name)) => {}
                        // what shows no rows of it
                        ["", schema, name]
                            if CHANGES.contains(&holder) && put_in.targets.contains(&TableName::new(schema, name)) => {}
                        // catalog, schema and relation, then perhaps the alias
                        ["", "", name, ..] if put_in.ctes.contains(name) => {}
                        ["", PG_TEMP, name, ..] if put_in.bare.contains(&TableName::new(PG_TEMP, name)) => {}
                        ["", schema, name]
                            if DEFINES.contains(&holder) && put_in.bare.contains(&TableName::new(schema, name)) => {}
                        _ => return Err(refuse::internal("a relation stands outside its masked form")),
                    }
                }
            }
        }
    }
    Ok(())
}

/// What changes a table, and names it without an alias.
const CHANGES: [&str; 4] = ["CopyStmt", "TruncateStmt", "IndexStmt", "AlterTableStmt"];

/// What makes a table.
const DEFINES: [&str; 2] = ["CreateStmt", "IntoClause"];

/// What has a target.
const WRITES: [&str; 4] = ["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

fn pinned(name: &[&str], catalog: &Catalog) -> Result<(), Refusal> {
    match name {
        [PG_CATALOG, name]
            if PURE.binary_search(name).is_ok() || READS_SETTINGS.contains(name) || RELEASES.contains(name) =>
        {
            Ok(())
        }
        // of several arguments: the grammar's own, and nobody else's of that name
        ["unnest"] if catalog.function_namesakes("unnest") == Namesakes::None => Ok(()),
        [schema, name] if catalog.knows_function(schema, name) => Ok(()),
        [name] if matches!(catalog.function_namesakes(name), Namesakes::Known(_)) => Ok(()),
        _ => Err(refuse::internal("a function is not pinned")),
    }
}
