//! What tables and indexes are made of: columns, constraints, `LIKE`.

use chaperone_model::Refusal;
use pg_query::protobuf::{self as pg, ConstrType};
use pg_query::{Node, NodeEnum};

use super::{Masker, names, node, refuse, source, string};
use crate::allow::PG_CATALOG;
use crate::depth::Depth;
use crate::parse;
use crate::visit::{Visit, visit};

impl Masker<'_> {
    /// A column's definition in a table.
    pub(super) fn column_of_table(&mut self, column: &mut pg::ColumnDef) -> Result<(), Refusal> {
        let pg::ColumnDef {
            colname: _,
            type_name,
            compression: _,
            inhcount: 0,
            is_local: _,
            is_not_null: _,
            is_from_type: false,
            storage: _,
            storage_name: _,
            raw_default: None,
            cooked_default: None,
            identity: _,
            identity_sequence: None,
            generated: _,
            coll_clause: _,
            coll_oid: 0,
            constraints,
            fdwoptions,
            location: _,
        } = column
        else {
            return Err(refuse::internal("a column is defined as analysis does it"));
        };
        if !fdwoptions.is_empty() {
            return Err(refuse::construct("a column of a foreign table"));
        }
        let ty = type_name.as_mut().ok_or_else(|| refuse::internal("a column has no type"))?;
        // no type, but a sequence and a default
        let serial = matches!(names::parts(&ty.names)?[..], [name] if SERIAL.contains(&name));
        if !serial {
            self.type_name(ty)?;
        }
        for constraint in constraints {
            match &mut constraint.node {
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint)?,
                _ => return Err(refuse::internal("a constraint is something else")),
            }
        }
        Ok(())
    }

    /// A constraint of a column or a table.
    pub(super) fn constraint(&mut self, constraint: &mut pg::Constraint) -> Result<(), Refusal> {
        let kind = ConstrType::try_from(constraint.contype);
        match kind {
            Ok(
                ConstrType::ConstrNull
                | ConstrType::ConstrNotnull
                | ConstrType::ConstrDefault
                | ConstrType::ConstrIdentity
                | ConstrType::ConstrGenerated
                | ConstrType::ConstrCheck
                | ConstrType::ConstrPrimary
                | ConstrType::ConstrUnique
                | ConstrType::ConstrAttrDeferrable
                | ConstrType::ConstrAttrNotDeferrable
                | ConstrType::ConstrAttrDeferred
                | ConstrType::ConstrAttrImmediate,
            ) => {}
            Ok(ConstrType::ConstrForeign) => {
                return Err(refuse::construct("a foreign key, which would compare its column with another table's,"));
            }
            _ => return Err(refuse::construct("a constraint of that kind")),
        }
        // its index has this name, and would hide a table of it
        if !constraint.conname.is_empty() && self.catalog.relation("", &constraint.conname).is_some() {
            return Err(refuse::construct("a constraint that has the name of a table"));
        }
        let storage = !constraint.options.is_empty() || !constraint.indexspace.is_empty();
        if storage || !constraint.indexname.is_empty() || !constraint.access_method.is_empty() {
            return Err(refuse::construct("a constraint with options"));
        }
        if constraint.pktable.is_some() || !constraint.exclusions.is_empty() || constraint.where_clause.is_some() {
            return Err(refuse::internal("a constraint has parts of another kind"));
        }
        self.optional(&mut constraint.raw_expr)
    }

    /// `LIKE table`, as the columns that it stands for: names and types.
    pub(super) fn like(&mut self, like: &mut pg::TableLikeClause) -> Result<Vec<Node>, Refusal> {
        let range = like.relation.as_mut().ok_or_else(|| refuse::internal("LIKE has no table"))?;
        if let Some(own) = self.own(range)? {
            self.reads_own(own);
            return Ok(vec![node(NodeEnum::TableLikeClause(like.clone()))]);
        }
        if like.options != 0 {
            return Err(refuse::construct("LIKE with INCLUDING"));
        }
        let Some((name, relation)) = self.catalog.relation(&range.schemaname, &range.relname) else {
            return Err(refuse::unknown_relation(&range.relname));
        };
        let columns = relation
            .columns
            .iter()
            .map(|column| format!("{} {}", chaperone_mask::quoted(&column.name), source::base_type(column).sql()));
        let text = format!("CREATE TABLE t ({})", columns.collect::<Vec<_>>().join(", "));
        let Some(NodeEnum::CreateStmt(made)) =
            parse::tree(&text, Depth::of(&text)?)?.pop().and_then(|raw| raw.stmt?.node)
        else {
            return Err(refuse::internal(&format!("the columns of `{name}` cannot be written out")));
        };
        let mut elements = made.table_elts;
        for element in &mut elements {
            match &mut element.node {
                Some(NodeEnum::ColumnDef(column)) => self.column_of_table(column)?,
                _ => return Err(refuse::internal("a column is something else")),
            }
        }
        Ok(elements)
    }

    /// A column or an expression of an index.
    pub(super) fn index_element(&mut self, element: &mut pg::IndexElem) -> Result<(), Refusal> {
        let pg::IndexElem {
            name: _,
            expr,
            indexcolname,
            collation: _,
            opclass,
            opclassopts,
            ordering: _,
            nulls_ordering: _,
        } = element;
        self.optional(expr)?;
        if !indexcolname.is_empty() || !opclassopts.is_empty() {
            return Err(refuse::construct("an index with options for a column"));
        }
        match names::parts(opclass)?[..] {
            [] => Ok(()),
            [name] | [PG_CATALOG, name] if OPERATOR_CLASSES.contains(&name) => {
                *opclass = vec![string(PG_CATALOG), string(name)];
                Ok(())
            }
            _ => Err(refuse::construct("an index with an operator class of that name")),
        }
    }
}

/// Whether a constraint of a new column has nothing to do with the rows that are there.
pub(super) fn looks_at_nothing(constraint: &Node) -> bool {
    match &constraint.node {
        Some(NodeEnum::Constraint(constraint)) => {
            matches!(ConstrType::try_from(constraint.contype), Ok(ConstrType::ConstrNull | ConstrType::ConstrDefault))
        }
        _ => false,
    }
}

/// Whether a new column may have another value in each row: by a sequence, or a function in its default.
pub(super) fn differs_by_row(column: &pg::ColumnDef) -> bool {
    let serial = column.type_name.as_ref().is_some_and(|ty| {
        names::parts(&ty.names).is_ok_and(|name| matches!(name[..], [name] if SERIAL.contains(&name)))
    });
    let mut calls = Calls(false);
    column.constraints.iter().for_each(|constraint| visit(constraint, &mut calls));
    serial || calls.0
}

/// Whether anything is called.
struct Calls(bool);

impl Visit for Calls {
    fn enter(&mut self, kind: &'static str) -> bool {
        self.0 |= kind == "FuncCall";
        true
    }

    fn field(&mut self, _: &'static str) {}

    fn text(&mut self, _: &str) {}

    fn number(&mut self, _: i64) {}

    fn leave(&mut self, _: &'static str) {}
}

/// A number from a sequence (PostgreSQL manual, 8.1.4).
pub(super) const SERIAL: [&str; 6] = ["bigserial", "serial", "serial2", "serial4", "serial8", "smallserial"];

/// Operator classes of the server's own that are not their type's default and compute on the value alone.
const OPERATOR_CLASSES: [&str; 5] =
    ["bpchar_pattern_ops", "jsonb_ops", "jsonb_path_ops", "text_pattern_ops", "varchar_pattern_ops"];
