//! Text in, statements out.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use chaperone_model::{Facts, Refusal, SqlState};
use pg_query::protobuf::{self, RawStmt, TransactionStmtKind, VariableSetKind};
use pg_query::{Node, NodeEnum};

use crate::depth::Depth;
use crate::facts::{self, Names};
use crate::normal;
use crate::temporary::{self, InSession, Temporaries};

/// Longest text that is parsed, in bytes. The protocol allows 1 GiB; parsing costs about 200 ns a byte.
const LONGEST: usize = 16 * 1024 * 1024;

/// A parsed text: any number of statements, in order, each with its place in the text.
///
/// Costly derived values (facts, normalised text, fingerprint) are made when first asked for, and kept. Share it in an
/// `Arc`: it is immutable.
pub struct Statements {
    sql: Box<str>,
    statements: Vec<Statement>,
    depth: Depth,
}

struct Statement {
    raw: RawStmt,
    range: Range<usize>,
    facts: OnceLock<Facts>,
    normalized: OnceLock<String>,
    fingerprint: OnceLock<String>,
}

/// The rule of a refusal for a quoted string that does not end.
pub const UNTERMINATED: &str = "statement.unterminated";

/// Parses a text with the server's own grammar (PostgreSQL 18, as `libpg_query` packs it).
///
/// # Errors
/// `42601` where the grammar refuses it: without the grammar's message, which quotes the text. `54000` where it is
/// longer or nested deeper than the server would take.
pub fn parse(sql: &str) -> Result<Statements, Refusal> {
    parse_as(sql, pg_query::ParserOptions::DEFAULT)
}

/// Parses a text as a server does whose `standard_conforming_strings` is off: a backslash escapes in every string
/// (PostgreSQL manual, 20.13.1). For those who cannot know the setting: only a text with a backslash in it can mean
/// two things.
///
/// # Errors
/// As [`parse`]; and with the rule [`UNTERMINATED`] where a quoted string does not end, which no version of the server
/// takes. Any other text that this grammar refuses, that of an older server may take.
pub fn parse_escaped(sql: &str) -> Result<Statements, Refusal> {
    parse_as(sql, pg_query::ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS)
}

fn parse_as(sql: &str, options: pg_query::ParserOptions) -> Result<Statements, Refusal> {
    if sql.len() > LONGEST {
        return Err(Refusal {
            code: SqlState::PROGRAM_LIMIT_EXCEEDED,
            rule: "statement.length",
            message: "statement is too long".into(),
            detail: format!("a text may have at most {LONGEST} bytes"),
            hint: "pass values as parameters, use COPY for bulk data, or send it in parts".into(),
        });
    }
    let depth = match options {
        pg_query::ParserOptions::DEFAULT => Depth::of(sql)?,
        // what is a string is not known yet: counting as if there were none can only give more
        _ => Depth::of(&sql.replace(['\'', '"'], " ")).or_else(|refusal| match refusal.code {
            // the inside of a string need not be words
            SqlState::SYNTAX_ERROR => Depth::of_bytes(sql),
            _ => Err(refusal),
        })?,
    };
    let stmts = tree_as(sql, depth, options)?;
    let statements = stmts
        .into_iter()
        .filter(|raw| raw.stmt.as_ref().is_some_and(|stmt| stmt.node.is_some()))
        .map(|raw| {
            let start = usize::try_from(raw.stmt_location).unwrap_or(0).min(sql.len());
            let end = match usize::try_from(raw.stmt_len) {
                Ok(len) if len > 0 => start.saturating_add(len).min(sql.len()),
                _ => sql.len(),
            };
            let (facts, normalized, fingerprint) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
            Statement { raw, range: start..end, facts, normalized, fingerprint }
        })
        .collect();
    Ok(Statements { sql: sql.into(), statements, depth })
}

/// The raw trees of a text. The caller drops them within `depth.run`.
pub(crate) fn tree(sql: &str, depth: Depth) -> Result<Vec<RawStmt>, Refusal> {
    tree_as(sql, depth, pg_query::ParserOptions::DEFAULT)
}

fn tree_as(sql: &str, depth: Depth, options: pg_query::ParserOptions) -> Result<Vec<RawStmt>, Refusal> {
    // the wrapper collects tables and functions of its own and asserts on what it finds; a fault there must not take
    // the session's worker down
    let parsed = depth.run(|| catch_unwind(AssertUnwindSafe(|| pg_query::parse(sql, options))));
    match parsed {
        Ok(Ok(result)) => Ok(result.protobuf.stmts),
        Ok(Err(pg_query::Error::Parse(message))) if message.starts_with("unterminated quoted") => {
            Err(Refusal { rule: UNTERMINATED, ..syntax_error() })
        }
        Ok(Err(_)) => Err(syntax_error()),
        Err(_) => Err(Refusal {
            code: SqlState::INTERNAL_ERROR,
            rule: "statement.parser",
            message: "the statement could not be read".into(),
            detail: "the parser failed on it".into(),
            hint: "write it in a simpler way".into(),
        }),
    }
}

/// The grammar's own message quotes what it stumbled on, which may be a literal.
pub(crate) fn syntax_error() -> Refusal {
    Refusal {
        code: SqlState::SYNTAX_ERROR,
        rule: "statement.syntax",
        message: "syntax error".into(),
        detail:
            "the statement does not follow PostgreSQL's grammar; its text is not repeated here because it may hold \
                 protected data"
                .into(),
        hint: "check quotes, brackets and reserved words".into(),
    }
}

/// Which way a `COPY` moves rows between the client and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyDirection {
    /// `COPY … FROM STDIN`.
    In,
    /// `COPY … TO STDOUT`.
    Out,
}

/// What a statement does to the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`.
    Savepoint,
    /// `RELEASE SAVEPOINT`.
    Release,
    /// `ROLLBACK TO SAVEPOINT`.
    RollbackTo,
    /// The two-phase commands: `PREPARE TRANSACTION`, `COMMIT PREPARED`, `ROLLBACK PREPARED`.
    TwoPhase,
}

/// What a statement does to the session's settings. `local` ends with the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `SET name = value`; several values of a list are joined with `, `. No value is `DEFAULT` or `FROM CURRENT`.
    Set {
        /// Lower case, as the server compares them.
        name: String,
        /// The value, where it is written out.
        value: Option<String>,
        /// `SET LOCAL`.
        local: bool,
    },
    /// `RESET name`.
    Reset {
        /// Lower case.
        name: String,
    },
    /// `RESET ALL` or `DISCARD ALL`.
    ResetAll,
}

/// What a statement has to do with one that is prepared by SQL, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepares<'s> {
    /// `PREPARE`
    Prepare(&'s str),
    /// `EXECUTE`
    Execute(&'s str),
}

impl<'s> Prepares<'s> {
    /// The name.
    pub fn name(self) -> &'s str {
        match self {
            Prepares::Prepare(name) | Prepares::Execute(name) => name,
        }
    }
}

impl Statements {
    /// How many statements there are. An empty text has none.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there are none: the server answers `EmptyQueryResponse`.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// The whole text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The bytes of statement `i` in the text, without the semicolon.
    ///
    /// # Panics
    /// If there is no statement `i`, as for every method here that takes one.
    pub fn range(&self, i: usize) -> Range<usize> {
        self.statements[i].range.clone()
    }

    /// The text of statement `i`.
    pub fn text(&self, i: usize) -> &str {
        self.sql.get(self.range(i)).unwrap_or("")
    }

    /// What statement `i` has to do with a statement prepared by SQL.
    ///
    /// # Panics
    /// If there is no statement `i`.
    pub fn prepares(&self, i: usize) -> Option<Prepares<'_>> {
        match self.node(i) {
            NodeEnum::PrepareStmt(prepare) => Some(Prepares::Prepare(&prepare.name)),
            NodeEnum::ExecuteStmt(execute) => Some(Prepares::Execute(&execute.name)),
            _ => None,
        }
    }

    /// Whether statement `i` has a query inside that can be described by itself.
    pub fn has_inside(&self, i: usize) -> bool {
        match self.node(i) {
            NodeEnum::CopyStmt(copy) => !copy.is_from,
            NodeEnum::SelectStmt(select) => temporary::into(select).is_some(),
            NodeEnum::CreateTableAsStmt(_) | NodeEnum::DeclareCursorStmt(_) | NodeEnum::PrepareStmt(_) => true,
            _ => false,
        }
    }

    /// The name of the temporary view that statement `i` makes.
    pub fn makes_view(&self, i: usize) -> Option<&str> {
        match temporary::makes(self.node(i)) {
            Some((name, true)) => Some(name),
            _ => None,
        }
    }

    /// The facts of statement `i`. A table named without its schema needs the permission for the connection as a
    /// whole; see [`Statements::facts_in`].
    pub fn facts(&self, i: usize) -> &Facts {
        self.statements[i].facts.get_or_init(|| self.facts_with(i, &facts::Unresolved))
    }

    /// The facts of statement `i` where names without a schema are looked up in the catalog.
    pub fn facts_in(&self, i: usize, catalog: &crate::Catalog) -> Facts {
        self.facts_with(i, catalog)
    }

    /// The same in a session that has made relations of its own.
    pub fn facts_within(&self, i: usize, catalog: &crate::Catalog, temporaries: &Temporaries) -> Facts {
        self.facts_with(i, &InSession { catalog, temporaries })
    }

    fn facts_with(&self, i: usize, names: &impl Names) -> Facts {
        self.depth.run(|| facts::of(self.node(i), names))
    }

    /// Statement `i` without its literals, comments and the names that the agent chose: for the record.
    pub fn normalized(&self, i: usize) -> &str {
        self.statements[i].normalized.get_or_init(|| self.depth.run(|| normal::of(self.node(i), self.text(i))))
    }

    /// A number that is the same for statements that differ only in literals, aliases and layout: 16 hexadecimal
    /// digits, as `libpg_query` defines it.
    pub fn fingerprint(&self, i: usize) -> String {
        self.statements[i]
            .fingerprint
            .get_or_init(|| {
                let hash = self.depth.run(|| {
                    catch_unwind(AssertUnwindSafe(|| {
                        pg_query::fingerprint(self.text(i), 0, pg_query::FingerprintOptions::default())
                    }))
                });
                match hash {
                    Ok(Ok(fingerprint)) => fingerprint.hex,
                    _ => "0".repeat(16),
                }
            })
            .clone()
    }

    /// Which way statement `i` copies rows, if it is a `COPY` with the client.
    pub fn copy(&self, i: usize) -> Option<CopyDirection> {
        match self.node(i) {
            NodeEnum::CopyStmt(copy) if copy.filename.is_empty() && !copy.is_program => {
                Some(if copy.is_from { CopyDirection::In } else { CopyDirection::Out })
            }
            _ => None,
        }
    }

    /// What statement `i` does to the transaction.
    pub fn transaction(&self, i: usize) -> Option<Transaction> {
        let NodeEnum::TransactionStmt(transaction) = self.node(i) else { return None };
        match TransactionStmtKind::try_from(transaction.kind).ok()? {
            TransactionStmtKind::Undefined => None,
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => Some(Transaction::Begin),
            TransactionStmtKind::TransStmtCommit => Some(Transaction::Commit),
            TransactionStmtKind::TransStmtRollback => Some(Transaction::Rollback),
            TransactionStmtKind::TransStmtSavepoint => Some(Transaction::Savepoint),
            TransactionStmtKind::TransStmtRelease => Some(Transaction::Release),
            TransactionStmtKind::TransStmtRollbackTo => Some(Transaction::RollbackTo),
            TransactionStmtKind::TransStmtPrepare
            | TransactionStmtKind::TransStmtCommitPrepared
            | TransactionStmtKind::TransStmtRollbackPrepared => Some(Transaction::TwoPhase),
        }
    }

    /// What statement `i` does to the session's settings.
    pub fn settings(&self, i: usize) -> Option<Setting> {
        match self.node(i) {
            NodeEnum::VariableSetStmt(set) => setting(set),
            NodeEnum::DiscardStmt(discard) if discard.target == protobuf::DiscardMode::DiscardAll as i32 => {
                Some(Setting::ResetAll)
            }
            _ => None,
        }
    }

    /// The tree of statement `i`.
    pub(crate) fn node(&self, i: usize) -> &NodeEnum {
        // parse() keeps only statements that have a node
        static NOTHING: OnceLock<NodeEnum> = OnceLock::new();
        self.statements[i]
            .raw
            .stmt
            .as_ref()
            .and_then(|stmt| stmt.node.as_ref())
            .unwrap_or_else(|| NOTHING.get_or_init(|| NodeEnum::CheckPointStmt(protobuf::CheckPointStmt::default())))
    }

    pub(crate) fn depth(&self) -> Depth {
        self.depth
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        let statements = std::mem::take(&mut self.statements);
        self.depth.run(|| drop(statements));
    }
}

impl fmt::Debug for Statements {
    /// How many, and nothing of the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn setting(set: &protobuf::VariableSetStmt) -> Option<Setting> {
    let name = set.name.to_ascii_lowercase();
    match VariableSetKind::try_from(set.kind).ok()? {
        VariableSetKind::VarSetValue => {
            let values: Option<Vec<String>> = set.args.iter().map(constant).collect();
            Some(Setting::Set { name, value: values.map(|values| values.join(", ")), local: set.is_local })
        }
        VariableSetKind::VarSetDefault | VariableSetKind::VarSetCurrent => {
            Some(Setting::Set { name, value: None, local: set.is_local })
        }
        VariableSetKind::VarReset => Some(Setting::Reset { name }),
        VariableSetKind::VarResetAll => Some(Setting::ResetAll),
        // SET TRANSACTION and SET SESSION CHARACTERISTICS
        VariableSetKind::VarSetMulti | VariableSetKind::Undefined => None,
    }
}

/// The text of a constant, where `node` is one.
pub(crate) fn constant(node: &Node) -> Option<String> {
    use pg_query::protobuf::a_const::Val;
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            Val::Ival(integer) => Some(integer.ival.to_string()),
            Val::Fval(float) => Some(float.fval.clone()),
            Val::Boolval(boolean) => Some(if boolean.boolval { "on" } else { "off" }.to_owned()),
            Val::Sval(string) => Some(string.sval.clone()),
            Val::Bsval(_) => None,
        },
        _ => None,
    }
}
