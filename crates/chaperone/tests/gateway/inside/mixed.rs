//! The same of messages in any order, all sent at once.

use chaperone_testkit::raw::{Client, Transport, frontend as frame};

use super::{FEW, q, run, told};
use crate::stage::{Setup, cluster};

/// As many as find what was ever found this way: messages that the database skips, and names whose giving fails later.
const ROUNDS: usize = 190;

/// Messages that get in each other's way.
fn pool() -> Vec<Vec<u8>> {
    let copy = format!("copy ({FEW}) to stdout");
    let declare = format!("declare c cursor for {FEW}");
    let hold = "declare c cursor with hold for select sex, id from clinic.patient where id = 9".to_owned();
    let prepare = format!("prepare p as {FEW}");
    let both: Vec<&str> = vec![
        "begin",
        "commit",
        "rollback",
        "savepoint s",
        "rollback to s",
        "select 1/0",
        "select 2 as two",
        &copy,
        &declare,
        &hold,
        &prepare,
        "prepare p as select 3 as three",
        "deallocate p",
        "fetch 1 from c",
        "close c",
        "execute p",
        "fetch 1 from d",
        "close all",
        "create temp table t as select id from clinic.patient where id < 3",
        "select id from t order by id",
        "copy (select id from t order by id) to stdout",
        "copy t to stdout",
        "declare d cursor for select id from t order by id",
        "copy (select nothing_of_it) to stdout",
        "deallocate all",
        "select_nothing",
        "insert into t values (5)",
        "prepare p as insert into t values (1) returning id",
    ];
    let simple = both.iter().map(|sql| q(sql));
    let extended = both.iter().map(|sql| run(sql, &[]));
    let texts = [
        format!("begin; {declare}; fetch 2 from c; commit"),
        format!("{copy}; {prepare}; execute p"),
        format!("{hold}; fetch c; close c"),
        format!("create temp table u as {FEW}; copy (select id from u order by id) to stdout; drop table u"),
        format!("commit; {copy}"),
    ];
    let texts: Vec<Vec<u8>> = texts.iter().map(|sql| q(sql)).collect();
    simple
        .chain(extended)
        .chain(texts)
        .chain(vec![frame::sync(); 12])
        .chain([
            frame::flush(),
            [run(&copy, &[]), frame::execute("", 0)].concat(),
            [run(&declare, &[]), frame::execute("", 1)].concat(),
        ])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_any_order_are_answered_as_the_database_would() {
    let mut gateway = Setup::new().start();
    let address = format!("127.0.0.1:{}", cluster().port());
    let pool = pool();
    let mut seed: u64 = 7;
    let mut differ = Vec::new();
    // servers from 18 on stop answering after some of it
    let mut silent = 0;
    for round in 0..ROUNDS {
        let mut steps = vec![q("create temp table t as select id from clinic.patient where id < 3")];
        for _ in 0..10 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            steps.push(pool[usize::try_from(seed >> 33).unwrap() % pool.len()].clone());
        }
        steps.push(frame::sync());
        let mut direct = Client::connect(&address, Transport::Plain).await.unwrap();
        direct.login("gateway", "clinic", "not-a-secret-of-anyone").await.unwrap();
        let sent = steps.clone();
        let Ok(expected) = tokio::spawn(async move { told(direct, &sent, true).await }).await else {
            silent += 1;
            continue;
        };
        let (client, sent) = (gateway.client("clinic").await, steps.clone());
        let seen = tokio::spawn(async move { told(client, &sent, true).await }).await;
        if !matches!(&seen, Ok(seen) if *seen == expected) {
            let steps: Vec<String> = steps.iter().map(|step| String::from_utf8_lossy(step).replace('\0', "")).collect();
            differ.push(format!("== {round} {steps:?}\n  direct  {expected:?}\n  gateway {seen:?}"));
        }
    }
    assert!(silent * 10 <= ROUNDS, "{silent} rounds that the database itself does not answer");
    assert!(differ.is_empty(), "{} {}", differ.len(), differ.join("\n"));
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
