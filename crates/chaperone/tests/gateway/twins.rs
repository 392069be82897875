//! Twins through the gateway: two databases that differ in nothing but what is masked. Whatever an agent sends, in the
//! simple protocol and in the extended one with text and with binary results, every byte that comes back from the one
//! must come back from the other; and no byte may be a masked value.
//!
//! Known to differ, and not promised: the shape of a plan (`EXPLAIN`) and the order in which rows lie in a table, which
//! both follow from how long hidden values are. So statements here sort, or read tables whose rows lie alike.

#[path = "../../../analysis/tests/analysis/rows.rs"]
mod rows;
#[path = "../../../analysis/tests/analysis/statements.rs"]
mod statements;

mod attacks;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use chaperone_testkit::clinic;
use chaperone_testkit::postgres::{Cluster, Options};
use chaperone_testkit::raw::{Client, frontend as frame};

use self::attacks::MORE;
use self::statements::{ATTACKS, CLINICAL};
use crate::stage::{Gateway, Setup};

const SCHEMA: &str = include_str!("../../../analysis/tests/analysis/schema.sql");
const MORE_SCHEMA: &str = include_str!("twins/more.sql");

/// In every masked text of the one twin, and of the other.
const CANARIES: [&str; 2] = ["Quokkazilla", "Wombatopolis of the long names"];

const CLASSES: &str = "
tables:
  clinic.patient:
    subject: id
    columns: { id: none, first_name: name, last_name: name, ssn: ssn, mrn: mrn, dob: birth_date, zip: zip, sex: none,
      lang: none, weight: none, died: date, insurance_id: insurance_id, initials: none }
  clinic.encounter:
    subject: patient_id
    columns: { id: none, patient_id: none, admitted: date, discharged: date, unit: none, room: none, note: clinical_text }
  clinic.room: { subject: false, columns: { room: none, beds: none, wing: none } }
  clinic.lab: { columns: { id: none, encounter_id: none, code: none, value: none, taken: date, data: none, mood: none } }
  clinic.by_name: { subject: id, columns: { id: none, last_name: name } }
  clinic.by_name_a: { columns: { id: none, last_name: name } }
  clinic.part_sa: { columns: { id: none, region: none, name: name } }
  clinic.part_n: { columns: { id: none, region: none, name: name } }
  clinic.by_unit: { subject: id, columns: { id: none, unit: none, last_name: name } }
  clinic.guarded: { subject: id, columns: { id: none, last_name: name } }
  clinic.v: { columns: { id: none } }
  clinic.parent: { columns: { id: none, what: none } }
  clinic.child: { columns: { id: none, what: name } }
  clinic.stepparent: { columns: { id: none } }
  clinic.made: { columns: { id: none, parts: none } }
  clinic.boxed: { columns: { id: none } }
  clinic.wide: { subject: id, columns: { id: none, grp: none, name: name, filler: none } }
  clinic.bare: { columns: { grp: none, name: name, filler: none } }
  clinic.kin: { subject: id, columns: { id: none, grp: none, name: name, filler: none } }
  clinic.kin_far: { columns: { id: none, grp: none, name: name, filler: none } }
  clinic.bill: { subject: id, columns: { id: none, code: none, price: none } }
  clinic.part: { subject: id, columns: { id: none, region: none, name: name } }
  clinic.part_s: { columns: { id: none, region: none, name: name } }
  clinic.made_up: { subject: id, columns: { id: none, name: name, letter: none } }
  clinic.half: { subject: id, columns: { id: none, age: none, name: name, whole: none } }
  clinic.half_far: { columns: { id: none, age: none, name: name, whole: none } }
  clinic.counter: { columns: { last_value: none } }
  clinic.seen: { columns: { id: none } }
";

const POLICY: &str = r#"
@id("reads")
permit (principal in Group::"agents", action in [Action::"connect", Action::"select", Action::"copy"], resource);
@id("calls-and-writes")
permit (
  principal in Group::"agents",
  action in [Action::"call", Action::"ddl", Action::"insert", Action::"update", Action::"delete"],
  resource
);
@id("coarse")
permit (principal in Group::"agents", action == Action::"read_partial", resource);
@id("insurance")
permit (principal in Group::"agents", action == Action::"read_raw", resource in Class::"insurance_id");
@id("no-prices")
forbid (principal, action == Action::"read_raw", resource == Column::"twin_a/clinic.bill.price");
@id("no-prices-there-either")
forbid (principal, action == Action::"read_raw", resource == Column::"twin_b/clinic.bill.price");
"#;

/// Names of the databases and connections; of one length.
const TWINS: [&str; 2] = ["twin_a", "twin_b"];

fn cluster() -> Cluster {
    let options = Options::default()
        .set("max_connections", "300")
        .set("synchronize_seqscans", "off")
        .set("max_parallel_workers_per_gather", "0")
        .set("jit", "off")
        .set("autovacuum", "off");
    let cluster = Cluster::start(options).unwrap();
    clinic::load(&cluster, "gateway", "not-a-secret-of-anyone").unwrap();
    cluster.create_database(TWINS[0], "postgres").unwrap();
    cluster.psql_in(TWINS[0], &format!("{SCHEMA}\n{MORE_SCHEMA}")).unwrap();
    // all locks open: what holds must hold by masking alone
    cluster
        .psql_in(
            TWINS[0],
            "GRANT pg_read_all_data, pg_monitor, pg_read_server_files, pg_execute_server_program TO gateway;
             GRANT ALL ON ALL TABLES IN SCHEMA clinic TO gateway; GRANT ALL ON SCHEMA clinic, trap, public TO gateway",
        )
        .unwrap();
    cluster.psql(&format!("CREATE DATABASE {} TEMPLATE {}", TWINS[1], TWINS[0])).unwrap();
    for (n, (twin, canary)) in TWINS.into_iter().zip(CANARIES).enumerate() {
        cluster.psql(&format!("ALTER ROLE gateway IN DATABASE {twin} SET search_path = clinic, public")).unwrap();
        cluster.psql_in(twin, &rows::rows(n == 0, canary)).unwrap();
        cluster.psql_in(twin, &more_rows(n == 0, canary)).unwrap();
    }
    cluster
}

/// Masked: `name`, `price`, `letter`. The order of the names within a group is the opposite in the other twin.
fn more_rows(first: bool, canary: &str) -> String {
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
         SELECT setval('clinic.counter', {});
         VACUUM ANALYZE;",
        if first { 5 } else { 6 }
    )
}

/// A gateway in front of both.
fn gateway(cluster: &Arc<Cluster>) -> Gateway {
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    gateway.kill();
    let connection = |name: &str| {
        format!(
            "  {name}: {{ postgres: 'localhost:{}/{name}', tls: disable, credential: {{ file: database }}, classification: classes.yaml }}\n",
            cluster.port()
        )
    };
    let config = format!(
        "listen: {{ postgres: '127.0.0.1:0' }}\nissuers: [{{ name: test, url: '{}', audience: chaperone }}]\nconnections:\n{}{}policies: policies\nevidence: {{ dir: evidence, origin: test.example }}\n",
        gateway.issuer.url(),
        connection(TWINS[0]),
        connection(TWINS[1]),
    );
    fs::write(gateway.path("chaperone.yaml"), config).unwrap();
    fs::write(gateway.path("classes.yaml"), CLASSES).unwrap();
    fs::write(gateway.path("policies/test.cedar"), POLICY).unwrap();
    gateway.launch();
    gateway
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Simple,
    Text,
    Binary,
}

impl Mode {
    /// A statement, or several, as an agent sends them in this mode.
    fn frames(self, sql: &str) -> Vec<Vec<u8>> {
        let format = match self {
            Mode::Simple => return vec![frame::query(sql)],
            Mode::Text => 0,
            Mode::Binary => 1,
        };
        let one = |sql: &str| {
            [
                frame::parse("", sql, &[]),
                frame::bind("", "", &[], &[format]),
                frame::describe_portal(""),
                frame::execute("", 0),
                frame::sync(),
            ]
            .concat()
        };
        sql.split("; ").map(one).collect()
    }
}

/// An agent's session with one of the twins.
struct Agent<'g> {
    gateway: &'g Gateway,
    twin: &'static str,
    client: Client,
}

impl<'g> Agent<'g> {
    async fn new(gateway: &'g Gateway, twin: &'static str) -> Self {
        let mut client = gateway.client(twin).await;
        client.set_patience(Duration::from_secs(60));
        client.take_received();
        Agent { gateway, twin, client }
    }

    /// Everything that comes back, and whether there was no error in it.
    async fn say(&mut self, frames: &[Vec<u8>]) -> (Vec<u8>, bool) {
        let mut answered = true;
        for bytes in frames {
            let heard = match self.client.send(bytes).await {
                Ok(()) => self.client.until_ready().await,
                Err(error) => Err(error),
            };
            match heard {
                Ok(messages) => answered &= messages.iter().all(|message| message.tag != b'E'),
                Err(error) => {
                    // the end of the session is an answer too
                    let mut bytes = self.client.take_received();
                    bytes.extend(format!("\n[session ended: {error:#}]").into_bytes());
                    *self = Agent::new(self.gateway, self.twin).await;
                    return (bytes, false);
                }
            }
        }
        let bytes = self.client.take_received();
        // every statement of the list begins outside a transaction
        self.client.query("ROLLBACK").await.unwrap();
        self.client.take_received();
        (bytes, answered)
    }
}

/// Of two answers, the names of the databases taken for one.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && {
        let folded = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(TWINS[1], TWINS[0]).into_bytes();
        a == b || folded(a) == folded(b)
    }
}

/// Masked values as they could be written: plain, in hexadecimal, in base64 at each of its three offsets, backwards.
struct Canaries(BTreeSet<Vec<u8>>);

impl Canaries {
    fn of(cluster: &Cluster) -> Canaries {
        let mut values: BTreeSet<String> = BTreeSet::new();
        for canary in CANARIES {
            values.insert(canary.to_owned());
            values.insert(canary.to_uppercase());
            values.insert(canary.to_lowercase());
        }
        for twin in TWINS {
            let found = cluster
                .psql_in(twin, "SELECT ssn FROM clinic.patient UNION SELECT reverse(ssn) FROM clinic.patient")
                .unwrap();
            values.extend(found.lines().map(|line| line.trim().to_owned()).filter(|value| value.len() >= 9));
        }
        let mut forms = BTreeSet::new();
        for value in values {
            forms.insert(value.clone().into_bytes());
            forms.insert(value.chars().rev().collect::<String>().into_bytes());
            let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
            forms.insert(hex.into_bytes());
            forms.extend((0..3).map(|offset| base64(value.as_bytes(), offset)));
        }
        assert!(forms.len() > 300);
        Canaries(forms)
    }

    fn within(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
    }
}

/// What of a value is the same whatever stands around it, when it begins at this offset in a group of three bytes.
fn base64(value: &[u8], offset: usize) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = &value[(3 - offset) % 3..];
    whole
        .chunks_exact(3)
        .flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_answer_alike_byte_for_byte() {
    let cluster = Arc::new(cluster());
    let canaries = Canaries::of(&cluster);
    let mut gateway = gateway(&cluster);
    let mut leaks = Vec::new();
    let mut unanswered = Vec::new();
    for mode in [Mode::Simple, Mode::Text, Mode::Binary] {
        let mut one = Agent::new(&gateway, TWINS[0]).await;
        let mut other = Agent::new(&gateway, TWINS[1]).await;
        let only = std::env::var("ONLY").ok();
        for (list, statements) in [("clinical", CLINICAL), ("attacks", ATTACKS), ("more attacks", MORE)] {
            let (mut answered, mut refused) = (0, 0);
            for sql in statements.iter().filter(|sql| only.as_ref().is_none_or(|only| sql.contains(only))) {
                let frames = mode.frames(sql);
                let (a, ok) = one.say(&frames).await;
                let (b, _) = other.say(&frames).await;
                if std::env::var_os("SHOW").is_some() {
                    println!("{mode:?} | {sql}\n{}", String::from_utf8_lossy(&a).replace('\0', " "));
                }
                if !same(&a, &b) && !sql.starts_with("EXPLAIN") {
                    let at = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
                    let shown = |bytes: &[u8]| {
                        let from = at.saturating_sub(80);
                        String::from_utf8_lossy(&bytes[from..bytes.len().min(at + 200)]).replace('\0', "·")
                    };
                    leaks.push(format!(
                        "{mode:?} differs at {at} of {} and {}: {sql}\n  {}\n  {}",
                        a.len(),
                        b.len(),
                        shown(&a),
                        shown(&b)
                    ));
                }
                // what the statement itself says comes back
                let said = CANARIES.iter().any(|canary| sql.contains(canary));
                if !said && (canaries.within(&a) || canaries.within(&b)) {
                    leaks.push(format!("{mode:?} shows a masked value: {sql}"));
                }
                if ok {
                    answered += 1;
                } else {
                    refused += 1;
                    if list == "clinical" {
                        unanswered.push(format!("{mode:?}: {sql}\n  {}", String::from_utf8_lossy(&a)));
                    }
                }
            }
            println!("{mode:?}, {list}: {answered} answered, {refused} refused or failed");
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    assert!(unanswered.is_empty(), "{} ordinary statements failed:\n{}", unanswered.len(), unanswered.join("\n"));
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
