//! Functions, operators and types: by name, against the allow-lists, and pinned to `pg_catalog`.
//!
//! An unqualified name passes only if *every* candidate that it could mean is known to be harmless (rule R1): so no
//! overload resolution is needed, and none can be wrong.

use chaperone_model::Refusal;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{self as pg, ColumnRef, FuncCall, TypeName};
use pg_query::{Node, NodeEnum};

use super::refuse::{self, refusal};
use super::{Item, Masker, node, string, withheld};
use crate::allow::{OPERATORS, PG_CATALOG, PURE, READS_SETTINGS, RELEASES, SYSTEM_COLUMNS, TYPES, catalog_relation};
use crate::catalog::Namesakes;
use crate::parse::constant;
use crate::settings;

/// The parts of a qualified name.
pub(crate) fn parts(name: &[Node]) -> Result<Vec<&str>, Refusal> {
    name.iter()
        .map(|part| match &part.node {
            Some(NodeEnum::String(string)) => Ok(&*string.sval),
            _ => Err(refuse::internal("a name has a part that is not a name")),
        })
        .collect()
}

/// A name for a refusal: of a plausible length.
fn shown(name: &[&str]) -> String {
    let mut shown = name.join(".");
    if shown.len() > 130 {
        shown = "…".into();
    }
    shown
}

impl Masker<'_> {
    /// Checks a function's name and pins it.
    pub(crate) fn function(&self, call: &mut FuncCall) -> Result<(), Refusal> {
        let name = parts(&call.funcname)?;
        let builtin = match name[..] {
            // in a view's text it is the server's own, and is pinned to that
            [name] if self.views > 0 => name,
            // in FROM the grammar makes of it a call of the server's own for each argument, but only of the bare name
            ["unnest"] if call.args.len() > 1 && self.catalog.function_namesakes("unnest") == Namesakes::None => {
                return Ok(());
            }
            [name] => match self.catalog.function_namesakes(name) {
                Namesakes::Unknown => {
                    return Err(refusal(
                        "masking.function",
                        format!("function `{name}` has a namesake outside pg_catalog"),
                        "which of them is meant depends on the types of the arguments, and the other one could read \
                         protected columns",
                        "write pg_catalog. before its name",
                    ));
                }
                // which of them is meant depends on the types of the arguments: to pin it would change the meaning
                Namesakes::Known(_) if PURE.binary_search(&name).is_ok() => return Ok(()),
                // without its schema the server could also find one of its own of that name
                Namesakes::Known(schema) => {
                    call.funcname = vec![string(schema), string(name)];
                    return Ok(());
                }
                Namesakes::None => name,
            },
            [PG_CATALOG, name] => name,
            [schema, name] if self.catalog.knows_function(schema, name) => return Ok(()),
            _ => return Err(unknown_function(&name)),
        };
        if withheld::is_one(builtin) {
            withheld::hide(call);
            return Ok(());
        }
        if READS_SETTINGS.contains(&builtin) {
            reads_setting(builtin, &call.args)?;
        } else if PURE.binary_search(&builtin).is_err() && !RELEASES.contains(&builtin) {
            return Err(unknown_function(&name));
        }
        let pinned = vec![string(PG_CATALOG), string(builtin)];
        call.funcname = pinned;
        Ok(())
    }

    /// Checks an operator's name.
    pub(crate) fn operator(&self, name: &[Node]) -> Result<(), Refusal> {
        let name = parts(name)?;
        let known = match name[..] {
            [name] => match self.catalog.operator_namesakes(name) {
                Namesakes::None => OPERATORS.contains(&name),
                Namesakes::Known(_) => true,
                Namesakes::Unknown => false,
            },
            [PG_CATALOG, name] => OPERATORS.contains(&name),
            [schema, name] => self.catalog.knows_operator(schema, name),
            _ => false,
        };
        if known { Ok(()) } else { Err(unknown_operator(&name)) }
    }

    /// Checks the operators that a construct uses without naming them: `=` for `USING` or `CASE x WHEN`.
    pub(crate) fn implied_operator(&self, name: &str) -> Result<(), Refusal> {
        match self.catalog.operator_namesakes(name) {
            Namesakes::None | Namesakes::Known(_) => Ok(()),
            Namesakes::Unknown => Err(unknown_operator(&[name])),
        }
    }

    /// Checks a type's name and pins it.
    pub(crate) fn type_name(&self, ty: &mut TypeName) -> Result<(), Refusal> {
        if ty.setof || ty.pct_type || ty.type_oid != 0 {
            return Err(refuse::construct("a type by reference"));
        }
        if ty.typmods.iter().any(|typmod| !matches!(typmod.node, Some(NodeEnum::AConst(_)))) {
            return Err(refuse::construct("a type with an expression for its length"));
        }
        let name = parts(&ty.names)?;
        let pinned = match name[..] {
            [name] if self.views > 0 => self.type_in(PG_CATALOG, name),
            [name] => self.catalog.search_path.iter().find_map(|schema| self.type_in(schema, name)),
            [schema, name] => self.type_in(schema, name),
            _ => None,
        };
        match pinned {
            Some(pinned) => {
                ty.names = pinned;
                Ok(())
            }
            None => Err(refusal(
                "masking.type",
                format!("type `{}` is not on the list of types that may be named", shown(&name)),
                "a type's checks and casts can run code that reads protected columns",
                "use a built-in type, such as text, numeric, date or jsonb",
            )),
        }
    }

    fn type_in(&self, schema: &str, name: &str) -> Option<Vec<Node>> {
        let known = if schema == PG_CATALOG {
            TYPES.binary_search(&name).is_ok()
        } else {
            // an enumeration has no code; domains and composite types can bring some
            self.catalog
                .types
                .get(&chaperone_model::TableName::new(schema, name))
                .is_some_and(|ty| (ty.kind == 'e' || ty.known) && !self.catalog.poisoned.contains(&ty.oid))
        };
        known.then(|| match name {
            // with its schema it is written out as `char`, which is `char(1)`; see also `Masker::new`
            "bpchar" => vec![string(name)],
            _ => vec![string(schema), string(name)],
        })
    }

    /// Checks the name of a field: `row.field` also calls a function of one row (rule R2), and with `any_value`, for
    /// `(value).field`, a function of one value of any type.
    pub(crate) fn field(&self, name: &str, any_value: bool) -> Result<(), Refusal> {
        self.attribute(name, any_value)?;
        if SYSTEM_COLUMNS.contains(&name) {
            return Err(refusal(
                "masking.system_column",
                format!("system column `{name}` cannot be read"),
                "it shows where a row lies and when it was written",
                "use the table's primary key",
            ));
        }
        Ok(())
    }

    fn attribute(&self, name: &str, any_value: bool) -> Result<(), Refusal> {
        if self.catalog.attribute_runs_code(name, any_value) {
            return Err(refusal(
                "masking.attribute",
                format!("`{name}` after a dot could call a function of that name"),
                "PostgreSQL reads row.name and (value).name as name(…) where such a function exists, and it could read \
                 protected columns",
                "name the column without its table",
            ));
        }
        Ok(())
    }

    /// Whether what goes by this name may be a value that is no row: a function in `FROM` that returns one. Without an
    /// alias it goes by a name that the server finds.
    fn may_be_value(&self, alias: &str) -> Result<bool, Refusal> {
        let mut steps = self.steps.get();
        let found = self.scopes.iter().flatten().any(|item| {
            steps = steps.saturating_sub(1);
            item.function && (item.alias == alias || item.alias.is_empty())
        });
        self.steps.set(steps);
        if steps == 0 { Err(refuse::size()) } else { Ok(found) }
    }

    /// Checks a column reference; a three-part name becomes a two-part one, since the subquery has no schema.
    pub(crate) fn column(&self, column: &mut ColumnRef) -> Result<(), Refusal> {
        let star = column.fields.iter().position(|field| matches!(field.node, Some(NodeEnum::AStar(_))));
        if star.is_some_and(|star| star + 1 != column.fields.len()) {
            return Err(refuse::construct("a `*` inside a name"));
        }
        let names = parts(column.fields.get(..star.unwrap_or(column.fields.len())).unwrap_or_default())?;
        let qualifiers = names.len() - usize::from(star.is_none()).min(names.len());
        match names[..] {
            // without a table it calls no function, but it may be a system column
            [name] if star.is_none() && SYSTEM_COLUMNS.contains(&name) => self.field(name, false)?,
            // a query in FROM has no system columns, but may call one of its own so
            [alias, "tableoid"] if star.is_none() && self.nearest(alias)?.is_some_and(|item| item.table.is_none()) => {
                self.attribute("tableoid", self.may_be_value(alias)?)?;
            }
            [.., alias, name] if star.is_none() => self.field(name, self.may_be_value(alias)?)?,
            _ => {}
        }
        match (qualifiers, &names[..]) {
            (0 | 1, _) => Ok(()),
            (2, [schema, table, ..]) => {
                self.in_scope(schema, table)?;
                column.fields.remove(0);
                Ok(())
            }
            _ => Err(refuse::construct("a name with a database in it")),
        }
    }

    /// The nearest item of `FROM` that goes by this name.
    fn nearest(&self, alias: &str) -> Result<Option<&Item>, Refusal> {
        let mut steps = self.steps.get();
        let nearest = self.scopes.iter().rev().flat_map(|scope| scope.iter().rev()).find(|item| {
            steps = steps.saturating_sub(1);
            item.alias == alias || steps == 0
        });
        self.steps.set(steps);
        if steps == 0 { Err(refuse::size()) } else { Ok(nearest) }
    }

    /// `alias.tableoid` of a relation of the server's own is a constant, by which clients look up comments; the
    /// relation's masked self has no such column, so the constant stands for it.
    pub(crate) fn catalog_oid(&self, column: &ColumnRef) -> Result<Option<NodeEnum>, Refusal> {
        let [alias, "tableoid"] = parts(&column.fields).unwrap_or_default()[..] else { return Ok(None) };
        let table = self.nearest(alias)?.filter(|item| item.reachable).and_then(|item| item.table.as_ref());
        let of_the_server = table.filter(|name| {
            catalog_relation(&name.schema, &name.name).is_some() && !self.protection.classification.contains_key(name)
        });
        let Some(relation) = of_the_server.and_then(|name| self.catalog.relations.get(name)) else { return Ok(None) };
        let oid = Val::Sval(pg::String { sval: relation.oid.to_string() });
        let oid = node(NodeEnum::AConst(pg::AConst { val: Some(oid), ..pg::AConst::default() }));
        let ty = TypeName { names: vec![string(PG_CATALOG), string("oid")], typemod: -1, ..TypeName::default() };
        let cast = pg::TypeCast { arg: Some(Box::new(oid)), type_name: Some(ty), location: 0 };
        Ok(Some(NodeEnum::TypeCast(Box::new(cast))))
    }

    /// A name with a schema must mean the nearest item of that name, or the shorter name would mean another one.
    fn in_scope(&self, schema: &str, table: &str) -> Result<(), Refusal> {
        match self.nearest(table)? {
            Some(item)
                if !item.renamed
                    && item.table.as_ref().is_some_and(|name| name.schema == schema && name.name == table) =>
            {
                Ok(())
            }
            _ => Err(Refusal {
                code: chaperone_model::SqlState::UNDEFINED_TABLE,
                ..refusal(
                    "masking.name",
                    format!("`{schema}.{table}` does not name a table in FROM here"),
                    "a table with an alias is known by the alias alone, and a nearer one of the same name hides it",
                    "write alias.column",
                )
            }),
        }
    }
}

fn unknown_function(name: &[&str]) -> Refusal {
    refusal(
        "masking.function",
        format!("function `{}` is not on the list of functions that may be called", shown(name)),
        "a function can run SQL of its own or read what no table holds, so only those known to compute on their \
         arguments alone are allowed",
        "use built-in functions and operators",
    )
}

fn unknown_operator(name: &[&str]) -> Refusal {
    refusal(
        "masking.operator",
        format!("operator `{}` is not one of PostgreSQL's own, or has a namesake outside pg_catalog", shown(name)),
        "an operator is a function by another name",
        "write OPERATOR(pg_catalog.…) where a built-in one is meant",
    )
}

/// `current_setting` and `set_config` with a constant name that `SHOW` and `SET` could have.
fn reads_setting(function: &str, args: &[Node]) -> Result<(), Refusal> {
    let constant = |number: usize| args.get(number).and_then(constant);
    match (function, constant(0)) {
        ("current_setting", Some(name)) => settings::readable(&name),
        ("set_config", Some(name)) => match constant(1) {
            Some(value) => settings::setting_allowed(&name, Some(&value)),
            None if settings::any_value(&name) => Ok(()),
            None => Err(refuse::construct("set_config with a value that is not a constant")),
        },
        _ => Err(refuse::construct("the name of a setting that is not a constant")),
    }
}
