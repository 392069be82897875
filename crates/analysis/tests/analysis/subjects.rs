//! Whose rows an answer has: told where it can be, and the answer is the same.

use chaperone_analysis::{Output, Protection, parse, rewrite};
use chaperone_model::{Enumerated, Rung, TableName};

use crate::clinic::{self, Clinic};
use crate::statements::{ATTACKS, CLINICAL};
use crate::twins::{Session, cluster};

/// Statement, what is told, by which columns.
const TOLD: &[(&str, &str, &str)] = &[
    ("SELECT sex FROM clinic.patient", "all", "patient.id"),
    ("SELECT * FROM clinic.patient ORDER BY 1", "all", "patient.id"),
    ("TABLE clinic.patient", "all", "patient.id"),
    (
        "SELECT p.sex, e.unit FROM patient p JOIN encounter e ON e.patient_id = p.id",
        "all",
        "patient.id encounter.patient_id",
    ),
    ("SELECT a.id FROM patient a, patient b", "all", "patient.id patient.id"),
    ("SELECT 1 FROM patient WHERE id = 5", "all", "patient.id"),
    ("SELECT e.unit, r.beds FROM encounter e JOIN room r USING (room)", "all", "encounter.patient_id"),
    ("SELECT id, row_number() OVER (ORDER BY id), sum(weight) OVER () FROM patient", "part", "patient.id"),
    ("SELECT string_agg(sex, ',') OVER () FROM patient LIMIT 1", "part", "patient.id"),
    ("SELECT DISTINCT ON (count(*)) 1 FROM patient", "nothing", ""),
    ("SELECT (SELECT max(generate_series)) FROM patient, generate_series(1, 3)", "nothing", ""),
    ("SELECT unit, room, count(*) FROM encounter GROUP BY patient_id, (1, 2)", "nothing", ""),
    ("SELECT id FROM patient ORDER BY \"chaperone subject\"", "nothing", ""),
    ("SELECT sex AS \"chaperone subject\" FROM patient ORDER BY \"chaperone subject\"", "nothing", ""),
    ("SELECT * FROM patient ORDER BY 99", "nothing", ""),
    ("SELECT * FROM encounter ORDER BY 7", "all", "encounter.patient_id"),
    ("SELECT DISTINCT * FROM encounter FULL JOIN patient USING (id)", "nothing", ""),
    ("SELECT DISTINCT patient_id FROM encounter", "all", "encounter.patient_id"),
    ("SELECT DISTINCT * FROM encounter", "all", "encounter.patient_id"),
    ("SELECT DISTINCT e.*, 1 FROM encounter e", "all", "encounter.patient_id"),
    ("SELECT DISTINCT ON (unit) unit, id FROM encounter ORDER BY unit, id", "all", "encounter.patient_id"),
    ("SELECT p.id, count(*) FROM patient p GROUP BY p.id", "all", "patient.id"),
    ("SELECT id AS x, count(*) FROM patient GROUP BY x", "all", "patient.id"),
    ("SELECT sex, id, count(*) FROM patient GROUP BY 1, 2 ORDER BY 2", "all", "patient.id"),
    ("SELECT id, sex, last_name FROM patient GROUP BY id", "all", "patient.id"),
    ("SELECT DISTINCT id, max(weight) FROM patient GROUP BY id, sex", "all", "patient.id"),
    // a part of them
    (
        "SELECT p.id, max(e.admitted) FROM patient p JOIN encounter e ON e.patient_id = p.id GROUP BY p.id",
        "part",
        "patient.id",
    ),
    ("SELECT id FROM patient WHERE id IN (SELECT patient_id FROM encounter)", "part", "patient.id"),
    (
        "WITH r AS (SELECT patient_id FROM encounter) SELECT p.id FROM patient p JOIN r ON r.patient_id = p.id",
        "part",
        "patient.id",
    ),
    ("SELECT p.id, (SELECT count(*) FROM encounter e WHERE e.patient_id = p.id) FROM patient p", "part", "patient.id"),
    (
        "SELECT p.id, (SELECT max(e.admitted) FROM encounter e WHERE e.patient_id = p.id) FROM patient p",
        "part",
        "patient.id",
    ),
    ("SELECT p.id, (SELECT max(unit) FROM encounter e WHERE e.patient_id = p.id) FROM patient p", "part", "patient.id"),
    ("SELECT l.code, e.id FROM lab l JOIN encounter e ON e.id = l.encounter_id", "part", "encounter.patient_id"),
    (
        "SELECT p.sex FROM patient p, (encounter e JOIN room USING (room)) AS j WHERE j.patient_id = p.id",
        "part",
        "patient.id",
    ),
    ("SELECT p.a FROM patient AS p(a), encounter", "part", "encounter.patient_id"),
    ("SELECT DISTINCT p.id, e.unit FROM patient p JOIN encounter e ON e.patient_id = p.id", "part", "patient.id"),
    // nothing
    ("SELECT count(*) FROM patient", "nothing", ""),
    ("SELECT max(weight) FROM patient HAVING count(*) > 3", "nothing", ""),
    ("SELECT 1 FROM patient HAVING true", "nothing", ""),
    ("SELECT id, (SELECT max(p.id)) FROM patient p", "nothing", ""),
    ("SELECT (SELECT max(id)) FROM patient", "nothing", ""),
    ("SELECT (SELECT max((SELECT p.weight FROM encounter x WHERE x.id = 1))) FROM patient p", "nothing", ""),
    ("SELECT 1 FROM patient ORDER BY count(*)", "nothing", ""),
    ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY weight) FROM patient", "nothing", ""),
    ("SELECT sum(count(*)) OVER () FROM patient", "nothing", ""),
    ("SELECT sex, count(*) FROM patient GROUP BY sex", "nothing", ""),
    ("SELECT id FROM patient GROUP BY GROUPING SETS ((id), ())", "nothing", ""),
    ("SELECT DISTINCT sex FROM patient", "nothing", ""),
    ("SELECT DISTINCT id + 0 AS id FROM patient", "nothing", ""),
    ("SELECT id FROM patient UNION SELECT patient_id FROM encounter", "nothing", ""),
    ("SELECT x.id FROM (SELECT id FROM patient) x", "nothing", ""),
    ("SELECT exists (SELECT 1 FROM patient)", "nothing", ""),
    ("SELECT code FROM lab", "nothing", ""),
    ("SELECT id FROM patient ORDER BY 0", "nothing", ""),
    ("SELECT id FROM patient ORDER BY 2", "nothing", ""),
    ("COPY (SELECT id FROM patient) TO STDOUT", "nothing", ""),
    ("COPY clinic.patient TO STDOUT", "nothing", ""),
    ("DECLARE c CURSOR FOR SELECT id FROM patient", "-", ""),
    ("FETCH 1 FROM c", "nothing", ""),
    ("MOVE 1 IN c", "nothing", ""),
    ("EXPLAIN SELECT id FROM patient", "-", ""),
    ("UPDATE patient SET lang = 'x' RETURNING id", "nothing", ""),
    ("DELETE FROM encounter WHERE unit = 'icu'", "nothing", ""),
    ("UPDATE room SET beds = 1", "-", ""),
    (
        "WITH x AS (DELETE FROM encounter RETURNING patient_id AS who) SELECT p.id, x.who FROM patient p, x",
        "part",
        "patient.id",
    ),
    // about nobody
    ("SELECT beds FROM room", "-", ""),
    ("SELECT 1", "-", ""),
    ("SELECT relname FROM pg_class", "-", ""),
];

fn told(output: &Output) -> (&'static str, String) {
    match &output.subjects {
        None => ("-", String::new()),
        Some(subjects) => (subjects.enumerated.name(), subjects.columns.join(" ").replace("clinic.", "")),
    }
}

#[tokio::test]
async fn what_can_be_told_is() {
    let cluster = cluster();
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    let Clinic { classification, mut masks } = clinic::with_subjects();
    let told_by = |sql: &str, masks: &_| {
        let masker = chaperone_mask::Masker::new(1937);
        let protection = Protection { catalog: &session.catalog, classification: &classification, masks, masker };
        let rewritten = rewrite(&parse(sql).unwrap(), 0, &protection).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let (enumerated, columns) = told(&rewritten.output);
        (enumerated, columns, rewritten.text)
    };
    for (sql, expected, columns) in TOLD {
        let (enumerated, by, text) = told_by(sql, &masks);
        assert_eq!((enumerated, &*by), (*expected, *columns), "{sql}\n{text}");
    }
    // never by what the agent may not see
    masks.set(&TableName::new("clinic", "patient"), "id", Rung::Redacted);
    let (enumerated, _, text) = told_by("SELECT sex FROM clinic.patient", &masks);
    assert_eq!(enumerated, Enumerated::Nothing.name());
    assert!(!text.contains(chaperone_analysis::SUBJECT), "{text}");
}

#[tokio::test]
async fn answers_are_the_same_and_every_row_says_whose_it_is() {
    let cluster = cluster();
    let (plain, with) = (clinic::clinic(), clinic::with_subjects());
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    let without = Session::open(&cluster, "ada", "clinic, public").await;
    // without an order of their own rows may come in another one, since another plan may be the cheapest
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let mut told = 0;
    let mut run = async |sql: &str| {
        let (expected, _) = without.run_in(&plain, sql).await;
        assert!(without.subjects.borrow().is_empty(), "{sql}");
        let (actual, _) = session.run_in(&with, sql).await;
        let subjects = std::mem::take(&mut *session.subjects.borrow_mut());
        // which of several rows a limit leaves is not said either
        if !sql.contains("LIMIT") && !sql.contains("random()") && !sql.contains("clock_timestamp") {
            assert_eq!(sorted(&actual), sorted(&expected), "{sql}");
        }
        told += usize::from(!subjects.is_empty());
        subjects
    };
    for sql in CLINICAL.iter().chain(ATTACKS).copied().chain(TOLD.iter().map(|(sql, ..)| *sql)) {
        run(sql).await;
    }
    let subjects = run("SELECT sex FROM clinic.patient WHERE id IN (2, 3)").await;
    assert_eq!(subjects.into_iter().collect::<Vec<_>>(), ["2", "3"]);
    println!("{told} statements said whose rows they returned");
    assert!(told > 80, "{told}");
}

/// Whatever type names them.
#[tokio::test]
async fn a_subject_of_any_type() {
    let cluster = cluster();
    cluster
        .psql_in(
            "ada",
            "CREATE TABLE clinic.key (i2 int2, i4 int4, i8 int8, n numeric, t text, v varchar(9), c char(4), u uuid, d clinic.wing);
             INSERT INTO clinic.key SELECT i, i, i, CASE i WHEN 3 THEN 2.00 ELSE i END, i, i, i, ('00000000-0000-0000-0000-00000000000' || i)::uuid, i FROM generate_series(1, 5) i;
             GRANT SELECT ON clinic.key TO agent",
        )
        .unwrap();
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    let key = TableName::new("clinic", "key");
    let mut plain = clinic::clinic();
    for column in ["i2", "i4", "i8", "n", "t", "v", "c", "u", "d"] {
        plain
            .classification
            .entry(key.clone())
            .or_default()
            .columns
            .insert(column.to_owned(), chaperone_model::Class::None);
        plain.masks.set(&key, column, Rung::Raw);
    }
    for (column, different) in
        [("i2", 5), ("i4", 5), ("i8", 5), ("n", 4), ("t", 5), ("v", 5), ("c", 5), ("u", 5), ("d", 5)]
    {
        let mut with = Clinic { classification: plain.classification.clone(), masks: plain.masks.clone() };
        let subject = chaperone_model::Subject::Column(column.to_owned());
        with.classification.get_mut(&key).unwrap().subject = Some(subject);
        for sql in [
            "SELECT i4 FROM clinic.key ORDER BY 1".to_owned(),
            format!("SELECT DISTINCT {column} FROM clinic.key ORDER BY 1"),
            format!("SELECT {column}, count(*) FROM clinic.key GROUP BY 1 ORDER BY 1"),
        ] {
            let (expected, _) = session.run_in(&plain, &sql).await;
            assert!(session.subjects.borrow().is_empty());
            let (actual, answered) = session.run_in(&with, &sql).await;
            assert!(answered, "{sql}: {actual}");
            assert_eq!(actual, expected, "{column}: {sql}");
            assert_eq!(std::mem::take(&mut *session.subjects.borrow_mut()).len(), different, "{column}: {sql}");
        }
    }
}

/// The list of aggregates against the server's own.
#[tokio::test]
async fn every_aggregate_is_known() {
    let cluster = cluster();
    let unknown = cluster
        .psql_in(
            "ada",
            "SELECT DISTINCT proname FROM pg_proc JOIN pg_aggregate ON aggfnoid = pg_proc.oid
             WHERE aggkind = 'n' AND pronamespace = 'pg_catalog'::regnamespace ORDER BY 1",
        )
        .unwrap();
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    let Clinic { classification, masks } = clinic::with_subjects();
    let mut known = 0;
    for name in unknown.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let masker = chaperone_mask::Masker::new(1937);
        let protection =
            Protection { catalog: &session.catalog, classification: &classification, masks: &masks, masker };
        let sql = format!("SELECT {name}(weight) FROM clinic.patient");
        // refused, or known to sum up
        if let Ok(rewritten) = rewrite(&parse(&sql).unwrap(), 0, &protection) {
            assert_eq!(told(&rewritten.output).0, "nothing", "{sql}");
            known += 1;
        }
    }
    assert!(known > 30, "{known}: {unknown}");
}
