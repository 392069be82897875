//! A snapshot of the live catalog: what names mean, and what code of the database's owner a statement could reach.

mod extensions;
mod load;
mod rows;
mod view;

pub use load::QUERIES;
pub use rows::{CatalogError, Rows};
pub(crate) use rows::{Row, rows};
pub(crate) use view::View;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chaperone_model::TableName;
use pg_query::NodeEnum;

use crate::allow::{PG_CATALOG, PURE};
use crate::facts::Names;

/// The catalog as it was when it was read, and the session's search path. Pure data.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `server_version_num`, for example 150020.
    pub(crate) server_version: u32,
    /// The database's text is in UTF-8.
    pub(crate) utf8: bool,
    /// Schemas in the order in which unqualified names are looked up, `pg_catalog` among them.
    pub(crate) search_path: Vec<String>,
    pub(crate) relations: HashMap<TableName, Relation>,
    /// Their OIDs. None of them is temporary.
    pub(crate) permanent: Arc<HashSet<u32>>,
    /// Partitions, and tables that inherit, by their parent.
    pub(crate) children: HashMap<TableName, Vec<TableName>>,
    /// Types outside `pg_catalog`, by schema and name.
    pub(crate) types: HashMap<TableName, UserType>,
    /// Functions outside `pg_catalog`: schemas by name.
    pub(crate) functions: HashMap<String, BTreeSet<String>>,
    /// Operators outside `pg_catalog`: schemas by name.
    pub(crate) operators: HashMap<String, BTreeSet<String>>,
    /// Those of `functions` of whose overloads, in that schema, all are harmless ones of an extension.
    pub(crate) known_functions: HashMap<String, BTreeSet<String>>,
    /// The same of `operators`.
    pub(crate) known_operators: HashMap<String, BTreeSet<String>>,
    /// Operators that the bodies of `known_functions` call by their bare names, by schema and name of the function.
    pub(crate) bare_operators: HashMap<TableName, BTreeSet<String>>,
    /// Functions of any schema that can be called as `row.function`: schemas by name.
    pub(crate) attributes: HashMap<String, BTreeSet<String>>,
    /// Those, and functions that can be called as `(value).function` of a value of some other type.
    pub(crate) value_attributes: HashMap<String, BTreeSet<String>>,
    /// Types whose casts run a function that somebody added to this database, by OID (rule R3).
    pub(crate) poisoned: BTreeSet<u32>,
}

/// A relation of the live catalog.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    /// `pg_class.relkind`.
    pub(crate) kind: char,
    pub(crate) has_rules: bool,
    pub(crate) has_row_security: bool,
    /// The partition key has an expression, which is not looked into.
    pub(crate) partitioned_by_expression: bool,
    /// Columns of the partition key.
    pub(crate) partition_key: Vec<i16>,
    /// Live columns, in the order of their numbers.
    pub(crate) columns: Vec<Column>,
    /// Columns of the primary key; empty where there is none.
    pub(crate) primary_key: Vec<i16>,
    /// Indexes, each with its columns; 0 stands for an expression.
    pub(crate) indexes: Vec<Vec<i16>>,
    /// What the database compares when a row is written, besides the types.
    pub(crate) compared: Vec<Compared>,
    /// Somebody's code runs when a row is written: in a default, a check, an index, a generated column, a domain.
    pub(crate) runs_code: bool,
    /// Somebody's trigger runs when a row is written.
    pub(crate) has_triggers: bool,
    /// What a view is, if that can be read.
    pub(crate) view: Option<View>,
}

/// A constraint, a unique index or an expression of an index: whether a write succeeds tells something of these columns.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    /// `pg_constraint.contype`; `e` for an expression or predicate of an index; `C` and `U` for checks and unique indexes
    /// that rows that are there need not satisfy.
    pub(crate) kind: char,
    /// 0 stands for a row as a whole.
    pub(crate) columns: Vec<i16>,
    /// The columns of another table that a foreign key compares them with; of the table that refers to this one, kind `r`.
    pub(crate) with: Option<(TableName, Vec<i16>)>,
    /// The foreign key changes or removes rows of the table that refers to this one.
    pub(crate) acts: bool,
}

/// A column of the live catalog.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) number: i16,
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    /// The column's type with any domain taken off, by schema and name.
    pub(crate) base: TableName,
    pub(crate) base_oid: u32,
    /// The element's type, for an array (after the domain is taken off).
    pub(crate) element: Option<TableName>,
    pub(crate) element_oid: u32,
    /// `pg_type.typtype` of the base type: `b`, `c`, `e`, `r`, `m`.
    pub(crate) base_kind: char,
    /// Columns of the same table that a generated column reads.
    pub(crate) generated_from: Option<Vec<i16>>,
    /// Equal values are equal byte by byte: its collation is deterministic (PostgreSQL manual, 24.2.2.4), or it has none.
    pub(crate) bytewise: bool,
}

/// A type outside `pg_catalog`.
#[derive(Debug, Clone)]
pub(crate) struct UserType {
    pub(crate) oid: u32,
    /// `pg_type.typtype`.
    pub(crate) kind: char,
    /// A type of an extension that is known to compute on the value alone.
    pub(crate) known: bool,
}

/// What a name without a schema can mean outside `pg_catalog`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namesakes<'a> {
    /// Nothing.
    None,
    /// Code of extensions that is known to be harmless; the first on the path is in this schema.
    Known(&'a str),
    /// Code that nobody knows.
    Unknown,
}

impl Catalog {
    /// This catalog, but with the columns that its tables had `before`: none of those that came since, and those that went
    /// as they were. `None` where that is the same, or where a name or a number stands for another column now.
    pub fn with_columns_of(&self, before: &Catalog) -> Option<Catalog> {
        let mut changed = Vec::new();
        for (name, relation) in &self.relations {
            let Some(known) = before.relations.get(name).filter(|known| known.oid == relation.oid) else { continue };
            let is_as = |(old, new): (&Column, &Column)| old.number == new.number && old.name == new.name;
            let same = known.columns.len() == relation.columns.len();
            if same && known.columns.iter().zip(&relation.columns).all(is_as) {
                continue;
            }
            let now = |old: &Column| match relation
                .columns
                .iter()
                .find(|new| new.number == old.number || new.name == old.name)
            {
                Some(new) => is_as((old, new)).then(|| new.clone()),
                None => Some(old.clone()),
            };
            changed.push((name.clone(), known.columns.iter().map(now).collect::<Option<Vec<Column>>>()?));
        }
        if changed.is_empty() {
            return None;
        }
        let mut catalog = self.clone();
        for (name, columns) in changed {
            if let Some(relation) = catalog.relations.get_mut(&name) {
                relation.columns = columns;
            }
        }
        Some(catalog)
    }

    /// The same catalog for a session with another search path: the answer to `SELECT current_schemas(true)` in it.
    #[must_use]
    pub fn with_search_path(mut self, search_path: Vec<String>) -> Self {
        self.search_path = search_path;
        self
    }

    /// The value of `search_path` by which a session looks names up as this catalog does. The server puts `pg_catalog` before
    /// all that is named; where it comes first by name, so that new relations would go there, is not kept.
    pub fn path_setting(&self) -> String {
        let named = self.search_path.iter().enumerate().filter(|(i, schema)| *i > 0 || *schema != PG_CATALOG);
        let quoted: Vec<String> = named.map(|(_, schema)| format!("\"{}\"", schema.replace('"', "\"\""))).collect();
        quoted.join(", ")
    }

    /// The schemas in which names are looked up, in this order.
    pub fn path(&self) -> &[String] {
        &self.search_path
    }

    /// The live columns of those of `tables` that exist.
    pub fn columns_of<'t>(&self, tables: impl IntoIterator<Item = &'t TableName>) -> Vec<(TableName, Vec<String>)> {
        tables
            .into_iter()
            .filter_map(|table| {
                let relation = self.relations.get(table)?;
                Some((table.clone(), relation.columns.iter().map(|column| column.name.clone()).collect()))
            })
            .collect()
    }

    /// The relation that a name means, with or without a schema (PostgreSQL manual, 5.9.3).
    pub(crate) fn relation(&self, schema: &str, name: &str) -> Option<(TableName, &Relation)> {
        let find = |schema: &str| {
            let name = TableName::new(schema, name);
            self.relations.get(&name).map(|relation| (name, relation))
        };
        if schema.is_empty() { self.search_path.iter().find_map(|schema| find(schema)) } else { find(schema) }
    }

    /// What a function's name without a schema can mean outside `pg_catalog`.
    pub(crate) fn function_namesakes(&self, name: &str) -> Namesakes<'_> {
        let functions = self.namesakes(self.functions.get(name), &|schema| self.knows_function(schema, name));
        // without its schema it could also be a cast to a type of that name
        let may_cast = || self.search_path.iter().any(|schema| self.casts_by_name(schema, name));
        if matches!(functions, Namesakes::Known(_)) && may_cast() { Namesakes::Unknown } else { functions }
    }

    /// Whether somebody's code in `pg_catalog` has the name of a function or an operator of the server's own.
    pub(crate) fn is_overloaded(&self) -> bool {
        let own = |(name, schemas): (&String, &BTreeSet<String>)| schemas.contains(PG_CATALOG).then(|| name.clone());
        self.functions.iter().filter_map(own).any(|name| PURE.binary_search(&&*name).is_ok())
            || self.operators.iter().filter_map(own).next().is_some()
    }

    /// Whether a name after a dot can run code that nobody knows: `row.name`, or with `any_value` also `(value).name`, of a
    /// value of any type.
    ///
    /// The server reads both as `name(…)` where there is such a function, for a row or any other value, and `(value).name`
    /// as a cast where there is such a type (PostgreSQL, `ParseFuncOrColumn`).
    pub(crate) fn attribute_runs_code(&self, name: &str, any_value: bool) -> bool {
        let functions = if any_value { &self.value_attributes } else { &self.attributes };
        functions.get(name).is_some_and(|schemas| schemas.contains(PG_CATALOG) || self.visible(Some(schemas)))
            || (any_value && self.search_path.iter().any(|schema| self.casts_by_name(schema, name)))
    }

    /// Whether `name(value)` is a cast that can run code: to a domain, or what is made of others.
    fn casts_by_name(&self, schema: &str, name: &str) -> bool {
        let ty = self.types.get(&TableName::new(schema, name));
        ty.is_some_and(|ty| !matches!(ty.kind, 'e' | 'c') && !ty.known)
    }

    /// The same of an operator.
    pub(crate) fn operator_namesakes(&self, name: &str) -> Namesakes<'_> {
        self.namesakes(self.operators.get(name), &|schema| self.knows_operator(schema, name))
    }

    fn namesakes(&self, all: Option<&BTreeSet<String>>, known: &dyn Fn(&str) -> bool) -> Namesakes<'_> {
        let mut visible = self.search_path.iter().filter(|schema| all.is_some_and(|all| all.contains(*schema)));
        let Some(first) = visible.next() else { return Namesakes::None };
        if known(first) && visible.all(|schema| known(schema)) { Namesakes::Known(first) } else { Namesakes::Unknown }
    }

    /// Whether all functions of this name in this schema are harmless ones of an extension, on this search path.
    pub(crate) fn knows_function(&self, schema: &str, name: &str) -> bool {
        self.known_functions.get(name).is_some_and(|schemas| schemas.contains(schema))
            && !self.casts_by_name(schema, name)
            && self.bare_operators.get(&TableName::new(schema, name)).is_none_or(|operators| {
                operators.iter().all(|operator| self.operator_namesakes(operator) != Namesakes::Unknown)
            })
    }

    /// The same on every search path.
    pub(crate) fn knows_function_anywhere(&self, schema: &str, name: &str) -> bool {
        self.known_functions.get(name).is_some_and(|schemas| schemas.contains(schema))
            && self.bare_operators.get(&TableName::new(schema, name)).is_none_or(BTreeSet::is_empty)
    }

    /// Whether all operators of this name in this schema are harmless ones of an extension.
    pub(crate) fn knows_operator(&self, schema: &str, name: &str) -> bool {
        self.known_operators.get(name).is_some_and(|schemas| schemas.contains(schema))
    }

    /// Whether a statement names a view, whose text would be put in.
    pub(crate) fn names_view(&self, statement: &NodeEnum) -> bool {
        view::relations(statement).iter().any(|name| match &name[..] {
            [_, schema, name] => self.relation(schema, name).is_some_and(|(_, relation)| relation.view.is_some()),
            _ => false,
        })
    }

    /// Whether something outside `pg_catalog` that has this name can be reached by it without a schema.
    pub(crate) fn visible(&self, schemas: Option<&BTreeSet<String>>) -> bool {
        schemas.is_some_and(|schemas| schemas.iter().any(|schema| self.search_path.contains(schema)))
    }
}

impl Names for Catalog {
    fn resolve(&self, name: &str) -> Option<TableName> {
        self.relation("", name).map(|(name, _)| name)
    }

    fn function(&self, name: &[String]) -> bool {
        match name {
            [name] => matches!(self.function_namesakes(name), Namesakes::Known(_)),
            [schema, name] => self.knows_function(schema, name),
            _ => false,
        }
    }

    fn operator(&self, name: &[String]) -> bool {
        match name {
            [name] => matches!(self.operator_namesakes(name), Namesakes::Known(_)),
            [schema, name] => self.knows_operator(schema, name),
            _ => false,
        }
    }

    fn reads(&self, name: &TableName) -> &[TableName] {
        self.relations.get(name).and_then(|relation| relation.view.as_ref()).map_or(&[], |view| &view.reads)
    }
}
