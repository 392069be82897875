//! What a session makes for itself: temporary tables and views.
//!
//! They are filled by statements that were masked, so they hold what the session was allowed to see *then*. Reading one
//! needs the permissions that filling it needed, and the same masks; under others it is refused.
//!
//! A name is known from when its statement is judged, and never forgotten: whether the statement succeeded, and whether its
//! transaction did, need not be known. What is known is named with `pg_temp` and nothing else, so that a table which is not
//! there, or no longer, is an error of the database and never another table (rule R4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chaperone_model::{Action, Facts, Masks, Need, TableName};
use pg_query::protobuf::{self as pg, ObjectType};
use pg_query::{Node, NodeEnum};

use crate::catalog::Catalog;
use crate::facts::Names;
use crate::parse::Statements;

/// The schema that is the session's own, whatever its number (PostgreSQL manual, 20.11.1).
pub(crate) const PG_TEMP: &str = "pg_temp";

/// `pg_class.relpersistence` of what is temporary.
const TEMPORARY: &str = "t";

/// Names that are remembered.
const MOST: usize = 1024;

/// What a session has made, by name.
#[derive(Debug, Clone, Default)]
pub struct Temporaries {
    made: BTreeMap<String, Temporary>,
}

/// One temporary relation: all that ever had its name in this session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Temporary {
    /// A view, or no table at all: nothing may be written to it, since the database would write to what is below.
    pub(crate) is_view: bool,
    /// What whoever filled it had to be permitted to do.
    pub(crate) needs: BTreeSet<Need>,
    /// By what it was masked; nothing before it is filled.
    by: Option<By>,
    /// It was filled under several masks, or what it is made of has changed.
    outdated: bool,
    /// Masks may be among its values.
    pub(crate) masked: bool,
}

/// What a value that is shown depends on, besides the value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct By {
    masks: Arc<Masks>,
    cutoff_year: i32,
}

/// What one statement puts into temporary relations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// Their names.
    pub names: BTreeSet<String>,
    /// Whether masks may be among the values.
    pub masked: bool,
}

static NONE: Temporaries = Temporaries { made: BTreeMap::new() };

impl Temporaries {
    /// Those of a session that made none.
    pub fn none() -> &'static Temporaries {
        &NONE
    }

    /// Whether statement `i` would make more than are remembered.
    pub fn is_full_for(&self, statements: &Statements, i: usize) -> bool {
        self.made.len() >= MOST && self.makes(statements.node(i)).is_some_and(|(name, _)| !self.made.contains_key(name))
    }

    /// Notes what statement `i` makes and writes to, before it is rewritten. Whether that was new.
    pub fn note(&mut self, statements: &Statements, i: usize, facts: &Facts) -> bool {
        let made = self.makes(statements.node(i));
        if made.is_none() && self.made.is_empty() {
            return false;
        }
        let mut new = false;
        if let Some((name, is_view)) = made
            && (self.made.len() < MOST || self.made.contains_key(name))
        {
            let known = self.made.entry(name.to_owned()).or_insert_with(|| {
                new = true;
                Temporary::default()
            });
            new |= is_view && !known.is_view;
            known.is_view |= is_view;
        }
        let mut written = crate::facts::written(statements.node(i));
        // a view may show what is written
        if written.iter().any(|name| self.made.contains_key(name)) {
            written.extend(self.views().map(str::to_owned));
        }
        written.extend(made.map(|(name, _)| name.to_owned()));
        let reads = || facts.needs.iter().filter(|need| need.action == Action::Select);
        for name in written {
            if let Some(known) = self.made.get_mut(&name) {
                new |= !reads().all(|need| known.needs.contains(need));
                known.needs.extend(reads().cloned());
            }
        }
        new
    }

    fn makes<'s>(&self, statement: &'s NodeEnum) -> Option<(&'s str, bool)> {
        match statement {
            // an index has a name in the same space
            NodeEnum::IndexStmt(index) if !index.idxname.is_empty() => {
                let of = index.relation.as_ref()?;
                self.get(&of.schemaname, &of.relname).map(|_| (&*index.idxname, true))
            }
            _ => makes(statement),
        }
    }

    /// Notes under which masks a statement fills them. Whether that was new.
    pub fn filled(&mut self, filled: &Filled, masks: &Arc<Masks>, cutoff_year: i32) -> bool {
        let mut new = false;
        // a view may show what is filled
        for known in self.made.values_mut().filter(|known| known.is_view && filled.masked && !filled.names.is_empty()) {
            new |= !known.masked;
            known.masked = true;
        }
        for name in &filled.names {
            let Some(known) = self.made.get_mut(name) else { continue };
            new |= known.by.is_none() || filled.masked && !known.masked;
            known.masked |= filled.masked;
            match &known.by {
                None => known.by = Some(By { masks: masks.clone(), cutoff_year }),
                Some(by) if by.is(masks, cutoff_year) => {}
                Some(_) => {
                    new |= !known.outdated;
                    known.outdated = true;
                }
            }
        }
        new
    }

    /// A view whose text would be masked in another way by now.
    pub fn outdate(&mut self, name: &str) {
        if let Some(known) = self.made.get_mut(name) {
            known.outdated = true;
        }
    }

    /// The relation that a name means, if it is one of these.
    pub(crate) fn get(&self, schema: &str, name: &str) -> Option<&Temporary> {
        matches!(schema, "" | PG_TEMP).then(|| self.made.get(name)).flatten()
    }

    fn views(&self) -> impl Iterator<Item = &str> {
        self.made.iter().filter(|(_, known)| known.is_view).map(|(name, _)| &**name)
    }

    /// Names of those that hold masks.
    pub(crate) fn masked(&self) -> impl Iterator<Item = &str> {
        self.made.iter().filter(|(_, known)| known.masked).map(|(name, _)| &**name)
    }
}

impl Temporary {
    /// Whether it holds what these masks show.
    pub(crate) fn is_of(&self, masks: &Masks, cutoff_year: i32) -> bool {
        !self.outdated && self.by.as_ref().is_none_or(|by| by.is(masks, cutoff_year))
    }
}

impl By {
    fn is(&self, masks: &Masks, cutoff_year: i32) -> bool {
        (std::ptr::eq(&*self.masks, masks) || *self.masks == *masks) && self.cutoff_year == cutoff_year
    }
}

/// The temporary relation that a statement makes, and whether it is a view.
pub(crate) fn makes(statement: &NodeEnum) -> Option<(&str, bool)> {
    let (range, is_view) = match statement {
        NodeEnum::CreateStmt(create) => (create.relation.as_ref(), false),
        NodeEnum::CreateTableAsStmt(create) => (create.into.as_ref().and_then(|into| into.rel.as_ref()), false),
        NodeEnum::SelectStmt(select) => (into(select).and_then(|into| into.rel.as_ref()), false),
        NodeEnum::ViewStmt(view) => (view.view.as_ref(), true),
        _ => return None,
    };
    range.filter(|range| is_temporary(range)).map(|range| (&*range.relname, is_view))
}

/// The temporary relation that a statement may make or change, so that what reads it cannot be described before.
pub(crate) fn defines(statement: &NodeEnum) -> Option<&str> {
    match statement {
        NodeEnum::AlterTableStmt(alter) => alter.relation.as_ref().map(|range| &*range.relname),
        _ => makes(statement).map(|(name, _)| name),
    }
}

/// Whether what is made under this name is temporary.
pub(crate) fn is_temporary(range: &pg::RangeVar) -> bool {
    range.relpersistence == TEMPORARY || range.schemaname == PG_TEMP
}

/// `SELECT … INTO`: the first branch of a `UNION` says where to.
pub(crate) fn into(select: &pg::SelectStmt) -> Option<&pg::IntoClause> {
    let mut first = select;
    while let Some(left) = &first.larg {
        first = left;
    }
    first.into_clause.as_deref()
}

/// Names in a session: those of the catalog, and its own.
pub(crate) struct InSession<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) temporaries: &'a Temporaries,
}

impl Names for InSession<'_> {
    fn resolve(&self, name: &str) -> Option<TableName> {
        self.catalog.resolve(name)
    }

    fn function(&self, name: &[String]) -> bool {
        Names::function(self.catalog, name)
    }

    fn operator(&self, name: &[String]) -> bool {
        Names::operator(self.catalog, name)
    }

    fn reads(&self, name: &TableName) -> &[TableName] {
        self.catalog.reads(name)
    }

    fn temporary(&self, schema: &str, name: &str) -> Option<&Temporary> {
        self.temporaries.get(schema, name)
    }

    fn is_own(&self, statement: &NodeEnum) -> bool {
        is_own(statement, self)
    }
}

/// Whether a statement that administers is about temporary relations alone.
fn is_own(statement: &NodeEnum, names: &InSession<'_>) -> bool {
    let known = |range: &Option<pg::RangeVar>| {
        range.as_ref().is_some_and(|range| names.temporaries.get(&range.schemaname, &range.relname).is_some())
    };
    match statement {
        NodeEnum::CreateStmt(_) | NodeEnum::CreateTableAsStmt(_) | NodeEnum::SelectStmt(_) | NodeEnum::ViewStmt(_) => {
            makes(statement).is_some()
        }
        NodeEnum::IndexStmt(index) => known(&index.relation),
        NodeEnum::AlterTableStmt(alter) => known(&alter.relation),
        NodeEnum::VacuumStmt(vacuum) => {
            !vacuum.rels.is_empty()
                && vacuum.rels.iter().all(|rel| match &rel.node {
                    Some(NodeEnum::VacuumRelation(rel)) => known(&rel.relation),
                    _ => false,
                })
        }
        NodeEnum::DropStmt(drop) => {
            is_dropped(drop.remove_type) && drop.objects.iter().all(|object| names.drops_own(object, drop.missing_ok))
        }
        _ => false,
    }
}

/// What is dropped by a name that relations share.
pub(crate) fn is_dropped(kind: i32) -> bool {
    matches!(ObjectType::try_from(kind), Ok(ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectIndex))
}

impl InSession<'_> {
    /// Whether `DROP` means one of the session's own, or by `IF EXISTS` nothing at all.
    pub(crate) fn drops_own(&self, object: &Node, missing_ok: bool) -> bool {
        let Some(NodeEnum::List(name)) = &object.node else { return false };
        match crate::rewrite::parts(&name.items).as_deref() {
            Ok([name]) => {
                let visible = self.catalog.relation("", name).is_some();
                !visible && (missing_ok || self.temporaries.get("", name).is_some())
            }
            Ok([PG_TEMP, _]) => true,
            _ => false,
        }
    }
}
