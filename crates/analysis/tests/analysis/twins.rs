//! Twins: two databases that differ in nothing but their protected data must answer every statement with the same
//! bytes, or the statement is refused.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use chaperone_analysis::catalog::{QUERIES, Rows};
use chaperone_analysis::{
    Catalog, Described, Output, Protection, Returns, Temporaries, parse, rewrite, rewrite_within, scrubbed_message,
};
use chaperone_testkit::postgres::{Cluster, Options};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::clinic::{Clinic, clinic};
use crate::rows::rows;
use crate::statements::{ATTACKS, CLINICAL};

/// A cluster with the twins `ada` and `bea`, their OIDs the same.
pub fn cluster() -> Cluster {
    let cluster = Cluster::start(
        Options::default()
            .set("synchronize_seqscans", "off")
            .set("max_parallel_workers_per_gather", "0")
            .set("autovacuum", "off"),
    )
    .unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("ada", "postgres").unwrap();
    cluster.psql_in("ada", include_str!("schema.sql")).unwrap();
    cluster
        .psql_in(
            "ada",
            "GRANT USAGE ON SCHEMA clinic, trap TO agent; GRANT SELECT ON ALL TABLES IN SCHEMA clinic TO agent",
        )
        .unwrap();
    cluster.psql("CREATE DATABASE bea TEMPLATE ada").unwrap();
    for (twin, salt) in [("ada", "ada"), ("bea", "bea, whose values are of other lengths")] {
        cluster.psql_in(twin, &rows(twin == "ada", salt)).unwrap();
    }
    cluster
}

/// A session with one of the twins.
pub struct Session {
    client: Client,
    config: String,
    pub catalog: Catalog,
    /// Whose rows were in the answers so far.
    pub subjects: RefCell<BTreeSet<String>>,
    /// What it has made for itself.
    pub temporaries: RefCell<Temporaries>,
}

/// Name, table, number and type of each column.
fn described(statement: &tokio_postgres::Statement) -> Vec<(&str, u32, i16, u32)> {
    let columns = statement.columns().iter();
    columns.map(|c| (c.name(), c.table_oid().unwrap_or(0), c.column_id().unwrap_or(0), c.type_().oid())).collect()
}

impl Session {
    pub async fn open(cluster: &Cluster, database: &str, search_path: &str) -> Session {
        let config = cluster.conn_string_for(database, "agent", "agent");
        let client = connected(&config).await;
        client.batch_execute(&format!("SET search_path = {search_path}")).await.unwrap();
        let mut answers = Vec::new();
        for query in QUERIES {
            answers.push(rows_of(&client, query).await);
        }
        Session {
            config,
            client,
            catalog: Catalog::load(&answers).unwrap(),
            subjects: RefCell::default(),
            temporaries: RefCell::default(),
        }
    }

    /// What an agent would see of one statement that was let through.
    async fn answer(&self, sql: &str, output: Option<&Output>) -> String {
        let mut seen = String::new();
        let hidden = output.map_or(0, Output::hidden);
        if let Some(inside) = output.and_then(|output| output.inside.as_ref())
            && inside.described == Described::AsQuery
        {
            match self.client.prepare(&inside.text).await {
                Ok(statement) => {
                    let columns = described(&statement);
                    inside.check(Some(&columns)).unwrap_or_else(|refusal| panic!("{sql}: {refusal}\n{columns:?}"));
                }
                Err(error) => return failure(&error),
            }
        }
        // what a name stands for is for a session to know
        if let Some(output) = output
            && let Returns::Rows { permanent, .. } = &output.returns
            && !sql.starts_with("SHOW")
        {
            match self.client.prepare(sql).await {
                Ok(statement) => {
                    let columns = described(&statement);
                    output.check(&columns).unwrap_or_else(|refusal| panic!("{sql}: {refusal}\n{columns:?}"));
                    // the number of a temporary table comes from a counter of both twins
                    let own = |table: u32| permanent.as_ref().is_some_and(|known| !known.contains(&table));
                    let shown = columns
                        .iter()
                        .skip(output.hidden())
                        .map(|(name, table, number, ty)| (name, if own(*table) { 0 } else { *table }, number, ty));
                    writeln!(seen, "{:?}", shown.collect::<Vec<_>>()).unwrap();
                }
                Err(error) => return failure(&error),
            }
        }
        if let Some((copy, rows)) = sql.split_once(" FROM STDIN").filter(|(copy, _)| copy.starts_with("COPY")) {
            let sql = format!("{copy} FROM STDIN{rows}");
            // this client does not outlive a COPY that fails at once
            let client = match copy.contains("pg_temp") {
                true => None,
                false => Some(connected(&self.config).await),
            };
            return match copied_in(client.as_ref().unwrap_or(&self.client), &sql).await {
                Ok(count) => format!("COPY {count}\n"),
                Err(error) => failure(&error),
            };
        }
        if sql.starts_with("COPY") {
            return match copied(&self.client, sql).await {
                Ok(bytes) => bytes,
                Err(error) => failure(&error),
            };
        }
        match self.client.simple_query(sql).await {
            Err(error) => failure(&error),
            Ok(messages) => {
                for message in messages {
                    match message {
                        SimpleQueryMessage::Row(row) => {
                            let hidden = hidden.min(row.len());
                            self.subjects
                                .borrow_mut()
                                .extend((0..hidden).filter_map(|i| row.get(i).map(str::to_owned)));
                            let values: Vec<_> = (hidden..row.len()).map(|i| row.get(i)).collect();
                            writeln!(seen, "{values:?}").unwrap();
                        }
                        SimpleQueryMessage::CommandComplete(count) => writeln!(seen, "{count}").unwrap(),
                        _ => {}
                    }
                }
                seen
            }
        }
    }

    /// What an agent would see of a text, and whether all of it was answered.
    pub async fn run(&self, sql: &str) -> (String, bool) {
        self.run_in(&clinic(), sql).await
    }

    /// The same, of a clinic of its own.
    pub async fn run_in(&self, Clinic { classification, masks }: &Clinic, sql: &str) -> (String, bool) {
        let protection =
            Protection { catalog: &self.catalog, classification, masks, masker: chaperone_mask::Masker::new(1937) };
        let statements = match parse(sql) {
            Ok(statements) => statements,
            Err(refusal) => return (format!("refused: {refusal}\n"), false),
        };
        let mut seen = String::new();
        let mut answered = true;
        let mut temporaries = self.temporaries.borrow().clone();
        for i in 0..statements.len() {
            let facts = statements.facts_within(i, &self.catalog, &temporaries);
            temporaries.note(&statements, i, &facts);
            match rewrite_within(&statements, i, &protection, &temporaries) {
                Ok(rewritten) => {
                    temporaries.filled(&rewritten.filled, &std::sync::Arc::new(masks.clone()), 1937);
                    let answer = self.answer(&rewritten.text, Some(&rewritten.output)).await;
                    answered &= !answer.starts_with("error");
                    seen.push_str(&answer);
                }
                Err(refusal) => {
                    answered = false;
                    writeln!(seen, "refused: {refusal}").unwrap();
                }
            }
        }
        self.temporaries.replace(temporaries);
        // every statement of the list starts from the same state
        _ = self.client.batch_execute("ROLLBACK").await;
        self.client
            .batch_execute("RESET TimeZone; RESET DateStyle; RESET extra_float_digits; RESET IntervalStyle")
            .await
            .unwrap();
        (seen, answered)
    }
}

impl Session {
    /// The same text without any rewriting, as it is shown by [`Session::run`].
    pub async fn direct(&self, sql: &str) -> String {
        let mut seen = String::new();
        for sql in sql.split("; ") {
            seen.push_str(&self.answer(sql, None).await);
        }
        _ = self.client.batch_execute("ROLLBACK").await;
        seen
    }
}

async fn connected(config: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The rows that `COPY … FROM STDIN` gets here.
const COPIED_IN: &str = "1001\tone\n1002\ttwo\n";

async fn copied_in(client: &Client, sql: &str) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in(sql).await?;
    futures_util::pin_mut!(sink);
    futures_util::SinkExt::send(&mut sink, bytes::Bytes::from_static(COPIED_IN.as_bytes())).await?;
    sink.finish().await
}

async fn copied(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    // the bytes of COPY, as a function of the same text: psql's format without a client for the copy protocol
    let select = sql.trim_start_matches("COPY (").rsplit_once(") TO STDOUT").map_or("", |(select, _)| select);
    let rows = client.simple_query(select).await?;
    let mut seen = String::new();
    for message in rows {
        if let SimpleQueryMessage::Row(row) = message {
            writeln!(seen, "{:?}", (0..row.len()).map(|i| row.get(i)).collect::<Vec<_>>()).unwrap();
        }
    }
    Ok(seen)
}

/// An error as the engine lets it through.
fn failure(error: &tokio_postgres::Error) -> String {
    match error.code() {
        Some(code) => format!("error {}: {}\n", code.code(), scrubbed_message(code.code())),
        None => panic!("{error:?}"),
    }
}

pub async fn rows_of(client: &Client, query: &str) -> Rows {
    client
        .simple_query(query)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn twins_answer_alike_and_agents_get_answers() {
    let cluster = cluster();
    for path in ["clinic, public", "clinic, trap, public", "public"] {
        let ada = Session::open(&cluster, "ada", path).await;
        let bea = Session::open(&cluster, "bea", path).await;
        let (mut answered, mut refused) = (0, 0);
        for sql in CLINICAL.iter().chain(ATTACKS) {
            let (of_ada, ok) = ada.run(sql).await;
            let (of_bea, _) = bea.run(sql).await;
            assert_eq!(of_ada, of_bea, "path {path}: {sql}");
            if std::env::var_os("SHOW").is_some() {
                println!("{path} | {sql}\n{of_ada}");
            }
            if ok {
                answered += 1;
            } else {
                refused += 1;
            }
            assert!(ok || path != "clinic, public" || !CLINICAL.contains(sql), "{sql}\n{of_ada}");
        }
        println!("{path}: {answered} answered, {refused} refused or failed, all alike");
    }
}

/// `(value).name` is `name(value)`, for a value of any type and any function of one; and a cast, where `name` is a type.
#[tokio::test]
async fn a_name_behind_a_value_is_a_call() {
    let cluster = cluster();
    let session = Session::open(&cluster, "ada", "clinic, trap, public").await;
    for (value, name) in [
        ("'select to_tsvector(last_name) from clinic.patient'", "ts_stat"),
        ("'TimeZone'", "current_setting"),
        ("'clinic.patient'::regclass", "pg_table_size"),
        ("'clinic.patient'::regclass", "pg_stat_get_live_tuples"),
        ("16384::oid", "lo_get"),
        ("0.001::float8", "pg_sleep"),
        ("0", "pg_terminate_backend"),
        ("'%ada%'", "probe"),
        ("'{%ada%}'", "_probe"),
    ] {
        for sql in [
            format!("SELECT ({value}).{name}"),
            format!("SELECT ((ARRAY[{value}])[1]).{name}"),
            format!("SELECT x.{name} FROM unnest(ARRAY[{value}]) x"),
            format!("SELECT (SELECT unnest.{name}) FROM unnest(ARRAY[{value}])"),
            format!("SELECT 1 FROM clinic.room ORDER BY ({value}).{name}"),
            format!("SELECT 1 FROM clinic.room GROUP BY ({value}).{name}"),
        ] {
            let (seen, _) = session.run(&sql).await;
            assert!(seen.contains("masking.attribute"), "{sql}: {seen}");
        }
    }
    for (sql, expected) in [
        (
            "SELECT (p).sex, (p).to_jsonb ->> 'sex' FROM clinic.patient p ORDER BY p.id LIMIT 1",
            "[Some(\"M\"), Some(\"M\")]",
        ),
        ("SELECT ('x'::text).upper, x.md5 IS NULL FROM unnest(ARRAY['y']) x", "[Some(\"X\"), Some(\"f\")]"),
        ("SELECT x.value FROM jsonb_each_text('{\"a\": \"b\"}') x", "[Some(\"b\")]"),
    ] {
        let (seen, _) = session.run(sql).await;
        assert!(seen.contains(expected), "{sql}: {seen}");
    }
}

/// Whoever puts a function into `pg_catalog` may mean any call of that name, the masks' own among them.
#[tokio::test]
async fn code_in_pg_catalog_is_noticed() {
    let cluster = cluster();
    for (name, definition) in [
        ("upper", "CREATE FUNCTION pg_catalog.upper(varchar) RETURNS text LANGUAGE sql AS 'SELECT trap.reveal()'"),
        ("plus", "CREATE OPERATOR pg_catalog.+ (FUNCTION = trap.op, LEFTARG = text, RIGHTARG = text)"),
    ] {
        cluster.psql(&format!("CREATE DATABASE {name} TEMPLATE ada")).unwrap();
        let before = Session::open(&cluster, name, "clinic, public").await;
        assert!(before.run("SELECT upper('x'::varchar)").await.1);
        cluster.psql_in(name, definition).unwrap();
        let after = Session::open(&cluster, name, "clinic, public").await;
        let (seen, _) = after.run("SELECT upper('x'::varchar)").await;
        assert!(seen.contains("masking.function"), "{name}: {seen}");
    }
}

#[tokio::test]
async fn a_point_look_up_keeps_its_index_and_a_fence_its_rows() {
    let cluster = cluster();
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    let (plan, _) = session.run("EXPLAIN SELECT last_name, sex FROM clinic.patient WHERE id = 5").await;
    assert!(plan.contains("patient"), "{plan}");
    cluster.psql_in("ada", "INSERT INTO clinic.encounter SELECT i, 1, now(), now(), 'er', 'r1', repeat('x', 500) FROM generate_series(1000, 20000) i; VACUUM ANALYZE").unwrap();
    let (plan, _) = session.run("EXPLAIN SELECT unit FROM clinic.encounter WHERE id = 5").await;
    assert!(plan.contains("Index Scan using encounter_pkey"), "{plan}");
    // C1 of the review: at default settings this would be an index-only scan in the order of the names
    cluster.psql_in("ada", "INSERT INTO clinic.patient (id, last_name, extra, mrn) SELECT i, 'x' || i % 997, jsonb_build_object('x', repeat(md5(i::text), 40)), 'M' FROM generate_series(1000, 20000) i; VACUUM ANALYZE clinic.patient").unwrap();
    let plan = |sql: &str| {
        cluster
            .psql_in("ada", &format!("SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN {sql}"))
            .unwrap()
    };
    let sql = "SELECT id FROM clinic.patient";
    assert!(plan(&format!("{sql} ORDER BY last_name")).contains("Index Only Scan using patient_name"));
    let Clinic { classification, masks } = clinic();
    let protection = Protection {
        catalog: &session.catalog,
        classification: &classification,
        masks: &masks,
        masker: chaperone_mask::Masker::new(1937),
    };
    let rewritten = rewrite(&parse(sql).unwrap(), 0, &protection).unwrap();
    let plan = plan(&rewritten.text);
    assert!(plan.contains("using patient_pkey") || plan.contains("Sort Key: patient.id"), "{plan}");
    let (plan, _) = session.run(&format!("EXPLAIN {sql}")).await;
    assert!(plan.contains(" on patient"), "{plan}");
}
