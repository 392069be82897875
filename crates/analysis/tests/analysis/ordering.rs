//! Code of the database that orders values: operator classes, which no statement names.

use std::fmt::Write as _;

use chaperone_model::{Class, Rung, TableName};

use crate::clinic::clinic;
use crate::twins::{Session, cluster};

const TABLE: &str = "CREATE TABLE clinic.coarse (id int PRIMARY KEY, mood clinic.mood, name varchar(9));
    INSERT INTO clinic.coarse VALUES (1, 'calm', 'a'), (2, 'tense', 'b');
    GRANT SELECT ON ALL TABLES IN SCHEMA clinic TO agent; GRANT USAGE ON SCHEMA trap TO agent";

/// An order of somebody's own for a type, of this standing: which of two values comes first depends on what is hidden.
fn order_of(ty: &str, standing: &str) -> String {
    let mut sql = format!(
        "CREATE FUNCTION trap.compare({ty}, {ty}) RETURNS int LANGUAGE sql IMMUTABLE AS
         'SELECT pg_catalog.bttextcmp($1::text, $2::text) *
            (SELECT CASE WHEN max(last_name) LIKE ''%bea%'' THEN -1 ELSE 1 END FROM clinic.patient)';"
    );
    for (operator, word) in [("<", "lt"), ("<=", "le"), ("=", "same"), (">=", "ge"), (">", "gt")] {
        write!(
            sql,
            "CREATE FUNCTION trap.{word}({ty}, {ty}) RETURNS boolean LANGUAGE sql IMMUTABLE AS
             'SELECT trap.compare($1, $2) {operator} 0';
             CREATE OPERATOR trap.{operator} (FUNCTION = trap.{word}, LEFTARG = {ty}, RIGHTARG = {ty});"
        )
        .unwrap();
    }
    write!(
        sql,
        "CREATE OPERATOR CLASS trap.own {standing} FOR TYPE {ty} USING btree AS OPERATOR 1 trap.<, OPERATOR 2 trap.<=,
         OPERATOR 3 trap.=, OPERATOR 4 trap.>=, OPERATOR 5 trap.>, FUNCTION 1 trap.compare({ty}, {ty})"
    )
    .unwrap();
    sql
}

/// Statements of which each goes by the order of a type.
const BY_MOOD: &[&str] = &[
    "SELECT id FROM clinic.coarse ORDER BY mood",
    "SELECT min(mood) FROM clinic.coarse",
    "SELECT mood, count(*) FROM clinic.coarse GROUP BY mood",
    "SELECT DISTINCT mood FROM clinic.coarse",
    "SELECT id, rank() OVER (ORDER BY mood) FROM clinic.coarse",
    "SELECT x FROM unnest('{calm,tense}'::clinic.mood[]) x ORDER BY x",
    "SELECT greatest('calm'::clinic.mood, 'tense')",
    "SELECT ROW('calm'::clinic.mood) < ROW('tense'::clinic.mood)",
];
const BY_NAME: &[&str] = &[
    "SELECT id FROM clinic.coarse ORDER BY name",
    "SELECT x FROM (VALUES ('a'::varchar), ('b')) v(x) ORDER BY x",
    "SELECT x FROM unnest('{a,b}'::varchar[]) x ORDER BY x",
    "SELECT DISTINCT x FROM unnest('{b,a}'::varchar[]) x",
    "SELECT ARRAY['a'::varchar] < ARRAY['b'::varchar]",
    "SELECT greatest('a'::varchar, 'b'::varchar)",
];

#[tokio::test]
async fn the_order_of_a_type_that_is_code_is_not_used() {
    let cluster = cluster();
    let mut clinic = clinic();
    for column in ["id", "mood", "name"] {
        let table = TableName::new("clinic", "coarse");
        clinic.classification.entry(table.clone()).or_default().columns.insert(column.to_owned(), Class::None);
        clinic.masks.set(&table, column, Rung::Raw);
    }
    let cases = [
        ("mood", order_of("clinic.mood", "DEFAULT"), Some(BY_MOOD), "masking.type"),
        ("name", order_of("varchar", "DEFAULT"), Some(BY_NAME), "masking.cast"),
        // what is nobody's default orders nothing
        ("other", order_of("varchar", ""), None, ""),
        ("none", "SELECT 1".to_owned(), None, ""),
    ];
    for (name, order, refused, rule) in cases {
        let mut sessions = Vec::new();
        for twin in ["ada", "bea"] {
            let database = format!("{name}_{twin}");
            cluster.psql(&format!("CREATE DATABASE {database} TEMPLATE {twin}")).unwrap();
            cluster.psql_in(&database, &format!("{TABLE}; {order}")).unwrap();
            sessions.push(Session::open(&cluster, &database, "clinic, public").await);
        }
        for sql in BY_MOOD.iter().chain(BY_NAME) {
            let (of_ada, ok) = sessions[0].run_in(&clinic, sql).await;
            let (of_bea, _) = sessions[1].run_in(&clinic, sql).await;
            let numbered =
                |seen: &str| seen.lines().filter(|line| !line.starts_with("[(")).collect::<Vec<_>>().join("\n");
            assert_eq!(numbered(&of_ada), numbered(&of_bea), "{name}: {sql}");
            match refused {
                Some(refused) if refused.contains(sql) => assert!(of_ada.contains(rule), "{name}: {sql}\n{of_ada}"),
                // the table has a column of the type
                Some(_) => assert!(ok || of_ada.starts_with("refused"), "{name}: {sql}\n{of_ada}"),
                None => assert!(ok, "{name}: {sql}\n{of_ada}"),
            }
        }
    }
}
