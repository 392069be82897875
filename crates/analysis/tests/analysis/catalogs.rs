//! The server's own relations and functions: whatever may be read of them is the same of twins, and none of it tells how
//! much hidden data there is.

use crate::twins::{Session, cluster};

/// May not be read: they hold data, how much of it there is, what others do, or secrets.
const CLOSED: &[&str] = &[
    "pg_catalog.pg_authid",
    "pg_catalog.pg_db_role_setting",
    "pg_catalog.pg_file_settings",
    "pg_catalog.pg_hba_file_rules",
    "pg_catalog.pg_largeobject",
    "pg_catalog.pg_largeobject_metadata",
    "pg_catalog.pg_locks",
    "pg_catalog.pg_prepared_statements",
    "pg_catalog.pg_shadow",
    "pg_catalog.pg_stat_activity",
    "pg_catalog.pg_stat_all_tables",
    "pg_catalog.pg_stat_user_indexes",
    "pg_catalog.pg_statio_all_tables",
    "pg_catalog.pg_statistic",
    "pg_catalog.pg_statistic_ext_data",
    "pg_catalog.pg_stats",
    "pg_catalog.pg_stats_ext",
    "pg_catalog.pg_stats_ext_exprs",
    "pg_catalog.pg_subscription",
    "pg_catalog.pg_user_mapping",
    "information_schema.user_mapping_options",
];

/// Each has an answer, and not one digit of a size.
const WITHHELD: &[&str] = &[
    "pg_table_size('clinic.patient')",
    "pg_catalog.pg_relation_size('clinic.patient')",
    "pg_relation_size('clinic.patient'::regclass, 'main')",
    "pg_total_relation_size((SELECT oid FROM pg_class WHERE relname = 'patient'))",
    "pg_indexes_size('clinic.patient'::regclass)",
    "pg_size_pretty(pg_table_size('clinic.patient'))",
    "pg_database_size(current_database())",
    "pg_tablespace_size('pg_default')",
    "pg_stat_get_live_tuples('clinic.patient'::regclass)",
    "pg_stat_get_numscans('clinic.patient'::regclass)",
    "pg_get_functiondef('trap.reveal'::regproc)",
    "pg_get_partition_constraintdef('clinic.by_name_a'::regclass)",
    "(SELECT reltuples FROM pg_class WHERE oid = 'clinic.patient'::regclass)",
    "(SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'clinic.by_name_a'::regclass)",
    "(SELECT prosrc FROM pg_proc WHERE oid = 'trap.reveal'::regproc)",
    "(SELECT last_value FROM pg_sequences WHERE sequencename = 'ticket')",
    "(SELECT attfdwoptions FROM pg_attribute WHERE attrelid = 'clinic.far'::regclass AND attnum = 1)",
    "(SELECT option_value FROM pg_attribute, pg_options_to_table(attfdwoptions) WHERE attrelid = 'clinic.far'::regclass)",
];

const REFUSED: &[(&str, &str)] = &[
    ("SELECT pg_stat_get_tuples_inserted('clinic.patient'::regclass)", "masking.function"),
    ("SELECT pg_column_size(p) FROM clinic.patient p", "masking.function"),
    ("SELECT pg_read_file('PG_VERSION')", "masking.function"),
    ("SELECT pg_sequence_last_value('clinic.ticket')", "masking.function"),
    ("SELECT pg_input_is_valid('x', 'trap.probe')", "masking.function"),
    ("SELECT information_schema._pg_truetypid(a, t) FROM pg_attribute a, pg_type t", "masking.function"),
    ("SELECT current_setting('chaperone.k')", "masking.setting"),
    ("SELECT current_setting(name) FROM pg_settings", "masking.construct"),
    ("SHOW ALL", "masking.setting"),
    ("SELECT set_config('chaperone.k', upper('x'), false)", "masking.construct"),
    ("SELECT set_config('search_path', upper('x'), false)", "masking.construct"),
    ("SELECT unnest(1, 2), p.tableoid FROM clinic.patient p", "masking.system_column"),
    ("SELECT tableoid FROM pg_class", "masking.system_column"),
    ("SELECT q.tableoid FROM (SELECT p.tableoid FROM clinic.patient p) q", "masking.system_column"),
    ("SELECT (c).tableoid FROM pg_class c", "masking.system_column"),
    ("SELECT c.xmin FROM pg_class c", "masking.system_column"),
];

#[tokio::test]
async fn what_may_be_read_of_the_server_is_the_same_of_twins() {
    let cluster = cluster();
    let more = "CREATE SEQUENCE clinic.ticket; ALTER TABLE clinic.patient ADD COLUMN later text DEFAULT 'since then'; \
                CREATE STATISTICS clinic.st ON sex, lang FROM clinic.patient";
    cluster.psql_in("ada", more).unwrap();
    // a copy has the same OIDs
    cluster.psql("DROP DATABASE bea").unwrap();
    cluster.psql("CREATE DATABASE bea TEMPLATE ada").unwrap();
    cluster.psql_in("bea", "UPDATE clinic.patient SET last_name = last_name || ' of another length'").unwrap();
    // how much there is differs
    cluster.psql_in("ada", "INSERT INTO clinic.secret SELECT i, 'x' FROM generate_series(1, 9000) i").unwrap();
    cluster.psql_in("ada", "SELECT nextval('clinic.ticket') FROM generate_series(1, 500)").unwrap();
    cluster.psql_in("ada", "VACUUM ANALYZE").unwrap();
    let ada = Session::open(&cluster, "ada", "clinic, public").await;
    let bea = Session::open(&cluster, "bea", "clinic, public").await;
    let names = cluster
        .psql_in(
            "ada",
            "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE relkind IN ('r', 'v') \
             AND relnamespace::regnamespace::text IN ('pg_catalog', 'information_schema')",
        )
        .unwrap();
    let mut open = Vec::new();
    for name in names.lines() {
        let sql = format!("SELECT * FROM {name}");
        let (of_ada, answered) = ada.run(&sql).await;
        let (of_bea, _) = bea.run(&sql).await;
        let sorted = |seen: &str| {
            let mut lines: Vec<String> = seen.lines().map(|line| line.replace("\"bea\"", "\"ada\"")).collect();
            lines.sort_unstable();
            lines
        };
        let (a, b) = (sorted(&of_ada), sorted(&of_bea));
        let differs = a.iter().zip(&b).find(|(a, b)| a != b);
        assert!(a == b, "{sql}: {differs:?}");
        assert!(!of_ada.contains("chaperone.k"), "{sql}");
        if answered {
            open.push(name);
        }
    }
    println!("{} relations of the server may be read", open.len());
    assert!(open.len() > 100, "{open:?}");
    for name in CLOSED {
        assert!(names.lines().any(|found| found == *name) && !open.contains(name), "{name}");
    }
}

#[tokio::test]
async fn sizes_bounds_and_bodies_are_withheld() {
    let cluster = cluster();
    cluster.psql_in("ada", "CREATE SEQUENCE clinic.ticket; SELECT nextval('clinic.ticket')").unwrap();
    let far = "CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far; \
               CREATE FOREIGN TABLE clinic.far (id int OPTIONS (path '/elsewhere')) SERVER far";
    cluster.psql_in("ada", far).unwrap();
    let session = Session::open(&cluster, "ada", "clinic, public").await;
    for expression in WITHHELD {
        let (seen, answered) = session.run(&format!("SELECT {expression} IS NULL")).await;
        assert!(answered && seen.contains("[Some(\"t\")]"), "{expression}\n{seen}");
    }
    for (sql, rule) in REFUSED {
        let (seen, answered) = session.run(sql).await;
        assert!(!answered && seen.contains(rule), "{sql}\n{seen}");
    }
    // under the names that they would have
    let sql = "SELECT pg_relation_size('clinic.patient'), l.tableoid FROM pg_language l WHERE l.lanname = 'c'";
    let (seen, _) = session.run(sql).await;
    assert!(seen.contains("(\"pg_relation_size\", 0, 0, 20), (\"tableoid\", 0, 0, 26)"), "{seen}");
    assert!(seen.contains("[None, Some(\"2612\")]"), "{seen}");
    // the settings that can be seen are those that SHOW may name
    let sql =
        "SELECT count(*) FROM pg_settings WHERE name LIKE 'chaperone%' OR name IN ('primary_conninfo', 'ssl_key_file')";
    assert!(session.run(sql).await.0.contains("[Some(\"0\")]"));
    assert!(session.run("SELECT setting FROM pg_settings WHERE name = 'TimeZone'").await.0.contains("Some"));
    // several arguments of unnest are the grammar's
    let (seen, _) = session.run("SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a']) WITH ORDINALITY AS t(a, b, n)").await;
    assert!(seen.contains("[Some(\"2\"), None, Some(\"2\")]"), "{seen}");
    for sql in [
        "SELECT (information_schema._pg_expandarray(i.indkey)).n FROM pg_index i WHERE i.indrelid = 'clinic.patient'::regclass",
        "SELECT tt.tableoid FROM (SELECT c.tableoid, c.relname FROM pg_class c) tt WHERE tt.tableoid <> 0",
        "SELECT set_config('application_name', upper('x'), false)",
        "SELECT pg_advisory_unlock_all()",
    ] {
        let (seen, answered) = session.run(sql).await;
        assert!(answered, "{sql}\n{seen}");
    }
}
