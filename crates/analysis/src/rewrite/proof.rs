//! The proof that a rewriting is what was meant, by a second look that shares nothing with the first.
//!
//! The rewritten tree is written out, read again, and must come back the same. In what comes back, every relation must
//! stand inside a masked self, node for node as it was made; every node must be of a kind that is allowed; every
//! function must be named with `pg_catalog` and be on the list.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chaperone_model::Refusal;
use pg_query::NodeEnum;
use pg_query::protobuf::{self as pg, ParseResult, RawStmt};

use super::{node, refuse};
use crate::allow::{PG_CATALOG, PURE, READS_SETTINGS};
use crate::depth::Depth;
use crate::parse;
use crate::visit::{Visit, visit};

/// The major version and more of the grammar, as its trees carry it.
const VERSION: i32 = 180_000;

/// Writes `statement` out and proves it. `sources` are the masked selves in it, `ctes` the names of its CTEs.
pub(crate) fn prove(
    statement: NodeEnum,
    sources: &[&pg::SelectStmt],
    ctes: &BTreeSet<String>,
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
    let sources: Vec<Vec<Token>> = sources.iter().map(|source| tokens(*source)).collect();
    check(&again, &sources, ctes)?;
    Ok(text)
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
const KINDS: [&str; 56] = [
    "SelectStmt", "WithClause", "CommonTableExpr", "RangeVar", "RangeSubselect", "RangeFunction", "JoinExpr", "Alias",
    "ResTarget", "ColumnRef", "ParamRef", "AConst", "AExpr", "BoolExpr", "NullTest", "BooleanTest", "SubLink",
    "CaseExpr", "CaseWhen", "CoalesceExpr", "MinMaxExpr", "RowExpr", "AArrayExpr", "AIndirection", "AIndices", "AStar",
    "TypeCast", "TypeName", "CollateClause", "FuncCall", "NamedArgExpr", "SqlValueFunction", "GroupingFunc",
    "GroupingSet", "SortBy", "WindowDef", "ColumnDef", "List", "String", "Integer", "Float", "Boolean", "BitString",
    "ExplainStmt", "DefElem", "DeclareCursorStmt", "CopyStmt", "FetchStmt", "ClosePortalStmt", "TransactionStmt",
    "VariableSetStmt", "VariableShowStmt", "DiscardStmt", "DeallocateStmt", "UnlistenStmt", "LockingClause",
];

/// Walks the flat tree past the masked selves.
fn check(tree: &[Token], sources: &[Vec<Token>], ctes: &BTreeSet<String>) -> Result<(), Refusal> {
    let mut rest = tree;
    let mut field = "";
    // inside which relation or call, and the parts of its name so far
    let mut open: Vec<&'static str> = Vec::new();
    let mut relation: Vec<&str> = Vec::new();
    let mut function: Option<(usize, Vec<&str>)> = None;
    while let Some((token, after)) = rest.split_first() {
        if *token == Token::Enter("SelectStmt")
            && let Some(source) = sources.iter().find(|source| rest.starts_with(source))
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
                }
            }
            Token::Field(name) => {
                field = name;
                match (open.last(), *name) {
                    (Some(&"FuncCall"), "funcname") => function = Some((open.len(), Vec::new())),
                    (Some(&"FuncCall"), "args") => {
                        if let Some((depth, name)) = function.take()
                            && depth == open.len()
                        {
                            pinned(&name)?;
                        }
                    }
                    _ => {}
                }
            }
            Token::Text(value) => {
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
                    match relation[..] {
                        // an alias: what is locked must be in FROM
                        ["", "", _] if open.last() == Some(&"LockingClause") => {}
                        // catalog, schema and relation, then perhaps the alias
                        ["", "", name, ..] if ctes.contains(name) => {}
                        _ => return Err(refuse::internal("a relation stands outside its masked form")),
                    }
                }
            }
        }
    }
    Ok(())
}

fn pinned(name: &[&str]) -> Result<(), Refusal> {
    match name {
        [PG_CATALOG, name] if PURE.binary_search(name).is_ok() || READS_SETTINGS.contains(name) => Ok(()),
        _ => Err(refuse::internal("a function is not pinned")),
    }
}
