//! The masked self of a relation: the subquery that stands for it.

use std::collections::BTreeSet;

use chaperone_mask::{Type, quoted, shows_as_stored};
use chaperone_model::{Class, Refusal, Rung, TableClasses, TableName};
use pg_query::NodeEnum;
use pg_query::protobuf::SelectStmt;

use super::{Protection, order, proof, refuse};
use crate::allow::{CatalogRelation, PG_CATALOG, catalog_relation};
use crate::catalog::{Catalog, Column, Relation};
use crate::depth::Depth;
use crate::parse;

/// A relation's masked self.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// `SELECT <a mask for each column> FROM <the relation>`.
    pub(crate) query: SelectStmt,
    /// The columns that it shows as stored, as (relation OID, column number).
    pub(crate) origins: BTreeSet<(u32, i16)>,
    /// How many parts its tree has.
    pub(crate) size: usize,
}

/// What is known of a relation that may be read.
enum Listed<'a> {
    Classified(&'a TableClasses),
    OfTheServer(&'a CatalogRelation),
}

impl Listed<'_> {
    fn class(&self, column: &str) -> Class {
        match self {
            Listed::Classified(classes) => classes.class(column),
            Listed::OfTheServer(relation) if relation.redacted.contains(&column) => Class::Unknown,
            Listed::OfTheServer(_) => Class::None,
        }
    }
}

/// The masked self of `relation`; with `only`, without the rows of its children.
pub(crate) fn source(
    name: &TableName,
    relation: &Relation,
    only: bool,
    protection: &Protection<'_>,
) -> Result<Source, Refusal> {
    let listed = listed(name, relation, protection)?;
    if !only {
        children(name, name, protection, CHILDREN_DEEP)?;
    }
    let mut origins = BTreeSet::new();
    let mut targets = Vec::with_capacity(relation.columns.len());
    let mut masked_columns = order::Hidden::default();
    let shown = |column: &Column| as_stored(name, column, relation, &listed, protection);
    for column in &relation.columns {
        if shown(column) {
            if poisoned(column, protection) {
                return Err(poisoned_column(name, column));
            }
            let shown = quoted(&column.name);
            if is_domain(column) {
                // an expression of a domain's type can run the domain's checks on a value of the agent's choice; the
                // base type is the same bytes, and the same indexes
                targets.push(format!("{shown}::{} AS {shown}", base_type(column).sql()));
            } else {
                origins.insert((relation.oid, column.number));
                targets.push(shown);
            }
        } else {
            let mask = mask(name, column, &quoted(&column.name), &listed, protection);
            let redacted = mask.starts_with("NULL::") || protection.masker.unforeseen;
            masked_columns.insert(column.number, redacted);
            let mask = if redacted || !indexed(name, relation, column, only, protection.catalog) {
                mask
            } else {
                from_its_row(&mask)
            };
            targets.push(format!("{mask} AS {}", quoted(&column.name)));
        }
    }
    let order = order::of(name, relation, only, &masked_columns, protection.catalog)?;
    let rows = match &listed {
        Listed::OfTheServer(relation) => relation.rows(),
        Listed::Classified(_) => String::new(),
    };
    let text = format!(
        "SELECT {} FROM {}{}.{}{rows}{}",
        targets.join(", "),
        if only { "ONLY " } else { "" },
        quoted(&name.schema),
        quoted(&name.name),
        order
    );
    let mut trees = parse::tree(&text, Depth::of(&text)?)?;
    match trees.pop().and_then(|raw| raw.stmt).and_then(|stmt| stmt.node) {
        Some(NodeEnum::SelectStmt(query)) if trees.is_empty() => {
            let size = proof::size(&query);
            Ok(Source { query: *query, origins, size })
        }
        _ => Err(refuse::internal("the masked form of a relation does not parse")),
    }
}

/// A row of `relation`, known as `alias`, as its masked self: a query without `FROM`, for a place where the row itself is at
/// hand. And the names of the columns that are not as stored.
pub(crate) fn row(
    name: &TableName,
    relation: &Relation,
    alias: &str,
    protection: &Protection<'_>,
) -> Result<(SelectStmt, BTreeSet<String>), Refusal> {
    let listed = listed(name, relation, protection)?;
    let mut masked = BTreeSet::new();
    let mut targets = Vec::with_capacity(relation.columns.len());
    for column in &relation.columns {
        let value = format!("{}.{}", quoted(alias), quoted(&column.name));
        let shown = quoted(&column.name);
        if as_stored(name, column, relation, &listed, protection) {
            targets.push(match is_domain(column) {
                true => format!("{value}::{} AS {shown}", base_type(column).sql()),
                false => format!("{value} AS {shown}"),
            });
        } else {
            masked.insert(column.name.clone());
            targets.push(format!("{} AS {shown}", mask(name, column, &value, &listed, protection)));
        }
    }
    let text = format!("SELECT {}", targets.join(", "));
    match parse::tree(&text, Depth::of(&text)?)?.pop().and_then(|raw| raw.stmt?.node) {
        Some(NodeEnum::SelectStmt(query)) => Ok((*query, masked)),
        _ => Err(refuse::internal("the masked form of a row does not parse")),
    }
}

/// Whether `column` is shown as stored.
pub(crate) fn column_as_stored(
    name: &TableName,
    column: &Column,
    relation: &Relation,
    protection: &Protection<'_>,
) -> bool {
    listed(name, relation, protection).is_ok_and(|listed| as_stored(name, column, relation, &listed, protection))
}

/// Whether a relation may be read at all, and as what.
fn listed<'a>(name: &TableName, relation: &Relation, protection: &Protection<'a>) -> Result<Listed<'a>, Refusal> {
    let shown = name.to_string();
    let Some(classes) = protection.classification.get(name) else {
        return match catalog_relation(&name.schema, &name.name) {
            Some(relation) => Ok(Listed::OfTheServer(relation)),
            None => Err(refuse::relation(
                &shown,
                "the classification does not list it, so nobody has said what it holds",
                "use the tables that are listed; ask the connection's owner to classify it",
            )),
        };
    };
    let no = |detail: &str| Err(refuse::relation(&shown, detail, "ask the connection's owner for another way"));
    match relation.kind {
        'r' => {}
        'p' if relation.partitioned_by_expression => {
            return no("its partition key has an expression, so the order of its rows could show what it hides");
        }
        'p' => {
            let listed = Listed::Classified(classes);
            let hidden = relation.columns.iter().any(|column| {
                relation.partition_key.contains(&column.number)
                    && !as_stored(name, column, relation, &listed, protection)
                    && !protection.masks.may_filter(name, &column.name)
            });
            if hidden {
                return no(
                    "its partition key is masked, so the order of its rows would show it; that needs the permission \
                     `filter` on the key",
                );
            }
        }
        'v' => return no("it is a view"),
        'm' => return no("it is a materialized view, whose rows were chosen by what is hidden, perhaps"),
        'f' => return no("it is a foreign table"),
        _ => return no("it is not a table"),
    }
    if relation.has_rules {
        return no("it has rewrite rules");
    }
    if relation.has_row_security {
        return no("it has row-level security, so which rows are seen could show what is hidden");
    }
    let listed = Listed::Classified(classes);
    let shown = |column: &str| {
        let column = relation.columns.iter().find(|own| own.name == column);
        column.is_some_and(|column| {
            as_stored(name, column, relation, &listed, protection) || protection.masks.may_filter(name, &column.name)
        })
    };
    if placed_by(name, protection.catalog, &shown, CHILDREN_DEEP) {
        return no("it is a partition by a masked key, so to count its rows is to compare the key");
    }
    Ok(listed)
}

/// Whether a table's rows are in it for the value of a column that is not `shown`: it is a partition, of a partition
/// perhaps, by that column (rule R10).
fn placed_by(name: &TableName, catalog: &Catalog, shown: &dyn Fn(&str) -> bool, deep: usize) -> bool {
    catalog.children.iter().filter(|(_, children)| children.contains(name)).any(|(parent, _)| {
        let Some(relation) = catalog.relations.get(parent).filter(|_| deep > 0) else { return true };
        let key_shown = relation.partition_key.iter().all(|number| {
            relation.columns.iter().find(|column| column.number == *number).is_some_and(|key| shown(&key.name))
        });
        relation.partitioned_by_expression || !key_shown || placed_by(parent, catalog, shown, deep - 1)
    })
}

/// A column is shown as stored if its mask says so and, where it is generated, so do those of all the columns that it
/// is made from (rule R8): nobody classified the expression.
fn as_stored(
    name: &TableName,
    column: &Column,
    relation: &Relation,
    listed: &Listed<'_>,
    protection: &Protection<'_>,
) -> bool {
    let own = |column: &Column| match listed {
        Listed::Classified(_) => shows_as_stored(protection.masks.rung(name, &column.name)),
        Listed::OfTheServer(relation) => !relation.redacted.contains(&&*column.name),
    };
    own(column)
        && column.generated_from.as_ref().is_none_or(|sources| {
            // an expression over nothing known is an expression over the unknown
            !sources.is_empty()
                && sources.iter().all(|number| {
                    // a generated column cannot read another one (PostgreSQL manual, 5.3)
                    relation.columns.iter().any(|column| column.number == *number && own(column))
                })
        })
}

/// How deep tables may inherit; also ends a circle, which the server does not allow.
const CHILDREN_DEEP: usize = 16;

/// Rows of a child are shown through the masks of its parent. So what the classification says of the child, if
/// anything, must be the same; and a child that is no partition must be listed, as any table.
fn children(top: &TableName, parent: &TableName, protection: &Protection<'_>, deep: usize) -> Result<(), Refusal> {
    let no = |detail: &str| {
        Err(refuse::relation(&top.to_string(), detail, "ask the connection's owner to classify them alike"))
    };
    for child in protection.catalog.children.get(parent).into_iter().flatten() {
        let partitioned = protection.catalog.relations.get(parent).is_some_and(|parent| parent.kind == 'p');
        let Some(relation) = protection.catalog.relations.get(child).filter(|_| deep > 0) else {
            return no("what inherits from it is not known");
        };
        if !matches!(relation.kind, 'r' | 'p') {
            return no("a foreign table inherits from it");
        }
        match (protection.classification.get(child), protection.classification.get(top)) {
            (Some(classes), Some(expected)) => {
                let columns = protection.catalog.relations.get(top).map(|top| &*top.columns).unwrap_or_default();
                let alike = |column: &Column| {
                    classes.class(&column.name) == expected.class(&column.name)
                        && protection.masks.rung(child, &column.name) == protection.masks.rung(top, &column.name)
                };
                if !columns.iter().all(alike) {
                    return no("a table that inherits from it is classified or masked differently");
                }
            }
            (None, Some(_)) if !partitioned => return no("a table that inherits from it is not classified"),
            _ => {}
        }
        // a child's generated column may have an expression of its own
        let expression_shown = |column: &Column| {
            let shown = |name: &str| {
                let top_columns = protection.catalog.relations.get(top);
                top_columns.is_some_and(|relation| {
                    let column = relation.columns.iter().find(|column| column.name == name);
                    column.is_some_and(|column| column_as_stored(top, column, relation, protection))
                })
            };
            let source = |number: &i16| relation.columns.iter().find(|column| column.number == *number);
            column.generated_from.as_ref().is_none_or(|sources| {
                !shown(&column.name)
                    || sources.iter().all(|number| source(number).is_some_and(|from| shown(&from.name)))
            })
        };
        if !relation.columns.iter().all(expression_shown) {
            return no("a generated column of a table that inherits from it reads a masked one");
        }
        if relation.kind == 'p' {
            // its own key orders the rows of its own partitions
            listed_key(top, relation, protection)?;
        }
        children(top, child, protection, deep - 1)?;
    }
    Ok(())
}

/// A partition that is partitioned in turn: its key must be shown by the masks of the table that is read.
fn listed_key(top: &TableName, relation: &Relation, protection: &Protection<'_>) -> Result<(), Refusal> {
    let Some(parent) = protection.catalog.relations.get(top) else { return Ok(()) };
    let shown = relation.partition_key.iter().all(|number| {
        relation.columns.iter().find(|column| column.number == *number).is_some_and(|key| {
            parent.columns.iter().any(|column| {
                column.name == key.name
                    && (column_as_stored(top, column, parent, protection)
                        || protection.masks.may_filter(top, &column.name))
            })
        })
    });
    if shown && !relation.partitioned_by_expression {
        return Ok(());
    }
    Err(refuse::relation(
        &top.to_string(),
        "the key of a partition of it is masked, so the order of its rows would show it",
        "ask the connection's owner for another way",
    ))
}

fn mask(name: &TableName, column: &Column, value: &str, listed: &Listed<'_>, protection: &Protection<'_>) -> String {
    if poisoned(column, protection) {
        // its own type would bring its casts along, and a coarser form would run them
        return protection.masker.mask_of(Class::Unknown, Rung::Redacted, value, &Type::builtin("text"));
    }
    // a generated column that is not shown as stored has no coarser form: its expression is not known
    let rung = match protection.masks.rung(name, &column.name) {
        rung @ (Rung::Partial | Rung::Token) if column.generated_from.is_none() => rung,
        Rung::Partial | Rung::Token | Rung::Redacted | Rung::Raw => Rung::Redacted,
    };
    let class = match listed.class(&column.name) {
        Class::None => Class::Unknown,
        class => class,
    };
    protection.masker.mask_of(class, rung, value, &base_type(column))
}

/// Whether an index could hand out the column's values, in the order of the index.
fn indexed(name: &TableName, relation: &Relation, column: &Column, only: bool, catalog: &Catalog) -> bool {
    let of_children = !only && catalog.children.get(name).is_some_and(|children| !children.is_empty());
    of_children || relation.indexes.iter().any(|index| index.contains(&column.number))
}

/// The mask, computed from the row itself. An index-only scan of the column alone would give tokens in the order of the
/// values behind them, and `000` where the ZIP code would stand (C1 of the review). No index has a system column, so that
/// there can be none; and unlike an order of the rows, this leaves the indexes of other columns their use.
fn from_its_row(mask: &str) -> String {
    format!("CASE WHEN tableoid OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid THEN {mask} END")
}

pub(crate) fn is_domain(column: &Column) -> bool {
    column.type_oid != column.base_oid
}

/// The column's type with any domain taken off.
pub(crate) fn base_type(column: &Column) -> Type {
    let (base, array) = match &column.element {
        Some(element) => (element, true),
        None => (&column.base, false),
    };
    Type { schema: base.schema.clone(), name: base.name.clone(), kind: column.base_kind, array }
}

/// Whether an expression over the column could run a cast that somebody added (rule R3), or the checks of a domain that
/// its type is made of: `coalesce(column, 'a literal')` reads the literal as the column's type.
pub(super) fn poisoned(column: &Column, protection: &Protection<'_>) -> bool {
    let base = column.element.as_ref().unwrap_or(&column.base);
    let kind = match &column.element {
        Some(element) => protection.catalog.types.get(element).map_or('?', |ty| ty.kind),
        None => column.base_kind,
    };
    let made_of_others = base.schema != PG_CATALOG && !matches!(kind, 'e' | 'b');
    let oids = [column.type_oid, column.base_oid, column.element_oid];
    made_of_others || oids.iter().any(|oid| protection.catalog.poisoned.contains(oid))
}

fn poisoned_column(name: &TableName, column: &Column) -> Refusal {
    refuse::refusal(
        "masking.type",
        format!("relation `{name}` cannot be read: the type of `{}` can run code of the database", column.name),
        "a cast with a function, or a domain inside a composite, range or array type, could read protected columns",
        "ask the connection's owner to classify the column as protected",
    )
}
