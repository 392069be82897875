//! The protocol through the gateway, as drivers and raw clients see it.

use std::time::Duration;

use chaperone_testkit::raw::{Client, Message, Transport, frontend as frame};
use futures_util::future::join_all;

use crate::stage::Setup;

fn code(messages: &[Message]) -> String {
    let error = messages.iter().find(|message| message.tag == b'E').expect("an error");
    error.field(b'C').unwrap()
}

fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| char::from(message.tag)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_protocol_with_a_row_limit_suspends_and_goes_on() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    let mut batch = frame::parse("s", "select generate_series(1, 5)", &[]);
    batch.extend(frame::bind("p", "s", &[], &[]));
    batch.extend(frame::execute("p", 2));
    batch.extend(frame::execute("p", 2));
    batch.extend(frame::execute("p", 0));
    batch.extend(frame::sync());
    client.send(&batch).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "12DDsDDsDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_stops_at_its_error_and_the_next_goes_on() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    let one = |sql: &str| {
        let mut batch = frame::parse("", sql, &[]);
        batch.extend(frame::bind("", "", &[], &[]));
        batch.extend(frame::execute("", 0));
        batch
    };
    let mut pipeline = one("select 1");
    pipeline.extend(one("select 1/0"));
    pipeline.extend(one("select 3"));
    pipeline.extend(frame::sync());
    pipeline.extend(one("select 4"));
    pipeline.extend(frame::sync());
    client.send(&pipeline).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "12DC1EZ");
    assert_eq!(tags(&client.until_ready().await.unwrap()), "12DCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_statement_in_a_pipeline_fails_the_rest_of_it() {
    let gateway = Setup::new().start();
    let mut client = gateway.client_of("readers", "ops").await;
    let mut pipeline = frame::parse("", "delete from ops.stock", &[]);
    pipeline.extend(frame::bind("", "", &[], &[]));
    pipeline.extend(frame::execute("", 0));
    pipeline.extend(frame::sync());
    pipeline.extend(frame::query("select count(*) > 0 from ops.stock"));
    client.send(&pipeline).await.unwrap();
    let refused = client.until_ready().await.unwrap();
    assert_eq!((tags(&refused).as_str(), code(&refused).as_str()), ("EZ", "42501"));
    let next = client.until_ready().await.unwrap();
    assert_eq!(next.iter().find(|message| message.tag == b'D').unwrap().row(), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn savepoints_survive_a_refusal_as_they_survive_an_error() {
    let gateway = Setup::new().start();
    let mut client = gateway.client_of("readers", "ops").await;
    for sql in ["begin", "savepoint a"] {
        client.query(sql).await.unwrap();
    }
    assert_eq!(code(&client.query("drop table ops.stock").await.unwrap()), "42501");
    assert_eq!(code(&client.query("select 1").await.unwrap()), "25P02");
    client.query("rollback to a").await.unwrap();
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    let end = client.query("commit").await.unwrap();
    assert_eq!(tags(&end), "CZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backslash_hides_nothing_when_strings_do_not_conform() {
    let gateway = Setup::new().start();
    let mut client = gateway.client_of("readers", "ops").await;
    client.query("set standard_conforming_strings = off").await.unwrap();
    // one harmless SELECT to those who think that strings conform
    let hidden = r"select '\' , '; delete from ops.stock; --'";
    assert_eq!(code(&client.query(hidden).await.unwrap()), "42501");
    assert_eq!(client.rows("select count(*) > 0 from ops.stock").await.unwrap(), ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_both_ways_through_the_gateway() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.query("create temp table c (a int, b text)").await.unwrap();
    client.send(&frame::query("copy c from stdin")).await.unwrap();
    client.until(b'G').await.unwrap();
    let mut rows = Vec::new();
    for i in 0..20_000 {
        rows.extend(frame::copy_data(format!("{i}\t{}\n", "x".repeat(50)).as_bytes()));
    }
    rows.extend(frame::copy_done());
    client.send(&rows).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "CZ");
    assert_eq!(client.rows("select count(*), sum(length(b)) from c").await.unwrap(), ["20000|1000000"]);
    let out = client.query("copy c to stdout").await.unwrap();
    assert_eq!(out.iter().filter(|message| message.tag == b'd').count(), 20_000);

    client.send(&frame::query("copy c from stdin")).await.unwrap();
    client.until(b'G').await.unwrap();
    client.send(&frame::copy_fail("changed my mind")).await.unwrap();
    assert_eq!(code(&client.until_ready().await.unwrap()), "57014");
    assert_eq!(client.rows("select count(*) from c").await.unwrap(), ["20000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_reaches_its_own_backend_only() {
    let gateway = Setup::new().start();
    let mut sleeper = gateway.client("ops").await;
    let mut other = gateway.client("ops").await;
    let key = sleeper.cancel_key.clone().unwrap();
    let pid = sleeper.rows("select pg_backend_pid()").await.unwrap();
    assert_eq!(pid, [key.pid.to_string()], "the process id is the server's own");
    for client in [&mut sleeper, &mut other] {
        client.send(&frame::query("select pg_sleep(5)")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut wrong = key.clone();
    wrong.secret.iter_mut().for_each(|byte| *byte ^= 0xff);
    chaperone_testkit::raw::cancel(&gateway.address(), Transport::Plain, &wrong).await.unwrap();
    chaperone_testkit::raw::cancel(&gateway.address(), Transport::Plain, &key).await.unwrap();
    assert_eq!(code(&sleeper.until_ready().await.unwrap()), "57014");
    assert_eq!(tags(&other.until_ready().await.unwrap()), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn version_3_2_has_a_long_secret_and_unknown_versions_are_negotiated() {
    let gateway = Setup::new().start();
    let mut client = gateway.stranger().await;
    let parameters = [("user", "agent"), ("database", "ops")];
    client.login_with(frame::V3_2, &parameters, &gateway.token()).await.unwrap();
    assert_eq!(client.cancel_key.as_ref().unwrap().secret.len(), 32);
    let mut future = gateway.stranger().await;
    let parameters = [("user", "agent"), ("database", "ops"), ("_pq_.wish", "1")];
    future.login_with((3 << 16) | 9999, &parameters, &gateway.token()).await.unwrap();
    let negotiated = future.greeting.iter().find(|message| message.tag == b'v').expect("a negotiation");
    assert!(String::from_utf8_lossy(&negotiated.bytes()).contains("_pq_.wish"));
    assert_eq!(future.rows("select 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tls_is_required_no_password_is_asked_without_it() {
    let gateway = Setup::new().tls().start();
    let mut plain = gateway.stranger().await;
    let startup = frame::startup(frame::V3_0, &[("user", "agent"), ("database", "ops")]);
    plain.send(&startup).await.unwrap();
    let told = plain.until_closed().await.unwrap();
    assert_eq!((tags(&told).as_str(), code(&told).as_str()), ("E", "28000"));
    let direct = Transport::DirectTls { ca: gateway.path("ca.crt"), host: "localhost".to_owned() };
    for transport in [gateway.transport(), direct] {
        let mut client = Client::connect(&gateway.address(), transport).await.unwrap();
        client.login("agent", "ops", &gateway.token()).await.unwrap();
        assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_its_answer_back_and_nobody_else() {
    let mut gateway = Setup::new().start();
    let mut slow = gateway.client("ops").await;
    let rows = "select repeat('x', 1000) from generate_series(1, 300000)";
    slow.send(&frame::query(rows)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap();
    assert!(kilobytes < 200 * 1024, "{kilobytes} kB while 300 MB wait");
    let mut other = gateway.client("ops").await;
    assert_eq!(other.rows("select 1").await.unwrap(), ["1"]);
    let answer = slow.until_ready().await.unwrap();
    assert_eq!(answer.iter().filter(|message| message.tag == b'D').count(), 300_000);
    gateway.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_far_over_16_mib_pass_both_ways() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.set_patience(Duration::from_secs(60));
    let big = vec![b'y'; 40 << 20];
    let mut batch = frame::parse("", "select $1::text, length($1::text)", &[25]);
    batch.extend(frame::bind("", "", &[Some(&big)], &[]));
    batch.extend(frame::execute("", 0));
    batch.extend(frame::sync());
    client.send(&batch).await.unwrap();
    let answer = client.until_ready().await.unwrap();
    let row = answer.iter().find(|message| message.tag == b'D').unwrap().values();
    assert_eq!(row[0].as_ref().map(Vec::len), Some(big.len()));
    assert_eq!(row[1].as_deref(), Some(big.len().to_string().as_bytes()));
    gateway.assert_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_idle_sessions_at_once_and_busy_ones_when_done() {
    let mut gateway = Setup::new().gateway_limits("drain: 20s").start();
    let mut idle = gateway.client("ops").await;
    let mut busy = gateway.client("ops").await;
    busy.send(&frame::query("select pg_sleep(1.5)")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.ask_to_stop();
    assert_eq!(code(&idle.until_closed().await.unwrap()), "57P01");
    let rest = busy.until_closed().await.unwrap();
    assert_eq!((tags(&rest).as_str(), code(&rest).as_str()), ("TDCZE", "57P01"));
    gateway.wait();
    assert_eq!(gateway.verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_old_sessions_end_with_a_reason() {
    let gateway = Setup::new().limits("idle: 1s, age: 3s").start();
    let mut idle = gateway.client("ops").await;
    let mut old = gateway.client("ops").await;
    let ended = tokio::spawn(async move { code(&idle.until_closed().await.unwrap()) });
    let told = loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        match old.query("select 1").await {
            Ok(messages) if messages.iter().any(|message| message.tag == b'E') => break code(&messages),
            Ok(_) => {}
            Err(_) => break "57P01".to_owned(),
        }
    };
    assert_eq!(ended.await.unwrap(), "57P05");
    assert_eq!(told, "57P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_outlive_its_token() {
    let gateway = Setup::new().limits("token_grace: 1s").start();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({"sub": "short", "groups": ["agents"], "exp": now + 2});
    let token = gateway.issuer.mint(claims).unwrap();
    let mut client = gateway.stranger().await;
    client.login("agent", "ops", &token).await.unwrap();
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    assert_eq!(code(&client.until_closed().await.unwrap()), "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_works_through_it_and_the_evidence_is_sound() {
    let mut gateway = Setup::new().start();
    let client = gateway.driver("ops").await;
    let statement = client.prepare("select name, unit_price::text from ops.item where id = $1").await.unwrap();
    let rows = join_all((1..=40_i32).map(|id| {
        let (client, statement) = (&client, &statement);
        async move { client.query(statement, &[&id]).await.unwrap().len() }
    }))
    .await;
    assert!(rows.iter().sum::<usize>() >= 10);
    let masked = gateway.driver("clinic").await;
    let row =
        masked.query_one("select first_name, ssn, dob from clinic.patient where id = $1", &[&1_i32]).await.unwrap();
    assert!(row.get::<_, Option<&str>>(0).is_some());
    assert_eq!(row.get::<_, Option<&str>>(1), None);
    drop((client, masked));
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn oauthbearer_is_offered_when_the_startup_option_asks_for_it() {
    let gateway = Setup::new().start();
    for (token, welcome) in [(gateway.token(), true), ("e30.e30.e30".to_owned(), false)] {
        let mut client = gateway.stranger().await;
        let parameters = [("user", "agent"), ("database", "ops"), ("options", "-c chaperone.auth=oauthbearer")];
        client.send(&frame::startup(frame::V3_0, &parameters)).await.unwrap();
        let offer = client.message().await.unwrap();
        assert!(String::from_utf8_lossy(&offer.bytes()).contains("OAUTHBEARER"));
        let data = format!("n,,\x01auth=Bearer {token}\x01\x01");
        client.send(&frame::sasl_initial("OAUTHBEARER", data.as_bytes())).await.unwrap();
        if welcome {
            client.until_ready().await.unwrap();
            assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
        } else {
            let challenge = client.message().await.unwrap();
            assert!(String::from_utf8_lossy(&challenge.bytes()).contains("invalid_token"));
            client.send(&frame::message(b'p', b"\x01")).await.unwrap();
            assert_eq!(code(&client.until_closed().await.unwrap()), "28P01");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_limit_of_connections() {
    let gateway = Setup::new().gateway_limits("connections: 2").start();
    let _one = gateway.client("ops").await;
    let _two = gateway.client("ops").await;
    let mut third = gateway.stranger().await;
    let error = third.login("agent", "ops", &gateway.token()).await.unwrap_err();
    assert!(format!("{error:#}").contains("53300"), "{error:#}");
}
