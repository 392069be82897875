//! The twins and the gateway before them.

use std::fs;
use std::sync::{Arc, Mutex, Weak};

use chaperone_mask::{TokenForm, TokenKeys};
use chaperone_model::Class;
use chaperone_testkit::clinic;
use chaperone_testkit::postgres::{Cluster, Options};
use chaperone_testkit::raw::{Client, Transport, frontend};
use chaperone_testkit::twins::random::{Column, Kind, Table};
use chaperone_testkit::twins::{Agent, Canaries};

use super::rows;
use crate::stage::{Gateway, Setup};

const SCHEMA: &str = concat!(
    include_str!("../../../../analysis/tests/analysis/schema.sql"),
    include_str!("more.sql"),
    include_str!("wider.sql"),
    include_str!("releases.sql")
);

/// What agents may: read and write, see years and areas, tokens of badges, and no names.
pub const POLICY: &str = include_str!("policy.cedar");

/// In every masked text of the one twin, and of the other.
pub const CANARIES: [&str; 2] = ["Quokkazilla", "Wombatopolis of the long names"];

/// Names of the databases and connections; of one length.
pub const TWINS: [&str; 2] = ["twin_a", "twin_b"];

/// A copy of the first twin for what is sent straight: dead rows there would change the first twin's plans, and not the other's.
pub const BESIDE: &str = "beside";

/// The role of the gateway, which is no superuser, and its password.
pub const ROLE: [&str; 2] = ["gateway", "not-a-secret-of-anyone"];

/// The secrets that tokens are made of, of each connection.
const MASTERS: [[u8; 32]; 2] = [[0x1a; 32], [0x2b; 32]];

/// Where a column is `none` for the classification and yet differs: by its expression, by policy, or by somebody's rule.
const DIFFER: [&str; 7] = [
    "patient.initials",
    "bill.price",
    "made_up.letter",
    "half_far.whole",
    "child.what",
    "letter.first",
    "letter.whole",
];

/// The tests that use them run one after the other: they read, write and lock the same rows.
pub async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// The databases of all drivers; gone with the last that uses them.
pub fn twins() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(fresh());
    *shared = Arc::downgrade(&cluster);
    cluster
}

/// Whether the server runs as it comes (`DEFAULTS=1`): then rows are sorted before they are compared.
pub fn defaults() -> bool {
    std::env::var_os("DEFAULTS").is_some()
}

/// A cluster whose plans and row orders do not change by themselves, unless that is asked for.
pub fn steady() -> Cluster {
    let options = Options::default().set("max_connections", "300").set("lock_timeout", "20s");
    let options = match defaults() {
        true => options,
        false => options
            .set("synchronize_seqscans", "off")
            .set("max_parallel_workers_per_gather", "0")
            .set("jit", "off")
            .set("autovacuum", "off"),
    };
    let cluster = Cluster::start(options).unwrap();
    clinic::load(&cluster, ROLE[0], ROLE[1]).unwrap();
    cluster
}

/// Twins of one's own.
pub fn fresh() -> Cluster {
    let cluster = steady();
    cluster.create_database(TWINS[0], "postgres").unwrap();
    cluster.psql_in(TWINS[0], SCHEMA).unwrap();
    // all locks open: what holds must hold by masking alone
    cluster
        .psql_in(
            TWINS[0],
            "GRANT pg_read_all_data, pg_monitor, pg_read_server_files, pg_execute_server_program TO gateway;
             GRANT ALL ON ALL TABLES IN SCHEMA clinic TO gateway; GRANT ALL ON ALL SEQUENCES IN SCHEMA clinic TO gateway;
             GRANT ALL ON SCHEMA clinic, trap, public TO gateway",
        )
        .unwrap();
    cluster.psql(&format!("CREATE DATABASE {} TEMPLATE {}", TWINS[1], TWINS[0])).unwrap();
    for (n, (twin, canary)) in TWINS.into_iter().zip(CANARIES).enumerate() {
        cluster.psql(&format!("ALTER ROLE gateway IN DATABASE {twin} SET search_path = clinic, public")).unwrap();
        let badges = badges(n);
        let rows = [
            rows::rows(n == 0, canary),
            rows_of_more(n == 0, canary),
            rows_of_wider(n == 0, canary),
            rows_of_releases(n == 0, canary),
            badges,
        ];
        cluster.psql_in(twin, &rows.join(";\n")).unwrap();
        cluster.psql_in(twin, "REFRESH MATERIALIZED VIEW clinic.kept; VACUUM ANALYZE").unwrap();
    }
    cluster.psql(&format!("CREATE DATABASE {BESIDE} TEMPLATE {}", TWINS[0])).unwrap();
    cluster
}

/// Masked: `name`, `price`, `letter`. The order of the names within a group is the opposite in the other twin.
fn rows_of_more(first: bool, canary: &str) -> String {
    let rank = if first { "i" } else { "100000 - i" };
    let name = format!("lpad(({rank})::text, 6, '0') || '{canary}' || repeat('y', i % {})", if first { 3 } else { 50 });
    format!(
        "INSERT INTO clinic.wide SELECT i, i * 7919 % 100, {name}, repeat('f', 400) FROM generate_series(1, 4000) i;
         INSERT INTO clinic.bare SELECT i * 7919 % 100, {name}, repeat('f', 400) || i FROM generate_series(1, 4000) i;
         INSERT INTO clinic.kin_far SELECT i, i * 7919 % 100, {name}, repeat('f', 400) FROM generate_series(1, 4000) i;
         INSERT INTO clinic.bill SELECT i, 'c' || i, {rank} FROM generate_series(1, 50) i;
         INSERT INTO clinic.part SELECT i, CASE i % 3 WHEN 0 THEN 'north' ELSE 'south' END, {name} FROM generate_series(1, 50) i;
         INSERT INTO clinic.made_up (id, name) SELECT i, chr(65 + ({rank})::int % 26) || '{canary}' FROM generate_series(1, 50) i;
         INSERT INTO clinic.half_far (id, age, name) SELECT i, i, {name} FROM generate_series(1, 50) i;
         REFRESH MATERIALIZED VIEW clinic.seen;
         SELECT setval('clinic.counter', {})",
        if first { 5 } else { 6 }
    )
}

/// The same for `wider.sql`. What the rung `partial` shows agrees: the year, the area, the domain.
fn rows_of_wider(first: bool, canary: &str) -> String {
    let a_or_b = |a: &'static str, b: &'static str| if first { a } else { b };
    let rank = a_or_b("i", "100000 - i");
    let name = format!("chr(65 + ({rank})::int % 26) || '{canary}' || ({rank})::text");
    let (day, time) = (a_or_b("01-01", "12-31"), a_or_b("00:00:00", "23:59:59.999999"));
    format!(
        "INSERT INTO clinic.stay SELECT i, i % 9 + 1, {name}, '2020-01-01'::date + i, '2020-01-01'::date + i + {}, i, \
           CASE i % 2 WHEN 0 THEN 'open' ELSE 'shut' END FROM generate_series(1, 40) i;
         INSERT INTO clinic.slot SELECT i, daterange('2020-01-01'::date + 10 * i, '2020-01-01'::date + 10 * i + {}), i \
           FROM generate_series(1, 30) i;
         INSERT INTO clinic.claim SELECT i, {name}, i * 10 FROM generate_series(1, 20) i;
         INSERT INTO clinic.contact SELECT i, i, '{}' || i || '@mail.example.org', CASE WHEN i % {} > 0 THEN {} END, ('10.{}.0.' || i)::inet, \
           'https://example.org/{}/' || i, convert_to('{canary}' || i, 'UTF8'), ARRAY[i, {rank}], \
           jsonb_build_object('{canary}', i, 'last_name', '{canary}'), nullif({}, {}), {}, \
           tstzrange('2020-{day} {time}+00', NULL), md5('{canary}' || i)::uuid, (ARRAY['home', 'work'])[i % 2 + 1], \
           '2010-01-01'::date + i FROM generate_series(1, 60) i;
         INSERT INTO clinic.born SELECT i, born::date, born, born::timestamp AT TIME ZONE 'UTC', age, age + {}, \
           '0213' || {}, (year || '-{day} {time}+00')::timestamptz, 's' || i % 4 \
           FROM (SELECT i, year, (year || '-{day} {time}')::timestamp AS born, \
             CASE WHEN i % 10 > 7 THEN 90 + {} ELSE 80 + i % 10 END AS age \
             FROM (SELECT i, extract(year FROM current_date)::int - 94 + i % 10 AS year FROM generate_series(1, 40) i) y) z;
         INSERT INTO clinic.echo SELECT i, 'x' FROM generate_series(101, 105) i; DELETE FROM clinic.spill;
         INSERT INTO clinic.watched SELECT i, {name}, 'nothing' FROM generate_series(1, 10) i;
         SELECT lo_from_bytea(4711, convert_to('{canary}', 'UTF8'));
         INSERT INTO clinic.told VALUES (1, 'x')",
        a_or_b("1 + i % 5", "40 + i % 90"),
        a_or_b("2", "9"),
        a_or_b("quokkazilla.", "wombatopolis."),
        a_or_b("3", "11"),
        a_or_b("'+1-217-555-01' || lpad(i::text, 2, '0')", "'+1 (913) 555 019' || (i % 10) || ' ext. ' || i"),
        a_or_b("1", "22"),
        a_or_b("Quokkazilla", "Wombatopolis"),
        a_or_b("123456000 + i", "987654000 - i"),
        a_or_b("123456007", "987653999"),
        a_or_b("i", "9999 - i"),
        a_or_b("0.1", "0.9"),
        a_or_b("(i % 10)", "(9 - i % 10) || '-0001'"),
        a_or_b("0", "i"),
    )
}

/// The same for `releases.sql`. A guest without a name is in the one twin only, where nobody looked for it.
fn rows_of_releases(first: bool, canary: &str) -> String {
    let a_or_b = |a: &'static str, b: &'static str| if first { a } else { b };
    let rank = a_or_b("i", "100 - i");
    let name = format!("CASE WHEN i <> {} THEN chr(65 + ({rank}) % 26) || '{canary}' || i END", a_or_b("1", "2"));
    let days = a_or_b("3", "200");
    format!(
        "INSERT INTO clinic.letter (id, guest, bed, note) SELECT i, {name}, i % 5, 'n' || i FROM generate_series(1, 40) i;
         INSERT INTO trap.risky (id, guest, bed) SELECT i, '{canary}' || i, i % 5 FROM generate_series(1, 40) i;
         INSERT INTO clinic.booking
           SELECT int4range(i, i + 1), daterange('2020-01-01', '2020-01-01'::date + {days}), {name} FROM generate_series(1, 20) i;
         INSERT INTO clinic.meal
           SELECT i, int4range(i, i + 1), daterange('2020-01-01', '2020-01-02'), 'tea' FROM generate_series(1, 20) i;
         DO $$ BEGIN
           IF current_setting('server_version_num')::int >= 180000 THEN
             EXECUTE 'ALTER TABLE clinic.letter ADD CONSTRAINT has_guest NOT NULL guest NOT VALID';
           ELSE
             ALTER TABLE clinic.letter ADD CONSTRAINT has_guest CHECK (guest IS NOT NULL) NOT VALID;
           END IF;
         END $$"
    )
}

/// Badges with other numbers and the same tokens, since each twin has a key of its own: so tokens themselves are compared
/// byte for byte, and with them their order, their parts and their hashes.
fn badges(twin: usize) -> String {
    let keys = MASTERS.map(|master| TokenKeys::derive(&master, TokenForm::Invertible).unwrap());
    let uuid = |n: u64| {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        value[8..].copy_from_slice(&n.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).to_be_bytes());
        let token = keys[0].uuid_token(Class::Mrn, value).unwrap();
        hex::encode(keys[twin].invert_uuid(Class::Mrn, token).unwrap())
    };
    let badge = |id: u64| {
        let holder = if id.is_multiple_of(7) { "NULL".to_owned() } else { format!("'{}'", uuid(1 + id % 9)) };
        format!("({id}, '{}', {holder}, 'r{}')", uuid(id), id % 5)
    };
    format!("INSERT INTO clinic.badge VALUES {}", (1..=40).map(badge).collect::<Vec<_>>().join(", "))
}

/// A gateway in front of both.
pub fn gateway(cluster: &Arc<Cluster>) -> Gateway {
    gateway_of(cluster, include_str!("classes.yaml"), POLICY)
}

/// The same with another classification and policy.
pub fn gateway_of(cluster: &Arc<Cluster>, classes: &str, policy: &str) -> Gateway {
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    gateway.kill();
    let connection = |twin: usize| {
        let name = TWINS[twin];
        fs::write(gateway.path(&format!("{name}.key")), hex::encode(MASTERS[twin])).unwrap();
        format!(
            "  {name}: {{ postgres: 'localhost:{}/{name}', tls: disable, credential: {{ file: database }}, classification: classes.yaml, tokens: {{ key: {{ file: {name}.key }}, form: invertible }} }}\n",
            cluster.port()
        )
    };
    let config = format!(
        "listen: {{ postgres: '127.0.0.1:0' }}\nissuers: [{{ name: test, url: '{}', audience: chaperone }}]\nconnections:\n{}{}policies: policies\nevidence: {{ dir: evidence, origin: test.example }}\n",
        gateway.issuer.url(),
        connection(0),
        connection(1),
    );
    fs::write(gateway.path("chaperone.yaml"), config).unwrap();
    fs::write(gateway.path("classes.yaml"), classes).unwrap();
    fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
    gateway.launch();
    gateway
}

/// An agent at each of the twins.
pub async fn agents(gateway: &Gateway) -> [Agent<impl AsyncFn() -> Client>; 2] {
    let agent = |twin: &'static str| Agent::new(async move || gateway.client(twin).await);
    [agent(TWINS[0]).await, agent(TWINS[1]).await]
}

/// An agent at a database itself, past the gateway, as the superuser or in the gateway's role.
pub async fn direct(cluster: &Cluster, database: &'static str, superuser: bool) -> Agent<impl AsyncFn() -> Client> {
    Agent::new(async move || {
        let address = format!("127.0.0.1:{}", cluster.port());
        let mut client = Client::connect(&address, Transport::Plain).await.unwrap();
        let [user, password] = if superuser { ["postgres", cluster.password()] } else { ROLE };
        let options = "-c statement_timeout=5000 -c search_path=clinic,public";
        let parameters = [("user", user), ("database", database), ("options", options)];
        client.login_with(frontend::V3_0, &parameters, password).await.unwrap();
        client
    })
    .await
}

/// Masked values that are to be looked for.
pub fn canaries(cluster: &Cluster) -> Canaries {
    let mut values: Vec<String> = CANARIES.map(|canary| canary.split(' ').next().unwrap().to_owned()).to_vec();
    for twin in TWINS {
        let found = cluster.psql_in(
            twin,
            "SELECT ssn FROM clinic.patient UNION SELECT phone FROM clinic.contact UNION SELECT national::text FROM clinic.contact
             UNION SELECT licence::text FROM clinic.contact UNION SELECT replace(licence::text, '-', '') FROM clinic.contact
             UNION SELECT number::text FROM clinic.badge UNION SELECT replace(number::text, '-', '') FROM clinic.badge",
        );
        values.extend(found.unwrap().lines().map(|line| line.trim().to_owned()));
    }
    let canaries = Canaries::of(values.iter().map(String::as_str));
    assert!(canaries.count() > 2000, "{}", canaries.count());
    canaries
}

/// The tables that random statements are made of: those of the classification that are tables.
pub fn tables(cluster: &Cluster) -> Vec<Table> {
    let found = cluster
        .psql_in(
            TWINS[0],
            "SELECT c.oid::regclass, a.attname, t.typname, a.attgenerated, i.indexrelid IS NOT NULL,
               CASE WHEN relname IN ('kin', 'kin_far', 'wide', 'bare') THEN 4000 ELSE 300 END
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_index i ON i.indrelid = c.oid AND indisprimary AND a.attnum = indkey[0]
             WHERE c.relnamespace = 'clinic'::regnamespace AND relkind IN ('r', 'p') ORDER BY c.oid, attnum",
        )
        .unwrap();
    let classes = classes();
    let mut tables: Vec<Table> = Vec::new();
    for line in found.lines() {
        let [table, column, ty, generated, key, rows] = *line.split('|').collect::<Vec<_>>() else { panic!("{line}") };
        if !classes.iter().any(|(name, ..)| name == table) {
            continue;
        }
        if tables.last().is_none_or(|last| last.name != table) {
            tables.push(Table { name: table.to_owned(), columns: Vec::new(), key: None, rows: rows.parse().unwrap() });
        }
        let last = tables.last_mut().unwrap();
        if key == "t" {
            last.key = Some(column.to_owned());
        }
        if let Some(kind) = Kind::of(ty) {
            last.columns.push(Column { name: column.to_owned(), kind, written: generated.is_empty() });
        }
    }
    assert!(tables.len() > 25, "{}", tables.len());
    tables
}

/// Of each column of the classification: table, column, whether its class is `none`.
pub fn classes() -> Vec<(String, String, bool)> {
    #[derive(serde::Deserialize)]
    struct Classes {
        tables: std::collections::BTreeMap<String, Columns>,
    }
    #[derive(serde::Deserialize)]
    struct Columns {
        columns: std::collections::BTreeMap<String, String>,
    }
    let classes: Classes = serde_saphyr::from_str(include_str!("classes.yaml")).unwrap();
    let of = |(table, columns): (String, Columns)| {
        columns.columns.into_iter().map(move |(column, class)| (table.clone(), column, class == "none"))
    };
    classes.tables.into_iter().flat_map(of).collect()
}

/// What a twin holds in columns that nobody protects: must be the same in both, whatever was written.
pub fn unprotected(cluster: &Cluster, twin: &str) -> String {
    let mut tables = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (table, column, _) in classes().into_iter().filter(|(.., none)| *none) {
        let bare = format!("{}.{column}", table.trim_start_matches("clinic."));
        if !DIFFER.contains(&&*bare) {
            tables.entry(table).or_default().push(column);
        }
    }
    // only where it holds rows itself, and none of those whose rows are chosen by what is masked
    let plain = cluster
        .psql_in(
            twin,
            "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'clinic'::regnamespace",
        )
        .unwrap();
    let plain: Vec<_> =
        plain.lines().filter(|name| !name.contains(".by_name_") && !name.contains(".stepchild")).collect();
    let look = |(table, columns): (String, Vec<String>)| {
        let columns = columns.join(", ");
        let digest = "count(*) || ' ' || coalesce(md5(string_agg(x::text, E'\\n' ORDER BY x::text)), '')";
        format!("SELECT '{table}: ' || {digest} FROM (SELECT {columns} FROM ONLY {table}) x;")
    };
    let looks: Vec<_> = tables.into_iter().filter(|(table, _)| plain.contains(&table.as_str())).map(look).collect();
    assert!(looks.len() > 20, "{}", looks.len());
    cluster.psql_in(twin, &looks.join("\n")).unwrap()
}

/// What it holds altogether: must be the same before and after, when all that was written was rolled back.
pub fn everything(cluster: &Cluster, twin: &str) -> String {
    cluster
        .psql_in(
            twin,
            "SELECT table_name || ' ' || md5(query_to_xml(
               format('SELECT x::text FROM ONLY clinic.%I x ORDER BY 1', table_name), true, true, '')::text)
             FROM information_schema.tables WHERE table_schema = 'clinic' AND table_type = 'BASE TABLE' ORDER BY 1",
        )
        .unwrap()
}
