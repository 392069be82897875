//! Somebody changes where names without a schema are looked up, or what a thing is filled by that is read later.

use std::sync::Arc;
use std::time::Duration;

use chaperone_testkit::postgres::Cluster;
use chaperone_testkit::raw::{Client, Message};
use chaperone_testkit::twins::Canaries;

use super::setting::{self, TWINS};
use crate::stage::Gateway;

/// The gateway looks at the catalog each second at least.
const KNOWN: Duration = Duration::from_millis(1300);

/// Where `trap` is on the path, an operator that shows names comes before the server's own.
const JOINS: &str = "SELECT id, state::varchar || 'x'::varchar FROM clinic.stay ORDER BY id";

/// Of its own: other tests would be in the way.
fn stage() -> (Arc<Cluster>, Canaries, Gateway) {
    let cluster = Arc::new(setting::fresh());
    let canaries = setting::canaries(&cluster);
    cluster.psql_in(TWINS[0], "CREATE EXTENSION citext SCHEMA public").unwrap();
    let gateway = setting::gateway(&cluster);
    (cluster, canaries, gateway)
}

fn is_answered(told: &[Message]) -> bool {
    told.iter().any(|message| message.tag == b'C') && told.iter().all(|message| message.tag != b'E')
}

async fn answered(client: &mut Client, sql: &str) {
    let told = client.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    assert!(is_answered(&told), "{sql}: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_path_of_the_role_is_that_of_later_sessions() {
    let (cluster, canaries, mut gateway) = stage();
    let mut before = gateway.client(TWINS[0]).await;
    answered(&mut before, JOINS).await;
    let path = |path: &str| format!("ALTER ROLE gateway IN DATABASE {} SET search_path = {path}", TWINS[0]);
    cluster.psql(&path("clinic, public, trap")).unwrap();
    // known before the next second is over, and before that looked up as ever
    for wait in [Duration::ZERO, KNOWN] {
        tokio::time::sleep(wait).await;
        let mut after = gateway.client(TWINS[0]).await;
        after.query(JOINS).await.ok();
        assert_eq!(canaries.within(&after.take_received()), None);
    }
    before.query(JOINS).await.ok();
    assert_eq!(canaries.within(&before.take_received()), None);
    assert!(before.query("SELECT 1").await.is_err(), "its names are looked up by another path than the catalog's");
    cluster.psql(&path("clinic, public")).unwrap();
    tokio::time::sleep(KNOWN).await;
    answered(&mut gateway.client(TWINS[0]).await, JOINS).await;
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_the_servers_configuration_changes_no_session() {
    let (cluster, canaries, mut gateway) = stage();
    cluster.psql(&format!("ALTER ROLE gateway IN DATABASE {} RESET search_path", TWINS[0])).unwrap();
    tokio::time::sleep(KNOWN).await;
    let mut client = gateway.client(TWINS[0]).await;
    answered(&mut client, JOINS).await;
    cluster.psql("ALTER SYSTEM SET search_path = clinic, public, trap").unwrap();
    // no transaction: nothing tells that anything has changed
    cluster.psql("SELECT pg_reload_conf()").unwrap();
    tokio::time::sleep(KNOWN).await;
    for client in [&mut client, &mut gateway.client(TWINS[0]).await] {
        client.query(JOINS).await.ok();
        assert_eq!(canaries.within(&client.take_received()), None);
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_is_filled_by_commit_is_looked_at_then() {
    let (cluster, canaries, mut gateway) = stage();
    // since PostgreSQL 18 its body is no text any more
    let definition = "SELECT pg_get_functiondef('public.translate(public.citext, public.citext, text)'::regprocedure)";
    let own = cluster.psql_in(TWINS[0], definition).unwrap();
    let trap = "CREATE OR REPLACE FUNCTION public.translate(citext, citext, text) RETURNS text LANGUAGE sql IMMUTABLE STRICT \
                AS 'SELECT trap.reveal()'";
    let made = |sql: &str| cluster.psql_in(TWINS[0], sql).unwrap();
    // not put in for its name, so its body is looked up when the first row is made
    let sql = "SELECT id, translate('b'::citext, (SELECT max(state) FROM clinic.stay s WHERE s.id = t.id)::citext, 'c') \
               FROM clinic.stay t";
    for wait in [Duration::ZERO, KNOWN] {
        let mut client = gateway.client(TWINS[0]).await;
        answered(&mut client, "BEGIN").await;
        answered(&mut client, &format!("DECLARE c CURSOR WITH HOLD FOR {sql}")).await;
        tokio::time::sleep(KNOWN).await;
        made(trap);
        tokio::time::sleep(wait).await;
        // takes a lock, with which the session hears of the new body
        client.query("SELECT count(*) FROM clinic.room").await.ok();
        let committed = client.query("COMMIT").await;
        assert!(committed.is_err() || !is_answered(&committed.unwrap()), "it was filled by somebody's code");
        made(&own);
        tokio::time::sleep(KNOWN).await;
        client.query("FETCH 3 FROM c").await.ok();
        assert_eq!(canaries.within(&client.take_received()), None);
    }
    // what is filled is filled, whatever becomes of the code
    let mut client = gateway.client(TWINS[0]).await;
    answered(&mut client, "BEGIN").await;
    answered(&mut client, &format!("DECLARE c CURSOR WITH HOLD FOR {sql}")).await;
    answered(&mut client, "COMMIT").await;
    made(trap);
    tokio::time::sleep(KNOWN).await;
    answered(&mut client, "BEGIN").await;
    answered(&mut client, "COMMIT").await;
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_filled_while_the_schema_changes_is_read_by_nobody() {
    let (cluster, canaries, mut gateway) = stage();
    let (done, undone) = (
        "CREATE OPERATOR public.|| (FUNCTION = trap.says, LEFTARG = varchar, RIGHTARG = varchar)",
        "DROP OPERATOR public.|| (varchar, varchar)",
    );
    for (fill, read) in [
        (format!("CREATE TEMP TABLE filled AS {JOINS}"), "SELECT * FROM filled"),
        (format!("DECLARE c CURSOR WITH HOLD FOR {JOINS}"), "FETCH 5 FROM c"),
        (format!("COPY ({JOINS}) TO STDOUT"), "SELECT 1"),
    ] {
        let mut client = gateway.client(TWINS[0]).await;
        println!(
            "CONTROL {:?}",
            client.query("CREATE TEMP TABLE whole AS EXECUTE p").await.map(|told| is_answered(&told))
        );
        tokio::time::sleep(KNOWN).await;
        cluster.psql_in(TWINS[0], done).unwrap();
        let filled = client.query(&fill).await;
        assert!(!filled.is_ok_and(|told| is_answered(&told)), "{fill}");
        cluster.psql_in(TWINS[0], undone).unwrap();
        tokio::time::sleep(KNOWN).await;
        client.query(read).await.ok();
        assert_eq!(canaries.within(&client.take_received()), None, "{fill}");
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
