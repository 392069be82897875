//! The query inside `COPY … TO STDOUT`, `CREATE TABLE … AS`, `DECLARE` and `PREPARE`, whose own answers do not say what the
//! columns are. The
//! server describes it by itself, and what is described is read off the text that is to run: were the rewriting wrong, the
//! description would be that of the wrong text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chaperone_model::Refusal;
use pg_query::protobuf::{self as pg, ParseResult, RawStmt};
use pg_query::{Node, NodeEnum};

use super::{Masker, Rewritten, expected, proof, refuse};
use crate::depth::Depth;
use crate::output::{Cursor, Described, Output, Returns};
use crate::parse;
use crate::temporary::{Filled, PG_TEMP};

/// The name under which a query is prepared to be described. It is gone before anything else of the session runs.
pub const NAME: &str = "chaperone_inside";

/// `CURSOR_OPT_HOLD` (PostgreSQL, `parsenodes.h`).
const HOLD: i32 = 0x0020;

impl Masker<'_> {
    /// A query inside: masked, and what it returns.
    pub(super) fn query_inside(&mut self, query: &mut Option<Box<Node>>) -> Result<Returns, Refusal> {
        let columns = match query.as_ref().and_then(|query| query.node.as_ref()) {
            Some(NodeEnum::SelectStmt(select)) => expected(select),
            _ => None,
        };
        self.subquery(query)?;
        Ok(self.returned_rows(columns))
    }

    /// The same of a query or a statement that writes.
    pub(super) fn query_or_write_inside(&mut self, statement: &mut Option<Box<Node>>) -> Result<Returns, Refusal> {
        match statement.as_mut().and_then(|statement| statement.node.as_mut()) {
            Some(
                write @ (NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_)),
            ) => Ok(match self.write(write)? {
                None => Returns::NoRows,
                Some(columns) => self.returned_rows(columns),
            }),
            _ => self.query_inside(statement),
        }
    }
}

/// The cursor that a `DECLARE` makes.
pub(super) fn declared(cursor: &pg::DeclareCursorStmt) -> Cursor {
    Cursor::Declare { name: cursor.portalname.clone(), hold: cursor.options & HOLD != 0 }
}

impl Rewritten {
    /// A text that is to run, and what it may return. What the text has inside is read off it.
    ///
    /// # Errors
    /// It has a query inside of which nothing is foretold, or it should have one and has not.
    pub fn new(text: String, output: Output, filled: Filled) -> Result<Self, Refusal> {
        let depth = Depth::of(&text)?;
        depth.run(|| Self::read_inside(text, output, filled, depth))
    }

    pub(super) fn read_inside(text: String, mut output: Output, filled: Filled, depth: Depth) -> Result<Self, Refusal> {
        let may_have = ["COPY", "CREATE", "DECLARE", "PREPARE"].iter().any(|word| text.starts_with(word));
        if !may_have && output.inside.is_none() {
            return Ok(Rewritten { text, output, filled });
        }
        match (inside(&text, depth)?, &mut output.inside) {
            (Some((text, described)), Some(inside)) => {
                inside.text = text;
                inside.described = described;
            }
            (None, None) => {}
            _ => return Err(refuse::internal("what a statement has inside is not what is foretold")),
        }
        Ok(Rewritten { text, output, filled })
    }
}

/// What must be described of a text.
fn inside(text: &str, depth: Depth) -> Result<Option<(String, Described)>, Refusal> {
    let mut statements = parse::tree(text, depth)?;
    let (Some(RawStmt { stmt: Some(statement), .. }), true) = (statements.pop(), statements.is_empty()) else {
        return Err(refuse::internal("the rewritten statement is more than one"));
    };
    let (query, described) = match statement.node {
        Some(NodeEnum::CopyStmt(copy)) => {
            // what is temporary is copied as it stands
            let of_own = copy.relation.as_ref().is_some_and(|range| range.schemaname == PG_TEMP);
            if copy.is_from || of_own {
                return Ok(None);
            }
            (copy.query, Described::AsQuery)
        }
        Some(NodeEnum::CreateTableAsStmt(create)) => (create.query, Described::AsQuery),
        Some(NodeEnum::DeclareCursorStmt(cursor)) => (cursor.query, Described::AsQuery),
        Some(NodeEnum::PrepareStmt(mut prepare)) => {
            prepare.name = NAME.to_owned();
            (Some(Box::new(super::node(NodeEnum::PrepareStmt(prepare)))), Described::AsPrepared)
        }
        _ => return Ok(None),
    };
    if query.is_none() {
        return Err(refuse::internal("there is no query inside"));
    }
    let query = RawStmt { stmt: query, stmt_location: 0, stmt_len: 0 };
    let query = ParseResult { version: proof::VERSION, stmts: vec![query] };
    match catch_unwind(AssertUnwindSafe(|| pg_query::deparse(&query, pg_query::DeparseOptions::default()))) {
        Ok(Ok(text)) => Ok(Some((text, described))),
        Ok(Err(_)) | Err(_) => Err(refuse::internal("the query inside cannot be written out")),
    }
}
