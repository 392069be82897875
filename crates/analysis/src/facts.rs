//! A statement's facts: what a policy must permit for it, and whether it can have effects.
//!
//! They are read off a walk over the *whole* tree ([`crate::visit`]), so a table cannot hide in a construct that
//! nobody thought of: whatever names a relation is counted, and only what is known to be harmless is counted as such.

use std::collections::{BTreeSet, HashMap};

use chaperone_model::{Action, Effects, Facts, Need, TableName};
use pg_query::NodeEnum;

use crate::allow;
use crate::kind::{Does, Kind};
use crate::temporary::{PG_TEMP, Temporary};
use crate::visit::{Visit, visit};

/// How names without a schema are understood.
pub(crate) trait Names {
    /// The table that an unqualified name means, where that is known.
    fn resolve(&self, name: &str) -> Option<TableName>;

    /// Whether a function outside `pg_catalog` is known to compute on its arguments alone.
    fn function(&self, _name: &[String]) -> bool {
        false
    }

    /// The same of an operator.
    fn operator(&self, _name: &[String]) -> bool {
        false
    }

    /// What a view of this name reads.
    fn reads(&self, _: &TableName) -> &[TableName] {
        &[]
    }

    /// The temporary relation of the session that a name means.
    fn temporary(&self, _schema: &str, _name: &str) -> Option<&Temporary> {
        None
    }

    /// Whether a statement that administers is about what the session made for itself.
    fn is_own(&self, _: &NodeEnum) -> bool {
        false
    }
}

/// Nothing is known: an unqualified name needs the permission for the connection as a whole.
pub(crate) struct Unresolved;

impl Names for Unresolved {
    fn resolve(&self, _: &str) -> Option<TableName> {
        None
    }
}

/// The facts of one statement.
pub(crate) fn of(statement: &NodeEnum, names: &impl Names) -> Facts {
    let kind = Kind::of(statement);
    let mut found = Found::default();
    visit(statement, &mut found);

    found.effects |= found.functions.iter().any(|name| !names.function(name));
    found.effects |= found.operators.iter().any(|name| !names.operator(name));
    let calls = found.functions.iter().any(|name| !allow::session_function(name) && !names.function(name));

    let mut needs = BTreeSet::new();
    let mut steps = MOST_STEPS;
    let table = |relation: &Relation| match (&*relation.catalog, &*relation.schema) {
        ("", "") => names.resolve(&relation.name),
        ("", schema) => Some(TableName::new(schema, &*relation.name)),
        // another database's: the server refuses it
        _ => None,
    };
    let own_only = names.is_own(statement);
    for relation in &found.relations {
        if matches!(relation.role, Role::Read | Role::Locked) && found.is_cte(relation, &mut steps) {
            continue;
        }
        // what a session makes for itself needs what it is made of
        let own = names.temporary(&relation.schema, &relation.name).filter(|_| relation.catalog.is_empty());
        if let Some(own) = own {
            needs.extend(own.needs.iter().cloned());
            let copies = matches!(statement, NodeEnum::CopyStmt(_)) && !matches!(relation.role, Role::CopyFrom);
            if copies {
                needs.extend(own.needs.iter().map(|need| Need { action: Action::Copy, ..need.clone() }));
            }
            continue;
        }
        if own_only && relation.role == Role::Named {
            // what it makes; or what it has its columns from
            if !relation.temporary && relation.schema != PG_TEMP {
                needs.insert(Need { action: Action::Select, table: table(relation) });
            }
            continue;
        }
        for action in relation.role.actions(kind.does, relation.flags) {
            needs.insert(Need { action, table: table(relation) });
        }
        if matches!(statement, NodeEnum::CopyStmt(_)) {
            needs.insert(Need { action: Action::Copy, table: table(relation) });
        }
    }
    below(&mut needs, names);
    let mut need = |action| _ = needs.insert(Need { action, table: None });
    if matches!(statement, NodeEnum::CopyStmt(_)) && found.relations.is_empty() {
        need(Action::Copy);
    }
    // COPY with a file or a program of the server
    if found.server_side {
        need(Action::Ddl);
    }
    // code that is not known to keep to its arguments may do anything that the database's role may
    if calls {
        need(Action::Call);
    }
    match kind.does {
        Does::Query | Does::Session => {}
        Does::Administer if own_only => {}
        Does::Administer if needs.iter().any(|need| need.action == Action::Ddl) => {}
        Does::Administer => _ = needs.insert(Need { action: Action::Ddl, table: None }),
        Does::Call => _ = needs.insert(Need { action: Action::Call, table: None }),
    }
    if needs.is_empty() {
        needs.insert(Need { action: Action::Connect, table: None });
    }
    let effects = if kind.effects || found.effects { Effects::Possible } else { Effects::None };
    Facts { kind: kind.tag.to_owned(), needs: needs.into_iter().collect(), has_where: has_where(statement), effects }
}

/// The names without a schema, or with that of temporary relations, to which a statement writes.
pub(crate) fn written(statement: &NodeEnum) -> BTreeSet<String> {
    let mut found = Found::default();
    visit(statement, &mut found);
    let writes = |relation: &Relation| {
        matches!(relation.role, Role::Insert | Role::Update | Role::Merge | Role::CopyFrom)
            && matches!(&*relation.schema, "" | PG_TEMP)
    };
    found.relations.into_iter().filter(writes).map(|relation| relation.name).collect()
}

/// Who reads a view reads the tables below it: a rule about one of them must not be got around by a name of its own.
fn below(needs: &mut BTreeSet<Need>, names: &impl Names) {
    let views = needs.iter().filter(|need| matches!(need.action, Action::Select | Action::Copy));
    let mut open: Vec<Need> = views.filter(|need| need.table.is_some()).cloned().collect();
    while let Some(Need { action, table }) = open.pop() {
        for table in table.iter().flat_map(|table| names.reads(table)) {
            let need = Need { action, table: Some(table.clone()) };
            if needs.insert(need.clone()) {
                open.push(need);
            }
        }
    }
}

fn has_where(statement: &NodeEnum) -> bool {
    let inner =
        |node: &Option<Box<pg_query::Node>>| node.as_ref().and_then(|node| node.node.as_ref()).is_some_and(has_where);
    match statement {
        NodeEnum::SelectStmt(s) => s.where_clause.is_some(),
        NodeEnum::UpdateStmt(s) => s.where_clause.is_some(),
        NodeEnum::DeleteStmt(s) => s.where_clause.is_some(),
        NodeEnum::InsertStmt(s) => inner(&s.select_stmt),
        NodeEnum::ExplainStmt(s) => inner(&s.query),
        NodeEnum::PrepareStmt(s) => inner(&s.query),
        NodeEnum::DeclareCursorStmt(s) => inner(&s.query),
        NodeEnum::CreateTableAsStmt(s) => inner(&s.query),
        NodeEnum::CopyStmt(s) => s.where_clause.is_some() || inner(&s.query),
        _ => false,
    }
}

/// What a statement does to one relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Read,
    Locked,
    Insert,
    Update,
    Delete,
    Merge,
    Truncate,
    Lock,
    CopyFrom,
    CopyTo,
    /// Named by the statement itself, not by a query in it.
    Named,
}

/// What the rest of the statement adds to a target's role.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// It has a `WHERE`, a `RETURNING` or another source: rows of the target are read.
    reads: bool,
    inserts: bool,
    updates: bool,
    deletes: bool,
}

impl Role {
    fn actions(self, does: Does, flags: Flags) -> Vec<Action> {
        let read = flags.reads.then_some(Action::Select);
        match self {
            Role::Read => vec![Action::Select],
            Role::Locked => vec![Action::Select, Action::Update],
            Role::Insert => {
                let mut actions = vec![Action::Insert];
                actions.extend(read);
                actions.extend(flags.updates.then_some(Action::Update));
                actions
            }
            Role::Update => std::iter::once(Action::Update).chain(read).collect(),
            Role::Delete => std::iter::once(Action::Delete).chain(read).collect(),
            Role::Merge => {
                let mut actions = vec![Action::Select];
                actions.extend(flags.inserts.then_some(Action::Insert));
                actions.extend(flags.updates.then_some(Action::Update));
                actions.extend(flags.deletes.then_some(Action::Delete));
                actions
            }
            Role::Truncate => vec![Action::Delete],
            Role::Lock => vec![Action::Update],
            Role::CopyFrom => vec![Action::Copy, Action::Insert],
            Role::CopyTo => vec![Action::Copy, Action::Select],
            Role::Named => match does {
                Does::Call => vec![Action::Call],
                Does::Query | Does::Session | Does::Administer => vec![Action::Ddl],
            },
        }
    }
}

#[derive(Debug)]
struct Relation {
    catalog: String,
    schema: String,
    name: String,
    role: Role,
    flags: Flags,
    /// It is to be temporary.
    temporary: bool,
    /// The innermost statement around it.
    inside: Option<Inside>,
}

/// A statement, by its number in [`Found::scopes`], and which of its CTEs a place in it stands in.
#[derive(Debug, Clone, Copy)]
struct Inside {
    scope: usize,
    cte: Option<usize>,
}

/// Statements that are looked at, for all names together, to tell whether they are CTEs. Beyond that no name is one:
/// more is needed, never less. Without a bound, many names deep in many statements would take hours.
const MOST_STEPS: u64 = 20_000_000;

/// A `SELECT`, `INSERT`, `UPDATE`, `DELETE` or `MERGE` anywhere in the tree.
#[derive(Debug, Default)]
struct Scope {
    /// How many CTEs have begun, and the number of the first of each name.
    ctes: usize,
    names: HashMap<String, usize>,
    recursive: bool,
    flags: Flags,
    /// The statement around it.
    outer: Option<Inside>,
    /// The target, and the relations in the `FROM` list, by number.
    target: Option<usize>,
    from: Vec<usize>,
    locks: bool,
}

/// A struct that the walk is in.
#[derive(Debug)]
struct Place {
    kind: &'static str,
    field: &'static str,
    scope: Option<usize>,
    /// The statement that the struct's fields belong to.
    inside: Option<Inside>,
}

#[derive(Debug, Default)]
struct Found {
    path: Vec<Place>,
    scopes: Vec<Scope>,
    relations: Vec<Relation>,
    /// Parts of the name that is being read: of a relation, a function, an operator.
    name: Vec<String>,
    effects: bool,
    /// Functions and operators that are not among the server's harmless ones.
    functions: BTreeSet<Vec<String>>,
    operators: BTreeSet<Vec<String>>,
    /// `COPY` with a file or a program of the server.
    server_side: bool,
    copy_from: bool,
}

impl Found {
    /// What holds the struct that is being read.
    fn parent(&self) -> Option<&Place> {
        self.path.iter().rev().nth(1)
    }

    /// Whether an unqualified name is that of a CTE in scope (PostgreSQL manual, `SELECT`, `WITH` clause): those of
    /// the statements around it; inside the `WITH` itself only earlier ones, unless it is recursive.
    fn is_cte(&self, relation: &Relation, steps: &mut u64) -> bool {
        if !relation.schema.is_empty() || !relation.catalog.is_empty() {
            return false;
        }
        let mut around = relation.inside;
        while let Some(Inside { scope, cte }) = around {
            let Some(left) = steps.checked_sub(1) else { return false };
            *steps = left;
            let Some(scope) = self.scopes.get(scope) else { return false };
            let visible = match cte {
                Some(number) if !scope.recursive => number,
                _ => scope.ctes,
            };
            if scope.names.get(&relation.name).is_some_and(|number| *number < visible) {
                return true;
            }
            around = scope.outer;
        }
        false
    }

    fn role(&self) -> Role {
        match self.parent().map(|place| (place.kind, place.field)) {
            Some(("InsertStmt", "relation")) => Role::Insert,
            Some(("UpdateStmt", "relation")) => Role::Update,
            Some(("DeleteStmt", "relation")) => Role::Delete,
            Some(("MergeStmt", "relation")) => Role::Merge,
            Some(("TruncateStmt", _)) => Role::Truncate,
            Some(("LockStmt", _)) => Role::Lock,
            Some(("CopyStmt", _)) => Role::CopyTo,
            Some(("IntoClause", _)) => Role::Named,
            _ if self.path.iter().any(|place| place.scope.is_some()) => Role::Read,
            _ => Role::Named,
        }
    }

    fn relation(&mut self) {
        let role = self.role();
        let inside = self.parent().and_then(|place| place.inside);
        let number = self.relations.len();
        let mut name = std::mem::take(&mut self.name).into_iter();
        let mut next = || name.next().unwrap_or_default();
        let (catalog, schema, name) = (next(), next(), next());
        if let Some(Inside { scope, cte: None }) = inside
            && let Some(scope) = self.scopes.get_mut(scope)
        {
            match role {
                Role::Read => scope.from.push(number),
                Role::Insert | Role::Update | Role::Delete | Role::Merge => scope.target = Some(number),
                _ => {}
            }
        }
        // an alias in FOR UPDATE OF is no relation of its own
        if self.parent().is_some_and(|place| place.kind == "LockingClause") {
            if let Some(Inside { scope, .. }) = inside
                && let Some(scope) = self.scopes.get_mut(scope)
                && scope.from.last() == Some(&number)
            {
                scope.from.pop();
            }
            return;
        }
        let flags = Flags::default();
        self.relations.push(Relation { catalog, schema, name, role, flags, temporary: false, inside });
    }

    fn scope(&mut self) -> Option<&mut Scope> {
        let Inside { scope, .. } = self.path.last()?.inside?;
        self.scopes.get_mut(scope)
    }
}

/// Kinds with a scope of their own for CTEs.
const SCOPES: [&str; 5] = ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

impl Visit for Found {
    fn enter(&mut self, kind: &'static str) -> bool {
        let mut inside = self.path.last().and_then(|place| place.inside);
        let scope = SCOPES.contains(&kind).then(|| {
            self.scopes.push(Scope { outer: inside, ..Scope::default() });
            self.scopes.len() - 1
        });
        if let Some(scope) = scope {
            inside = Some(Inside { scope, cte: None });
        }
        match kind {
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => self.effects = true,
            "IntoClause" => self.effects = true,
            "LockingClause" => {
                self.effects = true;
                if let Some(scope) = self.scope() {
                    scope.locks = true;
                }
            }
            "ReturningClause" => {
                if let Some(scope) = self.scope() {
                    scope.flags.reads = true;
                }
            }
            "CommonTableExpr" => {
                if let Some(Inside { scope, cte }) = &mut inside
                    && let Some(scope) = self.scopes.get_mut(*scope)
                {
                    *cte = Some(scope.ctes);
                    scope.ctes += 1;
                }
            }
            "RangeVar" | "FuncCall" | "AExpr" | "SubLink" | "SortBy" => self.name.clear(),
            _ => {}
        }
        self.path.push(Place { kind, field: "", scope, inside });
        true
    }

    fn field(&mut self, name: &'static str) {
        if let Some(place) = self.path.last_mut() {
            // a name is complete when the next field begins
            let done = (place.kind, place.field);
            place.field = name;
            match done {
                ("RangeVar", "relname") => self.relation(),
                ("FuncCall", "funcname") => {
                    let name = std::mem::take(&mut self.name);
                    if !allow::function(&name) {
                        self.functions.insert(name);
                    }
                }
                ("AExpr", "name") | ("SubLink", "oper_name") | ("SortBy", "use_op") => {
                    let name = std::mem::take(&mut self.name);
                    if !name.is_empty() && !allow::operator(&name) {
                        self.operators.insert(name);
                    }
                }
                _ => {}
            }
        }
    }

    fn text(&mut self, value: &str) {
        let Some(place) = self.path.last() else { return };
        match (place.kind, place.field) {
            ("RangeVar", "catalogname" | "schemaname" | "relname") => self.name.push(value.to_owned()),
            ("RangeVar", "relpersistence") if value == "t" => {
                if let Some(relation) = self.relations.last_mut() {
                    relation.temporary = true;
                }
            }
            ("String", "sval") => {
                let holder = self.path.len().checked_sub(2).and_then(|n| self.path.get(n));
                if let Some(
                    ("FuncCall", "funcname") | ("AExpr", "name") | ("SubLink", "oper_name") | ("SortBy", "use_op"),
                ) = holder.map(|place| (place.kind, place.field))
                {
                    self.name.push(value.to_owned());
                }
            }
            ("CommonTableExpr", "ctename") => {
                if let Some(Inside { scope, cte: Some(number) }) = place.inside
                    && let Some(scope) = self.scopes.get_mut(scope)
                {
                    scope.names.entry(value.to_owned()).or_insert(number);
                }
            }
            ("CopyStmt", "filename") if !value.is_empty() => {
                self.server_side = true;
                self.effects = true;
            }
            _ => {}
        }
    }

    fn number(&mut self, value: i64) {
        let Some(place) = self.path.last() else { return };
        match (place.kind, place.field) {
            ("WithClause", "recursive") if value != 0 => {
                if let Some(scope) = self.scope() {
                    scope.recursive = true;
                }
            }
            ("CopyStmt", "is_from") if value != 0 => {
                self.copy_from = true;
                self.effects = true;
            }
            ("CopyStmt", "is_program") if value != 0 => {
                self.server_side = true;
                self.effects = true;
            }
            ("OnConflictClause", "action") => {
                let updates = value == i64::from(pg_query::protobuf::OnConflictAction::OnconflictUpdate as i32);
                if let Some(scope) = self.scope() {
                    scope.flags.updates |= updates;
                    scope.flags.reads |= updates;
                }
            }
            ("MergeWhenClause", "command_type") => {
                use pg_query::protobuf::CmdType;
                let is = |command: CmdType| value == i64::from(command as i32);
                if let Some(scope) = self.scope() {
                    scope.flags.inserts |= is(CmdType::CmdInsert);
                    scope.flags.updates |= is(CmdType::CmdUpdate);
                    scope.flags.deletes |= is(CmdType::CmdDelete);
                }
            }
            _ => {}
        }
    }

    fn many(&mut self, len: usize) {
        let Some(place) = self.path.last() else { return };
        if len > 0
            && let ("UpdateStmt" | "DeleteStmt", "where_clause" | "from_clause" | "using_clause") =
                (place.kind, place.field)
            && let Some(scope) = self.scope()
        {
            scope.flags.reads = true;
        }
    }

    fn leave(&mut self, kind: &'static str) {
        let Some(place) = self.path.pop() else { return };
        match kind {
            "CopyStmt" if self.copy_from => {
                for relation in &mut self.relations {
                    if relation.role == Role::CopyTo {
                        relation.role = Role::CopyFrom;
                    }
                }
            }
            _ => {}
        }
        if let Some(scope) = place.scope.and_then(|n| self.scopes.get(n)) {
            if let Some(target) = scope.target.and_then(|n| self.relations.get_mut(n)) {
                target.flags = scope.flags;
            }
            if scope.locks {
                for number in &scope.from {
                    if let Some(relation) = self.relations.get_mut(*number) {
                        relation.role = Role::Locked;
                    }
                }
            }
        }
    }
}
