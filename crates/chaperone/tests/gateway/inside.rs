//! The query inside `COPY`, `CREATE TABLE AS`, `DECLARE` and `PREPARE` is described before the statement runs. The agent must
//! not notice: message by message it is told what the database itself would tell, where nothing is masked.

use std::sync::Arc;
use std::time::Duration;

use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};

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

fn scenarios() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let copy = format!("copy ({FEW}) to stdout");
    let long: String = "n".repeat(70);
    let cut = &long[..63];
    let wide: String = "ü".repeat(40);
    let wide_cut: String = "ü".repeat(31);
    vec![
        ("copy", vec![q(&copy), q("select 1")]),
        (
            "a table of the text, written",
            vec![q(
                "create temp table t (a int); prepare p as insert into t values (1) returning a; execute p; prepare r(int) as insert into t values ($1); execute r(4); copy t to stdout",
            )],
        ),
        ("copy many times", vec![q(&copy); 60]),
        (
            "prepare many times",
            (0..40)
                .map(|i| q(&format!("prepare p{i} as {FEW}")))
                .chain((0..40).map(|i| q(&format!("execute p{i}"))))
                .collect(),
        ),
        ("copy, piped many times", vec![synced(&vec![run(&copy, &[]); 60])]),
        (
            "fetch before it is declared",
            vec![
                q("begin"),
                synced(&[run("fetch 1 from c", &[]), run(&format!("declare c cursor for {FEW}"), &[])]),
                q("rollback"),
            ],
        ),
        ("execute before it is prepared", vec![q("execute p"), q(&format!("prepare p as {FEW}")), q("execute p")]),
        (
            "prepare fails, name kept",
            vec![
                q("prepare p as select 1 as one"),
                q("prepare p as select 1/0, id from clinic.patient"),
                q("execute p"),
                q("prepare q as select nothing_of_it"),
                q("execute q"),
                q("prepare q as select 2"),
                q("execute q"),
            ],
        ),
        (
            "declare by the protocol, fetched in the segment",
            vec![
                synced(&[
                    run("begin", &[]),
                    run(&format!("declare \"Ü\" cursor with hold for {FEW}"), &[]),
                    run("commit", &[]),
                    run("fetch 2 from \"Ü\"", &[]),
                ]),
                synced(&[frame::close_portal("Ü")]),
                q("fetch 2 from \"Ü\""),
            ],
        ),
        (
            "described, then run",
            vec![
                synced(&[
                    frame::parse("s", &copy, &[]),
                    frame::describe_statement("s"),
                    frame::bind("", "s", &[], &[]),
                    frame::describe_portal(""),
                    frame::execute("", 0),
                ]),
                synced(&[frame::bind("", "s", &[], &[]), frame::execute("", 2)]),
                q("select 1"),
            ],
        ),
        (
            "commit between",
            vec![q(&format!("begin; {copy}; commit; begin; {copy}; prepare p as select 1; execute p; commit"))],
        ),
        ("an error in the second", vec![q("select 1; select 1/0; copy (select 1) to stdout"), q("select 5")]),
        (
            "syncs alone",
            vec![
                [frame::sync(), frame::sync(), q(&copy)].concat(),
                [frame::flush(), q("prepare p as select 1"), frame::sync(), q(&copy)].concat(),
            ],
        ),
        (
            "read only",
            vec![
                q("begin read only"),
                q(&copy),
                q("prepare p as select 1"),
                q("execute p"),
                q(&format!("declare c cursor for {FEW}")),
                q("fetch c"),
                q("create temp table t as select 1 as a"),
                q("commit"),
                q("begin"),
                q("set transaction read only, isolation level repeatable read"),
                q(&copy),
                q("commit"),
            ],
        ),
        ("copy twice in a segment", vec![synced(&[run(&copy, &[]), run(&copy, &[])])]),
        ("portal run again", vec![synced(&[run(&copy, &[]), frame::execute("", 0)]), q("select 1")]),
        (
            "declare portal run again",
            vec![
                q("begin"),
                synced(&[run(&format!("declare c cursor for {FEW}"), &[]), frame::execute("", 0)]),
                q("rollback"),
            ],
        ),
        (
            "ctas with an untyped parameter",
            vec![
                synced(&[run(
                    "create temp table t as select id, sex from clinic.patient where id < $1",
                    &[Some(b"4")],
                )]),
                q("select id from t order by id"),
            ],
        ),
        (
            "ctas, parameter only shown",
            vec![
                synced(&[run(
                    "create temp table t as select $1 as a, id from clinic.patient where id < 3",
                    &[Some(b"4")],
                )]),
                q("select a from t"),
            ],
        ),
        (
            "declare with an untyped parameter",
            vec![
                q("begin"),
                synced(&[run(
                    "declare c cursor for select id from clinic.patient where id < $1 order by 1",
                    &[Some(b"4")],
                )]),
                q("fetch all from c"),
                q("commit"),
            ],
        ),
        (
            "copy with a parameter",
            vec![
                synced(&[run("copy (select id from clinic.patient where id < $1) to stdout", &[Some(b"4")])]),
                q("select 1"),
            ],
        ),
        (
            "prepare by the protocol",
            vec![
                synced(&[run("prepare p(int) as select id from clinic.patient where id = $1", &[])]),
                q("execute p(2)"),
                q("deallocate p"),
                q("execute p(2)"),
            ],
        ),
        (
            "prepare twice",
            vec![
                q("prepare p as select 1"),
                q(&format!("prepare p as {FEW}")),
                q("execute p"),
                q("deallocate p"),
                q(&format!("prepare p as {FEW}")),
                q("execute p"),
            ],
        ),
        ("an error before", vec![synced(&[run("select nothing_of_it", &[]), run(&copy, &[])]), q("select 1")]),
        ("an error at run time before", vec![synced(&[run("select 1/0", &[]), run(&copy, &[])]), q("select 1")]),
        (
            "an error in the query",
            vec![synced(&[run("copy (select nothing_of_it) to stdout", &[]), run("select 1", &[])]), q("select 1")],
        ),
        (
            "an error in the query, simple",
            vec![
                q("copy (select nothing_of_it) to stdout"),
                q("begin"),
                q("declare c cursor for select 1 where id > 3"),
                q("select 1"),
                q("rollback"),
            ],
        ),
        (
            "failed transaction",
            vec![
                q("begin"),
                q("select 1/0"),
                q(&copy),
                q("prepare p as select 1"),
                q("declare c cursor for select 1"),
                synced(&[run(&copy, &[])]),
                q("rollback"),
                q(&copy),
            ],
        ),
        (
            "back to a savepoint",
            vec![
                q("begin"),
                q("savepoint s"),
                q(&format!("declare c cursor for {FEW}")),
                q("rollback to s"),
                q("fetch 1 from c"),
                q("rollback to s"),
                q("declare c cursor for select sex, id from clinic.patient where id = 7"),
                q("fetch 1 from c"),
                q("commit"),
            ],
        ),
        (
            "serializable",
            vec![
                q("begin isolation level serializable"),
                q(&copy),
                q("commit"),
                q(&format!("begin isolation level serializable; {copy}; commit")),
            ],
        ),
        (
            "isolation set before",
            vec![q("begin"), q("set transaction isolation level serializable"), q(&copy), q("rollback")],
        ),
        (
            "isolation set, piped",
            vec![synced(&[
                run("begin", &[]),
                run("set transaction isolation level serializable", &[]),
                run(&copy, &[]),
                run("commit", &[]),
            ])],
        ),
        (
            "declare without a transaction",
            vec![
                q(&format!("declare c cursor for {FEW}")),
                q(&format!("declare c cursor with hold for {FEW}")),
                q("fetch 2 from c"),
                q("close c"),
                q("fetch 2 from c"),
            ],
        ),
        (
            "declare twice",
            vec![
                q("begin"),
                q(&format!("declare c cursor for {FEW}")),
                q("declare c cursor for select 1"),
                q("rollback"),
            ],
        ),
        (
            "held over commit",
            vec![
                q("begin"),
                q(&format!("declare c cursor with hold for {FEW}")),
                q("commit"),
                q("fetch all from c"),
                q("discard all"),
                q("fetch all from c"),
            ],
        ),
        (
            "held, rolled back",
            vec![q("begin"), q(&format!("declare c cursor with hold for {FEW}")), q("rollback"), q("fetch all from c")],
        ),
        (
            "names in other case",
            vec![
                q("begin"),
                q(&format!("declare \"C\" cursor for {FEW}")),
                q("declare c cursor for select 5 as five"),
                q("fetch 1 from C"),
                q("fetch 1 from \"C\""),
                q("close C"),
                q("fetch 1 from \"C\""),
                q("fetch 1 from c"),
            ],
        ),
        (
            "long names",
            vec![
                q("begin"),
                q(&format!("declare {long} cursor for {FEW}")),
                q(&format!("fetch 1 from {cut}")),
                q(&format!("fetch 1 from {long}")),
                q(&format!("close {cut}")),
                q(&format!("prepare {long} as {FEW}")),
                q(&format!("execute {cut}")),
                q(&format!("execute {long}")),
            ],
        ),
        (
            "wide names",
            vec![
                q("begin"),
                q(&format!("declare {wide} cursor for {FEW}")),
                q(&format!("fetch 1 from {wide_cut}")),
                q(&format!("fetch 1 from {wide}")),
                q("rollback"),
            ],
        ),
        (
            "a table of the text, copied",
            vec![
                q(
                    "create temp table t as select id, sex from clinic.patient where id < 4; copy (select id from t order by id) to stdout",
                ),
                q("copy t to stdout"),
                q("copy (table t) to stdout"),
            ],
        ),
        (
            "a table of the text, declared",
            vec![q(
                "begin; create temp table t (a int); insert into t values (1); declare c cursor for select (select max(a) from t) as m; fetch all from c; commit",
            )],
        ),
        (
            "a table of the text, prepared",
            vec![q(
                "create temp table t (a int); prepare p as insert into t values (1); execute p; prepare r as select a from t; execute r",
            )],
        ),
        (
            "a column of the text",
            vec![
                q("create temp table t (a int)"),
                q("alter table t add column b int; copy (select b from t) to stdout"),
            ],
        ),
        (
            "a view of the text",
            vec![q(
                "create temp view v as select id from clinic.patient where id < 3; copy (select id from v order by 1) to stdout",
            )],
        ),
        (
            "dropped in the text",
            vec![
                q("create temp table t (a int)"),
                q("drop table t; create temp table t (z int); copy (select z from t) to stdout"),
            ],
        ),
        (
            "into, then declared",
            vec![q(
                "begin; select id into temp t from clinic.patient where id < 3; declare c cursor for select id from t order by id; fetch all from c; commit",
            )],
        ),
        (
            "execute of a write",
            vec![
                q("create temp table t (a int)"),
                q("prepare p(int) as insert into t values ($1)"),
                q("prepare r(int) as insert into t values ($1) returning a"),
                q("execute p(1)"),
                q("execute r(2)"),
                synced(&[run("execute r(3)", &[])]),
                q("select a from t order by 1"),
            ],
        ),
        (
            "binary",
            vec![
                q("begin"),
                q(&format!("declare c binary cursor for {FEW}")),
                q("fetch 1 from c"),
                q("rollback"),
                q(&format!("copy ({FEW}) to stdout with (format csv, header)")),
            ],
        ),
        (
            "its own names",
            vec![
                q("prepare chaperone_inside as select 1"),
                q("execute chaperone_inside"),
                q("prepare chaperone_prepares as select 2"),
                q("begin"),
                q("declare chaperone_prepares cursor for select 3 as three"),
                q("fetch all from chaperone_prepares"),
                q("commit"),
            ],
        ),
        (
            "fetch prepared before",
            vec![
                q("begin"),
                q(&format!("declare c cursor for {FEW}")),
                synced(&[frame::parse("f", "fetch 1 from c", &[])]),
                synced(&[frame::bind("", "f", &[], &[]), frame::execute("", 0), frame::execute("", 0)]),
                synced(&[frame::bind("", "f", &[], &[]), frame::describe_portal(""), frame::execute("", 0)]),
                q("rollback"),
            ],
        ),
        (
            "fetch in pieces",
            vec![
                q("begin"),
                q(&format!("declare c scroll cursor for {FEW}")),
                synced(&[
                    frame::parse("", "fetch 3 from c", &[]),
                    frame::bind("", "", &[], &[]),
                    frame::execute("", 1),
                    frame::execute("", 1),
                    frame::execute("", 0),
                ]),
                q("move first in c"),
                q("fetch prior from c"),
                q("close all"),
                q("fetch c"),
            ],
        ),
        (
            "all piped",
            vec![
                synced(&[
                    run("begin", &[]),
                    run(&format!("declare c cursor for {FEW}"), &[]),
                    run("fetch 1 from c", &[]),
                    run(&copy, &[]),
                    run("prepare p as select 1", &[]),
                    run("execute p", &[]),
                    run("close c", &[]),
                    run(&format!("declare c cursor for {FEW}"), &[]),
                    run("commit", &[]),
                ]),
                q("execute p"),
            ],
        ),
        (
            "copy between others",
            vec![synced(&[
                run("create temp table t (a int)", &[]),
                run("insert into t values (1)", &[]),
                run("copy (select a from t) to stdout", &[]),
                run("create temp table u as select a from t", &[]),
                run("select a from u", &[]),
            ])],
        ),
        ("flushed", vec![[run(&copy, &[]), frame::flush(), run(&copy, &[]), frame::flush(), frame::sync()].concat()]),
        ("simple in a segment", vec![[run("select 1", &[]), q(&copy)].concat(), q(&copy)]),
        (
            "simple after an error in a segment",
            vec![[run("select 1/0", &[]), q(&copy), q("prepare p as select 1"), frame::sync()].concat(), q(&copy)],
        ),
        (
            "copy in, then out",
            vec![
                q("create temp table t (a int)"),
                [q("copy t from stdin"), frame::copy_data(b"1\n"), frame::copy_done()].concat(),
                q("copy (select a from t) to stdout"),
                [q("copy t from stdin"), frame::copy_fail("no")].concat(),
                q("copy (select a from t) to stdout"),
            ],
        ),
        (
            "empty statements",
            vec![q(&format!(";; {copy};")), q("prepare p as select; execute p"), q("copy (select) to stdout")],
        ),
        (
            "nothing selected",
            vec![
                q("create temp table t as select"),
                q("select * from t"),
                q("create temp table if not exists t as select 1"),
                q("create temp table w as select 1 as a with no data"),
                q("select a from w"),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_does_not_notice() {
    let mut gateway = Setup::new().start();
    let address = format!("127.0.0.1:{}", cluster().port());
    let mut differ = Vec::new();
    for (what, steps) in scenarios() {
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
