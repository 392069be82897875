//! Bad input from both sides: an error that says what, why and what next; never a panic, a hang, or a literal.

use std::sync::Arc;
use std::time::Duration;

use chaperone_testkit::raw::{Message, frontend as frame};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::stage::{Setup, fresh_cluster};

/// Stands for a value that must not come back in an error of ours.
const SECRET: &str = "998877665";

fn error(messages: &[Message]) -> Option<(String, String)> {
    let error = messages.iter().find(|message| message.tag == b'E')?;
    let text = [b'M', b'D', b'H'].into_iter().filter_map(|field| error.field(field)).collect::<Vec<_>>().join(" ");
    Some((error.field(b'C').unwrap(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_ends_the_session_with_words() {
    let mut gateway = Setup::new().start();
    let cases: [(&str, Vec<u8>); 8] = [
        ("unknown type", frame::message(b'!', b"x")),
        ("length 3", b"Q\0\0\0\x03".to_vec()),
        ("negative length", b"Q\xff\xff\xff\xff".to_vec()),
        ("no NUL", frame::message(b'Q', b"select 1")),
        ("parse cut short", frame::message(b'P', b"s\0select 1\0\0\x05")),
        ("bind without names", frame::message(b'B', b"x")),
        ("execute cut short", frame::message(b'E', b"p\0\0")),
        ("a password again", frame::password("token")),
    ];
    for connection in ["ops", "clinic"] {
        for (what, bytes) in &cases {
            let mut client = gateway.client(connection).await;
            client.send(bytes).await.unwrap();
            let told = client.until_closed().await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
            let (code, text) = error(&told).unwrap_or_else(|| panic!("{what}: no error"));
            assert_eq!(code, "08P01", "{what}: {text}");
            assert!(!text.is_empty());
        }
    }
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cut_at_any_byte_leaves_sound_evidence() {
    let mut gateway = Setup::new().start();
    let mut batch = frame::parse("", "select count(*) from ops.item where id > $1", &[23]);
    batch.extend(frame::bind("", "", &[Some(b"0")], &[]));
    batch.extend(frame::describe_portal(""));
    batch.extend(frame::execute("", 0));
    batch.extend(frame::sync());
    for end in (0..batch.len()).step_by(3) {
        let mut client = gateway.client("ops").await;
        client.send(&batch[..end]).await.unwrap();
        drop(client);
    }
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_never_panics_or_hangs() {
    let mut gateway = Setup::new().start();
    let mut random = StdRng::seed_from_u64(20_261_124);
    let pieces = [
        frame::query("select 1"),
        frame::parse("s", "select $1::int", &[]),
        frame::bind("p", "s", &[Some(b"1")], &[]),
        frame::execute("p", 1),
        frame::describe_statement("s"),
        frame::close_portal("p"),
        frame::sync(),
        frame::flush(),
        frame::copy_data(b"x"),
        frame::copy_done(),
        frame::query("copy (select 1) to stdout"),
        frame::query("begin; select 1; rollback"),
        frame::message(b'F', &[0; 14]),
    ];
    for round in 0..60 {
        let mut client = gateway.client(if round % 2 == 0 { "ops" } else { "clinic" }).await;
        client.set_patience(Duration::from_secs(15));
        let mut noise = Vec::new();
        for _ in 0..random.random_range(1..12) {
            let piece = &pieces[random.random_range(0..pieces.len())];
            let mut piece = piece.clone();
            if random.random_bool(0.3) {
                let place = random.random_range(0..piece.len());
                piece[place] ^= 1 << random.random_range(0..8);
            }
            noise.extend(piece);
        }
        // either side may close first
        let _ = client.send(&noise).await;
        let _ = client.send(&frame::terminate()).await;
        drop(client);
    }
    gateway.assert_well();
    let mut client = gateway.client("ops").await;
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_statements_do_not_overflow_a_stack() {
    let mut gateway = Setup::new().start();
    let deep = [
        format!("select 1{}", "+1".repeat(1_000)),
        format!("select 1{}", "+1".repeat(50_000)),
        format!("select {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("select 1 where true{}", " and true".repeat(20_000)),
        format!("select {}1{}", "case when true then ".repeat(5_000), " end".repeat(5_000)),
        format!("select {}1", "- ".repeat(30_000)),
        format!("select 1{}", " union select 1".repeat(5_000)),
    ];
    for connection in ["ops", "clinic"] {
        for sql in &deep {
            let mut client = gateway.client(connection).await;
            client.set_patience(Duration::from_secs(30));
            client.query(sql).await.unwrap();
            assert_eq!(client.rows("select 1").await.unwrap(), ["1"], "the session lives on");
        }
        gateway.assert_well();
    }
    let mut client = gateway.client("clinic").await;
    assert_eq!(client.rows(&deep[0]).await.unwrap(), ["1001"], "a thousand operators are an ordinary statement");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_errors_repeat_no_literal() {
    let gateway = Setup::new().start();
    let mut clinic = gateway.client("clinic").await;
    let mut ops = gateway.client_of("readers", "ops").await;
    for sql in [
        format!("select * from clinic.patient where ssn = '{SECRET}' and"),
        format!("select '{SECRET}'::no_such_type from clinic.patient"),
        format!("select query_to_xml('{SECRET}', true, true, '')"),
        format!("delete from clinic.patient where ssn = '{SECRET}'"),
        format!("select ('{SECRET}' || first_name)::int from clinic.patient"),
        format!("select first_name from clinic.patient where ('x' || '{SECRET}' || first_name)::date > now()"),
        format!("do $$ begin raise exception '{SECRET}'; end $$"),
        format!("set application_name to '{SECRET}'; select * from nowhere where x = '{SECRET}'"),
    ] {
        let answer = clinic.query(&sql).await.unwrap();
        let (code, text) = error(&answer).unwrap_or_else(|| panic!("no error for {sql}"));
        assert!(!text.contains(SECRET), "{code}: {text}");
        let answer = ops.query(&sql.replace("clinic.patient", "ops.item")).await.unwrap();
        if let Some((code, text)) = error(&answer)
            && code == "42501"
        {
            assert!(!text.contains(SECRET), "{code}: {text}");
        }
    }
    let log = gateway.log();
    assert!(!log.contains(SECRET) && !log.contains("eyJ"), "the log has a literal or a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_in_the_middle_of_an_answer() {
    let cluster = Arc::new(fresh_cluster());
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut streaming = gateway.client("ops").await;
    let mut waiting = gateway.client("ops").await;
    let mut idle = gateway.client("clinic").await;
    streaming.send(&frame::query("select repeat('z', 500) from generate_series(1, 2000000)")).await.unwrap();
    waiting.send(&frame::query("select pg_sleep(30)")).await.unwrap();
    streaming.until(b'D').await.unwrap();
    cluster.crash().unwrap();
    for client in [&mut streaming, &mut waiting, &mut idle] {
        client.set_patience(Duration::from_secs(20));
        let told = client.until_closed().await.unwrap();
        let (code, _) = error(&told).expect("an error before the end");
        assert!(["57P01", "57P02", "08006"].contains(&code.as_str()), "{code}");
    }
    let mut late = gateway.stranger().await;
    let refused = late.login("agent", "ops", &gateway.token()).await.unwrap_err();
    let refused = format!("{refused:#}");
    // a server that still goes down says so itself, where nothing is protected
    assert!(refused.contains("08001") || refused.contains("57P03"), "{refused}");
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_starts_are_turned_away() {
    let mut gateway = Setup::new().start();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\0\0\0\x04".to_vec(),
        b"\0\0\0\x08\0\0\0\0".to_vec(),
        b"\0\0\0\x08\0\x02\0\0".to_vec(),
        b"\x7f\xff\xff\xff".to_vec(),
        vec![0; 9000],
    ] {
        let mut client = gateway.stranger().await;
        let _ = client.send(&bytes).await;
        client.set_patience(Duration::from_secs(10));
        client.until_closed().await.unwrap();
    }
    for (parameters, code) in [
        (vec![("user", "a"), ("database", "nowhere")], "3D000"),
        (vec![("user", "a"), ("database", "ops"), ("replication", "database")], "0A000"),
        (vec![("user", "a"), ("database", "ops"), ("client_encoding", "SJIS")], "0A000"),
        (vec![("user", "a"), ("database", "clinic"), ("options", "-c search_path=x")], "42501"),
        (vec![("user", "a"), ("database", "ops"), ("options", "-c chaperone.auth=magic")], "22023"),
    ] {
        let mut client = gateway.stranger().await;
        let refused = client.login_with(frame::V3_0, &parameters, &gateway.token()).await.unwrap_err();
        assert!(format!("{refused:#}").contains(code), "{parameters:?}: {refused:#}");
    }
    gateway.assert_well();
}
