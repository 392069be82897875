//! What a session makes for itself: it holds what the session may see, it is found under no other name, and nothing else is
//! found under its own.

use std::sync::Arc;

use chaperone_analysis::{Protection, Temporaries, parse, rewrite_within};
use chaperone_model::{Action, Class, Masks, Rung, TableName};

use crate::clinic::{Clinic, clinic};
use crate::twins::{Session, cluster};

/// Texts, one after the other in one session; each is answered, and alike from both twins.
const ANSWERED: &[&str] = &[
    "CREATE TEMP TABLE kept AS SELECT id, last_name AS x, dob, sex FROM clinic.patient",
    "SELECT count(*), count(x), min(dob), max(dob) FROM kept",
    "SELECT * FROM kept ORDER BY id",
    "SELECT k.*, k::text, to_jsonb(k) FROM pg_temp.kept k ORDER BY k.id LIMIT 5",
    "SELECT p.sex, k.dob FROM kept k JOIN patient p ON p.id = k.id WHERE k.dob IS NOT NULL ORDER BY 2, 1",
    "SELECT id FROM kept WHERE id IN (SELECT patient_id FROM clinic.encounter WHERE note IS NULL) ORDER BY 1",
    "INSERT INTO kept (id, x) SELECT id + 1000, mrn FROM clinic.patient RETURNING *",
    "UPDATE kept SET x = p.ssn, sex = p.sex FROM clinic.patient p WHERE p.id = kept.id AND p.dob > '1950-01-01' RETURNING kept.*, p.zip",
    "UPDATE kept SET (x, sex) = ('a', 'f') WHERE x IS NULL AND id < 5",
    "DELETE FROM kept k USING clinic.encounter e WHERE e.patient_id = k.id AND e.unit = 'icu' RETURNING k.id",
    "MERGE INTO kept k USING clinic.patient p ON p.id = k.id WHEN MATCHED THEN UPDATE SET dob = p.died WHEN NOT MATCHED THEN INSERT (id, x) VALUES (p.id, p.mrn)",
    "SELECT id, x, dob FROM kept ORDER BY id, x",
    "CREATE INDEX kept_x ON kept (x, lower(sex) text_pattern_ops) WHERE id > 2; ANALYZE kept; EXPLAIN SELECT * FROM kept WHERE id = 3",
    "DROP INDEX kept_x",
    "CREATE UNIQUE INDEX ON pg_temp.kept (id, x, dob)",
    "ALTER TABLE kept ADD COLUMN more int DEFAULT 7, DROP COLUMN sex; SELECT more FROM kept WHERE id = 3",
    "TRUNCATE kept",
    "SELECT count(*) FROM kept",
    "DROP TABLE kept",
    "DROP TABLE IF EXISTS kept, never_made",
    "CREATE TEMP TABLE kept (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x' CHECK (length(name) < 50), at timestamptz DEFAULT now(), l int GENERATED ALWAYS AS (length(name)) STORED, UNIQUE (name)) ON COMMIT PRESERVE ROWS",
    "INSERT INTO kept (name) VALUES ('a'), ('b') ON CONFLICT (name) DO UPDATE SET name = excluded.name || kept.name RETURNING id, name, l",
    "INSERT INTO kept (name) VALUES ('a') ON CONFLICT (name) DO UPDATE SET name = excluded.name || kept.name RETURNING id, name, l",
    "WITH gone AS (DELETE FROM kept WHERE name = 'b' RETURNING *), new AS (INSERT INTO kept (name) SELECT name || 'c' FROM gone RETURNING name) SELECT name FROM new",
    "SELECT name FROM kept ORDER BY 1 FOR UPDATE",
    "CREATE TEMP TABLE copied (id int, name text); COPY copied FROM STDIN",
    "COPY copied (id, name) FROM STDIN WHERE id > 1001",
    "SELECT * FROM copied ORDER BY 1, 2",
    "INSERT INTO clinic.task (id, what) SELECT id, name FROM copied WHERE name = 'one'",
    "DELETE FROM clinic.task WHERE id = 1001",
    "COPY clinic.task (id, what) FROM STDIN WITH (FORMAT csv, DELIMITER E'\\t', FORCE_NULL (what)) WHERE id < 1002",
    "DELETE FROM clinic.task WHERE id > 1000",
    "BEGIN; CREATE TEMP TABLE short ON COMMIT DROP AS SELECT 1 AS a; SELECT * FROM short; COMMIT",
    "SELECT id, left(zip, 3) AS area INTO TEMPORARY areas FROM clinic.patient; SELECT area, count(*) FROM areas GROUP BY 1 ORDER BY 1",
    "CREATE TEMP TABLE likewise (LIKE clinic.patient); INSERT INTO likewise SELECT * FROM clinic.patient; SELECT * FROM likewise ORDER BY id",
    "CREATE TEMP TABLE copy_of (LIKE likewise INCLUDING ALL)",
    "CREATE TEMP VIEW seen AS SELECT id, last_name, dob, sex FROM clinic.patient WHERE last_name IS NULL",
    "SELECT * FROM seen ORDER BY id; SELECT count(*) FROM seen WHERE dob > '1960-01-01'",
    "CREATE OR REPLACE TEMP VIEW both_of (a, b) AS SELECT s.id, k.name FROM seen s LEFT JOIN kept k USING (id)",
    "SELECT * FROM both_of ORDER BY a; DROP VIEW both_of; DROP VIEW seen",
    "PREPARE q (int) AS SELECT name FROM kept WHERE id > $1; EXECUTE q (0); DEALLOCATE q",
    "DECLARE c CURSOR WITH HOLD FOR SELECT name FROM kept ORDER BY 1; FETCH ALL FROM c; CLOSE c",
    "COPY (SELECT id, name FROM kept ORDER BY 1) TO STDOUT",
    "CREATE TEMP TABLE ticket (no serial PRIMARY KEY, id int UNIQUE)",
    "DISCARD TEMP",
];

/// Things with names that the server would make up for what comes along with a temporary table.
const NAMED: &str = "CREATE SEQUENCE clinic.ticket_id_seq; CREATE TABLE clinic.bill_pkey (id int); CREATE DOMAIN clinic.__season AS int";

/// The same, of which the last statement is refused by this rule.
const REFUSED: &[(&str, &str)] = &[
    ("CREATE TEMP TABLE patient (id int)", "masking.temporary"),
    ("CREATE TEMP VIEW room AS SELECT 1 AS a", "masking.temporary"),
    ("CREATE TEMP TABLE mood (id int)", "masking.temporary"),
    ("CREATE TEMP TABLE text (id int)", "masking.temporary"),
    ("CREATE TEMP TABLE mine (id int REFERENCES clinic.patient)", "masking.construct"),
    ("CREATE TEMP TABLE mine () INHERITS (clinic.patient)", "masking.construct"),
    ("CREATE TEMP TABLE mine (LIKE clinic.patient INCLUDING ALL)", "masking.construct"),
    ("CREATE TEMP TABLE mine (a text DEFAULT trap.reveal())", "masking.function"),
    ("CREATE TEMP TABLE mine (a text CHECK (trap.guess(a)))", "masking.function"),
    ("CREATE TEMP TABLE mine (a trap.probe)", "masking.type"),
    ("CREATE TEMP TABLE mine (a text); CREATE INDEX ON mine (trap.lower(a))", "masking.function"),
    ("CREATE TEMP TABLE mine OF trap.box", "masking.construct"),
    ("CREATE TEMP TABLE mine AS SELECT * FROM clinic.secret", "masking.relation"),
    ("CREATE TEMP TABLE mine AS EXECUTE q", "masking.construct"),
    (
        "CREATE TEMP TABLE kept AS SELECT id, last_name AS x, mrn FROM clinic.patient; UPDATE clinic.task SET what = kept.x FROM kept WHERE kept.id = task.id",
        "masking.echo",
    ),
    ("INSERT INTO clinic.task (id, what) SELECT id, x FROM kept", "masking.echo"),
    ("INSERT INTO clinic.task (id, what) SELECT id, to_jsonb(kept)->>'x' FROM kept", "masking.echo"),
    ("UPDATE clinic.task SET what = (SELECT x FROM kept LIMIT 1)", "masking.echo"),
    (
        "CREATE TEMP TABLE later (a text); INSERT INTO later SELECT x FROM kept; INSERT INTO clinic.task (id, what) SELECT 5000, a FROM later",
        "masking.echo",
    ),
    (
        "CREATE TEMP TABLE staged (id int, a text); INSERT INTO staged SELECT id, last_name FROM clinic.patient; INSERT INTO clinic.task (id, what) SELECT id + 5000, a FROM staged",
        "masking.echo",
    ),
    (
        "CREATE TEMP TABLE set_later (id int, a text); UPDATE set_later SET a = p.ssn FROM clinic.patient p WHERE p.id = set_later.id; INSERT INTO clinic.task (id, what) SELECT id + 5000, a FROM set_later",
        "masking.echo",
    ),
    // a view sees what is put into its table later
    (
        "CREATE TEMP TABLE late (id int, a text); CREATE TEMP VIEW of_late AS SELECT id, a FROM late; INSERT INTO late SELECT id, last_name FROM clinic.patient; INSERT INTO clinic.task (id, what) SELECT id + 6000, a FROM of_late",
        "masking.echo",
    ),
    (
        "CREATE TEMP VIEW of_patient AS SELECT id, last_name AS a FROM clinic.patient; INSERT INTO clinic.task (id, what) SELECT id + 6000, a FROM of_patient",
        "masking.echo",
    ),
    // what an outer WITH shows is a mask, too
    (
        "WITH w AS (SELECT id, last_name AS a FROM clinic.patient), i AS (INSERT INTO clinic.task (id, what) SELECT id + 6000, a FROM w RETURNING id) SELECT * FROM i",
        "masking.echo",
    ),
    (
        "WITH w AS (SELECT id, x AS a FROM kept), i AS (INSERT INTO clinic.task (id, what) SELECT id + 6000, a FROM w RETURNING id) SELECT * FROM i",
        "masking.echo",
    ),
    (
        "WITH w AS (SELECT id, x AS a FROM kept), i AS (UPDATE clinic.task SET what = w.a FROM w WHERE w.id = task.id RETURNING task.id) SELECT * FROM i",
        "masking.echo",
    ),
    (
        "MERGE INTO clinic.task t USING (SELECT id AS i, x AS a FROM kept) k ON k.i = t.id WHEN MATCHED THEN UPDATE SET what = a",
        "masking.echo",
    ),
    ("CREATE TABLE pg_temp_3.mine (id int)", "masking.construct"),
    ("CREATE TABLE pg_temp_3.mine AS SELECT 1 AS a", "masking.construct"),
    (
        "WITH RECURSIVE i AS (INSERT INTO clinic.task (id, what) SELECT id + 6000, a FROM w RETURNING id), w AS (SELECT id, x AS a FROM kept) SELECT * FROM i",
        "masking.construct",
    ),
    ("CREATE INDEX patient ON kept (id)", "masking.temporary"),
    // what comes along has a name, too
    ("CREATE TEMP TABLE ticket (id serial)", "masking.temporary"),
    ("CREATE TEMP TABLE ticket (id int GENERATED ALWAYS AS IDENTITY)", "masking.temporary"),
    ("CREATE TEMP TABLE ticket (no int); ALTER TABLE ticket ADD COLUMN id bigserial", "masking.temporary"),
    ("CREATE TEMP TABLE bill (id int PRIMARY KEY)", "masking.temporary"),
    ("CREATE TEMP TABLE bill (id int, UNIQUE (id))", "masking.temporary"),
    ("CREATE TEMP TABLE bill (id int); CREATE INDEX ON bill (id)", "masking.temporary"),
    (
        "CREATE TEMP TABLE made2 (id int PRIMARY KEY); CREATE TEMP TABLE bill (LIKE made2 INCLUDING INDEXES)",
        "masking.temporary",
    ),
    ("CREATE TEMP TABLE season (id int)", "masking.temporary"),
    ("CREATE TEMP TABLE _season (id int)", "masking.temporary"),
    ("CREATE TEMP TABLE named (id int CONSTRAINT patient UNIQUE)", "masking.construct"),
    ("WITH kept AS (SELECT 1) SELECT * FROM kept", "masking.cte"),
    (
        "CREATE TEMP VIEW writable AS SELECT id, sex FROM clinic.patient; UPDATE writable SET sex = 'x'",
        "masking.relation",
    ),
    ("DELETE FROM writable", "masking.relation"),
    ("INSERT INTO pg_temp.writable VALUES (5)", "masking.relation"),
    ("CREATE TEMP VIEW checked AS SELECT id FROM clinic.patient WITH CHECK OPTION", "masking.construct"),
    ("SELECT * FROM pg_temp.never_made", "masking.relation"),
    ("SELECT * FROM pg_temp_3.kept", "masking.relation"),
    ("SELECT kept.ctid FROM kept", "masking.system_column"),
    ("ALTER TABLE kept RENAME TO other", "masking.ddl"),
    ("ALTER TABLE kept RENAME COLUMN x TO y", "masking.ddl"),
    ("ALTER TABLE kept ALTER COLUMN x TYPE int USING trap.guess(x)::int", "masking.ddl"),
    ("ALTER TABLE kept INHERIT clinic.patient", "masking.ddl"),
    ("ALTER TABLE clinic.patient ALTER COLUMN sex TYPE text", "masking.ddl"),
    ("ALTER TABLE clinic.room RENAME wing TO beds2", "masking.ddl"),
    ("ALTER TABLE clinic.patient ADD COLUMN g text GENERATED ALWAYS AS (ssn) STORED", "masking.ddl"),
    ("ALTER TABLE clinic.patient ADD COLUMN g text CHECK (ssn > '5')", "masking.ddl"),
    ("ALTER TABLE clinic.patient ADD COLUMN g text UNIQUE", "masking.ddl"),
    ("CREATE INDEX ON clinic.patient (ssn)", "masking.ddl"),
    ("CREATE INDEX ON clinic.patient (sex) INCLUDE (ssn)", "masking.ddl"),
    ("CREATE INDEX ON clinic.patient ((left(ssn, 1)))", "masking.ddl"),
    ("CREATE UNIQUE INDEX ON clinic.patient (sex) WHERE ssn > '5'", "masking.construct"),
    ("CREATE VIEW clinic.mine AS SELECT 1 AS a", "masking.ddl"),
    ("CREATE MATERIALIZED VIEW clinic.mine AS SELECT 1 AS a", "masking.ddl"),
    ("CREATE TABLE clinic.mine (a int REFERENCES clinic.patient)", "masking.construct"),
    ("CREATE FUNCTION clinic.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "masking.ddl"),
    ("COPY clinic.patient (id, last_name) FROM '/tmp/x'", "masking.statement"),
    ("COPY clinic.watched FROM STDIN", "masking.trigger"),
    ("COPY clinic.task (id, what) FROM STDIN WHERE trap.guess(what)", "masking.function"),
    ("TRUNCATE clinic.card CASCADE", "masking.construct"),
    ("TRUNCATE clinic.watched", "masking.trigger"),
    ("VACUUM kept", "masking.ddl"),
    ("ANALYZE clinic.patient", "masking.ddl"),
    ("ANALYZE", "masking.ddl"),
];

#[tokio::test]
async fn what_a_session_makes_holds_what_it_may_see() {
    let cluster = cluster();
    for twin in ["ada", "bea"] {
        crate::writes::prepare(&cluster, twin);
        cluster.psql_in(twin, NAMED).unwrap();
    }
    let clinic = crate::writes::classes();
    let ada = Session::open(&cluster, "ada", "clinic, public").await;
    let bea = Session::open(&cluster, "bea", "clinic, public").await;
    let release = cluster.psql("SHOW server_version_num").unwrap().parse::<u32>().unwrap() / 10_000;
    for sql in ANSWERED.iter().filter(|sql| release >= 15 || !sql.starts_with("MERGE")) {
        let (of_ada, ok) = ada.run_in(&clinic, sql).await;
        let (of_bea, _) = bea.run_in(&clinic, sql).await;
        assert_eq!(of_ada, of_bea, "{sql}");
        assert!(ok, "{sql}\n{of_ada}");
    }
    for (sql, rule) in REFUSED {
        let (of_ada, _) = ada.run_in(&clinic, sql).await;
        let (of_bea, _) = bea.run_in(&clinic, sql).await;
        assert_eq!(of_ada, of_bea, "{sql}");
        let last = of_ada.lines().last().unwrap_or_default();
        assert!(last.starts_with("refused") && last.contains(rule), "{sql}\n{of_ada}");
    }
}

/// What is not temporary, for who may do it.
#[tokio::test]
async fn what_is_defined_for_good_reads_nothing_that_is_hidden() {
    let cluster = cluster();
    for twin in ["ada", "bea"] {
        crate::writes::prepare(&cluster, twin);
        cluster
            .psql_in(twin, "GRANT CREATE ON SCHEMA clinic TO agent; ALTER TABLE clinic.task OWNER TO agent")
            .unwrap();
    }
    let clinic = crate::writes::classes();
    let ada = Session::open(&cluster, "ada", "clinic, public").await;
    let bea = Session::open(&cluster, "bea", "clinic, public").await;
    for sql in [
        "CREATE TABLE report (id int PRIMARY KEY, what text DEFAULT 'x')",
        "CREATE TABLE clinic.cohort AS SELECT id, last_name, dob FROM clinic.patient",
        "CREATE INDEX task_what ON clinic.task (what, done DESC)",
        "ALTER TABLE clinic.task ADD COLUMN extra int DEFAULT 5",
        "ALTER TABLE clinic.task DROP COLUMN extra",
        "DROP INDEX clinic.task_what",
        "TRUNCATE clinic.task",
        "DROP TABLE clinic.report, clinic.cohort",
    ] {
        let (of_ada, ok) = ada.run_in(&clinic, sql).await;
        let (of_bea, _) = bea.run_in(&clinic, sql).await;
        assert_eq!(of_ada, of_bea, "{sql}");
        assert!(ok, "{sql}\n{of_ada}");
    }
}

/// A family of tables, of which a child has a column that the parent has not; and a table with a unique index that could not be
/// made, since two hidden names were equal then. By now they are so in one of the twins only.
fn family(twin: &str) -> String {
    let other = if twin == "ada" { "same" } else { "other" };
    format!(
        "CREATE TABLE clinic.ward (id int, what text); CREATE TABLE clinic.ward_a (secret text) INHERITS (clinic.ward);
         INSERT INTO clinic.ward VALUES (1, 'w'); INSERT INTO clinic.ward_a VALUES (2, 'a', '{twin}');
         CREATE TABLE clinic.badly (id int, name text); INSERT INTO clinic.badly VALUES (1, 'same'), (2, '{other}');
         CREATE UNIQUE INDEX badly_name ON clinic.badly (name) WHERE id < 2;
         UPDATE pg_index SET indpred = NULL, indisvalid = false WHERE indexrelid = 'clinic.badly_name'::regclass;
         ALTER TABLE clinic.ward OWNER TO agent; ALTER TABLE clinic.ward_a OWNER TO agent; ALTER TABLE clinic.badly OWNER TO agent"
    )
}

#[tokio::test]
async fn what_is_done_to_a_parent_tells_nothing_of_its_children() {
    let cluster = cluster();
    let mut clinic = clinic();
    for (table, column, class, rung) in [
        ("ward", "id", Class::None, Rung::Raw),
        ("ward", "what", Class::None, Rung::Raw),
        ("ward_a", "id", Class::None, Rung::Raw),
        ("ward_a", "what", Class::None, Rung::Raw),
        ("ward_a", "secret", Class::Name, Rung::Redacted),
        ("badly", "id", Class::None, Rung::Raw),
        ("badly", "name", Class::Name, Rung::Redacted),
    ] {
        let table = TableName::new("clinic", table);
        clinic.classification.entry(table.clone()).or_default().columns.insert(column.to_owned(), class);
        clinic.masks.set(&table, column, rung);
    }
    for twin in ["ada", "bea"] {
        cluster.psql_in(twin, &family(twin)).unwrap();
    }
    for (sql, expected) in [
        ("SELECT count(*) FROM clinic.ward", "[Some(\"2\")]"),
        // the child's column would become one that the parent has, too
        ("ALTER TABLE clinic.ward ADD COLUMN secret text DEFAULT 'x'", "masking.ddl"),
        ("ALTER TABLE clinic.ward ADD COLUMN more int DEFAULT 7", "0"),
        ("SELECT id + 0, upper(what) FROM clinic.ward ORDER BY 1", "[Some(\"2\"), Some(\"A\")]"),
        ("ALTER TABLE clinic.ward ADD COLUMN late timestamptz DEFAULT clock_timestamp()", "0"),
        ("ALTER TABLE clinic.ward DROP COLUMN more, DROP COLUMN late", "0"),
        ("SELECT upper(secret) FROM clinic.ward_a", "[None]"),
        ("TRUNCATE ONLY clinic.ward", "0"),
        ("TRUNCATE clinic.ward", "0"),
        ("SELECT count(*) FROM clinic.ward_a", "[Some(\"0\")]"),
        // values that differ from row to row: the table is written anew, and so are its indexes
        ("ALTER TABLE clinic.badly ADD COLUMN late timestamptz DEFAULT clock_timestamp()", "masking.probe"),
        ("ALTER TABLE clinic.badly ADD COLUMN number serial", "masking.probe"),
        ("ALTER TABLE clinic.badly ADD COLUMN fixed int DEFAULT 5, ADD COLUMN day date DEFAULT CURRENT_DATE", "0"),
        ("ALTER TABLE clinic.badly DROP COLUMN id", "0"),
    ] {
        let [ada, bea] = [
            Session::open(&cluster, "ada", "clinic, public").await,
            Session::open(&cluster, "bea", "clinic, public").await,
        ];
        let (of_ada, _) = ada.run_in(&clinic, sql).await;
        let (of_bea, _) = bea.run_in(&clinic, sql).await;
        println!("{sql}: {of_ada}");
        assert_eq!(of_ada, of_bea, "{sql}");
        assert!(of_ada.contains(expected), "{sql}\n{of_ada}");
    }
}

/// Rewrites as a session does that keeps what it has made.
fn rewritten(sql: &str, masks: &Arc<Masks>, cutoff: i32, temporaries: &mut Temporaries) -> Result<String, String> {
    let catalog = crate::clinic::paper_catalog();
    let Clinic { classification, .. } = clinic();
    let masker = chaperone_mask::Masker::new(cutoff);
    let protection = Protection { catalog: &catalog, classification: &classification, masks, masker };
    let statements = parse(sql).unwrap();
    let mut text = String::new();
    for i in 0..statements.len() {
        let facts = statements.facts_within(i, &catalog, temporaries);
        temporaries.note(&statements, i, &facts);
        let rewritten = rewrite_within(&statements, i, &protection, temporaries).map_err(|no| no.rule.to_owned())?;
        temporaries.filled(&rewritten.filled, masks, cutoff);
        text = rewritten.text;
    }
    Ok(text)
}

#[test]
fn under_other_masks_it_is_closed() {
    let Clinic { masks, .. } = clinic();
    let mut others = masks.clone();
    others.set(&TableName::new("clinic", "patient"), "ssn", Rung::Raw);
    let (masks, others) = (Arc::new(masks), Arc::new(others));
    let mut session = Temporaries::default();
    rewritten("CREATE TEMP TABLE kept AS SELECT ssn FROM clinic.patient", &others, 1937, &mut session).unwrap();
    assert_eq!(rewritten("TABLE kept", &others, 1937, &mut session).unwrap(), "SELECT * FROM pg_temp.kept");
    // an equal set of masks is the same one
    let equal = Arc::new((*others).clone());
    rewritten("INSERT INTO kept SELECT ssn FROM clinic.patient", &equal, 1937, &mut session).unwrap();
    for (sql, masks, year) in [
        ("TABLE kept", &masks, 1937),
        // at New Year
        ("TABLE kept", &others, 1938),
        ("INSERT INTO kept VALUES ('x')", &masks, 1937),
        ("UPDATE kept SET ssn = 'x'", &masks, 1937),
        ("CREATE TEMP VIEW over AS TABLE kept", &masks, 1937),
        ("CREATE TEMP TABLE kept AS SELECT 1 AS a", &masks, 1937),
        ("COPY kept TO STDOUT", &masks, 1937),
        ("EXPLAIN TABLE kept", &masks, 1937),
        ("DECLARE c CURSOR FOR TABLE kept", &masks, 1937),
        ("PREPARE q AS TABLE kept", &masks, 1937),
    ] {
        assert_eq!(rewritten(sql, masks, year, &mut session).unwrap_err(), "masking.temporary", "{sql}");
    }
    rewritten("DROP TABLE kept", &masks, 1937, &mut session).unwrap();
    // a transaction that fails would bring it back
    assert_eq!(rewritten("TABLE kept", &masks, 1937, &mut session).unwrap_err(), "masking.temporary");
    assert_eq!(rewritten("TABLE kept", &others, 1937, &mut session).unwrap(), "SELECT * FROM pg_temp.kept");
}

#[test]
fn to_read_it_takes_what_it_took_to_fill_it() {
    let catalog = crate::clinic::paper_catalog();
    let mut session = Temporaries::default();
    let mut needs = |sql: &str| {
        let statements = parse(sql).unwrap();
        let facts = statements.facts_within(0, &catalog, &session);
        session.note(&statements, 0, &facts);
        facts
            .needs
            .iter()
            .map(|need| {
                format!("{} {}", need.action.name(), need.table.as_ref().map_or("-".into(), |table| table.name.clone()))
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(needs("CREATE TEMP TABLE mine (a int)"), "connect -");
    assert_eq!(needs("INSERT INTO mine VALUES (1)"), "connect -");
    assert_eq!(needs("TABLE mine"), "connect -");
    assert_eq!(needs("INSERT INTO mine SELECT id FROM patient"), "select patient");
    assert_eq!(needs("UPDATE mine SET a = e.id FROM encounter e"), "select encounter, select patient");
    for sql in [
        "TABLE mine",
        "SELECT * FROM pg_temp.mine",
        "DELETE FROM mine",
        "CREATE TEMP VIEW over AS TABLE mine",
        "TABLE over",
    ] {
        assert_eq!(needs(sql), "select encounter, select patient", "{sql}");
    }
    assert_eq!(needs("CREATE TEMP TABLE more (LIKE room)"), "select room");
    assert_eq!(needs("SELECT a INTO TEMP third FROM more, encounter"), "select encounter, select room");
    assert_eq!(needs("TABLE third"), "select encounter, select room");
    for sql in
        ["DROP TABLE mine", "DROP TABLE IF EXISTS mine, unheard_of", "ANALYZE mine", "ALTER TABLE mine ADD b int"]
    {
        assert!(!needs(sql).contains(Action::Ddl.name()), "{sql}");
    }
    for sql in [
        "DROP TABLE room",
        "CREATE TABLE mine2 (a int)",
        "ANALYZE room",
        "CREATE INDEX ON room (beds)",
        "DROP TABLE unheard_of",
        "DROP TABLE mine, room",
    ] {
        assert!(needs(sql).contains(Action::Ddl.name()), "{sql}");
    }
    for sql in ["COPY mine TO STDOUT", "COPY (TABLE mine) TO STDOUT", "COPY over TO STDOUT"] {
        assert!(needs(sql).contains("copy patient"), "{sql}");
    }
    // a view shows what its table is filled with later
    assert_eq!(needs("CREATE TEMP TABLE empty (a int)"), "connect -");
    assert_eq!(needs("CREATE TEMP VIEW of_empty AS TABLE empty"), "connect -");
    assert_eq!(needs("INSERT INTO empty SELECT id FROM patient"), "select patient");
    assert!(needs("TABLE of_empty").contains("select patient"));
}
