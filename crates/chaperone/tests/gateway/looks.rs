//! When the gateway looks at the catalog, and what waits for that.

use std::sync::Arc;
use std::time::Duration;

use chaperone_testkit::clinic;
use chaperone_testkit::postgres::{Cluster, Options};
use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};

use crate::stage::{Gateway, Setup};

const ROLE: [&str; 2] = ["gateway", "not-a-secret-of-anyone"];

/// Longer than it takes to look again where nobody waits.
const A_LOOK: Duration = Duration::from_millis(1500);

/// Of one's own: other tests would be in the way. It writes down every statement.
fn cluster() -> Arc<Cluster> {
    let cluster = Cluster::start(Options::default().set("max_connections", "300").set("log_statement", "all")).unwrap();
    clinic::load(&cluster, ROLE[0], ROLE[1]).unwrap();
    Arc::new(cluster)
}

/// How often the catalog was read.
fn read(gateway: &Gateway) -> usize {
    gateway.log().matches("the catalog was read").count()
}

/// How often it was looked at.
fn looks(cluster: &Cluster) -> usize {
    cluster.log().matches("EXECUTE chaperone_").count()
}

fn error(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'E').and_then(|message| message.field(b'C')).unwrap_or_default()
}

async fn rows(client: &mut Client, sql: &str) -> Vec<String> {
    client.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_makes_for_itself_is_read_by_nobody() {
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let (mut one, mut other) = (gateway.client("clinic").await, gateway.client("clinic").await);
    rows(&mut other, "select 1").await;
    tokio::time::sleep(A_LOOK).await;
    let before = read(&gateway);
    assert!(before >= 1, "{}", gateway.log());
    rows(&mut one, "create temp table mine as select id, sex, ssn from clinic.patient").await;
    rows(&mut one, "create temp view seen as select sex from clinic.patient").await;
    assert_eq!(rows(&mut one, "select count(*) from mine, (select count(*) from seen) s").await, ["300"]);
    assert_eq!(rows(&mut other, "select count(*) from clinic.patient").await, ["300"]);
    // and what others make, past the gateway
    let beside = "create temp table own (a int primary key, b text default 'x', check (a > 0)); \
         create temp view looks as select * from own; select pg_sleep(2)";
    tokio::task::block_in_place(|| cluster.psql_in("clinic", beside)).unwrap();
    assert_eq!(rows(&mut other, "select count(*) from clinic.patient").await, ["300"]);
    tokio::time::sleep(A_LOOK).await;
    assert_eq!(read(&gateway), before, "{}", gateway.log());
    // what is there for all is
    cluster.psql_in("clinic", "create table clinic.new (a int)").unwrap();
    rows(&mut other, "select 1").await;
    assert_eq!(read(&gateway), before + 1);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_wait_at_the_same_time_wait_for_the_same_look() {
    const SESSIONS: usize = 20;
    const STATEMENTS: usize = 40;
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(gateway.client("clinic").await);
    }
    let before = looks(&cluster);
    let asked = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            for i in 0..STATEMENTS {
                assert_eq!(rows(&mut client, &format!("select count(*) + {i} from clinic.room")).await.len(), 1);
            }
        })
    });
    for session in asked.collect::<Vec<_>>() {
        session.await.unwrap();
    }
    let looked = looks(&cluster) - before;
    println!("{} answers, {looked} looks", SESSIONS * STATEMENTS);
    assert!(looked > 0 && looked * 2 < SESSIONS * STATEMENTS, "{looked}");
    // and where nobody waits there is one a second
    let before = looks(&cluster);
    let _idle = gateway.client("clinic").await;
    tokio::time::sleep(3 * A_LOOK).await;
    let looked = looks(&cluster) - before;
    assert!((2..=7).contains(&looked), "{looked}");
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_elsewhere_ends_nothing() {
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let before = read(&gateway);
    let mut slow = gateway.client("clinic").await;
    let mut portal = gateway.client("clinic").await;
    let mut cursor = gateway.client("clinic").await;
    let mut quick = gateway.client("clinic").await;
    // runs all the while, since nobody reads what it answers, and has more catalogs pass by than are kept
    slow.send(&frame::query("select p.id, repeat('x', 100) from clinic.patient p, generate_series(1, 1000)"))
        .await
        .unwrap();
    let sql = "select id from clinic.patient order by id";
    let start = [frame::parse("q", sql, &[]), frame::bind("p", "q", &[], &[]), frame::execute("p", 2), frame::flush()];
    portal.send(&start.concat()).await.unwrap();
    portal.until(b's').await.unwrap();
    rows(&mut cursor, "begin; declare c cursor for select id, last_name from clinic.patient order by id").await;
    for i in 0..10 {
        let cluster = cluster.clone();
        let made =
            format!("create table clinic.made_{i} (id int primary key, a text); create index on clinic.made_{i} (a)");
        tokio::task::spawn_blocking(move || cluster.psql_in("clinic", &made).unwrap()).await.unwrap();
        assert_eq!(rows(&mut quick, "select count(*) from clinic.patient").await, ["300"]);
        portal.send(&[frame::execute("p", 2), frame::flush()].concat()).await.unwrap();
        portal.until(b's').await.unwrap();
    }
    portal.send(&frame::sync()).await.unwrap();
    portal.until_ready().await.unwrap();
    assert_eq!(rows(&mut cursor, "fetch 3 from c").await.len(), 3);
    assert_eq!(rows(&mut cursor, "move 5 from c").await.len(), 0);
    let told = slow.until_ready().await.unwrap();
    assert_eq!(told.iter().filter(|message| message.tag == b'D').count(), 300_000, "{}", error(&told));
    assert!(read(&gateway) > before + 8, "{}", gateway.log());
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_come_and_go_end_no_session() {
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut asking = gateway.client("clinic").await;
    let sql = "select count(*), count(last_name) from clinic.patient";
    assert_eq!(rows(&mut asking, sql).await, ["300|300"]);
    let mut dropped = 0;
    for round in 0..12 {
        // a statement by the catalog of before, at once after the change
        let column = format!("alter table clinic.patient add column extra_{round} text default 'x'");
        tokio::task::block_in_place(|| cluster.psql_in("clinic", &column)).unwrap();
        assert_eq!(rows(&mut asking, sql).await, ["300|300"], "after a column came");
        assert_eq!(rows(&mut asking, &format!("select count(extra_{round}) from clinic.patient")).await, ["0"]);
        let column = format!("alter table clinic.patient drop column extra_{round}");
        tokio::task::block_in_place(|| cluster.psql_in("clinic", &column)).unwrap();
        // what runs names the column still, once
        match error(&asking.query(sql).await.unwrap()).as_str() {
            "" => {}
            "42703" => dropped += 1,
            other => panic!("{other} after a column went"),
        }
        assert_eq!(rows(&mut asking, sql).await, ["300|300"]);
    }
    println!("{dropped} of 12 named a column that was gone");
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Whoever looks waits for the lock that this holds until it commits; what agents ask does not need it.
async fn hold(cluster: &Cluster) -> Client {
    let mut held = Client::connect(&format!("127.0.0.1:{}", cluster.port()), Transport::Plain).await.unwrap();
    let parameters = [("user", "postgres"), ("database", "clinic")];
    held.login_with(frame::V3_0, &parameters, cluster.password()).await.unwrap();
    for sql in ["begin", "lock table pg_catalog.pg_policy in access exclusive mode"] {
        assert_eq!(error(&held.query(sql).await.unwrap()), "", "{sql}");
    }
    // until some transaction ends nothing has changed, and nobody needs to look
    cluster.psql("select txid_current()").unwrap();
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_wait_while_nobody_can_look() {
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let (mut client, mut late) = (gateway.client("clinic").await, gateway.client("clinic").await);
    rows(&mut client, "select 1").await;
    rows(&mut late, "select 1").await;
    let mut held = hold(&cluster).await;
    client.send(&frame::query("select count(*) from clinic.patient")).await.unwrap();
    let soon = Duration::from_millis(700);
    assert!(tokio::time::timeout(soon, client.message()).await.is_err(), "it was not looked at");
    // the one who looks is sent away, and comes back
    let ended =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'chaperone catalog'";
    assert_eq!(cluster.psql(ended).unwrap(), "1");
    assert!(tokio::time::timeout(soon, client.message()).await.is_err(), "it was not looked at");
    held.query("commit").await.unwrap();
    let told = client.until_ready().await.unwrap();
    assert_eq!(told.iter().find(|message| message.tag == b'D').unwrap().row(), "300");
    // one that ends meanwhile does not hang on it, and gets nothing that was not looked at
    let mut held = hold(&cluster).await;
    late.take_received();
    late.send(&[frame::query("select count(*) from clinic.patient"), frame::terminate()].concat()).await.unwrap();
    late.set_patience(Duration::from_secs(9));
    let told = late.until_closed().await.unwrap();
    assert!(told.iter().all(|message| message.tag != b'D'), "{told:?}");
    assert_eq!(error(&told), "58000");
    held.query("commit").await.unwrap();
    assert_eq!(rows(&mut client, "select count(*) from clinic.patient").await, ["300"]);
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogs_connection_may_be_lost_at_any_time() {
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut client = gateway.client("clinic").await;
    let ended =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'chaperone catalog'";
    let mut count = 0;
    for _ in 0..8 {
        count += cluster.psql(ended).unwrap().parse::<usize>().unwrap();
        for _ in 0..5 {
            assert_eq!(rows(&mut client, "select count(*) from clinic.patient").await, ["300"]);
        }
    }
    assert!(count >= 8, "{count}");
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// May also change the schema.
const MIGRATES: &str = r#"
@id("all-on-clinic")
permit (
  principal in Group::"agents",
  action in [Action::"connect", Action::"select", Action::"ddl"],
  resource in Connection::"clinic"
);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_changes_for_good_it_knows_at_once() {
    let cluster = cluster();
    let mut gateway = Setup::new().cluster(cluster).policy(MIGRATES).start();
    let mut client = gateway.client("clinic").await;
    for i in 0..5 {
        let add = format!("alter table clinic.room add column note_{i} text default 'x'");
        assert_eq!(error(&client.query(&add).await.unwrap()), "");
        let read = format!("select count(*), count(note_{i}) from clinic.room");
        let found = rows(&mut client, &read).await;
        assert!(found[0].ends_with("|0"), "what nobody classified is hidden: {found:?}");
        assert_eq!(error(&client.query(&format!("create table clinic.extra_{i} (a int)")).await.unwrap()), "");
        assert_eq!(error(&client.query(&format!("drop table clinic.extra_{i}")).await.unwrap()), "");
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_an_order_gets_is_noticed() {
    let cluster = cluster();
    let within = "create function public.within(int4, int4, text, boolean, boolean) returns boolean \
         language sql immutable as 'select true'";
    cluster.psql_in("clinic", within).unwrap();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut client = gateway.client("clinic").await;
    rows(&mut client, "select count(*) from clinic.room").await;
    tokio::time::sleep(A_LOOK).await;
    for change in [
        "alter operator family pg_catalog.integer_ops using btree add function 3 (int4, text) public.within(int4, int4, text, boolean, boolean)",
        "alter operator family pg_catalog.integer_ops using btree drop function 3 (int4, text)",
    ] {
        let before = read(&gateway);
        cluster.psql_in("clinic", change).unwrap();
        tokio::time::sleep(A_LOOK).await;
        assert_eq!(read(&gateway), before + 1, "{change}");
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
