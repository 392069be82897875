//! Views: what is seen through one is what its text would give.

use crate::twins::{Session, cluster};

/// Views, and for each what it is.
const VIEWS: &str = "
CREATE SCHEMA seen;
CREATE VIEW seen.plain AS SELECT id, last_name, dob, sex, zip FROM clinic.patient;
CREATE VIEW seen.renamed(pid, surname) AS SELECT id, last_name FROM clinic.patient;
CREATE VIEW seen.filtered AS SELECT id, sex FROM clinic.patient WHERE last_name < 'M' AND weight > 50;
CREATE VIEW seen.counted AS SELECT sex, count(*) AS n, max(dob) AS youngest FROM clinic.patient GROUP BY sex;
CREATE VIEW seen.by_key AS SELECT p.id, p.sex, p.last_name, count(e.id) AS visits
  FROM clinic.patient p LEFT JOIN clinic.encounter e ON e.patient_id = p.id GROUP BY p.id;
CREATE VIEW seen.twice AS SELECT r.pid, r.surname, c.n FROM seen.renamed r JOIN clinic.patient p ON p.id = r.pid JOIN seen.counted c USING (sex);
CREATE VIEW seen.with_cte AS WITH busy AS (SELECT patient_id, count(*) AS n FROM clinic.encounter GROUP BY 1) SELECT * FROM busy WHERE n > 1;
CREATE VIEW seen.barrier WITH (security_barrier) AS SELECT id, unit FROM clinic.encounter WHERE unit = 'icu';
CREATE VIEW seen.unlisted AS SELECT id FROM clinic.secret;
CREATE VIEW seen.calls AS SELECT trap.reveal() AS x;
CREATE VIEW seen.guarded AS SELECT id FROM clinic.guarded;
CREATE VIEW seen.server AS SELECT relname, reltuples FROM pg_class WHERE relname = 'patient';
CREATE VIEW seen.typed AS SELECT sex::text::clinic.mrn AS mrn FROM clinic.patient;
CREATE VIEW seen.wing AS SELECT wing FROM clinic.room;
CREATE MATERIALIZED VIEW seen.kept AS SELECT id FROM clinic.patient WHERE last_name < 'M';
CREATE VIEW seen.cased AS SELECT id, CASE sex WHEN 'F' THEN 1 ELSE 0 END AS f, sex IN ('F', 'M') AS known, dob BETWEEN '1950-01-01' AND '1960-01-01' AS old FROM clinic.patient;
GRANT UPDATE (lang) ON clinic.patient TO agent; GRANT USAGE ON SCHEMA seen TO agent; GRANT SELECT ON ALL TABLES IN SCHEMA seen TO agent;
";

/// A statement over a view, and what means the same without.
const SAME: &[(&str, &str)] = &[
    ("SELECT * FROM seen.plain ORDER BY id", "SELECT id, last_name, dob, sex, zip FROM clinic.patient ORDER BY id"),
    (
        "SELECT surname, pid FROM seen.renamed AS r WHERE r.pid < 5 ORDER BY 2",
        "SELECT last_name AS surname, id AS pid FROM clinic.patient WHERE id < 5 ORDER BY 2",
    ),
    (
        "SELECT a, b FROM seen.renamed AS r(a, b) ORDER BY a",
        "SELECT id AS a, last_name AS b FROM clinic.patient ORDER BY id",
    ),
    (
        "SELECT id FROM seen.filtered ORDER BY id",
        "SELECT id FROM clinic.patient WHERE last_name < 'M' AND weight > 50 ORDER BY id",
    ),
    (
        "SELECT sex, n FROM seen.counted ORDER BY sex",
        "SELECT sex, count(*) AS n FROM clinic.patient GROUP BY sex ORDER BY sex",
    ),
    (
        "SELECT youngest FROM seen.counted ORDER BY sex",
        "SELECT max(dob) AS youngest FROM clinic.patient GROUP BY sex ORDER BY sex",
    ),
    (
        "SELECT id, visits, last_name FROM seen.by_key ORDER BY visits DESC, id",
        "SELECT p.id, count(e.id) AS visits, p.last_name FROM clinic.patient p LEFT JOIN clinic.encounter e ON e.patient_id = p.id GROUP BY p.id ORDER BY 2 DESC, 1",
    ),
    (
        "SELECT t.pid, t.n FROM seen.twice t ORDER BY 1",
        "SELECT p.id AS pid, c.n FROM clinic.patient p JOIN (SELECT sex, count(*) AS n FROM clinic.patient GROUP BY 1) c USING (sex) ORDER BY 1",
    ),
    (
        "SELECT * FROM seen.with_cte ORDER BY 1",
        "SELECT patient_id, count(*) AS n FROM clinic.encounter GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
    ),
    (
        "SELECT id FROM seen.barrier WHERE id > 2 ORDER BY 1",
        "SELECT id FROM clinic.encounter WHERE unit = 'icu' AND id > 2 ORDER BY 1",
    ),
    ("SELECT seen.plain.sex FROM seen.plain ORDER BY seen.plain.id", "SELECT sex FROM clinic.patient ORDER BY id"),
    ("SELECT count(*) FROM seen.plain a JOIN seen.plain b ON a.id = b.id", "SELECT count(*) FROM clinic.patient"),
    (
        "SELECT p FROM seen.plain p ORDER BY id LIMIT 2",
        "SELECT p FROM (SELECT id, last_name, dob, sex, zip FROM clinic.patient) p ORDER BY id LIMIT 2",
    ),
    ("SELECT wing FROM seen.wing ORDER BY 1", "SELECT wing FROM clinic.room ORDER BY 1"),
    (
        "SELECT id, f, known, old FROM seen.cased ORDER BY id",
        "SELECT id, CASE sex WHEN 'F' THEN 1 ELSE 0 END AS f, sex IN ('F', 'M') AS known, dob BETWEEN '1950-01-01' AND '1960-01-01' AS old FROM clinic.patient ORDER BY id",
    ),
    ("SELECT id FROM seen.plain WHERE id = 3 FOR UPDATE", "SELECT id FROM clinic.patient WHERE id = 3 FOR UPDATE"),
    ("SELECT relname FROM seen.server", "SELECT relname FROM pg_class WHERE relname = 'patient'"),
    ("SELECT reltuples IS NULL AS hidden FROM seen.server", "SELECT true AS hidden"),
];

/// Refused, by this rule.
const REFUSED: &[(&str, &str)] = &[
    ("SELECT * FROM seen.unlisted", "masking.relation"),
    ("SELECT * FROM seen.calls", "masking.function"),
    ("SELECT * FROM seen.guarded", "masking.relation"),
    ("SELECT * FROM seen.typed", "masking.type"),
    ("SELECT * FROM seen.kept", "masking.relation"),
    ("SELECT ctid FROM seen.plain", "masking.system_column"),
];

#[tokio::test]
async fn a_view_is_its_text() {
    let cluster = cluster();
    for twin in ["ada", "bea"] {
        cluster.psql_in(twin, VIEWS).unwrap();
    }
    let ada = Session::open(&cluster, "ada", "clinic, public").await;
    let bea = Session::open(&cluster, "bea", "clinic, public").await;
    // names of the columns and rows; where they come from may differ
    let rows = |text: &str| {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let names: Vec<&str> = first.split('(').filter_map(|column| column.split('"').nth(1)).collect();
        format!("{names:?}\n{}", lines.collect::<Vec<_>>().join("\n"))
    };
    for (sql, meaning) in SAME {
        let (seen, answered) = ada.run(sql).await;
        let (expected, _) = ada.run(meaning).await;
        assert!(answered, "{sql}: {seen}");
        assert_eq!(rows(&seen), rows(&expected), "{sql}");
        assert_eq!(seen, bea.run(sql).await.0, "{sql}");
    }
    for (sql, rule) in REFUSED {
        let (seen, _) = ada.run(sql).await;
        assert!(seen.contains(&format!("({rule})")) || seen.contains(rule), "{sql}: {seen}");
        assert_eq!(seen, bea.run(sql).await.0, "{sql}");
    }
    // a path on which something else could be meant
    let trapped = Session::open(&cluster, "ada", "clinic, trap, public").await;
    for (sql, _) in SAME {
        let (seen, answered) = trapped.run(sql).await;
        assert!(!answered || rows(&seen) == rows(&ada.run(sql).await.0), "{sql}: {seen}");
    }
}

/// Who reads a view reads the tables below it.
#[tokio::test]
async fn a_rule_about_a_table_holds_through_a_view() {
    let cluster = cluster();
    cluster.psql_in("ada", VIEWS).unwrap();
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    let statements = chaperone_analysis::parse("SELECT * FROM seen.twice").unwrap();
    let facts = statements.facts_in(0, &session.catalog);
    let needs: Vec<String> =
        facts.needs.iter().filter_map(|need| need.table.as_ref()).map(ToString::to_string).collect();
    assert_eq!(needs, ["clinic.patient", "seen.counted", "seen.renamed", "seen.twice"]);
}
