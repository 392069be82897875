//! What `chaperone check` finds in a live database.

use std::collections::BTreeMap;

use chaperone_analysis::catalog::Rows;
use chaperone_analysis::drift::{Finding, MINTER_QUERIES, QUERIES, Severity, drift};
use chaperone_analysis::{Catalog, Protection, parse, rewrite};
use chaperone_model::{Class, Masks, TableClasses, TableName};
use chaperone_testkit::postgres::{Cluster, Options};
use tokio_postgres::NoTls;

use crate::twins::rows_of;

const SCHEMA: &str = "
    CREATE SCHEMA c;
    CREATE TABLE c.person (id int PRIMARY KEY, name text, born date, initial text GENERATED ALWAYS AS (left(name, 1)) STORED);
    CREATE TABLE c.stay (id int, person int REFERENCES c.person, unit text, note text);
    CREATE INDEX smith ON c.person (id) WHERE name = 'Smith-of-the-predicate';
    CREATE INDEX named ON c.person (id) WHERE name IS NOT NULL;
    CREATE INDEX units ON c.stay (id) WHERE unit = 'icu';
    CREATE TABLE c.visit (id int, seen date) PARTITION BY RANGE (seen);
    CREATE TABLE c.visit_old PARTITION OF c.visit FOR VALUES FROM (MINVALUE) TO ('2019-03-07');
    CREATE VIEW c.people AS SELECT * FROM c.person;
    CREATE TABLE c.scratch (x text);
    GRANT USAGE ON SCHEMA c TO agent;
    GRANT SELECT ON c.person, c.stay, c.visit TO agent";

type Classes<'a> = &'a [(&'a str, &'a [(&'a str, Class)])];

/// Fits the schema, but for what the schema itself has.
const FITS: Classes<'static> = &[
    ("person", &[("id", Class::None), ("name", Class::Name), ("born", Class::BirthDate), ("initial", Class::Name)]),
    ("stay", &[("id", Class::None), ("person", Class::None), ("unit", Class::None), ("note", Class::ClinicalText)]),
];

fn classification(tables: Classes<'_>) -> BTreeMap<TableName, TableClasses> {
    let classes = |columns: &[(&str, Class)]| TableClasses {
        columns: columns.iter().map(|(name, class)| ((*name).to_owned(), *class)).collect(),
        subject: None,
    };
    tables.iter().map(|(name, columns)| (TableName::new("c", *name), classes(columns))).collect()
}

async fn live(cluster: &Cluster, role: &str, queries: &[&str]) -> (Catalog, Vec<Rows>) {
    let password = if role == "agent" { "agent" } else { cluster.password() };
    let config = cluster.conn_string_for("drift", role, password);
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    let (mut catalog, mut answers) = (Vec::new(), Vec::new());
    for query in chaperone_analysis::catalog::QUERIES {
        catalog.push(rows_of(&client, query).await);
    }
    for query in queries {
        answers.push(rows_of(&client, query).await);
    }
    (Catalog::load(&catalog).unwrap(), answers)
}

async fn findings(cluster: &Cluster, role: &str, classes: &BTreeMap<TableName, TableClasses>) -> Vec<Finding> {
    let (catalog, answers) = live(cluster, role, &QUERIES).await;
    drift(&catalog, classes, &answers).unwrap()
}

/// Rule and what it is about, of everything but notes.
fn told(findings: &[Finding]) -> Vec<(&str, &str)> {
    let told = findings.iter().filter(|finding| finding.severity != Severity::Note && finding.rule != "drift.server");
    told.map(|finding| (finding.rule, finding.about.as_deref().unwrap_or(""))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_found_and_nothing_else() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("drift", "postgres").unwrap();
    cluster.psql_in("drift", SCHEMA).unwrap();

    let fits = classification(FITS);
    let found = findings(&cluster, "agent", &fits).await;
    // the index is the schema's own fault: its predicate holds a name; `IS NOT NULL` does not, and a unit is no PHI
    assert_eq!(told(&found), [("drift.predicate", "c.person")], "{found:#?}");
    let all: String = found.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(!all.contains("of-the-predicate"), "a finding repeats a value: {all}");
    // views and tables outside are a note; a partition of a listed table is none, but here its parent is not listed
    let unlisted = found.iter().find(|finding| finding.rule == "drift.unlisted").unwrap();
    for name in ["c.people", "c.scratch", "c.visit", "c.visit_old"] {
        assert!(unlisted.text.contains(name), "{unlisted}");
    }

    // a column was added, one renamed, a table dropped
    let changes = "ALTER TABLE c.person ADD COLUMN phone text; ALTER TABLE c.person RENAME COLUMN name TO full_name;
        DROP INDEX c.smith; DROP INDEX c.named; DROP TABLE c.stay";
    cluster.psql_in("drift", changes).unwrap();
    let found = findings(&cluster, "agent", &fits).await;
    assert_eq!(
        told(&found),
        [
            ("drift.column", "c.person.name"),
            ("drift.table", "c.stay"),
            ("drift.unclassified", "c.person.full_name"),
            ("drift.unclassified", "c.person.phone"),
        ],
        "{found:#?}"
    );

    // what is made from a protected column, a protected partition key, a subject that is not there, no grant
    let mut bad = classification(&[
        (
            "person",
            &[
                ("id", Class::None),
                ("full_name", Class::Name),
                ("born", Class::BirthDate),
                ("phone", Class::Phone),
                ("initial", Class::None),
            ],
        ),
        ("visit", &[("id", Class::None), ("seen", Class::Date)]),
        ("people", &[("id", Class::None)]),
        ("scratch", &[("x", Class::None)]),
    ]);
    bad.get_mut(&TableName::new("c", "person")).unwrap().subject =
        Some(chaperone_model::Subject::Column("patient_id".to_owned()));
    let found = findings(&cluster, "agent", &bad).await;
    let told_of =
        |rule| told(&found).into_iter().filter(|(r, _)| *r == rule).map(|(_, about)| about).collect::<Vec<_>>();
    assert_eq!(told_of("drift.derived"), ["c.person.initial"], "{found:#?}");
    assert_eq!(told_of("drift.partition"), ["c.visit"]);
    assert_eq!(told_of("drift.subject"), ["c.person.patient_id"]);
    assert_eq!(told_of("drift.refused"), ["c.visit"]);
    assert_eq!(told_of("drift.grant"), ["c.scratch"]);
    assert_eq!(told_of("drift.role"), [""; 0]);

    // the owner's own role has no second lock
    let found = findings(&cluster, "postgres", &classification(&[])).await;
    assert_eq!(told(&found), [("drift.role", "")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_partition_key_needs_the_permission_to_filter_by_it() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("drift", "postgres").unwrap();
    cluster.psql_in("drift", SCHEMA).unwrap();
    let classification = classification(&[
        ("visit", &[("id", Class::None), ("seen", Class::Date)]),
        ("visit_old", &[("id", Class::None), ("seen", Class::Date)]),
    ]);
    let (catalog, _) = live(&cluster, "agent", &QUERIES).await;
    let run = |masks: &Masks, sql: &str| {
        let protection = Protection {
            catalog: &catalog,
            classification: &classification,
            masks,
            masker: chaperone_mask::Masker::new(1937),
        };
        rewrite(&parse(sql).unwrap(), 0, &protection)
    };
    let mut masks = Masks::default();
    let (visit, old) = (TableName::new("c", "visit"), TableName::new("c", "visit_old"));
    for sql in ["SELECT count(*) FROM c.visit", "SELECT count(*) FROM c.visit_old"] {
        assert!(run(&masks, sql).unwrap_err().detail.contains("key"), "{sql}");
    }
    // what may filter one table may not filter another
    masks.permit_filter(&visit, "seen");
    assert!(run(&masks, "SELECT count(*) FROM c.visit").is_ok());
    assert!(run(&masks, "SELECT count(*) FROM c.visit_old").is_err());
    masks.permit_filter(&old, "seen");
    assert!(run(&masks, "SELECT count(*) FROM c.visit_old").is_ok());
    // it is masked all the same
    assert!(run(&masks, "SELECT seen FROM c.visit").unwrap().text.contains("NULL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_minter_lacks_is_found_and_what_every_role_may_read() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("drift", "postgres").unwrap();
    cluster.psql_in("drift", SCHEMA).unwrap();
    let classes = classification(FITS);
    let minter = async |role: &str| {
        let (catalog, answers) = live(&cluster, role, &MINTER_QUERIES).await;
        let found = drift(&catalog, &classes, &answers).unwrap();
        let about = |finding: &Finding| matches!(finding.rule, "drift.role" | "drift.grant" | "drift.public");
        found.into_iter().filter(about).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&minter("agent").await),
        [("drift.grant", "c.person"), ("drift.grant", "c.stay"), ("drift.role", "")]
    );
    let grants = "ALTER ROLE agent CREATEROLE; GRANT USAGE ON SCHEMA c TO agent WITH GRANT OPTION; \
                  GRANT SELECT ON c.person, c.stay, c.visit TO agent WITH GRANT OPTION";
    cluster.psql_in("drift", grants).unwrap();
    assert_eq!(told(&minter("agent").await), []);
    cluster.psql_in("drift", "GRANT SELECT (id, name) ON c.person TO PUBLIC").unwrap();
    assert_eq!(told(&minter("agent").await), [("drift.public", "c.person.name")]);
    let superuser = minter("postgres").await;
    assert!(superuser.iter().any(|finding| finding.rule == "drift.role" && finding.text.contains("is a superuser")));
}
