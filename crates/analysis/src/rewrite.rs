//! The statement with its sources masked.
//!
//! Every relation that a query reads gives way to its masked self ([`source`]): a subquery with the same columns, under
//! the same name, that shows each column as its mask does. Whatever else the query computes, it computes on masked
//! values, in the database. What could get *around* the subquery is then short, and each part of it is on an allow-list
//! or refused: statements ([`rewrite`]), clauses and items of `FROM` ([`query`]), nodes of expressions
//! ([`expression`]), names of functions, operators, types and fields ([`names`]). At the end the rewritten text is
//! proved by reading it again ([`proof`]).

mod columns;
mod copy;
mod define;
mod echo;
mod expression;
mod group;
mod implied;
mod inside;
mod lookup;
mod names;
mod needs;
mod order;
mod own;
mod probe;
mod proof;
mod query;
mod refuse;
mod source;
mod subject;
mod summed;
mod target;
mod upkeep;
mod utility;
mod view;
mod with;
mod withheld;
mod write;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chaperone_model::{Masks, Refusal, SqlState, TableClasses, TableName};
use pg_query::protobuf::{self as pg, TransactionStmtKind};
use pg_query::{Node, NodeEnum};

use crate::catalog::Catalog;
use crate::kind::{Does, Kind};
use crate::output::{Cursor, Expected, Named, Output, Returns, Written};
use crate::parse::Statements;
use crate::settings;
use crate::temporary::{self, Filled, Temporaries};
use crate::visit::{Visit, visit};

pub use inside::NAME as INSIDE;
pub(crate) use names::parts;
pub use needs::{Need, needs};
use refuse::refusal;
use source::Source;
pub use subject::COLUMN as SUBJECT;
pub(crate) use subject::is_told;
use utility::{explained, variable_set};

/// What rewriting adds to the depth: masked selves, and the texts of views.
const ADDED: usize = 64;
const ADDED_BY_VIEWS: usize = 4_000;

/// Deepest statement that is rewritten, in units of [`crate::depth`]: writing a tree out takes time that grows with the
/// square of its depth.
const DEEPEST: usize = 6_000;

/// Everything that masking depends on, besides the statement.
#[derive(Debug, Clone, Copy)]
pub struct Protection<'a> {
    /// The live catalog.
    pub catalog: &'a Catalog,
    /// The tables that may be read, with the class of each column.
    pub classification: &'a BTreeMap<TableName, TableClasses>,
    /// The rung of each column, for this session.
    pub masks: &'a Masks,
    /// What masks are made of: the cutoff year of births, the table of ZIP codes, the form of tokens.
    pub masker: chaperone_mask::Masker<'a>,
}

/// A statement that may run in place of the agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The text to run.
    pub text: String,
    /// What it may return.
    pub output: Output,
    /// What it puts into temporary relations.
    pub filled: Filled,
}

/// Masks the sources of statement `i`.
///
/// The result depends on nothing but the arguments, so it may be kept by (text, catalog, classification, masks,
/// masker).
///
/// # Errors
/// Whatever is not known to be safe is refused, by name: rules `masking.*`.
///
/// # Panics
/// If there is no statement `i`.
pub fn rewrite(statements: &Statements, i: usize, protection: &Protection<'_>) -> Result<Rewritten, Refusal> {
    rewrite_within(statements, i, protection, Temporaries::none())
}

/// [`rewrite`] in a session that has made relations of its own, and has noted what statement `i` makes.
///
/// # Errors
/// As [`rewrite`].
///
/// # Panics
/// If there is no statement `i`.
pub fn rewrite_within(
    statements: &Statements,
    i: usize,
    protection: &Protection<'_>,
    temporaries: &Temporaries,
) -> Result<Rewritten, Refusal> {
    let depth = statements.depth();
    if depth.levels() > DEEPEST {
        return Err(Refusal {
            code: SqlState::PROGRAM_LIMIT_EXCEEDED,
            ..refusal(
                "masking.depth",
                "statement is nested too deeply to be masked".into(),
                "parentheses, chained operators, joins and set operations add up to too many levels",
                "use IN (…) or = ANY ($1) in place of long chains, or send it in parts",
            )
        });
    }
    if statements.len() > MOST_STATEMENTS || depth.tokens() > MOST_TOKENS {
        return Err(refuse::size());
    }
    let has_views = depth.run(|| protection.catalog.names_view(statements.node(i)));
    let added = if has_views { ADDED + ADDED_BY_VIEWS } else { ADDED };
    depth.and(added).run(|| {
        let statement = statements.node(i).clone();
        let mut masker = Masker::new(&statement, protection, temporaries)?;
        masker.may_put_in = (MOST_PUT_IN / statements.len().max(1)).max(LEAST_PUT_IN);
        let defines = temporary::defines(&statement).map(str::to_owned);
        let (statement, mut output) = masker.statement(statement)?;
        masker.filled.masked |= !masker.hidden_names.is_empty();
        output.defines = defines;
        output.written = std::mem::take(&mut masker.written);
        if let Some(inside) = &mut output.inside {
            inside.reads = masker.reads_of_own().map(str::to_owned).collect();
        }
        let text = proof::prove(statement, &masker.put_in(), masker.catalog, depth.and(added))?;
        Rewritten::read_inside(text, output, masker.filled, depth.and(added))
    })
}

/// One statement being rewritten.
struct Masker<'a> {
    protection: Protection<'a>,
    catalog: &'a Catalog,
    temporaries: &'a Temporaries,
    filled: Filled,
    /// Names of relations that stay as they are: the session's own, and those that are defined.
    bare: BTreeSet<TableName>,
    /// Names of all CTEs in the statement. None of them is the name of a visible relation.
    ctes: BTreeSet<String>,
    /// Those that show masks, whatever their columns are called.
    masked_ctes: BTreeSet<String>,
    /// What `FROM` names so far, for each query around this place, innermost last.
    scopes: Vec<Vec<Item>>,
    /// What the `FROM` of the query around all others names.
    top: Vec<Item>,
    /// Whether the classification says of any table whose rows it has.
    knows_subjects: bool,
    /// How often relations about persons are read.
    persons: usize,
    /// The masked selves that were put in, by relation and `ONLY`.
    sources: BTreeMap<(TableName, bool), Source>,
    /// Conditions on columns, for each query around this place, innermost last.
    wanted: Vec<Vec<lookup::Wanted>>,
    /// Masked selves with such conditions added.
    looked_up: Vec<pg::SelectStmt>,
    /// Parameters that are written into columns which can have tokens.
    written: Vec<Written>,
    /// Tables that are written to.
    targets: BTreeSet<TableName>,
    /// Expressions that were put over a target's masked row, each as a query.
    wraps: Vec<pg::SelectStmt>,
    /// Where a mask comes back, what is stored stays.
    guards: Vec<Node>,
    /// Names of columns that are not as stored, of all that a statement reads that writes.
    hidden_names: BTreeSet<String>,
    writes: bool,
    /// Parts of trees that were put in for relations, and how many may be.
    put_in: usize,
    may_put_in: usize,
    /// What all `FROM` lists name, together.
    items: usize,
    /// How many views this place is in.
    views: usize,
    /// What is left for looking things up.
    steps: Cell<u64>,
}

/// Parts of trees that may be put in for the relations of a text: a table of 60 columns has some 2,500, so that this is
/// 800 of them; but a text of 16 MiB names a relation eight million times.
const MOST_PUT_IN: usize = 2_000_000;

/// The same for one statement, in a text of many.
const LEAST_PUT_IN: usize = 20_000;

/// Tokens of a text that is masked: writing the tree out, reading it again and comparing takes some 4 KB for each.
const MOST_TOKENS: usize = 100_000;

/// Statements in one text.
const MOST_STATEMENTS: usize = 1_000;

/// What all `FROM` lists of a statement may name together. The server's planner has long given up by then.
const MOST_ITEMS: usize = 10_000;

/// Steps of looking things up, for one statement: about a second.
const MOST_STEPS: u64 = 50_000_000;

/// What `FROM` names.
#[derive(Debug)]
struct Item {
    alias: String,
    /// It is a function, which may return a value that is no row.
    function: bool,
    /// It has an alias, so its relation's own name does not reach it.
    renamed: bool,
    /// The relation that it stands for.
    table: Option<TableName>,
    /// Whether the relation's columns go by their own names behind its alias.
    reachable: bool,
    /// Its columns, where they are known.
    columns: Option<Vec<String>>,
    /// The primary key's columns, where grouping by them may be completed.
    key: Vec<String>,
    /// Columns whose values can be grouped by.
    groupable: Vec<String>,
}

impl Item {
    fn other(alias: &str) -> Item {
        Item {
            alias: alias.to_owned(),
            function: false,
            renamed: true,
            table: None,
            reachable: false,
            columns: None,
            key: Vec::new(),
            groupable: Vec::new(),
        }
    }
}

impl<'a> Masker<'a> {
    fn new(statement: &NodeEnum, protection: &Protection<'a>, temporaries: &'a Temporaries) -> Result<Self, Refusal> {
        let catalog = protection.catalog;
        // a cast between types of the server itself, or the order of one, that runs somebody's function: it could be anywhere
        if catalog.poisoned.iter().any(|oid| *oid < FIRST_USER_OID) {
            return Err(refusal(
                "masking.cast",
                "a cast between built-in types, or the order of one, runs a function of this database".into(),
                "it could run anywhere in a statement and read protected columns",
                "ask the connection's owner to drop it",
            ));
        }
        if catalog.is_overloaded() {
            return Err(refusal(
                "masking.function",
                "a function or an operator of this database is in pg_catalog, beside a built-in one".into(),
                "it could be meant wherever that is called, also by the masks",
                "ask the connection's owner to move it to a schema of its own",
            ));
        }
        // the one type that is written without its schema
        if catalog.types.keys().any(|name| name.name == "bpchar") {
            return Err(refuse::internal("there is a type named bpchar outside pg_catalog"));
        }
        let mut ctes = CteNames::default();
        visit(statement, &mut ctes);
        let CteNames { names: ctes, writes, .. } = ctes;
        // rule R6: so a name in FROM is a CTE's or a relation's, whatever the scope
        let is_relation = |name: &&String| catalog.relation("", name).is_some() || temporaries.get("", name).is_some();
        if let Some(name) = ctes.iter().find(is_relation) {
            return Err(refusal(
                "masking.cte",
                format!("WITH `{name}` has the name of a table"),
                "which of the two is meant would depend on the place",
                "give it another name",
            ));
        }
        Ok(Masker {
            protection: *protection,
            catalog,
            temporaries,
            filled: Filled::default(),
            bare: BTreeSet::new(),
            ctes,
            masked_ctes: BTreeSet::new(),
            scopes: Vec::new(),
            top: Vec::new(),
            knows_subjects: protection.classification.values().any(|classes| classes.subject_column().is_some()),
            persons: 0,
            sources: BTreeMap::new(),
            wanted: Vec::new(),
            looked_up: Vec::new(),
            written: Vec::new(),
            targets: BTreeSet::new(),
            wraps: Vec::new(),
            guards: Vec::new(),
            hidden_names: BTreeSet::new(),
            writes,
            put_in: 0,
            may_put_in: MOST_PUT_IN,
            items: 0,
            views: 0,
            steps: Cell::new(MOST_STEPS),
        })
    }

    /// All that was put in.
    fn put_in(&self) -> proof::PutIn<'_> {
        proof::PutIn {
            sources: self.sources.values().map(|source| &source.query).chain(&self.looked_up).collect(),
            guards: &self.guards,
            ctes: &self.ctes,
            targets: &self.targets,
            bare: &self.bare,
        }
    }

    /// Whether what was put in so far is not too much.
    fn within_bounds(&self) -> Result<(), Refusal> {
        if self.put_in > self.may_put_in || self.items > MOST_ITEMS { Err(refuse::size()) } else { Ok(()) }
    }

    /// The statement that may run, and what it may return.
    fn statement(&mut self, statement: NodeEnum) -> Result<(NodeEnum, Output), Refusal> {
        let kind = Kind::of(&statement);
        match statement {
            NodeEnum::SelectStmt(select) if temporary::into(&select).is_some() => self.select_into(*select),
            NodeEnum::SelectStmt(mut select) => {
                let columns = expected(&select);
                self.select(&mut select)?;
                let subjects = self.subjects(&mut select);
                let returns = self.returned_rows(columns);
                Ok((NodeEnum::SelectStmt(select), Output { subjects, ..Output::of(returns) }))
            }
            NodeEnum::ExplainStmt(mut explain) => {
                explained(&mut explain)?;
                // with an index on hidden values the plan would tell how these lie on the disk
                self.protection.masker.keys = None;
                self.query_or_write(&mut explain.query)?;
                let columns = Some(vec![Expected { name: Some("QUERY PLAN".into()) }]);
                Ok((NodeEnum::ExplainStmt(explain), Output::rows(Arc::default(), columns)))
            }
            NodeEnum::CopyStmt(copy) => {
                let (copy, returns) = self.copy(*copy)?;
                let output = returns.map_or_else(Output::no_rows, Output::with_inside);
                Ok((copy, Output { subjects: self.untold(), ..output }))
            }
            NodeEnum::DeclareCursorStmt(mut cursor) => {
                let returns = self.query_inside(&mut cursor.query)?;
                let declared = Some(inside::declared(&cursor));
                Ok((NodeEnum::DeclareCursorStmt(cursor), Output { cursor: declared, ..Output::with_inside(returns) }))
            }
            NodeEnum::PrepareStmt(mut prepare) => {
                for ty in &mut prepare.argtypes {
                    match &mut ty.node {
                        Some(NodeEnum::TypeName(ty)) => self.type_name(ty)?,
                        _ => return Err(refuse::internal("a parameter's type is something else")),
                    }
                }
                let returns = self.query_or_write_inside(&mut prepare.query)?;
                Ok((NodeEnum::PrepareStmt(prepare), Output::with_inside(returns)))
            }
            // it was masked when it was prepared; whether by the masks of now is for the caller to know
            NodeEnum::ExecuteStmt(mut execute) => {
                self.expressions(&mut execute.params)?;
                self.persons += usize::from(self.knows_subjects);
                let returns = Returns::Named(Named::Prepared(execute.name.clone()));
                Ok((NodeEnum::ExecuteStmt(execute), Output { subjects: self.untold(), ..Output::of(returns) }))
            }
            // a cursor can only have been made from a rewritten statement, of any table
            NodeEnum::FetchStmt(fetch) if fetch.ismove => {
                // how far it moves is how many there are
                self.persons += usize::from(self.knows_subjects);
                Ok((NodeEnum::FetchStmt(fetch), Output { subjects: self.untold(), ..Output::no_rows() }))
            }
            NodeEnum::FetchStmt(fetch) => {
                let returns = Returns::Named(Named::Cursor(fetch.portalname.clone()));
                self.persons += usize::from(self.knows_subjects);
                Ok((NodeEnum::FetchStmt(fetch), Output { subjects: self.untold(), ..Output::of(returns) }))
            }
            NodeEnum::TransactionStmt(transaction) => match TransactionStmtKind::try_from(transaction.kind) {
                Ok(
                    TransactionStmtKind::TransStmtBegin
                    | TransactionStmtKind::TransStmtStart
                    | TransactionStmtKind::TransStmtCommit
                    | TransactionStmtKind::TransStmtRollback
                    | TransactionStmtKind::TransStmtSavepoint
                    | TransactionStmtKind::TransStmtRelease
                    | TransactionStmtKind::TransStmtRollbackTo,
                ) => Ok((NodeEnum::TransactionStmt(transaction), Output::no_rows())),
                _ => Err(refuse::statement(kind.tag)),
            },
            NodeEnum::VariableSetStmt(set) => {
                variable_set(&set)?;
                Ok((NodeEnum::VariableSetStmt(set), Output::no_rows()))
            }
            NodeEnum::VariableShowStmt(show) => {
                settings::readable(&show.name)?;
                // the server spells some of them in its own way (`TimeZone`)
                let columns = Some(vec![Expected { name: None }]);
                Ok((NodeEnum::VariableShowStmt(show), Output::rows(Arc::default(), columns)))
            }
            NodeEnum::ClosePortalStmt(close) => {
                let closed = match close.portalname.is_empty() {
                    true => Cursor::CloseAll,
                    false => Cursor::Close(close.portalname.clone()),
                };
                Ok((NodeEnum::ClosePortalStmt(close), Output { cursor: Some(closed), ..Output::no_rows() }))
            }
            statement @ (NodeEnum::DiscardStmt(_) | NodeEnum::DeallocateStmt(_) | NodeEnum::UnlistenStmt(_)) => {
                Ok((statement, Output::no_rows()))
            }
            mut statement @ (NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)) => {
                let returned = self.write(&mut statement)?;
                let returns = match returned {
                    None => Returns::NoRows,
                    Some(columns) => self.returned_rows(columns),
                };
                Ok((statement, Output { subjects: self.untold(), ..Output::of(returns) }))
            }
            NodeEnum::TruncateStmt(truncate) => self.truncate(truncate),
            NodeEnum::CreateStmt(create) => self.create_table(create),
            NodeEnum::CreateTableAsStmt(create) => self.create_table_as(*create),
            NodeEnum::ViewStmt(view) => self.create_view(*view),
            NodeEnum::IndexStmt(index) => self.create_index(*index),
            NodeEnum::AlterTableStmt(alter) => self.alter_table(alter),
            NodeEnum::DropStmt(drop) => self.drop_relations(drop),
            NodeEnum::VacuumStmt(vacuum) if !vacuum.is_vacuumcmd => self.analyze(vacuum),
            _ => Err(match kind.does {
                Does::Administer => refuse::ddl(kind.tag),
                Does::Call => refuse::call(kind.tag),
                Does::Query | Does::Session => refuse::statement(kind.tag),
            }),
        }
    }

    /// What is returned of the relations that are read.
    fn returned_rows(&self, columns: Option<Vec<Expected>>) -> Returns {
        let permanent = self.reads_of_own().next().map(|_| self.catalog.permanent.clone());
        Returns::Rows { origins: Arc::new(self.origins()), permanent, columns }
    }

    /// Temporary relations that the statement names.
    fn reads_of_own(&self) -> impl Iterator<Item = &str> {
        self.bare.iter().filter(|name| name.schema == temporary::PG_TEMP).map(|name| &*name.name)
    }

    /// The columns shown as stored of the relations that are read.
    fn origins(&self) -> BTreeSet<(u32, i16)> {
        self.sources.values().flat_map(|source| source.origins.iter().copied()).collect()
    }
}

/// OIDs from here on are not the server's own (PostgreSQL, `FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// Names of CTEs anywhere in a statement.
#[derive(Default)]
struct CteNames {
    names: BTreeSet<String>,
    name: bool,
    /// Something in it writes.
    writes: bool,
}

impl Visit for CteNames {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.writes |= matches!(
            kind,
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "IntoClause" | "ViewStmt" | "CreateTableAsStmt"
        );
        true
    }
    fn field(&mut self, name: &'static str) {
        self.name = name == "ctename";
    }
    fn text(&mut self, value: &str) {
        if self.name {
            self.names.insert(value.to_owned());
        }
    }
    fn number(&mut self, _: i64) {}
    fn leave(&mut self, _: &'static str) {}
}

fn node(node: NodeEnum) -> Node {
    Node { node: Some(node) }
}

fn string(name: &str) -> Node {
    node(NodeEnum::String(pg::String { sval: name.to_owned() }))
}

/// What is known of a query's output columns; `None` where a `*` leaves it to the server.
fn expected(select: &pg::SelectStmt) -> Option<Vec<Expected>> {
    let mut first = select;
    // the first branch of a UNION names its columns
    while let Some(left) = &first.larg {
        first = left;
    }
    if first.target_list.is_empty() {
        return None;
    }
    expected_of(&first.target_list)
}

/// The same of a list of output columns.
fn expected_of(targets: &[Node]) -> Option<Vec<Expected>> {
    targets
        .iter()
        .map(|target| {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
            let value = target.val.as_ref().and_then(|val| val.node.as_ref());
            let last = match value {
                Some(NodeEnum::ColumnRef(column)) => match column.fields.last().and_then(|field| field.node.as_ref()) {
                    Some(NodeEnum::AStar(_)) => return None,
                    Some(NodeEnum::String(name)) => Some(name.sval.clone()),
                    _ => None,
                },
                Some(NodeEnum::AIndirection(indirection)) => {
                    let star = |step: &Node| matches!(step.node, Some(NodeEnum::AStar(_)));
                    if indirection.indirection.iter().any(star) {
                        return None;
                    }
                    None
                }
                _ => None,
            };
            let name = if target.name.is_empty() { last } else { Some(target.name.clone()) };
            Some(Expected { name })
        })
        .collect()
}
