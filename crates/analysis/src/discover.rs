//! What the columns of a database may hold, as a proposal for a person to review.
//!
//! # The idea
//! Names, types, comments, constraints, keys and definitions of views are read; **no row of any table is**. Each column
//! gets a class, how sure that is, and why. The two kinds of mistake do not weigh the same: a harmless column that is
//! called protected costs a review, a protected one that is called `none` costs a disclosure. So `none` needs evidence
//! *for* it, and any sign against it makes the column [`Class::Unknown`], which is redacted until somebody says more.
//!
//! With `ref varchar(16)` of `subject_file`, referred to by `visit.mrn`: the name `ref` says nothing, so it is unknown;
//! the foreign key says that both columns have the same values, and `mrn` says which: both are `mrn`. A view with
//! `upper(f.ref) AS label` reads it: `mrn` too, whatever it is called.
//!
//! # The steps
//! 1. [`QUERIES`] and [`Snapshot::load`]: definitions, from the catalog.
//! 2. `words`, `phrases`, `lexicon`: `dateOfBirth`, `date_of_birth`, `dob` are the same.
//! 3. `tables`: which are about patients, by name and by following keys; which are certainly about nobody.
//! 4. `column`: what each column says of itself.
//! 5. `links`, `lineage`: what columns say of each other.
//! 6. [`write()`](Proposal::write), [`merge()`]: a classification file, or additions to one that keep what is in it.

mod closed;
mod column;
mod family;
mod lexicon;
mod lineage;
mod links;
mod load;
mod merge;
mod phrases;
mod tables;
mod words;
mod write;

pub use load::{QUERIES, Snapshot};
pub use merge::{Existing, MergeError, Merged, merge};

use chaperone_model::{Class, TableName};

use links::Links;
use tables::Table;

/// How sure a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A hint. Never of `none`.
    Low,
    /// Evidence that is usually right.
    Medium,
    /// Would be surprising to be wrong.
    High,
}

impl Confidence {
    /// The word for it in files and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// Whom a table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A row for each patient.
    Patient,
    /// A row for each of other people.
    People,
    /// Refers to patients, over any number of keys.
    Linked,
    /// Nothing is known: treated as if it were about patients.
    Unsure,
    /// A vocabulary, settings, stock.
    NoPerson,
}

impl About {
    /// Whether dates and texts of the table are taken to be about people.
    pub fn is_person_related(self) -> bool {
        self != About::NoPerson
    }
}

/// Classes for a database's tables.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Proposal {
    /// By schema and name.
    pub tables: Vec<TableProposal>,
}

impl Proposal {
    /// Only the tables of these schemas.
    #[must_use]
    pub fn of_schemas(mut self, schemas: &[String]) -> Self {
        self.tables.retain(|table| schemas.contains(&table.table.schema));
        self
    }
}

/// Classes for a table's columns.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableProposal {
    /// Which.
    pub table: TableName,
    /// Whether it is a view or materialised view.
    pub is_view: bool,
    /// Whom it is about.
    pub about: About,
    /// The column that says whose row it is.
    pub subject: Option<String>,
    /// In the order of the table.
    pub columns: Vec<ColumnProposal>,
}

/// A class for a column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ColumnProposal {
    /// The column.
    pub name: String,
    /// What it may hold.
    pub class: Class,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why, in a few words: names of tables and columns, words of the lexicon; nothing else of any comment or
    /// constraint.
    pub reason: String,
}

/// What was found out about a column.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    class: Class,
    confidence: Confidence,
    reason: String,
}

impl Finding {
    fn new(class: Class, confidence: Confidence, reason: impl Into<String>) -> Self {
        Finding { class, confidence, reason: reason.into() }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Finding::new(Class::Unknown, Confidence::Low, reason)
    }
}

/// Proposes classes for every column.
pub fn propose(snapshot: &Snapshot) -> Proposal {
    propose_with(snapshot, |_, _| {})
}

/// Proposes classes for every column, and tells how many tables of how many are done.
pub fn propose_with(snapshot: &Snapshot, mut progress: impl FnMut(usize, usize)) -> Proposal {
    let tables = tables::read(snapshot);
    let mut opinions = Vec::with_capacity(tables.len());
    for (table, relation) in tables.iter().zip(&snapshot.relations) {
        opinions.push((0..relation.columns.len()).map(|at| column::judge(relation, table, at)).collect());
        progress(opinions.len(), tables.len());
    }
    let findings = Links::new(snapshot, &tables, opinions).settle();
    let mut proposals: Vec<TableProposal> = findings
        .into_iter()
        .enumerate()
        .filter_map(|(at, findings)| {
            let (relation, table) = (snapshot.relations.get(at)?, tables.get(at)?);
            let columns = relation.columns.iter().zip(findings).map(|(column, finding)| ColumnProposal {
                name: column.name.clone(),
                class: finding.class,
                confidence: finding.confidence,
                reason: finding.reason,
            });
            Some(TableProposal {
                table: relation.name.0.clone(),
                is_view: relation.is_view,
                about: table.about,
                subject: subject(snapshot, &tables, at),
                columns: columns.collect(),
            })
        })
        .collect();
    proposals.sort_by(|a, b| a.table.cmp(&b.table));
    Proposal { tables: proposals }
}

/// The key of a table of patients, or a table's key to it: declared first, then such as are only called so.
fn subject(snapshot: &Snapshot, tables: &[Table], at: usize) -> Option<String> {
    let (relation, table) = (snapshot.relations.get(at)?, tables.get(at)?);
    let is_patient = |to: usize| tables.get(to).is_some_and(|table| table.about == About::Patient);
    let declared = relation.foreign_keys.iter().filter(|key| is_patient(key.to)).find_map(|key| match key.pairs[..] {
        [(from, _)] => Some(from),
        _ => None,
    });
    let own = match relation.primary_key[..] {
        [key] if table.about == About::Patient => Some(key),
        _ => None,
    };
    let likely = table.likely_keys.iter().find(|(_, to, _)| is_patient(*to)).map(|(from, ..)| *from);
    relation.columns.get(own.or(declared).or(likely)?).map(|column| column.name.clone())
}
