//! Reading what a proposal is made from: names, types, words of the definer. No row of any table.

use std::collections::HashMap;

use chaperone_model::TableName;

use super::closed;
use crate::catalog::{CatalogError, Row, Rows, rows};

/// What to ask, in this order, each by itself, all in one `REPEATABLE READ, READ ONLY` transaction: the first sets its
/// search path, so that the definitions of views come with every name qualified. Every value is wanted as text.
///
/// 0 search path · 1 relations · 2 columns · 3 constraints · 4 labels of enumerations · 5 definitions of views ·
/// 6 generated columns' sources · 7 what views read · 8 inheritance
pub const QUERIES: [&str; 9] = [
    "SELECT pg_catalog.set_config('search_path', '', true)",
    "SELECT c.oid, n.nspname, c.relname, c.relkind, d.description FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 \
     AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass \
     WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND c.relpersistence <> 't' \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY n.nspname, c.relname",
    // a domain over a domain over … ends at its base type
    "WITH RECURSIVE base(oid, base, typmod) AS (\
       SELECT t.oid, t.oid, -1 FROM pg_catalog.pg_type t WHERE t.typtype <> 'd' \
       UNION ALL SELECT t.oid, base.base, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE base.typmod END \
       FROM pg_catalog.pg_type t JOIN base ON t.typbasetype = base.oid WHERE t.typtype = 'd') \
     SELECT a.attrelid, a.attnum, a.attname, a.atttypid, t.oid, t.typname, t.typtype, e.oid, e.typname, e.typtype, \
     CASE WHEN a.atttypmod <> -1 THEN a.atttypmod ELSE base.typmod END, own.typname, \
     a.attidentity <> '' OR coalesce(pg_catalog.pg_get_expr(x.adbin, x.adrelid) LIKE 'nextval(%', false), \
     coalesce(pg_catalog.pg_get_expr(x.adbin, x.adrelid) ~ '^([a-z_]+[.])?(gen_random_uuid|uuid_generate_v4|uuidv4|uuidv7)[(]', false), \
     a.attgenerated <> '', d.description \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN base ON base.oid = a.atttypid JOIN pg_catalog.pg_type t ON t.oid = base.base \
     JOIN pg_catalog.pg_type own ON own.oid = a.atttypid \
     LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' \
     LEFT JOIN pg_catalog.pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum AND a.attgenerated = '' \
     LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = a.attnum \
     AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass \
     WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND c.relpersistence <> 't' \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND a.attnum > 0 AND NOT a.attisdropped \
     ORDER BY a.attrelid, a.attnum",
    "SELECT k.conrelid, k.contypid, k.contype, pg_catalog.array_to_string(k.conkey, ' '), k.confrelid, \
     pg_catalog.array_to_string(k.confkey, ' '), pg_catalog.pg_get_expr(k.conbin, k.conrelid) \
     FROM pg_catalog.pg_constraint k WHERE k.contype IN ('c', 'f', 'p', 'u') ORDER BY k.oid",
    "SELECT l.enumtypid, l.enumlabel FROM pg_catalog.pg_enum l ORDER BY l.enumtypid, l.enumsortorder",
    "SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
    "SELECT DISTINCT d.adrelid, d.adnum, p.refobjsubid FROM pg_catalog.pg_attrdef d \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> '' \
     JOIN pg_catalog.pg_depend p ON p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
     AND p.refobjid = d.adrelid AND p.refobjsubid > 0 \
     AND ((p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND p.objid = d.oid) \
       OR (p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.objid = d.adrelid AND p.objsubid = d.adnum))",
    "SELECT DISTINCT r.ev_class, d.refobjid, d.refobjsubid FROM pg_catalog.pg_rewrite r \
     JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm') \
     JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid \
     AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class",
    "SELECT i.inhparent, i.inhrelid FROM pg_catalog.pg_inherits i",
];

/// A database's definitions as they were when they were read. Pure data; holds comments, so it is not printed.
#[derive(Clone, Default)]
pub struct Snapshot {
    pub(super) relations: Vec<Relation>,
    pub(super) by_name: HashMap<TableName, usize>,
}

impl std::fmt::Debug for Snapshot {
    /// How much, and nothing that a definer wrote.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("relations", &self.relations.len()).finish_non_exhaustive()
    }
}

/// A table, view, materialised view, foreign or partitioned table.
#[derive(Clone, Default)]
pub(super) struct Relation {
    pub(super) name: TableNameOrEmpty,
    pub(super) comment: Option<String>,
    /// Live columns, by number.
    pub(super) columns: Vec<Column>,
    /// Places in `columns`; empty where there is none.
    pub(super) primary_key: Vec<usize>,
    /// Each unique constraint's columns.
    pub(super) unique: Vec<Vec<usize>>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    /// A view's query.
    pub(super) definition: Option<String>,
    pub(super) is_view: bool,
    /// What a view reads: relation, and column where it is known which.
    pub(super) reads: Vec<(usize, Option<usize>)>,
    /// Relations that it inherits from or is a partition of.
    pub(super) parents: Vec<usize>,
}

/// A name that a default relation can have too.
#[derive(Clone)]
pub(super) struct TableNameOrEmpty(pub(super) TableName);

impl Default for TableNameOrEmpty {
    fn default() -> Self {
        TableNameOrEmpty(TableName::new("", ""))
    }
}

/// Places of columns here, and there.
#[derive(Clone)]
pub(super) struct ForeignKey {
    pub(super) to: usize,
    pub(super) pairs: Vec<(usize, usize)>,
}

/// A column.
#[derive(Clone, Default)]
pub(super) struct Column {
    pub(super) number: i16,
    pub(super) name: String,
    /// The type under any domain: its `typname`, and `typtype`.
    pub(super) base: String,
    pub(super) kind: char,
    /// The element's `typname` and `typtype`, for an array.
    pub(super) element: Option<(String, char)>,
    /// The longest value in characters, for `varchar(n)` and `char(n)`.
    pub(super) limit: Option<i32>,
    /// Whether a `numeric` has no digits after the point.
    pub(super) whole: bool,
    /// Whether it is declared to have some, or is a floating-point number.
    pub(super) fraction: bool,
    /// The name of the column's own type, where somebody made it: a domain or an enumeration.
    pub(super) own_type: Option<String>,
    /// Filled from a sequence: numbers that mean nothing elsewhere.
    pub(super) from_sequence: bool,
    /// Filled at random.
    pub(super) from_random: bool,
    /// The columns that a generated column reads.
    pub(super) generated_from: Option<Vec<usize>>,
    pub(super) comment: Option<String>,
    /// Every value that it can have, where an enumeration or a constraint lists them.
    pub(super) values: Option<Vec<String>>,
    /// Constants in its other constraints: patterns, mostly.
    pub(super) patterns: Vec<String>,
}

impl Snapshot {
    /// How many relations there are.
    pub fn len(&self) -> usize {
        self.relations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// Builds the snapshot from the answers to [`QUERIES`], in their order.
    ///
    /// # Errors
    /// Answers that are missing or not of the shape that the queries give.
    pub fn load(answers: &[Rows]) -> Result<Snapshot, CatalogError> {
        let [_, relations, columns, constraints, labels, views, generated, reads, inherits] = answers else {
            return Err(CatalogError::Answers { got: answers.len(), expected: QUERIES.len() });
        };
        let mut snapshot = Snapshot::default();
        let mut by_oid: HashMap<u32, usize> = HashMap::new();
        for row in rows(1, relations) {
            let name = TableName::new(row.text(1)?, row.text(2)?);
            let place = snapshot.relations.len();
            by_oid.insert(row.number(0)?, place);
            snapshot.by_name.insert(name.clone(), place);
            snapshot.relations.push(Relation {
                name: TableNameOrEmpty(name),
                is_view: matches!(row.text(3)?, "v" | "m"),
                comment: row.optional(4).map(str::to_owned),
                ..Relation::default()
            });
        }
        let mut enumerations: HashMap<u32, Vec<String>> = HashMap::new();
        for row in rows(4, labels) {
            enumerations.entry(row.number(0)?).or_default().push(row.text(1)?.to_owned());
        }
        let mut of_domain: HashMap<u32, Vec<(usize, usize)>> = HashMap::new();
        for row in rows(2, columns) {
            let Some(&place) = by_oid.get(&row.number::<u32>(0)?) else { continue };
            let Some(relation) = snapshot.relations.get_mut(place) else { continue };
            let (own_type, base_type): (u32, u32) = (row.number(3)?, row.number(4)?);
            of_domain.entry(own_type).or_default().push((place, relation.columns.len()));
            relation.columns.push(column(&row, own_type != base_type, enumerations.get(&base_type))?);
        }
        for row in rows(3, constraints) {
            snapshot.constrain(&row, &by_oid, &of_domain)?;
        }
        for row in rows(5, views) {
            if let Some(relation) = snapshot.at(&by_oid, row.number(0)?) {
                relation.definition = row.optional(1).map(str::to_owned);
            }
        }
        for row in rows(6, generated) {
            let (of, from): (i16, i16) = (row.number(1)?, row.number(2)?);
            if let Some(relation) = snapshot.at(&by_oid, row.number(0)?)
                && let (Some(of), Some(from)) = (relation.place(of), relation.place(from))
                && of != from
                && let Some(column) = relation.columns.get_mut(of)
            {
                column.generated_from.get_or_insert_default().push(from);
            }
        }
        for row in rows(7, reads) {
            let Some(&from) = by_oid.get(&row.number::<u32>(1)?) else { continue };
            let column = snapshot.relations.get(from).and_then(|r| r.place(row.number(2).ok()?));
            if let Some(relation) = snapshot.at(&by_oid, row.number(0)?) {
                relation.reads.push((from, column));
            }
        }
        for row in rows(8, inherits) {
            // indexes have children too
            if let Some(&parent) = by_oid.get(&row.number::<u32>(0)?)
                && let Some(relation) = snapshot.at(&by_oid, row.number(1)?)
            {
                relation.parents.push(parent);
            }
        }
        Ok(snapshot)
    }

    fn at(&mut self, by_oid: &HashMap<u32, usize>, oid: u32) -> Option<&mut Relation> {
        self.relations.get_mut(*by_oid.get(&oid)?)
    }

    fn constrain(
        &mut self,
        row: &Row<'_>,
        by_oid: &HashMap<u32, usize>,
        of_domain: &HashMap<u32, Vec<(usize, usize)>>,
    ) -> Result<(), CatalogError> {
        let here = by_oid.get(&row.number::<u32>(0)?).copied();
        let places = |relation: usize, numbers: Vec<i16>| -> Vec<usize> {
            let relation = self.relations.get(relation);
            numbers.into_iter().filter_map(|number| relation?.place(number)).collect()
        };
        let columns = here.map(|here| places(here, row.vector(3).unwrap_or_default())).unwrap_or_default();
        match row.text(2)? {
            "p" | "u" => {
                let primary = row.text(2)? == "p";
                if let Some(relation) = here.and_then(|here| self.relations.get_mut(here)) {
                    if primary {
                        relation.primary_key.clone_from(&columns);
                    }
                    relation.unique.push(columns);
                }
            }
            "f" => {
                let Some(&to) = by_oid.get(&row.number::<u32>(4)?) else { return Ok(()) };
                let there = places(to, row.vector(5)?);
                let pairs = columns.into_iter().zip(there).collect();
                if let Some(relation) = here.and_then(|here| self.relations.get_mut(here)) {
                    relation.foreign_keys.push(ForeignKey { to, pairs });
                }
            }
            _ => {
                let Some(expression) = row.optional(6) else { return Ok(()) };
                let concerned: Vec<(usize, usize)> = match (here, &columns[..]) {
                    (Some(here), [column]) => vec![(here, *column)],
                    (Some(_), _) => Vec::new(),
                    (None, _) => of_domain.get(&row.number::<u32>(1)?).cloned().unwrap_or_default(),
                };
                if concerned.is_empty() {
                    return Ok(());
                }
                let found = closed::constraint(expression);
                for (relation, column) in concerned {
                    if let Some(column) = self.relations.get_mut(relation).and_then(|r| r.columns.get_mut(column)) {
                        if found.values.is_some() {
                            column.values.clone_from(&found.values);
                        }
                        column.patterns.extend(found.patterns.iter().cloned());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Relation {
    fn place(&self, number: i16) -> Option<usize> {
        self.columns.iter().position(|column| column.number == number)
    }
}

fn column(row: &Row<'_>, is_domain: bool, labels: Option<&Vec<String>>) -> Result<Column, CatalogError> {
    let base = row.text(5)?.to_owned();
    let kind = row.char(6)?;
    // PostgreSQL keeps varchar(n) as n + 4, numeric(p, s) as p and s in two halves
    let typmod: i32 = row.number(10)?;
    let element = match (row.optional(8), row.optional(9).and_then(|kind| kind.chars().next())) {
        (Some(name), Some(kind)) => Some((name.to_owned(), kind)),
        _ => None,
    };
    Ok(Column {
        number: row.number(1)?,
        name: row.text(2)?.to_owned(),
        limit: (typmod >= 4 && matches!(&*base, "varchar" | "bpchar")).then(|| typmod.saturating_sub(4)),
        whole: base == "numeric" && typmod >= 4 && typmod.saturating_sub(4) & 0x7ff == 0,
        fraction: base.starts_with("float")
            || base == "numeric" && typmod >= 4 && typmod.saturating_sub(4) & 0x7ff != 0,
        own_type: (is_domain || kind == 'e').then(|| row.text(11).map(str::to_owned)).transpose()?,
        from_sequence: row.flag(12)?,
        from_random: row.flag(13)?,
        generated_from: row.flag(14)?.then(Vec::new),
        comment: row.optional(15).map(str::to_owned),
        values: labels.cloned(),
        patterns: Vec::new(),
        base,
        kind,
        element,
    })
}
