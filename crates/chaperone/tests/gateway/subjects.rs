//! Whose rows were returned: on record, sealed, and not in what the agent gets.

use std::process::{Command, Output};

use chaperone_testkit::raw::{Client, Message, frontend as frame};
use serde_json::Value;

use crate::stage::{Gateway, Setup, cluster, verify};

fn sessions(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .arg("sessions")
        .args(arguments)
        .arg("--dir")
        .arg(gateway.path("evidence"))
        .args(["--format", "json"])
        .output()
        .unwrap()
}

fn json(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Who is on record for these identifiers: (statement, column), and how many statements do not say.
fn seen(gateway: &Gateway, identifiers: &str) -> (Vec<(u64, String)>, u64) {
    let file = gateway.path("identifiers");
    std::fs::write(&file, identifiers).unwrap();
    let output = sessions(gateway, &["ls", "--subject", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = json(&output);
    let untold = lines.pop().unwrap()["not_enumerated"]["statements"].as_u64().unwrap();
    let seen = lines.iter().map(|line| {
        (line["statement"].as_u64().unwrap(), line["column"].as_str().unwrap().trim_start_matches("clinic.").to_owned())
    });
    (seen.collect(), untold)
}

/// What the record says of every statement's answer, by its ordinal.
fn ended(gateway: &Gateway) -> Vec<(u64, Value)> {
    let all = json(&sessions(gateway, &["ls"]));
    let id = all.last().unwrap()["session"].as_str().unwrap().to_owned();
    let records = json(&sessions(gateway, &["show", &id]));
    let finished = records.iter().filter_map(|record| record["finished"].as_array()).flatten();
    finished.map(|line| (line["id"].as_u64().unwrap(), line["subjects"].clone())).collect()
}

/// One statement in the extended protocol.
fn extended(sql: &str, values: &[Option<&[u8]>], formats: &[u16], rows: u32) -> Vec<u8> {
    [
        frame::parse("", sql, &[]),
        frame::bind("", "", values, formats),
        frame::describe_portal(""),
        frame::execute("", rows),
        frame::sync(),
    ]
    .concat()
}

async fn asked(client: &mut Client, bytes: &[u8]) -> Vec<Message> {
    client.send(bytes).await.unwrap();
    client.until_ready().await.unwrap()
}

fn rows(messages: &[Message]) -> Vec<Vec<Option<Vec<u8>>>> {
    messages.iter().filter(|message| message.tag == b'D').map(Message::values).collect()
}

fn names(messages: &[Message]) -> Vec<String> {
    messages.iter().find(|message| message.tag == b'T').map(Message::columns).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_says_whose_it_is_and_the_agent_gets_its_own_columns() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    // 1: simple; two columns name the same patients
    let two = cluster()
        .psql_in("clinic", "select distinct patient_id from clinic.visit where patient_id > 30 order by 1 limit 2");
    let two: Vec<String> = two.unwrap().lines().map(str::to_owned).collect();
    let [one, other] = &two[..] else { panic!("{two:?}") };
    let from = "clinic.patient p join clinic.visit v on v.patient_id = p.id";
    let sql = format!("select p.sex, v.kind from {from} where p.id in ({one}, {other})");
    let answer = client.query(&sql).await.unwrap();
    assert_eq!(names(&answer), ["sex", "kind"]);
    assert!(rows(&answer).iter().all(|row| row.len() == 2) && !rows(&answer).is_empty());
    // 2, 3: two statements in one message, the second by number
    let answer = client.query("select 5 as x; select last_name, sex from clinic.patient where id = 9 order by 2").await;
    assert_eq!(names(&answer.unwrap()), ["x"]);
    // 4 prepares, 5 executes: binary results, one format each
    let sql = "select id, sex from clinic.patient where id = $1::int";
    let answer = asked(&mut client, &extended(sql, &[Some(b"10")], &[1, 0], 0)).await;
    assert_eq!(names(&answer), ["id", "sex"]);
    assert_eq!(rows(&answer)[0][0].as_deref(), Some(&[0, 0, 0, 10][..]), "binary as asked");
    // 6, 7: one format for all
    let answer = asked(&mut client, &extended(sql, &[Some(b"11")], &[1], 0)).await;
    assert_eq!(rows(&answer)[0][0].as_deref(), Some(&[0, 0, 0, 11][..]));
    // 8 prepares; 9 and 10 take some rows each
    let sql = "select sex from clinic.patient where id between 20 and 22 order by id";
    let some = [
        frame::parse("s", sql, &[]),
        frame::describe_statement("s"),
        frame::bind("p", "s", &[], &[]),
        frame::execute("p", 2),
        frame::execute("p", 2),
        frame::sync(),
    ]
    .concat();
    let answer = asked(&mut client, &some).await;
    assert_eq!(names(&answer), ["sex"]);
    assert_eq!(rows(&answer).len(), 3);
    // 11 prepares, 12: parameters so long that they come in parts
    let ids: String = (30_000..60_000).map(|id| format!("{id},")).collect();
    let ids = format!("{{{ids}12}}");
    assert!(ids.len() > 150_000);
    let sql = "select id, sex from clinic.patient where id = any($1::int[])";
    let answer = asked(&mut client, &extended(sql, &[Some(ids.as_bytes())], &[1, 0], 0)).await;
    assert_eq!(rows(&answer)[0][0].as_deref(), Some(&[0, 0, 0, 12][..]));
    // 13: fails in its third row
    let sql = "select 1 / (15 - id) from clinic.patient where id between 13 and 16 order by id";
    assert!(client.query(sql).await.unwrap().iter().any(|message| message.tag == b'E'));
    // 14: rows longer than what is kept whole, several of them
    let sql = "select repeat('x', 700000 + id), id from clinic.patient where id in (17, 18) order by id";
    let answer = client.query(sql).await.unwrap();
    let lengths: Vec<usize> = rows(&answer).iter().map(|row| row[0].as_ref().unwrap().len()).collect();
    assert_eq!(lengths, [700_017, 700_018]);
    // 15: nothing can be told; 16: nobody; 17: a part
    client.query("select count(*) from clinic.patient").await.unwrap();
    client.query("select label from clinic.room").await.unwrap();
    client.query("select v.id from clinic.visit v join clinic.diagnosis d on d.visit_id = v.id").await.unwrap();
    // 18: an outer join that finds nobody
    client.query("select r.id from clinic.room r left join clinic.visit v on false").await.unwrap();
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());

    let (found, untold) = seen(&gateway, &format!("{one}\n"));
    assert!(found.contains(&(1, "patient.id".to_owned())) && found.contains(&(1, "visit.patient_id".to_owned())));
    assert!(found.iter().all(|(statement, _)| [1, 17].contains(statement)), "{found:?}");
    assert_eq!(untold, 4, "the count, the diagnoses, the error, and the row about nobody");
    for (identifier, statement) in [
        ("9", 3),
        ("10", 5),
        ("11", 7),
        ("20", 9),
        ("21", 9),
        ("22", 10),
        ("12", 12),
        ("13", 13),
        ("14", 13),
        ("17", 14),
        ("18", 14),
    ] {
        let (found, _) = seen(&gateway, identifier);
        let own = found.iter().filter(|(by, _)| *by != 17).cloned().collect::<Vec<_>>();
        assert_eq!(own, [(statement, "patient.id".to_owned())], "patient {identifier}");
    }
    assert!(!seen(&gateway, "16").0.iter().any(|(statement, _)| *statement != 17), "the row after the error");

    let ended = ended(&gateway);
    let of = |id: u64| ended.iter().find(|(ended, _)| *ended == id).map(|(_, subjects)| subjects.clone()).unwrap();
    let told = |id: u64| (of(id)["enumerated"].as_str().map(str::to_owned), of(id)["count"].as_u64());
    let all = |count: u64| (Some("all".to_owned()), Some(count));
    assert_eq!(told(1), all(2), "two columns name the same two");
    assert_eq!([told(3), told(5), told(7), told(9), told(10)], [all(1), all(1), all(1), all(2), all(1)]);
    assert_eq!(told(14), all(2));
    let part = |count: u64| (Some("part".to_owned()), Some(count));
    assert_eq!([told(13), told(18)], [part(2), part(0)], "an error; a row that names nobody");
    assert_eq!(told(15), (Some("nothing".to_owned()), Some(0)));
    assert_eq!(told(17).0.as_deref(), Some("part"));
    assert!(of(2).is_null() && of(16).is_null(), "{ended:?}");
    // no identifier in the clear: neither in a record nor in a frame of the journal
    let shown = String::from_utf8_lossy(&sessions(&gateway, &["ls"]).stdout).into_owned();
    assert!(!shown.contains("chaperone subject"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_returned_before_a_crash_is_on_record() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    let sql = "select sex, repeat('x', 2000) from clinic.patient, generate_series(1, 2000) order by id";
    client.send(&frame::query(sql)).await.unwrap();
    // some rows have come
    client.until(b'D').await.unwrap();
    gateway.kill();
    gateway.launch();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    let (found, _) = seen(&gateway, "1");
    assert_eq!(found, [(1, "patient.id".to_owned())]);
    // another log's key names nobody
    let key = gateway.path("evidence/keys/payload.key");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    let file = gateway.path("identifiers");
    let output = sessions(&gateway, &["ls", "--subject", file.to_str().unwrap()]);
    assert!(!output.status.success(), "what does not open may hold more");
    assert_eq!(verify(&gateway.path("evidence")).status.code(), Some(3));
}
