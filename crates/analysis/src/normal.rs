//! A statement for the record: what it does to which objects, with nothing in it that could be data.
//!
//! Queries and writes keep their shape. Every literal becomes `?`, comments go, and so do names that the agent chose
//! (aliases, names of CTEs, cursors, savepoints and prepared statements): a name is a fine place for a value. All other
//! statements keep their kind and the relations that they name.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::Token;

use crate::kind::{Does, Kind};
use crate::visit::{Visit, visit};

/// In place of a name that the agent chose.
const CHOSEN: &str = "_";

/// Statement `node`, whose text is `sql`, normalised.
pub(crate) fn of(node: &NodeEnum, sql: &str) -> String {
    let kind = Kind::of(node);
    let mut names = Chosen::default();
    visit(node, &mut names);
    let shape = match node {
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::ExplainStmt(_)
        | NodeEnum::PrepareStmt(_)
        | NodeEnum::DeclareCursorStmt(_)
        | NodeEnum::FetchStmt(_)
        | NodeEnum::ExecuteStmt(_)
        | NodeEnum::CallStmt(_)
        | NodeEnum::TruncateStmt(_)
        | NodeEnum::LockStmt(_) => true,
        NodeEnum::TransactionStmt(transaction) => transaction.gid.is_empty(),
        _ => false,
    };
    if shape
        && kind.does != Does::Administer
        && let Some(text) = shaped(sql, &names.chosen)
    {
        return text;
    }
    let mut text = kind.tag.to_owned();
    if let NodeEnum::VariableSetStmt(set) = node
        && !set.name.is_empty()
        && plain(&set.name)
    {
        text.push(' ');
        text.push_str(&set.name);
    }
    if let NodeEnum::VariableShowStmt(show) = node
        && plain(&show.name)
    {
        text.push(' ');
        text.push_str(&show.name);
    }
    for (number, object) in names.objects.iter().enumerate() {
        text.push_str(if number == 0 { " " } else { ", " });
        text.push_str(object);
    }
    text
}

/// The text's tokens, one space apart, with literals and chosen names replaced. `None` where it cannot be scanned.
fn shaped(sql: &str, chosen: &BTreeSet<String>) -> Option<String> {
    let tokens = pg_query::scan_tokens(sql).ok()?;
    let mut text = String::with_capacity(sql.len());
    // the token before the last, and the last, for `?, ?, ?` and for spacing
    let mut last: Option<Token> = None;
    let mut list = 0_usize;
    for token in tokens {
        let (Ok(start), Ok(end)) = (usize::try_from(token.start), usize::try_from(token.end)) else { return None };
        let written = sql.get(start..end)?;
        let kind = Token::try_from(token.token).ok()?;
        let literal = matches!(
            kind,
            Token::Iconst | Token::Fconst | Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst
        );
        if matches!(kind, Token::SqlComment | Token::CComment) {
            continue;
        }
        // a list of literals is one, however long
        if literal && list >= 2 && last == Some(Token::Ascii44) {
            text.truncate(text.trim_end_matches(", ").trim_end_matches(',').len());
            if !text.ends_with('…') {
                text.push_str(", …");
            }
            last = Some(kind);
            continue;
        }
        list = match (literal, kind) {
            (true, _) => list + 1,
            (false, Token::Ascii44) => list,
            _ => 0,
        };
        let tight_before = matches!(
            kind,
            Token::Ascii41 | Token::Ascii93 | Token::Ascii44 | Token::Ascii46 | Token::Typecast | Token::Ascii59
        );
        let tight_after = matches!(last, Some(Token::Ascii40 | Token::Ascii91 | Token::Ascii46 | Token::Typecast));
        let call = match kind {
            Token::Ascii40 => last == Some(Token::Ident),
            Token::Ascii91 => matches!(last, Some(Token::Ident | Token::Array | Token::Ascii41 | Token::Ascii93)),
            _ => false,
        };
        if last.is_some() && !tight_before && !tight_after && !call {
            text.push(' ');
        }
        match kind {
            _ if literal => text.push('?'),
            Token::Uident => text.push_str(CHOSEN),
            Token::Ident if written.starts_with('"') => {
                let name = written.trim_matches('"').replace("\"\"", "\"");
                text.push_str(if chosen.contains(&name) || !plain(&name) { CHOSEN } else { written });
            }
            Token::Ident => {
                let name = written.to_ascii_lowercase();
                text.push_str(if chosen.contains(&name) || !plain(&name) { CHOSEN } else { &name });
            }
            // an unreserved keyword may be a name too
            _ if token.keyword_kind != 0 => {
                let name = written.to_ascii_lowercase();
                if token.keyword_kind != RESERVED && chosen.contains(&name) {
                    text.push_str(CHOSEN);
                } else {
                    text.push_str(&written.to_ascii_uppercase());
                }
            }
            _ => text.push_str(written),
        }
        last = Some(kind);
    }
    Some(text)
}

/// `KeywordKind::ReservedKeyword`.
const RESERVED: i32 = 4;

/// Whether a name looks like one that a person gave to an object, rather than like a value: word characters, not too
/// many digits in a row, not too long.
fn plain(name: &str) -> bool {
    let mut digits = 0;
    name.len() <= 63
        && name.chars().all(|c| {
            digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
            digits < 5 && (c.is_ascii_alphanumeric() || c == '_' || c == '.' || (c.is_alphabetic() && !c.is_ascii()))
        })
}

/// Names in a tree: those that the agent chose, and the relations that it names.
#[derive(Default)]
struct Chosen {
    path: Vec<(&'static str, &'static str)>,
    chosen: BTreeSet<String>,
    objects: BTreeSet<String>,
    schema: String,
}

impl Visit for Chosen {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.path.push((kind, ""));
        true
    }

    fn field(&mut self, name: &'static str) {
        if let Some(place) = self.path.last_mut() {
            place.1 = name;
        }
    }

    fn text(&mut self, value: &str) {
        if value.is_empty() {
            if let Some(("RangeVar", "schemaname")) = self.path.last() {
                self.schema.clear();
            }
            return;
        }
        let holder = self.path.len().checked_sub(2).and_then(|n| self.path.get(n)).copied();
        match self.path.last().copied() {
            Some(
                ("Alias", "aliasname")
                | ("CommonTableExpr", "ctename")
                | ("TransactionStmt", "savepoint_name")
                | ("DeclareCursorStmt" | "FetchStmt" | "ClosePortalStmt", "portalname")
                | ("PrepareStmt" | "ExecuteStmt" | "DeallocateStmt", "name")
                | ("WindowDef", "name" | "refname")
                | ("CteSearchClause", "search_seq_column")
                | ("CteCycleClause", "cycle_mark_column" | "cycle_path_column")
                | ("NotifyStmt" | "ListenStmt" | "UnlistenStmt", "conditionname")
                | ("RangeTableFuncCol", "colname")
                | ("JsonTableColumn", "name"),
            ) => _ = self.chosen.insert(value.to_owned()),
            // an output column's name; in INSERT and UPDATE it is a real column
            Some(("ResTarget", "name")) => {
                if let Some(("SelectStmt" | "ReturningClause", _)) = holder {
                    self.chosen.insert(value.to_owned());
                }
            }
            Some(("String", "sval")) => {
                if let Some(("Alias", "colnames") | ("CommonTableExpr", "aliascolnames")) = holder {
                    self.chosen.insert(value.to_owned());
                }
            }
            Some(("ColumnDef", "colname")) if holder.is_some_and(|holder| holder.0 == "RangeFunction") => {
                self.chosen.insert(value.to_owned());
            }
            Some(("RangeVar", "schemaname")) => value.clone_into(&mut self.schema),
            Some(("RangeVar", "relname")) if plain(value) && plain(&self.schema) => {
                let schema = std::mem::take(&mut self.schema);
                self.objects.insert(if schema.is_empty() { value.to_owned() } else { format!("{schema}.{value}") });
            }
            _ => {}
        }
    }

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, _: &'static str) {
        self.path.pop();
    }
}
