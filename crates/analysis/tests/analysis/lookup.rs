//! Conditions on tokens find their rows through an index, and find the same rows as without.

use std::collections::BTreeMap;

use chaperone_analysis::{Catalog, Protection, parse, rewrite};
use chaperone_mask::{Masker, TokenForm, TokenKeys};
use chaperone_model::{Class, Masks, Rung, TableClasses, TableName};
use chaperone_testkit::postgres::{Cluster, Options};
use tokio_postgres::{Client, Config, NoTls};

use crate::twins::rows_of;

const SCHEMA: &str = r"
    CREATE SCHEMA c;
    CREATE TABLE c.person (id int PRIMARY KEY, mrn text, plan varchar(40), city char(12));
    INSERT INTO c.person SELECT i, 'M-' || i, 'P' || i % 1000, 'C' || i FROM generate_series(1, 20000) i;
    INSERT INTO c.person VALUES (20001, 'Müller-7', NULL, ''), (20002, 'a\b', 'P1', ''), (20003, '', 'P2', ''),
      (20004, 'longer than fifteen bytes', 'P3', ''), (20005, NULL, 'P4', ''), (20006, 'fifteen-bytes-x', 'P5', ''),
      (20007, 'M-7 ', 'P6', ''), (20008, 'm-7', 'P7', '');
    CREATE INDEX ON c.person (mrn); CREATE INDEX ON c.person (plan); CREATE INDEX ON c.person (city);
    CREATE TABLE c.stay (id int PRIMARY KEY, mrn text, unit text);
    INSERT INTO c.stay SELECT i, 'M-' || i % 20100, 'u' || i % 7 FROM generate_series(1, 20000) i;
    CREATE INDEX ON c.stay (mrn);
    GRANT USAGE ON SCHEMA c TO agent; GRANT SELECT ON ALL TABLES IN SCHEMA c TO agent; ANALYZE";

struct Clinic {
    classification: BTreeMap<TableName, TableClasses>,
    masks: Masks,
    catalog: Catalog,
}

impl Clinic {
    fn run(&self, sql: &str, keys: &TokenKeys, looks_up: bool) -> String {
        let masker = Masker { tokens: keys.form(), keys: looks_up.then_some(keys), ..Masker::new(1937) };
        let protection =
            Protection { catalog: &self.catalog, classification: &self.classification, masks: &self.masks, masker };
        rewrite(&parse(sql).unwrap(), 0, &protection).unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}")).text
    }
}

async fn clinic(client: &Client) -> Clinic {
    let (mut classification, mut masks) = (BTreeMap::<TableName, TableClasses>::new(), Masks::default());
    for (table, column, class, rung) in [
        ("person", "id", Class::None, Rung::Raw),
        ("person", "mrn", Class::Mrn, Rung::Token),
        ("person", "plan", Class::InsuranceId, Rung::Token),
        ("person", "city", Class::Account, Rung::Token),
        ("stay", "id", Class::None, Rung::Raw),
        ("stay", "mrn", Class::Mrn, Rung::Token),
        ("stay", "unit", Class::None, Rung::Raw),
    ] {
        let table = TableName::new("c", table);
        classification.entry(table.clone()).or_default().columns.insert(column.to_owned(), class);
        masks.set(&table, column, rung);
    }
    let mut answers = Vec::new();
    for query in chaperone_analysis::catalog::QUERIES {
        answers.push(rows_of(client, query).await);
    }
    Clinic { classification, masks, catalog: Catalog::load(&answers).unwrap() }
}

async fn connect(cluster: &Cluster, keys: &TokenKeys) -> Client {
    let mut config: Config = cluster.conn_string_for("lookup", "agent", "agent").parse().unwrap();
    let settings = [Class::Mrn, Class::InsuranceId, Class::Account].into_iter().flat_map(|class| keys.settings(class));
    let options: Vec<String> = settings.map(|(name, value)| format!("-c {name}={}", *value)).collect();
    config.options(options.join(" "));
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ids(client: &Client, sql: &str) -> Vec<String> {
    let rows = rows_of(client, sql).await;
    rows.into_iter().map(|row| row.into_iter().map(|value| value.unwrap_or_default()).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_a_token_uses_the_index_and_finds_the_same_rows() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("lookup", "postgres").unwrap();
    cluster.psql_in("lookup", SCHEMA).unwrap();
    let keys = TokenKeys::derive(&[7; 32], TokenForm::Invertible).unwrap();
    let client = connect(&cluster, &keys).await;
    let clinic = clinic(&client).await;
    let mrn = |value: &str| keys.token(Class::Mrn, value.as_bytes()).unwrap();
    let plan = |value: &str| keys.token(Class::InsuranceId, value.as_bytes()).unwrap();

    // (statement, rows, whether the index is used)
    let seven = mrn("M-7");
    let cases: Vec<(String, usize, bool)> = vec![
        (format!("SELECT id FROM c.person WHERE mrn = '{seven}'"), 1, true),
        (format!("SELECT id FROM c.person p WHERE '{seven}'::text = p.mrn AND id < 100"), 1, true),
        // of two values the index would tell the order
        (format!("SELECT id FROM c.person WHERE mrn IN ('{seven}', '{}')", mrn("M-8")), 2, false),
        (format!("SELECT id FROM c.person WHERE mrn = ANY ('{{{seven},{}}}')", mrn("M-8")), 2, false),
        (format!("SELECT count(*) FROM c.person WHERE plan = '{}'", plan("P5")), 1, true),
        (format!("SELECT p.id, s.id FROM c.person p JOIN c.stay s ON s.mrn = p.mrn WHERE p.mrn = '{seven}'"), 1, true),
        (
            format!("SELECT p.id, s.id FROM c.stay s LEFT JOIN c.person p ON p.mrn = s.mrn WHERE p.mrn = '{seven}'"),
            1,
            true,
        ),
        (format!("WITH q AS (SELECT id FROM c.person WHERE mrn = '{seven}') SELECT * FROM q"), 1, true),
        (format!("SELECT unit FROM c.stay WHERE mrn = (SELECT mrn FROM c.person WHERE mrn = '{seven}')"), 1, true),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("")), 1, true),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("fifteen-bytes-x")), 1, true),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("M-7 ")), 1, true),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("nobody")), 0, true),
        // no value that could be spelt, or none at all: found all the same, row by row
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("Müller-7")), 1, false),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("a\\b")), 1, false),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", mrn("longer than fifteen bytes")), 1, false),
        (format!("SELECT id FROM c.person WHERE mrn IN ('{seven}', '{}')", mrn("Müller-7")), 2, false),
        ("SELECT id FROM c.person WHERE mrn = 'M-7'".to_owned(), 0, false),
        (format!("SELECT id FROM c.person WHERE mrn = 'phi_mrn_{}'", "0".repeat(32)), 0, false),
        (format!("SELECT id FROM c.person WHERE mrn = '{}'", seven.to_uppercase()), 0, false),
        (format!("SELECT id FROM c.person WHERE plan = '{}'", mrn("P5")), 0, false),
        // not a condition that every row meets
        (format!("SELECT count(*) FROM c.person WHERE mrn = '{seven}' OR id = 3"), 1, false),
        (format!("SELECT count(*) FROM c.person WHERE NOT mrn = '{seven}'"), 1, false),
        (format!("SELECT count(*) FROM c.person WHERE mrn <> '{seven}'"), 1, false),
        (format!("SELECT count(*) FROM c.person GROUP BY mrn HAVING mrn = '{seven}'"), 1, false),
        (format!("SELECT count(*) FILTER (WHERE mrn = '{seven}') FROM c.person"), 1, false),
        (format!("SELECT count(*) FROM c.stay s LEFT JOIN c.person p ON p.mrn = '{seven}'"), 1, false),
        // names that mean something else
        (format!("SELECT count(*) FROM c.person AS p (id, plan, mrn, x) WHERE p.mrn = '{seven}'"), 1, false),
        (
            format!(
                "SELECT count(*) FROM (c.person p JOIN c.stay s USING (id)) AS j (a, mrn, b, d, e) WHERE j.mrn = '{seven}'"
            ),
            1,
            false,
        ),
    ];
    for (sql, rows, uses_index) in cases {
        let with = clinic.run(&sql, &keys, true);
        let without = clinic.run(&sql, &keys, false);
        assert_eq!(with != without, uses_index, "{sql}\n{with}");
        let (mut found, mut expected) = (ids(&client, &with).await, ids(&client, &without).await);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{sql}\n{with}");
        assert_eq!(found.len(), rows, "{sql}");
        assert!(!with.contains("M-7") || sql.contains("'M-7'"), "the value is in the text: {with}");
        if uses_index {
            let plan = ids(&client, &format!("EXPLAIN (COSTS OFF) {with}")).await.join("\n");
            assert!(
                plan.contains("Index Cond: (mrn = ") || plan.contains("Index Cond: ((plan)::text = "),
                "{sql}\n{plan}"
            );
            assert!(!plan.contains("M-7"), "the value is in the plan: {plan}");
        }
    }

    // without the key there are no tokens, and so no rows
    let (bare, connection) =
        tokio_postgres::connect(&cluster.conn_string_for("lookup", "agent", "agent"), NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = clinic.run(&format!("SELECT id FROM c.person WHERE mrn = '{seven}'"), &keys, true);
    assert!(ids(&bare, &sql).await.is_empty());
    // under another key the token is nobody's
    let other = TokenKeys::derive(&[8; 32], TokenForm::Invertible).unwrap();
    let other = connect(&cluster, &other).await;
    assert!(ids(&other, &sql).await.is_empty());
    // and tokens that cannot be inverted are left alone
    let hmac = TokenKeys::derive(&[7; 32], TokenForm::Hmac).unwrap();
    let token = hmac.token(Class::Mrn, b"M-7").unwrap();
    let sql = format!("SELECT id FROM c.person WHERE mrn = '{token}'");
    assert_eq!(clinic.run(&sql, &hmac, true), clinic.run(&sql, &hmac, false));
}

/// What a parameter holds is not known when the statement is rewritten: tokens find their rows through the index all the
/// same, and whatever else is given finds what it would.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_as_a_parameter_uses_the_index_too() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("lookup", "postgres").unwrap();
    cluster.psql_in("lookup", SCHEMA).unwrap();
    let more = "INSERT INTO c.person SELECT 30000 + n, v FROM unnest(ARRAY['€ü🏥', U&'\\0001x', 'q''\"', ' ', '\u{7ff}\u{800}\u{d7ff}\u{ffff}', '\u{10ffff}'])
        WITH ORDINALITY t(v, n)";
    cluster.psql_in("lookup", more).unwrap();
    cluster.psql_in("lookup", "ALTER TABLE c.stay ALTER mrn TYPE text COLLATE \"C\"").unwrap();
    let keys = TokenKeys::derive(&[7; 32], TokenForm::Invertible).unwrap();
    let client = connect(&cluster, &keys).await;
    let clinic = clinic(&client).await;
    let values =
        cluster.psql_in("lookup", "SELECT DISTINCT mrn FROM c.person WHERE id % 4000 = 7 OR id > 20000").unwrap();
    let token = |value: &str| keys.token(Class::Mrn, value.as_bytes()).unwrap();
    let known: Vec<String> = values.lines().map(token).collect();
    assert!(known.len() > 15);
    let seven = token("M-7");
    // what is no token, or nobody's, or has an inverse that is no text
    let mut others = vec![String::new(), "M-7".into(), seven.to_uppercase(), format!("{seven}0"), format!(" {seven}")];
    others.extend((0..20_u32).map(|i| format!("phi_mrn_{:032x}", u128::from(i) << 64 | 0xabc)));
    for column in ["mrn = $1", "$1 = mrn", "mrn = $1::text", "mrn = $1 AND id < 40000"] {
        let sql = format!("SELECT id, mrn FROM c.person WHERE {column}");
        let (with, without) = (clinic.run(&sql, &keys, true), clinic.run(&sql, &keys, false));
        assert_ne!(with, without, "{sql}");
        let statements = [client.prepare(&with).await.unwrap(), client.prepare(&without).await.unwrap()];
        assert_eq!(statements[0].params(), statements[1].params(), "{sql}");
    }
    let sql = "SELECT id FROM c.person WHERE mrn = $1";
    let (with, without) = (clinic.run(sql, &keys, true), clinic.run(sql, &keys, false));
    let statements = [client.prepare(&with).await.unwrap(), client.prepare(&without).await.unwrap()];
    let mut found = 0;
    for token in known.iter().chain(&others).map(Some).chain([None]) {
        let mut rows = Vec::new();
        for statement in &statements {
            let ids = client.query(statement, &[&token]).await.unwrap_or_else(|error| panic!("{token:?}: {error:?}"));
            rows.push(ids.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>());
        }
        rows.iter_mut().for_each(|rows| rows.sort_unstable());
        assert_eq!(rows[0], rows[1], "{token:?}");
        found += usize::from(!rows[0].is_empty());
    }
    assert_eq!(found, known.len());
    let of_stay = clinic.run("SELECT count(*) FROM c.stay WHERE mrn = $1", &keys, true);
    assert_eq!(client.query_one(&of_stay, &[&seven]).await.unwrap().get::<_, i64>(0), 1, "a collation of its own");
    // known to the planner, and still so after it could have chosen one plan for all
    client.batch_execute(&format!("PREPARE q (text) AS {with}")).await.unwrap();
    for _ in 0..8 {
        client.batch_execute(&format!("EXECUTE q ('{seven}')")).await.unwrap();
    }
    let plan = ids(&client, &format!("EXPLAIN (COSTS OFF) EXECUTE q ('{seven}')")).await.join("\n");
    assert!(plan.contains("Index Cond: (mrn = ") && !plan.contains("M-7"), "{plan}");
    let hmac = TokenKeys::derive(&[7; 32], TokenForm::Hmac).unwrap();
    assert_eq!(clinic.run(sql, &hmac, true), clinic.run(sql, &hmac, false));
}

/// Under a collation that takes other values for equal an index hands out their rows too, and conditions of the agent's
/// see those before the token's own condition does.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_collation_takes_for_equal_is_not_told() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("lookup", "postgres").unwrap();
    cluster
        .psql_in(
            "lookup",
            "CREATE SCHEMA c; CREATE COLLATION c.caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE c.person (id int PRIMARY KEY, mrn text COLLATE c.caseless, plan varchar(40), city char(12));
             INSERT INTO c.person SELECT i, 'M-' || i FROM generate_series(4, 20000) i;
             INSERT INTO c.person VALUES (1, 'abc'), (2, 'ABC'), (3, 'def');
             CREATE TABLE c.stay (id int PRIMARY KEY, mrn text, unit text);
             CREATE INDEX ON c.person (mrn);
             GRANT USAGE ON SCHEMA c TO agent; GRANT SELECT ON ALL TABLES IN SCHEMA c TO agent; ANALYZE",
        )
        .unwrap();
    let keys = TokenKeys::derive(&[7; 32], TokenForm::Invertible).unwrap();
    let client = connect(&cluster, &keys).await;
    let clinic = clinic(&client).await;
    let token = keys.token(Class::Mrn, b"abc").unwrap();
    // rows 2 and 3 have other tokens: which of them a value like `abc` stands in may not be told
    let mut ends = Vec::new();
    for row in [2, 3] {
        let sql =
            clinic.run(&format!("SELECT id FROM c.person WHERE mrn = '{token}' AND 1 / (id - {row}) < 5"), &keys, true);
        ends.push(client.simple_query(&sql).await.map_err(|error| error.code().cloned()).is_ok());
    }
    assert_eq!(ends[0], ends[1], "row 2 raises and row 3 does not");
}

/// Two tables of the same groups of rows, one with values in the order of the rows: only the hidden values differ.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_does_not_tell_how_hidden_values_lie() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("lookup", "postgres").unwrap();
    cluster
        .psql_in(
            "lookup",
            "CREATE SCHEMA c;
             CREATE TABLE c.person (id int PRIMARY KEY, mrn text, plan varchar(40), city char(12));
             CREATE TABLE c.stay (id int PRIMARY KEY, mrn text, unit text);
             INSERT INTO c.person SELECT i, 'M' || lpad((i / 100)::text, 6, '0') FROM generate_series(0, 29999) i;
             INSERT INTO c.stay SELECT i, 'M' || lpad((i / 100 * 7919 % 300)::text, 6, '0') FROM generate_series(0, 29999) i;
             CREATE INDEX ON c.person (mrn); CREATE INDEX ON c.stay (mrn);
             GRANT USAGE ON SCHEMA c TO agent; GRANT SELECT ON ALL TABLES IN SCHEMA c TO agent; ANALYZE",
        )
        .unwrap();
    let keys = TokenKeys::derive(&[7; 32], TokenForm::Invertible).unwrap();
    let client = connect(&cluster, &keys).await;
    let clinic = clinic(&client).await;
    let mut plans = Vec::new();
    for (table, value) in [("person", "M000150"), ("stay", "M000150")] {
        let token = keys.token(Class::Mrn, value.as_bytes()).unwrap();
        let sql = format!("EXPLAIN SELECT id FROM c.{table} WHERE mrn = '{token}'");
        let plan = ids(&client, &clinic.run(&sql, &keys, true)).await.join("\n");
        plans.push(plan.replace(table, "t").replace(&token, "token"));
    }
    assert_eq!(plans[0], plans[1]);
}
