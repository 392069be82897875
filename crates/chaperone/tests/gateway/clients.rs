//! What ordinary clients ask a database about itself, on a connection with protected data: psql's own commands as psql
//! sends them, a driver that looks up types, and statements in the manner of tools that cannot be had here.

use std::process::Command;
use std::sync::Arc;

use tokio_postgres::SimpleQueryMessage;

use crate::stage::{Gateway, Setup, fresh_cluster};

/// What the clinic has besides tables.
const MORE: &str = "
create extension citext; create extension hstore;
set role gateway;
create view clinic.beds as select department_id, sum(beds) as beds from clinic.room group by 1;
create materialized view clinic.counted as select count(*) as n from clinic.visit;
create sequence clinic.ticket; select nextval('clinic.ticket') from generate_series(1, 4321);
create type clinic.mood as enum ('calm', 'tense'); create type clinic.pair as (a int, b text);
create domain clinic.code as text check (value <> '');
create function clinic.twice(int) returns int language sql as 'select $1 * 2468';
comment on table clinic.patient is 'people who were seen here';
comment on domain clinic.code is 'never empty';
create index patient_of_here on clinic.patient (zip) where state = 'IL';
create statistics clinic.together on sex, state from clinic.patient;
create table clinic.measure (id int primary key, at date, v int) partition by range (id);
create table clinic.measure_old partition of clinic.measure for values from (77001) to (77002);
grant select on clinic.room to public;
reset role;
alter database clinic set search_path = clinic, public;
analyze;
";

/// psql's commands, and something of what they show.
const PSQL: &[(&str, &str)] = &[
    (r"\d", "clinic | patient | table | gateway"),
    (r"\dt", "clinical_note"),
    (r"\dt+", "people who were seen here"),
    (r"\dt+ clinic.*", "permanent"),
    (r"\d clinic.patient", "\"patient_of_here\" btree (zip) WHERE state = 'IL'::text"),
    (r"\d+ clinic.patient", "TABLE \"visit\" CONSTRAINT \"visit_patient_id_fkey\""),
    (r"\d+ clinic.beds", "sum(room.beds) AS beds"),
    (r"\d clinic.ticket", "bigint"),
    (r"\d+ clinic.patient_pkey", "primary key, btree, for table \"clinic.patient\""),
    (r"\d+ clinic.measure", "Partition key: RANGE (id)"),
    (r"\d+ clinic.measure_old", "Partition of: measure"),
    (r"\d clinic.pair", "Composite type \"clinic.pair\""),
    (r"\dn", "public"),
    (r"\dn+", "clinic"),
    (r"\du", "gateway"),
    (r"\du+", "gateway"),
    (r"\df", "twice"),
    (r"\df+ clinic.*", "twice"),
    (r"\sf clinic.twice", ""),
    (r"\sv clinic.beds", "CREATE OR REPLACE VIEW clinic.beds"),
    (r"\dv", "beds"),
    (r"\dv+", "beds"),
    (r"\dm", "counted"),
    (r"\di", "patient_of_here"),
    (r"\di+", "patient_of_here"),
    (r"\ds", "ticket"),
    (r"\l", "clinic"),
    (r"\l+", "clinic"),
    (r"\dT", "mood"),
    (r"\dT+", "calm"),
    (r"\dD+", "never empty"),
    (r"\dx", "citext"),
    (r"\dx+ citext", "citext_eq"),
    (r"\dp", "=r/gateway"),
    (r"\ddp", "Default access privileges"),
    (r"\dC", "Implicit?"),
    (r"\dd", "Object descriptions"),
    (r"\dL", "plpgsql"),
    (r"\dX", "together"),
    (r"\dP+", "measure"),
    (r"\dO", "List of collations"),
    (r"\do public.*", "citext"),
    (r"\da public.*", "citext"),
    (r"\dF", "english"),
    (r"\db+", "pg_default"),
    (r"\dRp+", ""),
    (r"\dew+", ""),
    (r"\des+", ""),
    (r"\dA+", "heap"),
    (r"\dAc", "btree"),
];

/// Commands for what an agent may not see: a refusal, and psql goes on.
const REFUSED: &[(&str, &str)] = &[
    (r"\dconfig", "masking.construct"),
    (r"\drds", "masking.relation"),
    (r"\dl", "masking.relation"),
    (r"\dRs", "masking.relation"),
];

fn gateway() -> Gateway {
    let cluster = fresh_cluster();
    cluster.psql_in("clinic", MORE).unwrap();
    Setup::new().cluster(Arc::new(cluster)).start()
}

/// What psql writes on its two outputs.
fn psql(gateway: &Gateway, commands: &[&str]) -> String {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-h", "localhost", "-p", &gateway.port.to_string(), "-U", "agent", "-d", "clinic"]);
    for command in commands {
        psql.args(["-c", command]);
    }
    let output = psql.env("PGPASSWORD", gateway.token()).env("PGSSLMODE", "disable").output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_what_there_is_and_not_how_much() {
    let mut gateway = gateway();
    let mut wrong = String::new();
    for (command, shown) in PSQL {
        let seen = psql(&gateway, &[command]);
        // columns are as wide as what is in them
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        if seen.contains("ERROR") || !words.contains(shown) {
            wrong += &format!("{command}\n{seen}\n");
        }
        // sizes, the values of a sequence, bounds of partitions, bodies of functions
        for hidden in [" kB", " bytes", " MB", "4321", "77001", "2468"] {
            if seen.contains(hidden) {
                wrong += &format!("{command} shows `{hidden}`\n{seen}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    for (command, rule) in REFUSED {
        let seen = psql(&gateway, &[command, "select count(*) from patient"]);
        assert!(seen.contains(rule) && seen.contains("300"), "{command}\n{seen}");
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// In the manner of: psql's completion, SQLAlchemy, Django, pgjdbc, DBeaver, Npgsql, asyncpg, Prisma, Hibernate. Each has
/// the constructs by which that client differs, and rows to answer with.
const INTROSPECTION: &[&str] = &[
    // completion of names
    "SELECT c.relname, NULL::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'v') \
     AND (c.relname) LIKE 'pa%' AND pg_catalog.pg_table_is_visible(c.oid) UNION ALL \
     SELECT NULL::pg_catalog.text, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname NOT LIKE E'pg\\\\_%' LIMIT 1000",
    "SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings WHERE context IN ('user', 'superuser') \
     AND pg_catalog.lower(name) LIKE pg_catalog.lower('TI%') LIMIT 1000",
    // columns with defaults, comments, identity; keys by position; enumerations and domains in arrays
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, d.description, \
     (SELECT pg_catalog.pg_get_expr(ad.adbin, ad.adrelid) FROM pg_catalog.pg_attrdef ad \
      WHERE ad.adrelid = a.attrelid AND ad.adnum = a.attnum AND a.atthasdef), \
     (SELECT json_build_object('always', a.attidentity = 'a', 'start', s.seqstart) FROM pg_catalog.pg_sequence s \
      WHERE a.attidentity <> '' AND s.seqrelid = CAST(CAST(pg_catalog.pg_get_serial_sequence(\
        CAST(CAST(a.attrelid AS REGCLASS) AS TEXT), a.attname) AS REGCLASS) AS OID)) \
     FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_attribute a ON c.oid = a.attrelid AND a.attnum > 0 \
     AND NOT a.attisdropped LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = a.attrelid \
     AND d.objsubid = a.attnum WHERE c.relkind = ANY (ARRAY['r', 'p', 'v']) AND c.relname IN ('patient', 'visit')",
    "SELECT con.conrelid, array_agg(CAST(con.attname AS TEXT) ORDER BY con.ord), con.conname FROM (\
       SELECT k.conrelid, k.conname, k.ord, a.attname FROM pg_catalog.pg_attribute a JOIN (\
         SELECT conrelid, conname, unnest(conkey) AS attnum, generate_subscripts(conkey, 1) AS ord \
         FROM pg_catalog.pg_constraint WHERE contype = 'p') k ON a.attnum = k.attnum AND a.attrelid = k.conrelid) con \
     GROUP BY con.conrelid, con.conname",
    "SELECT t.typname, pg_catalog.pg_type_is_visible(t.oid), array_agg(CAST(e.enumlabel AS TEXT) ORDER BY e.enumsortorder) \
     FROM pg_catalog.pg_type t JOIN pg_catalog.pg_enum e ON t.oid = e.enumtypid WHERE t.typtype = 'e' GROUP BY 1, 2",
    "SELECT pg_catalog.pg_get_indexdef(i.indexrelid), i.indpred IS NOT NULL, \
     pg_catalog.pg_get_expr(i.indpred, i.indrelid), pg_catalog.pg_index_column_has_property(i.indexrelid, 1, 'asc') \
     FROM pg_catalog.pg_index i WHERE i.indrelid = 'clinic.patient'::regclass",
    // columns of keys and of indexes, through UNNEST of two arrays and arrays of subqueries
    "SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx) \
       JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), \
     c.contype, cl.reloptions FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid \
     WHERE cl.relname = 'visit' AND pg_catalog.pg_table_is_visible(cl.oid)",
    "SELECT indexname, array_agg(attname ORDER BY arridx), am FROM (SELECT c2.relname AS indexname, idx.*, attr.attname, \
       am.amname AS am, CASE WHEN idx.indexprs IS NOT NULL THEN pg_get_indexdef(idx.indexrelid) END AS exprdef \
       FROM (SELECT * FROM pg_index i, unnest(i.indkey, i.indoption) WITH ORDINALITY koi(key, option, arridx)) idx \
       LEFT JOIN pg_class c ON idx.indrelid = c.oid LEFT JOIN pg_class c2 ON idx.indexrelid = c2.oid \
       LEFT JOIN pg_am am ON c2.relam = am.oid LEFT JOIN pg_attribute attr ON attr.attrelid = c.oid \
       AND attr.attnum = idx.key WHERE c.relname = 'patient') s2 GROUP BY indexname, am",
    // JDBC's metadata: types of tables by CASE, positions in keys by a function of information_schema, estimates of sizes
    "SELECT NULL AS cat, n.nspname, c.relname, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' \
     WHEN true THEN 'SYSTEM' WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' ELSE NULL END END AS kind, \
     d.description FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d \
     ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid \
     AND n.nspname LIKE 'clinic' ORDER BY kind, nspname, relname",
    "SELECT keyed.a_name, (keyed.keys).n AS key_seq, keyed.pk FROM (SELECT a.attname AS a_name, a.attnum, \
       information_schema._pg_expandarray(i.indkey) AS keys, ci.relname AS pk FROM pg_catalog.pg_class ct \
       JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) \
       JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE i.indisprimary) keyed \
     WHERE keyed.attnum = (keyed.keys).x ORDER BY 1",
    "SELECT con.conname, pos.n, pkic.relname FROM pg_catalog.pg_constraint con, \
     pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_class pkic, pg_catalog.pg_depend dep \
     WHERE con.contype = 'f' AND pos.n <= pg_catalog.array_upper(con.conkey, 1) AND con.oid = dep.objid \
     AND pkic.oid = dep.refobjid AND pkic.relkind = 'i' AND dep.classid = 'pg_constraint'::regclass::oid \
     AND dep.refclassid = 'pg_class'::regclass::oid",
    "SELECT ct.relname, NOT i.indisunique, ci.relname, ci.reltuples, ci.relpages, \
     trim(both '\"' from pg_catalog.pg_get_indexdef(ci.oid, 1, false)) FROM pg_catalog.pg_class ct \
     JOIN pg_catalog.pg_index i ON ct.oid = i.indrelid JOIN pg_catalog.pg_class ci ON ci.oid = i.indexrelid",
    "SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{select,table}'::text[])",
    "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_index_keys'",
    "SELECT n.nspname, c.relname, r.rolname, c.relacl FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c, \
     pg_catalog.pg_roles r WHERE c.relnamespace = n.oid AND c.relowner = r.oid AND c.relname = 'room'",
    // whole rows beside the OID, descriptions, sizes in passing
    "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound, \
     pg_catalog.pg_get_partkeydef(c.oid), pg_catalog.pg_total_relation_size(c.oid) AS total FROM pg_catalog.pg_class c \
     LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 WHERE c.relname LIKE 'p%'",
    "SELECT i.*, i.indkey AS keys, c.relname, pg_catalog.pg_relation_size(i.indexrelid) AS size, \
     pg_catalog.pg_stat_get_numscans(i.indexrelid) AS scans FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'clinic.patient'::regclass",
    "SELECT db.oid, db.*, pg_catalog.has_database_privilege(db.oid, 'CONNECT') FROM pg_catalog.pg_database db",
    "SELECT t.oid, t.*, format_type(nullif(t.typbasetype, 0), t.typtypmod) FROM pg_catalog.pg_type t",
    "SELECT p.oid, p.*, pg_catalog.pg_get_functiondef(p.oid), pg_catalog.pg_get_function_identity_arguments(p.oid) \
     FROM pg_catalog.pg_proc p WHERE p.proname = 'twice'",
    // loading of types: elements by their receive function, ranges, composites
    "SELECT ns.nspname, t.oid, t.typname, t.kind, t.element FROM (SELECT typ.oid, typ.typnamespace, typ.typname, \
       CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS kind, \
       CASE WHEN proc.proname = 'array_recv' THEN typ.typelem WHEN typ.typtype = 'r' THEN rngsubtype \
       WHEN typ.typtype = 'm' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) \
       WHEN typ.typtype = 'd' THEN typ.typbasetype END AS element FROM pg_type AS typ \
       LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive \
       LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS t JOIN pg_namespace AS ns ON (ns.oid = t.typnamespace)",
    "SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ JOIN pg_class AS cls ON (cls.oid = typ.typrelid) \
     JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid) WHERE typ.typtype = 'c' AND cls.relkind = 'c' \
     AND attnum > 0 AND NOT attisdropped ORDER BY typ.oid, att.attnum",
    "WITH RECURSIVE tree(oid, name, element, depth) AS (SELECT t.oid, t.typname, t.typelem, 0 FROM pg_catalog.pg_type t \
       WHERE t.oid = ANY (ARRAY['clinic.mood[]'::regtype::oid, 'int4range'::regtype::oid]) UNION ALL \
       SELECT t.oid, t.typname, t.typelem, tree.depth + 1 FROM pg_catalog.pg_type t, tree \
       WHERE tree.element <> 0 AND t.oid = tree.element) \
     SELECT DISTINCT *, tree.element::regtype::text FROM tree ORDER BY depth DESC",
    // definitions through information_schema, and keys in parallel lists
    "SELECT oid.namespace, info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod), \
     info.numeric_precision, info.column_default, info.is_nullable, info.is_identity, info.data_type \
     FROM information_schema.columns info JOIN pg_attribute att ON att.attname = info.column_name \
     JOIN (SELECT pg_class.oid, relname, pg_namespace.nspname AS namespace FROM pg_class JOIN pg_namespace \
       ON pg_namespace.oid = pg_class.relnamespace AND pg_namespace.nspname = ANY (ARRAY['clinic'])) AS oid \
     ON oid.oid = att.attrelid AND relname = info.table_name AND namespace = info.table_schema ORDER BY ordinal_position",
    "WITH raw AS (SELECT indrelid, indexrelid, indisunique, unnest(indkey) AS keyid, generate_subscripts(indkey, 1) AS at, \
       unnest(indclass) AS cls, unnest(indoption) AS opt FROM pg_index WHERE indpred IS NULL AND NOT indisexclusion) \
     SELECT schemainfo.nspname, indexinfo.relname, columninfo.attname, raw.at, opclass.opcname \
     FROM raw JOIN pg_class AS indexinfo ON indexinfo.oid = raw.indexrelid JOIN pg_namespace AS schemainfo \
     ON schemainfo.oid = indexinfo.relnamespace JOIN pg_attribute AS columninfo ON columninfo.attrelid = raw.indrelid \
     AND columninfo.attnum = raw.keyid JOIN pg_opclass AS opclass ON opclass.oid = raw.cls WHERE schemainfo.nspname = 'clinic'",
    "SELECT tc.constraint_name, kcu.column_name, rc.delete_rule FROM information_schema.table_constraints tc \
     JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name) \
     LEFT JOIN information_schema.referential_constraints rc USING (constraint_schema, constraint_name)",
    "SELECT * FROM information_schema.sequences",
    "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = 'clinic'",
    "SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = 'clinic'",
];

#[tokio::test(flavor = "multi_thread")]
async fn tools_find_their_way_without_data_or_sizes() {
    let mut gateway = gateway();
    let driver = gateway.driver("clinic").await;
    for sql in INTROSPECTION {
        // as simple statements, whose answers are text
        let answer = driver.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
        let rows: Vec<String> = answer
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
                }
                _ => None,
            })
            .collect();
        assert!(!rows.is_empty(), "{sql}");
        let shown = rows.join("\n");
        for hidden in ["77001", "2468"] {
            assert!(!shown.contains(hidden), "{sql} shows `{hidden}`\n{shown}");
        }
        // and prepared
        driver.prepare(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    }
    // this driver looks up types that it does not know: an enumeration, an array of one, an extension's type
    let types =
        driver.prepare("SELECT 'calm'::clinic.mood, ARRAY['tense']::clinic.mood[], 'A'::citext, 'a=>1'::hstore");
    let types = types.await.unwrap();
    let names: Vec<_> = types.columns().iter().map(|column| column.type_().name().to_owned()).collect();
    assert_eq!(names, ["mood", "_mood", "citext", "hstore"]);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pools_and_drivers_send_around_a_session_works() {
    let gateway = gateway();
    let driver = gateway.driver("clinic").await;
    for sql in [
        "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
        "SELECT version(), current_schema(), session_user, current_database()",
        "SHOW standard_conforming_strings",
        "DISCARD ALL",
    ] {
        driver.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    }
    let set = driver.query_one("SELECT set_config('jit', $1, false)", &[&"on"]).await.unwrap();
    assert_eq!(set.get::<_, String>(0), "on");
    let size = driver.query_one("SELECT pg_catalog.pg_relation_size($1)", &[&"clinic.patient"]).await;
    // the parameter keeps its number; its type is that of the function
    assert!(size.is_err_and(|error| error.as_db_error().is_none()), "a string is no regclass for this driver");
    let size = driver.query_one("SELECT pg_relation_size($1::text::regclass)", &[&"clinic.patient"]).await.unwrap();
    assert_eq!(size.columns()[0].name(), "pg_relation_size");
    assert_eq!(size.get::<_, Option<i64>>(0), None);
}
