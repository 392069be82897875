//! Agents that try to make the gateway believe another state of the database than the true one.

use std::time::Duration;

use chaperone_testkit::raw::{Message, frontend as frame};

use crate::stage::{POLICY, Setup};

pub fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| char::from(message.tag)).collect()
}

pub fn code(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'E').and_then(|error| error.field(b'C')).unwrap_or_default()
}

/// `Bind` and `Execute` of a prepared statement, by the unnamed portal.
fn run(statement: &str) -> Vec<u8> {
    [frame::bind("", statement, &[], &[]), frame::execute("", 0)].concat()
}

/// A text that only the database reads, since it is too long for analysis, and that nobody but the owner may run.
fn unread_delete() -> String {
    format!("delete from ops.stock {}", " ".repeat(17 << 20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_not_read_cannot_be_run_under_a_name_that_was_lost() {
    let gateway = Setup::new().start();
    let mut client = gateway.client_of("readers", "ops").await;
    client.set_patience(Duration::from_secs(30));
    client.send(&[frame::parse("s", &unread_delete(), &[]), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    // the database skips this `Close`
    client
        .send(&[frame::parse("x", "select nothing", &[]), frame::close_statement("s"), frame::sync()].concat())
        .await
        .unwrap();
    client.until_ready().await.unwrap();
    client.send(&[run("s"), frame::sync()].concat()).await.unwrap();
    let told = client.until_ready().await.unwrap();
    assert!(!code(&told).is_empty(), "{}", tags(&told));
    // and these names are forgotten, though the one that follows stays
    client
        .send(&[frame::query("deallocate all"), frame::parse("s", &unread_delete(), &[]), frame::sync()].concat())
        .await
        .unwrap();
    client.until_ready().await.unwrap();
    client.until_ready().await.unwrap();
    client.send(&[run("s"), frame::sync()].concat()).await.unwrap();
    let told = client.until_ready().await.unwrap();
    assert!(!code(&told).is_empty(), "{}", tags(&told));
    assert_eq!(client.rows("select count(*) > 0 from ops.stock").await.unwrap(), ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_is_on_its_way_hides_nothing_from_the_reader() {
    let gateway = Setup::new().start();
    for switch in ["set client_encoding = 'sjis'", "select set_config('client_encoding', 'sjis', false)"] {
        for simple in [true, false] {
            let mut client = gateway.client_of("readers", "ops").await;
            // in SJIS the backslash is the second half of a character, so the string ends
            let hidden = [b"select E'\x83\\'; delete from ops.stock; --'".as_slice(), b"\0"].concat();
            let mut batch = match simple {
                true => frame::query(switch),
                false => [frame::parse("", switch, &[]), run("")].concat(),
            };
            batch.extend(frame::message(b'Q', &hidden));
            client.send(&batch).await.unwrap();
            let _ = client.until_closed().await;
        }
    }
    let mut client = gateway.client("ops").await;
    assert_eq!(client.rows("select count(*) > 0 from ops.stock").await.unwrap(), ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_error_everything_up_to_the_sync_is_discarded() {
    for connection in ["ops", "clinic"] {
        let gateway = Setup::new().start();
        let mut client = gateway.client(connection).await;
        client.send(&[frame::parse("", "select nothing", &[]), frame::flush()].concat()).await.unwrap();
        client.until(b'E').await.unwrap();
        for _ in 0..3 {
            client
                .send(
                    &[frame::parse("lost", "select 1", &[]), run("lost"), frame::query("select 2"), frame::flush()]
                        .concat(),
                )
                .await
                .unwrap();
        }
        client.send(&frame::sync()).await.unwrap();
        assert_eq!(tags(&client.until_ready().await.unwrap()), "Z");
        client.send(&[run("lost"), frame::sync()].concat()).await.unwrap();
        assert_eq!(code(&client.until_ready().await.unwrap()), "26000");
        assert_eq!(client.rows("select 3").await.unwrap(), ["3"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_decided_as_what_the_database_has_under_its_name() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.query("create temp table kept (a int)").await.unwrap();
    client.send(&[frame::parse("", "insert into kept values (1)", &[]), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    // the agent may write no more
    let readers = POLICY.replace(r#"@id("all-on-ops")"#, "@id(\"reads-only\")\npermit (principal in Group::\"agents\", action in [Action::\"connect\", Action::\"select\"], resource in Connection::\"ops\");\n@id(\"others\")").replacen(r#"Group::"agents", action, resource"#, r#"Group::"owners", action, resource"#, 1);
    std::fs::write(gateway.path("policies/test.cedar"), readers).unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    // the database skips this harmless statement, and still has the other under the same name
    let skipped = [frame::parse("x", "select nothing", &[]), frame::parse("", "select 1", &[]), frame::sync()];
    client.send(&[skipped.concat(), run(""), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    let told = client.until_ready().await.unwrap();
    assert_eq!(code(&told), "42501", "{}", tags(&told));
    assert_eq!(client.rows("select count(*) from kept").await.unwrap(), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_carry_nothing_are_on_record_in_bounded_memory() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.set_patience(Duration::from_secs(60));
    let flushes = frame::flush().repeat(1 << 20);
    for _ in 0..20 {
        client.send(&flushes).await.unwrap();
    }
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap();
    assert!(peak < 100 * 1024, "{peak} kB for 100 MB of nothing");
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_answered_is_not_remembered_for_ever() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.set_patience(Duration::from_secs(60));
    client.send(&[frame::parse("", "select nothing", &[]), frame::flush()].concat()).await.unwrap();
    client.until(b'E').await.unwrap();
    let lost = frame::describe_statement("").repeat(1 << 17);
    for _ in 0..8 {
        client.send(&lost).await.unwrap();
    }
    client.send(&frame::sync()).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_at_the_database_ends_at_the_sync() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.query("create temp table c (a int)").await.unwrap();
    client.send(&[frame::parse("", "copy c from stdin", &[]), run(""), frame::flush()].concat()).await.unwrap();
    client.until(b'G').await.unwrap();
    client.send(&frame::copy_data(format!("{}\n", "no number".repeat(20_000)).as_bytes())).await.unwrap();
    client.until(b'E').await.unwrap();
    client.send(&frame::sync()).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "Z");
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_in_one_query_each_have_an_end() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.query("create temp table c (a int)").await.unwrap();
    // the `Sync` comes while the second copy runs, so it is ignored
    let batch =
        [frame::query("copy c from stdin; copy c from stdin"), frame::copy_done(), frame::sync(), frame::copy_done()];
    client.send(&batch.concat()).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "GCGCZ");
    assert_eq!(tags(&client.query("begin").await.unwrap()), "CZ");
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_when_a_session_is_ended_is_cancelled() {
    let gateway = Setup::new().limits("age: 2s").start();
    let mut client = gateway.client("ops").await;
    let pid = client.cancel_key.as_ref().unwrap().pid;
    client.send(&frame::query("select pg_sleep(60)")).await.unwrap();
    assert_eq!(code(&client.until_closed().await.unwrap()), "57P01");
    let mut other = gateway.client("ops").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let left = other.rows(&format!("select count(*) from pg_stat_activity where pid = {pid}")).await.unwrap();
    assert_eq!(left, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_takes_the_name_of_a_portal_is_not_checked_as_that_portal() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    client.query("begin").await.unwrap();
    let portal =
        [frame::parse("s", "select id from clinic.patient", &[]), frame::bind("c", "s", &[], &[]), frame::sync()];
    client.send(&portal.concat()).await.unwrap();
    client.until_ready().await.unwrap();
    client.query("close c").await.unwrap();
    client.query("declare c cursor for select ssn from clinic.patient").await.unwrap();
    client.send(&[frame::execute("c", 1), frame::sync()].concat()).await.unwrap();
    assert_eq!(code(&client.until_ready().await.unwrap()), "34000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pipeline_behind_an_error_is_recorded_whole() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.set_patience(Duration::from_secs(60));
    let mut batch = frame::parse("x", "select nothing", &[]);
    batch.extend(frame::execute("", 0).repeat(60_000));
    batch.extend(frame::sync());
    client.send(&batch).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "EZ");
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_given_by_sql_is_not_the_one_that_was_prepared() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.query("create temp table kept (a int)").await.unwrap();
    client.send(&[frame::parse("s", "select 1", &[]), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    client.query("deallocate s; prepare s as insert into kept values (1)").await.unwrap();
    client.send(&[run("s"), frame::sync()].concat()).await.unwrap();
    assert_eq!(tags(&client.until_ready().await.unwrap()), "2CZ");
    // prepared by SQL it could be anything that was prepared: nothing of that may be forbidden now
    let policy = POLICY.replacen(
        "action, resource in Connection::\"ops\"",
        "action in [Action::\"connect\", Action::\"select\"], resource in Connection::\"ops\"",
        1,
    );
    std::fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    client.send(&[run("s"), frame::sync()].concat()).await.unwrap();
    assert_eq!(code(&client.until_ready().await.unwrap()), "42501");
    assert_eq!(code(&client.query("execute s").await.unwrap()), "42501");
    assert_eq!(client.rows("select count(*) from kept").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_does_not_outlive_the_masks_it_was_declared_with() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    client.query("begin").await.unwrap();
    client.query("declare c cursor for select last_name || '' from clinic.patient").await.unwrap();
    assert_eq!(tags(&client.query("fetch 1 from c").await.unwrap()), "TDCZ");
    let policy = POLICY.split("@id(\"names\")").next().unwrap();
    std::fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(code(&client.query("fetch 1 from c").await.unwrap()), "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_take_the_places_of_those_inside() {
    let gateway = Setup::new().gateway_limits("connections: 4").start();
    let mut client = gateway.client("ops").await;
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(gateway.stranger().await);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count();
    assert!(descriptors < 150, "{descriptors} descriptors");
    assert_eq!(client.rows("select 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_explain_runs_by_name_is_decided_again_under_other_policies() {
    let gateway = Setup::new().start();
    let mut client = gateway.client("ops").await;
    client.query("create temp table kept (a int)").await.unwrap();
    client.query("prepare s as insert into kept values (1)").await.unwrap();
    let policy = POLICY.replacen(
        "action, resource in Connection::\"ops\"",
        "action in [Action::\"connect\", Action::\"select\"], resource in Connection::\"ops\"",
        1,
    );
    std::fs::write(gateway.path("policies/test.cedar"), policy).unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(code(&client.query("explain analyze execute s").await.unwrap()), "42501");
    assert_eq!(client.rows("select count(*) from kept").await.unwrap(), ["0"]);
}
