//! Databases with extensions: twins that differ in masked columns of extensions' types and beside extensions' functions.

use std::collections::BTreeMap;

use chaperone_model::{Class, Masks, Rung, TableClasses, TableName};
use chaperone_testkit::postgres::{Cluster, Options};

use crate::clinic::Clinic;
use crate::twins::Session;

const SCHEMA: &str = r#"
CREATE SCHEMA clinic; CREATE SCHEMA ext; CREATE SCHEMA trap;
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION pgcrypto;
CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION unaccent; CREATE EXTENSION intarray;
CREATE EXTENSION btree_gin; CREATE EXTENSION btree_gist; CREATE EXTENSION tablefunc; CREATE EXTENSION dblink;
CREATE EXTENSION cube;
CREATE EXTENSION ltree SCHEMA ext; CREATE EXTENSION isn SCHEMA trap;
CREATE TABLE clinic.person (
  id int PRIMARY KEY, nick citext UNIQUE, mail citext, zip citext, mrn citext, code citext, tags hstore, shown hstore,
  path ext.ltree, place ext.ltree, nums int[], box cube, book trap.isbn13, name text
);
CREATE INDEX ON clinic.person USING gin (name gin_trgm_ops);
CREATE INDEX ON clinic.person USING gist (shown);
CREATE TABLE clinic.note (id int PRIMARY KEY, nick citext, body text);
-- what the owner of the database put beside the extensions
CREATE FUNCTION trap.reveal() RETURNS text LANGUAGE sql STABLE AS
  'SELECT string_agg(mail::text || name, '','' ORDER BY id) FROM clinic.person';
CREATE FUNCTION trap.similarity(text, varchar) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE FUNCTION trap.eq(public.citext, int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT trap.reveal() > ''A''';
CREATE OPERATOR trap.= (FUNCTION = trap.eq, LEFTARG = public.citext, RIGHTARG = int);
CREATE FUNCTION trap.cat(text, text) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()';
CREATE OPERATOR trap.|| (FUNCTION = trap.cat, LEFTARG = text, RIGHTARG = text);
"#;

/// Columns that are not masked are the same in both; the others have other values, of other lengths.
const ROWS: &str = "
INSERT INTO clinic.person SELECT i, 'Nick' || i, SALT || i || '@Mail.Example.org', '0213' || i % 5 || HIDDEN, SALT || i,
  'CODE' || i % 3, hstore('name', SALT || i), hstore(ARRAY['a', i::text, 'b', 'x']), ('top.' || SALT || i)::ext.ltree,
  ('ward.w' || i % 4)::ext.ltree, ARRAY[i, i % 3, 7], cube(i), '978-0-393-04002-9', SALT || ' name ' || i FROM generate_series(1, 40) i;
INSERT INTO clinic.note SELECT i, 'NICK' || i % 50, 'body ' || SALT || i FROM generate_series(1, 60) i;
ANALYZE;
";

const COLUMNS: &[(&str, &str, Class, Rung)] = &[
    ("person", "id", Class::None, Rung::Raw),
    ("person", "nick", Class::None, Rung::Raw),
    ("person", "mail", Class::Email, Rung::Partial),
    ("person", "zip", Class::Zip, Rung::Partial),
    ("person", "mrn", Class::Mrn, Rung::Redacted),
    ("person", "code", Class::None, Rung::Raw),
    ("person", "tags", Class::Unknown, Rung::Redacted),
    ("person", "shown", Class::None, Rung::Raw),
    ("person", "path", Class::Name, Rung::Redacted),
    ("person", "place", Class::None, Rung::Raw),
    ("person", "nums", Class::None, Rung::Raw),
    ("person", "box", Class::Unknown, Rung::Redacted),
    ("person", "book", Class::Unknown, Rung::Redacted),
    ("person", "name", Class::Name, Rung::Redacted),
    ("note", "id", Class::None, Rung::Raw),
    ("note", "nick", Class::None, Rung::Raw),
    ("note", "body", Class::ClinicalText, Rung::Redacted),
];

/// Must be answered, on a path without traps.
const ORDINARY: &[&str] = &[
    "SELECT * FROM clinic.person ORDER BY id",
    "SELECT id, nick FROM clinic.person WHERE nick = 'nick7'",
    "SELECT id FROM clinic.person WHERE nick = 'NICK7'::citext",
    "SELECT id FROM clinic.person WHERE nick IN ('nick7', 'NICK8') ORDER BY id",
    "SELECT id FROM clinic.person WHERE nick LIKE 'NICK1%' ORDER BY id",
    "SELECT id FROM clinic.person WHERE nick ~ '^nick1' ORDER BY id",
    "SELECT p.id, n.id FROM clinic.person p JOIN clinic.note n ON p.nick = n.nick ORDER BY 1, 2",
    "SELECT id, n.body FROM clinic.person JOIN clinic.note n USING (id) ORDER BY 1",
    "SELECT nick, count(*) FROM clinic.person JOIN clinic.note USING (nick) GROUP BY nick ORDER BY 1",
    "SELECT DISTINCT mail, zip, mrn FROM clinic.person",
    "SELECT mail, count(*) FROM clinic.person WHERE mail = 'MAIL.example.org' GROUP BY mail",
    "SELECT zip, count(*) FROM clinic.person WHERE zip LIKE '02%' GROUP BY 1",
    "SELECT count(*) FROM clinic.person WHERE mrn = 'Ada7' OR tags -> 'name' = 'Ada7' OR path OPERATOR(ext.~) 'top.Ada7'",
    "SELECT max(code), min(code), max(id), max(mail), max(mrn) FROM clinic.person",
    "SELECT lower(code), upper(code::text), length(nick), replace(code, 'co', 'x'), split_part(nick, 'C', 1) \
     FROM clinic.person ORDER BY id",
    "SELECT replace('abc', 'b', 'x'), translate('abc', 'b', 'x'), strpos('abc', 'b')",
    "SELECT regexp_replace(code, 'ODE', '-', 'g') FROM clinic.person ORDER BY id",
    "SELECT CASE code WHEN 'code1' THEN 'one' ELSE 'other' END FROM clinic.person ORDER BY id",
    "SELECT shown -> 'a', shown ? 'b', shown @> 'b=>x', akeys(shown), tags -> 'name' FROM clinic.person ORDER BY id",
    "SELECT shown || 'c=>1'::hstore, hstore_to_jsonb(shown), (each(shown)).key FROM clinic.person ORDER BY id, 3",
    "SELECT shown::jsonb, shown::json ->> 'a' FROM clinic.person ORDER BY id",
    "SELECT hstore(p) FROM clinic.person p ORDER BY id",
    "SELECT hstore('a', name), similarity(name, 'Ada name 7'), soundex(name) FROM clinic.person ORDER BY id",
    "SELECT id FROM clinic.person WHERE name % 'Ada name' ORDER BY id",
    "SELECT similarity('abc', 'abd'), word_similarity('a', 'ab'), 'abc' % 'abd', 'abc' <-> 'abd', levenshtein('a', 'b')",
    "SELECT show_trgm(name) FROM clinic.person",
    "SELECT digest(name, 'sha256'), encode(hmac(code::text, 'k', 'sha1'), 'hex') FROM clinic.person ORDER BY id",
    "SELECT crypt('x', '$1$abc') = crypt('x', '$1$abc'), uuid_generate_v5(uuid_ns_url(), 'x'), public.uuid_nil()",
    "SELECT unaccent('Hôtel'), unaccent(name) FROM clinic.person",
    "SELECT nums & ARRAY[7], nums @> ARRAY[7], icount(nums), sort(nums), nums @@ '7&1'::query_int FROM clinic.person \
     ORDER BY id",
    "SELECT place, ext.nlevel(place), ext.subpath(place, 1), path FROM clinic.person \
     WHERE place OPERATOR(ext.<@) 'ward'::ext.ltree ORDER BY id",
    "SELECT 3 <-> 5, '2020-01-01'::date <-> '2020-01-03'::date",
    "SELECT n.nick FROM clinic.note n WHERE n.nick::text = 'NICK7'",
    "SELECT array_agg(nick ORDER BY nick), string_agg(code::text, ',' ORDER BY id) FROM clinic.person",
    "SELECT coalesce(mrn, nick), nullif(nick, 'NICK3') FROM clinic.person ORDER BY id",
    "SELECT greatest(nick, 'b'), nick BETWEEN 'n' AND 'nick3' FROM clinic.person ORDER BY id",
];

/// Must be refused, by the rule: on a path with traps, or anywhere.
const REFUSED: &[(&str, &str)] = &[
    ("SELECT * FROM crosstab('SELECT id, name, mail FROM clinic.person') AS x(a int, b text)", "masking.function"),
    ("SELECT * FROM connectby('clinic.person', 'id', 'name', '1', 0) AS x(a text, b text, c int)", "masking.function"),
    ("SELECT dblink_connect('dbname=clinic')", "masking.function"),
    ("SELECT * FROM dblink('', 'SELECT name FROM clinic.person') AS x(a text)", "masking.function"),
    ("SELECT populate_record(NULL::clinic.person, 'a=>1')", "masking.function"),
    ("SELECT p #= 'name=>x'::hstore FROM clinic.person p", "masking.operator"),
    ("SELECT decrypt(digest(name, 'md5'), 'k', 'aes') FROM clinic.person", "masking.function"),
    ("SELECT pgp_sym_decrypt('x', 'k')", "masking.function"),
    ("SELECT set_limit(0.1)", "masking.function"),
    ("SELECT trap.isbn13('978-0-393-04002-9'::trap.ean13)", "masking.function"),
    ("SELECT '978-0-393-04002-9'::trap.isbn13", "masking.type"),
    ("SELECT citextin('x')", "masking.function"),
    ("SELECT trap.similarity('a', 'b')", "masking.function"),
    ("SELECT 'a'::citext OPERATOR(trap.=) 1", "masking.operator"),
];

/// Answered without traps on the path, and refused with them: another candidate of the name is visible.
const TRAPPED: &[(&str, &str)] = &[
    ("SELECT similarity('abc', 'abd'::varchar)", "masking.function"),
    ("SELECT id FROM clinic.person WHERE nick = 'nick7'", "masking.operator"),
    // its body calls `=` and `||` by their bare names
    ("SELECT regexp_replace(code, 'ODE', '-', 'g') FROM clinic.person", "masking.function"),
    ("SELECT code || 'x' FROM clinic.person", "masking.operator"),
];

fn clinic() -> Clinic {
    let mut classification: BTreeMap<TableName, TableClasses> = BTreeMap::new();
    let mut masks = Masks::default();
    for (table, column, class, rung) in COLUMNS {
        let table = TableName::new("clinic", *table);
        classification.entry(table.clone()).or_default().columns.insert((*column).to_owned(), *class);
        masks.set(&table, column, *rung);
    }
    Clinic { classification, masks }
}

fn cluster() -> Cluster {
    let cluster = Cluster::start(
        Options::default().set("synchronize_seqscans", "off").set("max_parallel_workers_per_gather", "0"),
    )
    .unwrap();
    cluster.create_role("agent", "agent").unwrap();
    cluster.create_database("ada", "postgres").unwrap();
    cluster.psql_in("ada", SCHEMA).unwrap();
    let grants =
        "GRANT USAGE ON SCHEMA clinic, ext, trap TO agent; GRANT SELECT ON ALL TABLES IN SCHEMA clinic TO agent";
    cluster.psql_in("ada", grants).unwrap();
    cluster.psql("CREATE DATABASE bea TEMPLATE ada").unwrap();
    for (twin, salt, hidden) in [("ada", "'Ada'", "''"), ("bea", "'Bea_of_longer_names'", "'-1234'")] {
        cluster.psql_in(twin, &ROWS.replace("SALT", salt).replace("HIDDEN", hidden)).unwrap();
    }
    cluster
}

#[tokio::test]
async fn twins_with_extensions_answer_alike() {
    let cluster = cluster();
    let release = cluster.psql("SHOW server_version_num").unwrap().parse::<u32>().unwrap() / 10_000;
    let clinic = clinic();
    for path in ["public", "clinic, public, ext"] {
        let ada = Session::open(&cluster, "ada", path).await;
        let bea = Session::open(&cluster, "bea", path).await;
        for sql in ORDINARY {
            let (of_ada, ok) = ada.run_in(&clinic, sql).await;
            let (of_bea, _) = bea.run_in(&clinic, sql).await;
            assert_eq!(of_ada, of_bea, "{path}: {sql}");
            assert!(ok, "{path}: {sql}\n{of_ada}");
            assert!(!of_ada.contains("Ada") || sql.contains("Ada"), "{sql}\n{of_ada}");
        }
        for (sql, rule) in REFUSED {
            let (of_ada, ok) = ada.run_in(&clinic, sql).await;
            assert!(!ok && of_ada.contains(rule), "{path}: {sql}\n{of_ada}");
        }
        for (sql, _) in TRAPPED {
            let (of_ada, ok) = ada.run_in(&clinic, sql).await;
            assert!(ok, "{path}: {sql}\n{of_ada}");
        }
    }
    for path in ["trap, public, ext", "public, trap, pg_catalog"] {
        let ada = Session::open(&cluster, "ada", path).await;
        let bea = Session::open(&cluster, "bea", path).await;
        for (sql, rule) in TRAPPED {
            let (of_ada, ok) = ada.run_in(&clinic, sql).await;
            // from 18 on citext's own expressions are bound when they are made, to what no path can change
            let bound = release >= 18 && sql.contains("regexp_replace(code");
            assert_eq!(of_ada, bea.run_in(&clinic, sql).await.0, "{path}: {sql}");
            assert!(ok == bound && (ok || of_ada.contains(rule)), "{path}: {sql}\n{of_ada}");
        }
        for sql in ORDINARY {
            assert_eq!(ada.run_in(&clinic, sql).await.0, bea.run_in(&clinic, sql).await.0, "{path}: {sql}");
        }
    }
}

#[tokio::test]
async fn columns_of_citext_are_shown_masked_and_raw_in_their_own_type() {
    let cluster = cluster();
    let session = Session::open(&cluster, "ada", "public").await;
    let sql = "SELECT nick, mail, zip, mrn, pg_typeof(mail), pg_typeof(mrn) FROM clinic.person WHERE nick = 'NICK3'";
    let (seen, _) = session.run_in(&clinic(), sql).await;
    let row = "[Some(\"Nick3\"), Some(\"mail.example.org\"), Some(\"021\"), None, Some(\"citext\"), Some(\"citext\")]";
    assert!(seen.contains(row), "{seen}");
    // the index of a raw column is used
    let (plan, _) = session.run_in(&clinic(), "EXPLAIN SELECT id FROM clinic.person WHERE nick = 'nick3'").await;
    assert!(plan.contains("person"), "{plan}");
    // an unlisted extension's column is shown as nothing
    let (seen, _) = session.run_in(&clinic(), "SELECT book, pg_typeof(book) FROM clinic.person WHERE id = 1").await;
    assert!(seen.contains("[None, Some(\"text\")]"), "{seen}");
}

#[tokio::test]
async fn what_somebody_puts_beside_an_extension_is_not_of_it() {
    let cluster = cluster();
    let refused = |seen: &str, sql: &str| assert!(seen.contains("refused"), "{sql}\n{seen}");
    let answered = "SELECT similarity('abc', 'abd')";
    let session = Session::open(&cluster, "ada", "public").await;
    assert!(session.run_in(&clinic(), answered).await.1);
    // an overload in the extension's own schema
    cluster
        .psql_in(
            "ada",
            "CREATE FUNCTION public.similarity(text, int) RETURNS real LANGUAGE sql AS 'SELECT length(trap.reveal())'",
        )
        .unwrap();
    let session = Session::open(&cluster, "ada", "public").await;
    refused(&session.run_in(&clinic(), answered).await.0, answered);
    refused(&session.run_in(&clinic(), "SELECT public.similarity('abc', 'abd')").await.0, "with its schema");
    // the same, made a member: its code is not C
    cluster.psql_in("ada", "ALTER EXTENSION pg_trgm ADD FUNCTION public.similarity(text, int)").unwrap();
    let session = Session::open(&cluster, "ada", "public").await;
    refused(&session.run_in(&clinic(), answered).await.0, "a member in SQL");
    // a member's body replaced, under the same name
    let replace = "SELECT replace(code, 'co', 'x') FROM clinic.person";
    assert!(session.run_in(&clinic(), replace).await.1);
    cluster
        .psql_in(
            "ada",
            "CREATE OR REPLACE FUNCTION public.replace(citext, citext, citext) RETURNS text LANGUAGE sql AS \
             'SELECT trap.reveal()'",
        )
        .unwrap();
    let session = Session::open(&cluster, "ada", "public").await;
    refused(&session.run_in(&clinic(), replace).await.0, replace);
    // bodies as they are from PostgreSQL 18 on, bound when they are made
    let bound = |body: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION public.replace(citext, citext, citext) RETURNS text LANGUAGE sql IMMUTABLE STRICT \
             RETURN {body}"
        )
    };
    for (body, harmless) in [
        ("pg_catalog.regexp_replace($1::text, pg_catalog.lower($2::text) || '', $3::text, 'gi')", true),
        ("pg_catalog.lower(trap.reveal())", false),
        ("$1::text OPERATOR(trap.||) $2::text", false),
        ("pg_catalog.lower($1::trap.isbn13::text)", false),
    ] {
        cluster.psql_in("ada", &bound(body)).unwrap();
        let session = Session::open(&cluster, "ada", "trap, public").await;
        let (seen, answered) = session.run_in(&clinic(), replace).await;
        assert_eq!(answered, harmless, "{body}\n{seen}");
    }
    // a domain on the path, of a function's name: with one argument it is a cast
    let guess = "SELECT replace('%ada%')";
    for name in ["replace", "soundex"] {
        cluster.psql_in("ada", &format!("CREATE DOMAIN trap.{name} AS text CHECK (trap.reveal() LIKE VALUE)")).unwrap();
        let session = Session::open(&cluster, "ada", "trap, public").await;
        let guess = guess.replace("replace", name);
        let (seen, _) = session.run_in(&clinic(), &guess).await;
        assert!(seen.contains("masking.function"), "{guess}\n{seen}");
        cluster.psql_in("ada", &format!("DROP DOMAIN trap.{name}")).unwrap();
    }
    // a default of an argument is code, too
    let distance = "SELECT levenshtein('abc', 'abd'), similarity_dist('abc', 'abd')";
    let session = Session::open(&cluster, "ada", "public").await;
    assert!(session.run_in(&clinic(), distance).await.1);
    cluster
        .psql_in(
            "ada",
            "CREATE OR REPLACE FUNCTION public.similarity_dist(text, text DEFAULT trap.reveal()) RETURNS real \
             LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS '$libdir/pg_trgm', 'similarity_dist'",
        )
        .unwrap();
    let session = Session::open(&cluster, "ada", "public").await;
    refused(&session.run_in(&clinic(), "SELECT similarity_dist('abc')").await.0, "a default");
    // a cast of the owner's poisons the type again
    cluster
        .psql_in(
            "ada",
            "CREATE FUNCTION trap.to_int(citext) RETURNS int LANGUAGE sql AS 'SELECT length(trap.reveal())'; \
             CREATE CAST (citext AS int) WITH FUNCTION trap.to_int(citext) AS IMPLICIT",
        )
        .unwrap();
    let session = Session::open(&cluster, "ada", "public").await;
    refused(&session.run_in(&clinic(), "SELECT nick FROM clinic.person").await.0, "a cast");
    refused(&session.run_in(&clinic(), "SELECT 'a'::citext").await.0, "the type by name");
}
