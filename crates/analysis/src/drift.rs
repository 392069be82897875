//! Where the classification and the live database disagree, and what the database holds that an operator should know
//! of before agents read it. Pure: a catalog, a classification and the answers to [`QUERIES`] in, findings out.
//!
//! A finding names schemas, tables, columns, indexes and roles: the definer's words. It never repeats the text of a
//! default, a predicate or a bound, since those can hold values.

mod minter;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use chaperone_mask::Masker;
use chaperone_model::{Class, Masks, TableClasses, TableName};
use pg_query::protobuf::Token;

use crate::catalog::{Catalog, CatalogError, Column, Relation, Rows, rows};
use crate::{Protection, minors, rewrite};

/// What to ask besides [`catalog::QUERIES`](crate::catalog::QUERIES), in this order, as the role that agents' sessions
/// use: 0 the role · 1 predicates of partial indexes · 2 columns that the role may not read.
pub const QUERIES: [&str; 3] = [
    "SELECT r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole FROM pg_catalog.pg_roles r \
     WHERE r.rolname = current_user",
    "SELECT i.indrelid, c.relname, pg_catalog.pg_get_expr(i.indpred, i.indrelid) FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indpred IS NOT NULL",
    "SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
     AND a.attnum > 0 AND NOT a.attisdropped \
     AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
     AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'))",
];

pub use minter::QUERIES as MINTER_QUERIES;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Agents are refused what the configuration promises them, or data is less protected than somebody believes.
    Error,
    /// Should be looked at.
    Warning,
    /// Good to know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing it is, `drift.…`, for programs.
    pub rule: &'static str,
    /// The relation, and where it is about one, the column; as `schema.table` or `schema.table.column`.
    pub about: Option<String>,
    /// What was found, and the next step.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if let Some(about) = &self.about {
            write!(f, "{about}: ")?;
        }
        write!(f, "{} [{}]", self.text, self.rule)
    }
}

/// Relations outside the classification that are spelt out.
const SPELLED_OUT: usize = 5;

/// Compares `classification` with the live `catalog`. `answers` are those to [`QUERIES`], or to [`MINTER_QUERIES`] where
/// each session has a role of its own.
///
/// # Errors
/// Answers that are missing or not of the shape that the queries give.
pub fn drift(
    catalog: &Catalog,
    classification: &BTreeMap<TableName, TableClasses>,
    answers: &[Rows],
) -> Result<Vec<Finding>, CatalogError> {
    let (role, predicates, unreadable, public) = match answers {
        [role, predicates, unreadable] => (role, predicates, unreadable, None),
        [role, predicates, unreadable, public] => (role, predicates, unreadable, Some(public)),
        _ => return Err(CatalogError::Answers { got: answers.len(), expected: QUERIES.len() }),
    };
    let mut found = Findings::default();
    found.server(catalog.server_version);
    for row in rows(0, role) {
        let (name, superuser, bypasses, creates) = (row.text(0)?, row.flag(1)?, row.flag(2)?, row.flag(3)?);
        match public {
            None => found.role(name, superuser, bypasses, creates),
            Some(_) => found.minter(name, superuser, bypasses, creates),
        }
    }
    let by_oid: HashMap<u32, (&TableName, &Relation)> =
        catalog.relations.iter().map(|(name, relation)| (relation.oid, (name, relation))).collect();
    for (name, classes) in classification {
        match catalog.relations.get(name) {
            None => found.add(
                Severity::Error,
                "drift.table",
                Some(name.to_string()),
                "is classified but does not exist; take it out, or correct its name".to_owned(),
            ),
            Some(relation) => {
                found.columns(name, classes, relation);
                found.derived(name, classes, relation);
                found.partitions(name, classes, relation, catalog);
                found.refused(name, catalog, classification);
            }
        }
    }
    found.unlisted(catalog, classification);
    for row in rows(1, predicates) {
        let Some((name, relation)) = by_oid.get(&row.number(0)?) else { continue };
        if let Some(classes) = classification.get(*name) {
            found.predicate(name, relation, classes, row.text(1)?, row.optional(2).unwrap_or_default());
        }
    }
    let mut missing: BTreeMap<&TableName, BTreeSet<&str>> = BTreeMap::new();
    for row in rows(2, unreadable) {
        let Some((name, relation)) = by_oid.get(&row.number(0)?) else { continue };
        let number: i16 = row.number(1)?;
        let column = relation.columns.iter().find(|column| column.number == number);
        if let (Some(column), Some(classes)) = (column, classification.get(*name))
            && !classes.class(&column.name).is_protected()
        {
            missing.entry(name).or_default().insert(&column.name);
        }
    }
    for (name, columns) in missing {
        let columns: Vec<&str> = columns.into_iter().collect();
        found.add(
            Severity::Error,
            "drift.grant",
            Some(name.to_string()),
            match public {
                None => format!(
                    "the gateway's role may not read {}, which agents may see; grant it `SELECT` on them",
                    columns.join(", ")
                ),
                Some(_) => format!(
                    "the minter cannot pass on to sessions that they may read {}, which agents may see; grant it `SELECT` on the \
                     table `WITH GRANT OPTION`",
                    columns.join(", ")
                ),
            },
        );
    }
    for row in public.into_iter().flat_map(|public| rows(3, public)) {
        let Some((name, relation)) = by_oid.get(&row.number(0)?) else { continue };
        if let Some(classes) = classification.get(*name) {
            found.public(name, relation, classes, row.number(1)?);
        }
    }
    found.0.sort();
    Ok(found.0)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, rule: &'static str, about: Option<String>, text: String) {
        self.0.push(Finding { severity, rule, about, text });
    }

    /// A release with a known way past privileges and masks, or one that nobody has tried.
    fn server(&mut self, version: u32) {
        let text = match minors::old_server(version) {
            Some(text) => text,
            None if minors::is_untested(version) => {
                format!("PostgreSQL {} is newer than what this release was tested with", version / 10_000)
            }
            None => return,
        };
        self.add(Severity::Warning, "drift.server", None, text);
    }

    fn role(&mut self, name: &str, superuser: bool, bypasses: bool, creates: bool) {
        let can = [(superuser, "is a superuser"), (bypasses, "bypasses row security"), (creates, "can create roles")];
        let can: Vec<&str> = can.into_iter().filter(|(can, _)| *can).map(|(_, what)| what).collect();
        if !can.is_empty() {
            self.add(
                Severity::Warning,
                "drift.role",
                None,
                format!(
                    "the gateway's role `{name}` {}: a fault of the gateway would meet no second lock; use a role that \
                     may only read what its masks need",
                    can.join(" and ")
                ),
            );
        }
    }

    fn columns(&mut self, name: &TableName, classes: &TableClasses, relation: &Relation) {
        let live: BTreeSet<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
        for column in classes.columns.keys().filter(|column| !live.contains(column.as_str())) {
            self.add(
                Severity::Error,
                "drift.column",
                Some(format!("{name}.{column}")),
                "is classified but does not exist; was it renamed? Its new name is redacted until it is classified"
                    .to_owned(),
            );
        }
        for column in live.iter().filter(|column| !classes.columns.contains_key(**column)) {
            self.add(
                Severity::Warning,
                "drift.unclassified",
                Some(format!("{name}.{column}")),
                "nobody has said what it holds, so it is redacted; classify it (`chaperone discover --merge` proposes how)"
                    .to_owned(),
            );
        }
        for (column, class) in classes.columns.iter().filter(|(_, class)| **class == Class::Unknown) {
            if live.contains(column.as_str()) {
                self.add(
                    Severity::Note,
                    "drift.unknown",
                    Some(format!("{name}.{column}")),
                    format!("is classified `{}`, so it is redacted", class.name()),
                );
            }
        }
        if let Some(subject) = classes.subject_column() {
            self.subject(name, classes, subject, relation.columns.iter().find(|column| column.name == subject));
        }
    }

    /// Whether what names the persons of a table can be read.
    fn subject(&mut self, name: &TableName, classes: &TableClasses, subject: &str, column: Option<&Column>) {
        let (severity, what) = match column {
            None => (
                Severity::Error,
                "is the table's subject but does not exist: disclosures could not be accounted for".to_owned(),
            ),
            Some(column) if !crate::rewrite::is_told(column) => (
                Severity::Warning,
                format!("is the table's subject, but nobody can be told by a {}: use an identifier", column.base.name),
            ),
            Some(_) if classes.class(subject).is_protected() => (
                Severity::Note,
                "is the table's subject and protected: whose rows are returned is on record only for those who see it \
                 as stored; a row number that identifies nobody is better"
                    .to_owned(),
            ),
            Some(_) => return,
        };
        self.add(severity, "drift.subject", Some(format!("{name}.{subject}")), what);
    }

    /// A column that is made from a protected one holds what that holds (rule R8).
    fn derived(&mut self, name: &TableName, classes: &TableClasses, relation: &Relation) {
        let derived = relation.columns.iter().filter_map(|column| Some((column, column.generated_from.as_ref()?)));
        for (column, from) in derived.filter(|(column, _)| !classes.class(&column.name).is_protected()) {
            let source = |number: &i16| relation.columns.iter().find(|source| source.number == *number);
            let protected: Vec<&str> = from
                .iter()
                .filter_map(source)
                .filter(|source| classes.class(&source.name).is_protected())
                .map(|source| source.name.as_str())
                .collect();
            if !protected.is_empty() {
                self.add(
                    Severity::Error,
                    "drift.derived",
                    Some(format!("{name}.{}", column.name)),
                    format!(
                        "is classified `none` but made from {}; it is masked whenever they are; give it their class",
                        protected.join(", ")
                    ),
                );
            }
        }
    }

    /// The bounds of partitions are in the catalog for all to read, and so are the names that people give them.
    fn partitions(&mut self, name: &TableName, classes: &TableClasses, relation: &Relation, catalog: &Catalog) {
        let key: Vec<&Column> =
            relation.columns.iter().filter(|column| relation.partition_key.contains(&column.number)).collect();
        let protected: Vec<&str> = key
            .iter()
            .filter(|column| classes.class(&column.name).is_protected())
            .map(|column| column.name.as_str())
            .collect();
        let children = catalog.children.get(name).map_or(0, Vec::len);
        if !protected.is_empty() && children > 0 {
            self.add(
                Severity::Warning,
                "drift.partition",
                Some(name.to_string()),
                format!(
                    "is partitioned by {}, whose values are in the bounds of its {children} partitions, which the \
                     catalog shows; it cannot be read without the permission `filter` on them",
                    protected.join(", ")
                ),
            );
        }
    }

    /// Asks the rewriting itself, with everything redacted.
    fn refused(&mut self, name: &TableName, catalog: &Catalog, classification: &BTreeMap<TableName, TableClasses>) {
        let text =
            format!("SELECT * FROM {}.{}", chaperone_mask::quoted(&name.schema), chaperone_mask::quoted(&name.name));
        let Ok(statements) = crate::parse(&text) else { return };
        let masks = Masks::default();
        let protection = Protection { catalog, classification, masks: &masks, masker: Masker::new(9999) };
        if let Err(refusal) = rewrite(&statements, 0, &protection) {
            self.add(
                Severity::Error,
                "drift.refused",
                Some(name.to_string()),
                format!("is classified, but every statement that reads it is refused: {}", refusal.detail),
            );
        }
    }

    fn unlisted(&mut self, catalog: &Catalog, classification: &BTreeMap<TableName, TableClasses>) {
        let servers = |schema: &str| schema == "information_schema" || schema.starts_with("pg_");
        let mut unlisted: Vec<&TableName> = catalog
            .relations
            .iter()
            .filter(|(name, relation)| {
                relation.kind != 'S' && !servers(&name.schema) && !classification.contains_key(*name)
            })
            .filter(|(name, _)| !is_partition(name, catalog, classification))
            .map(|(name, _)| name)
            .collect();
        unlisted.sort();
        if let Some((first, rest)) = unlisted.split_first() {
            let mut names = first.to_string();
            for name in rest.iter().take(SPELLED_OUT - 1) {
                names.push_str(&format!(", {name}"));
            }
            if unlisted.len() > SPELLED_OUT {
                names.push_str(&format!(" and {} more", unlisted.len() - SPELLED_OUT));
            }
            self.add(
                Severity::Note,
                "drift.unlisted",
                None,
                format!("not classified, so refused whatever the policies say: {names}"),
            );
        }
    }

    /// A predicate over a protected column holds values, and the catalog shows it to everybody.
    fn predicate(&mut self, name: &TableName, relation: &Relation, classes: &TableClasses, index: &str, text: &str) {
        let Some((columns, has_values)) = words(text) else { return };
        let protected: Vec<&str> = relation
            .columns
            .iter()
            .filter(|column| columns.contains(&column.name) && classes.class(&column.name).is_protected())
            .map(|column| column.name.as_str())
            .collect();
        if has_values && !protected.is_empty() {
            self.add(
                Severity::Warning,
                "drift.predicate",
                Some(name.to_string()),
                format!(
                    "the predicate of index `{index}` compares {} with values, and the catalog shows it; drop the \
                     index, or write it without values",
                    protected.join(", ")
                ),
            );
        }
    }
}

/// Whether a relation is a partition of a table that is listed: it is read through that.
fn is_partition(name: &TableName, catalog: &Catalog, classification: &BTreeMap<TableName, TableClasses>) -> bool {
    catalog.children.iter().filter(|(_, children)| children.contains(name)).any(|(parent, _)| {
        let partitioned = catalog.relations.get(parent).is_some_and(|relation| relation.kind == 'p');
        partitioned && (classification.contains_key(parent) || is_partition(parent, catalog, classification))
    })
}

/// The names in an expression, and whether there are constants in it. `None` where it cannot be read.
fn words(expression: &str) -> Option<(BTreeSet<String>, bool)> {
    let scanned = pg_query::scan(expression).ok()?;
    let mut names = BTreeSet::new();
    let mut constants = false;
    for token in &scanned.tokens {
        let range = usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?;
        match token.token() {
            Token::Sconst | Token::Iconst | Token::Fconst | Token::Bconst | Token::Xconst | Token::Usconst => {
                constants = true;
            }
            // a keyword can be the name of a column too
            _ => {
                let text = expression.get(range)?;
                let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                names.insert(bare.map_or_else(|| text.to_ascii_lowercase(), |text| text.replace("\"\"", "\"")));
            }
        }
    }
    Some((names, constants))
}
