//! The query inside `COPY`, `CREATE TABLE AS`, `DECLARE` and `PREPARE` is described before the statement runs. The agent must
//! not notice: message by message it is told what the database itself would tell, where nothing is masked.

use std::sync::Arc;
use std::time::Duration;

use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};

mod mixed;
mod scenarios;

use crate::stage::{POLICY, Setup, cluster, fresh_cluster};

/// A hang is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// What of a message must be the same.
fn shape(message: &Message) -> String {
    let tag = char::from(message.tag);
    match message.tag {
        b'E' => format!("{tag} {}", message.field(b'C').unwrap_or_default()),
        b'D' => format!("{tag} {}", message.row()),
        b'T' => format!("{tag} {:?}", message.columns()),
        b'Z' | b'C' | b'd' => {
            format!("{tag} {}", String::from_utf8_lossy(&message.bytes()[5..]).trim_end_matches('\0'))
        }
        _ => tag.to_string(),
    }
}

/// All that is answered to the steps: each sent when the one before is answered by `ReadyForQuery`, or all at once.
async fn told(mut client: Client, steps: &[Vec<u8>], at_once: bool) -> Vec<String> {
    const END: &str = "end of it";
    client.set_patience(PATIENCE);
    let mut told = Vec::new();
    let all = [steps.concat()];
    for step in if at_once { &all } else { steps } {
        client.send(step).await.unwrap();
        if !at_once {
            told.extend(client.until_ready().await.unwrap());
        }
    }
    client.send(&q(&format!("rollback; select '{END}'"))).await.unwrap();
    while !matches!(told.last(), Some(message) if message.tag == b'D' && message.row() == END) {
        match client.message().await {
            Ok(message) => told.push(message),
            Err(error) => panic!("{error} after {:?}", told.iter().map(shape).collect::<Vec<_>>()),
        }
    }
    // whether there is a notice depends on the version, and names are cut already in what is sent
    told.iter().filter(|message| message.tag != b'N').map(shape).collect()
}

fn q(sql: &str) -> Vec<u8> {
    frame::query(sql)
}

/// Parse, Bind, Execute, without a `Sync`.
fn run(sql: &str, values: &[Option<&[u8]>]) -> Vec<u8> {
    [frame::parse("", sql, &[]), frame::bind("", "", values, &[]), frame::execute("", 0)].concat()
}

fn synced(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), frame::sync()].concat()
}

const FEW: &str = "select id, sex from clinic.patient where id < 4 order by id";

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_does_not_notice() {
    let mut gateway = Setup::new().start();
    let address = format!("127.0.0.1:{}", cluster().port());
    let mut differ = Vec::new();
    for (what, steps) in scenarios::scenarios() {
        for at_once in [false, true] {
            let mut direct = Client::connect(&address, Transport::Plain).await.unwrap();
            direct.login("gateway", "clinic", "not-a-secret-of-anyone").await.unwrap();
            let expected = told(direct, &steps, at_once).await;
            let (client, steps) = (gateway.client("clinic").await, steps.clone());
            let seen = tokio::spawn(async move { told(client, &steps, at_once).await }).await;
            if !matches!(&seen, Ok(seen) if *seen == expected) {
                differ.push(format!("== {what} {at_once}\n  direct  {expected:?}\n  gateway {seen:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// What a text of several statements asks to be described comes before the first of them, so that this must be possible there.
#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_described_in_the_transaction_that_it_comes_to() {
    let mut gateway = Setup::new().start();
    let copy = format!("copy ({FEW}) to stdout");
    for (steps, expected) in [
        (vec![q("begin"), q("select 1/0"), q(&format!("rollback; {copy}"))], ["E 25P02", "Z E"]),
        (vec![q("begin"), q(&format!("set transaction isolation level serializable; {copy}"))], ["E 25001", "Z E"]),
    ] {
        for at_once in [false, true] {
            let told = told(gateway.client("clinic").await, &steps, at_once).await;
            assert!(told.windows(2).any(|pair| pair == expected), "{told:?}");
            assert!(!told.iter().any(|message| message.starts_with('d')), "{told:?}");
        }
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_or_cancels_while_a_message_is_held_is_heard() {
    let cluster = Arc::new(fresh_cluster());
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut owner = Client::connect(&format!("127.0.0.1:{}", cluster.port()), Transport::Plain).await.unwrap();
    owner.login("postgres", "clinic", cluster.password()).await.unwrap();
    owner.set_patience(PATIENCE);
    owner.query("begin; lock table clinic.patient in access exclusive mode").await.unwrap();
    let waiting = "select count(*) from pg_stat_activity where usename = 'gateway' and wait_event_type = 'Lock'";
    let copy = format!("copy ({FEW}) to stdout");
    let ways = [
        ("simple", vec![q(&copy), q("select 1 as one")]),
        ("several", vec![q(&format!("select 1; {copy}")), q("select 1 as one")]),
        ("extended", vec![synced(&[run(&copy, &[]), run("select 2", &[])]), q("select 1 as one")]),
        ("prepare", vec![q(&format!("prepare p as {FEW}")), q("select 1 as one")]),
    ];
    let held = |count: usize| {
        let cluster = cluster.clone();
        async move {
            for _ in 0..100 {
                if cluster.psql(waiting).unwrap().trim() == count.to_string() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("{count} do not wait: {}", cluster.psql(waiting).unwrap());
        }
    };
    for (way, steps) in &ways {
        let mut client = gateway.client("clinic").await;
        client.set_patience(PATIENCE);
        client.send(&steps.concat()).await.unwrap();
        held(1).await;
        let key = client.cancel_key.clone().unwrap();
        chaperone_testkit::raw::cancel(&gateway.address(), Transport::Plain, &key).await.unwrap();
        let mut seen: Vec<String> = client.until_ready().await.unwrap().iter().map(shape).collect();
        seen.retain(|message| !matches!(&**message, "1" | "2"));
        assert_eq!(seen, ["E 57014", "Z I"], "{way}");
        assert_eq!(client.until_ready().await.unwrap().iter().map(shape).nth(1).unwrap(), "D 1", "{way}");
        held(0).await;
    }
    for (way, steps) in &ways {
        for goodbye in [true, false] {
            let mut client = gateway.client("clinic").await;
            client.send(&steps.concat()).await.unwrap();
            held(1).await;
            if goodbye {
                client.send(&frame::terminate()).await.unwrap();
            }
            drop(client);
            tokio::time::sleep(Duration::from_millis(100)).await;
            owner.query("rollback").await.unwrap();
            let gone = "select count(*) from pg_stat_activity where usename = 'gateway' and query ilike '%clinic.patient%' and pid <> pg_backend_pid() and application_name not like 'chaperone%'";
            let mut left = String::new();
            for _ in 0..100 {
                left = cluster.psql(gone).unwrap();
                if left.trim() == "0" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(left.trim(), "0", "{way} {goodbye}");
            owner.query("begin; lock table clinic.patient in access exclusive mode").await.unwrap();
        }
    }
    owner.query("rollback").await.unwrap();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_asks_for_rows_and_a_description_go_together() {
    let mut gateway = Setup::new().start();
    let policy = POLICY.replacen(
        "resource in Connection::\"clinic\"\n);",
        "resource in Connection::\"clinic\"\n);\n@id(\"small\") forbid (principal, action, \
         resource in Connection::\"clinic\") when { context has estimated_rows && context.estimated_rows > 50 };",
        1,
    );
    assert!(policy.contains("estimated_rows"));
    std::fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let few = "select id from clinic.patient where id = 3";
    let many = "select id from clinic.patient";
    // of `COPY` and `PREPARE` there is no number
    let steps = [
        q(&format!("begin; declare c cursor for {few}; fetch all from c; commit")),
        q(&format!("begin; declare c cursor for {many}; fetch all from c; commit")),
        q(&format!("copy ({few}) to stdout")),
        synced(&[
            run("begin", &[]),
            run(&format!("declare c cursor for {few}"), &[]),
            run("fetch all from c", &[]),
            run("commit", &[]),
        ]),
        synced(&[run("select 5", &[]), run(&format!("create temp table t as {many}"), &[]), run("select 6", &[])]),
        synced(&[run(&format!("create temp table t as {few}"), &[])]),
    ];
    let expected = "C BEGIN/C DECLARE CURSOR/T [\"id\"]/D 3/C FETCH 1/C COMMIT/Z I/E 42501/Z I/E 42501/Z I/\
        1/2/C BEGIN/1/2/C DECLARE CURSOR/1/2/D 3/C FETCH 1/1/2/C COMMIT/Z I/1/2/D 5/C SELECT 1/E 42501/Z I/1/2/C SELECT 1/Z I";
    for at_once in [false, true] {
        let told = told(gateway.client("clinic").await, &steps, at_once).await;
        assert_eq!(told[..told.len() - 3].join("/"), expected, "{at_once}");
    }
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
