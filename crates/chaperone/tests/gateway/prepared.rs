//! Statements prepared by SQL, on a connection where masks apply.

use std::time::Duration;

use chaperone_testkit::raw::{Message, frontend as frame};

use crate::stage::Setup;

/// Until a change of a file is in force.
const NOTICED: Duration = Duration::from_millis(2500);

fn error(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'E').and_then(|message| message.field(b'C')).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_by_sql_runs_masked_as_of_now_or_not_at_all() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    client.query("prepare q(int) as select sex, ssn from clinic.patient where id = $1").await.unwrap();
    let seen = client.rows("execute q(1)").await.unwrap();
    assert!(seen[0].ends_with('|') || seen[0].contains("NULL") || seen[0].len() < 8, "no number in {seen:?}");
    // made and run in one message, and by the protocol
    let together = client.rows("prepare r as select count(sex) from clinic.patient; execute r").await.unwrap();
    assert_eq!(together, ["300"]);
    let bytes =
        [frame::parse("", "execute r", &[]), frame::bind("", "", &[], &[]), frame::execute("", 0), frame::sync()];
    client.send(&bytes.concat()).await.unwrap();
    let answer = client.until_ready().await.unwrap();
    assert_eq!(answer.iter().find(|message| message.tag == b'D').unwrap().row(), "300");
    // a statement of the protocol is not one of SQL's
    client.send(&[frame::parse("p", "select 1", &[]), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    assert_eq!(error(&client.query("execute p").await.unwrap()), "26000");
    assert_eq!(error(&client.query("execute q(1)").await.unwrap()), "26000", "it cannot be told which is meant");
    // nor may one that was looked at before run what has the name by now
    let parse = [frame::parse("", "execute nobody", &[]), frame::sync()].concat();
    client.send(&parse).await.unwrap();
    assert_eq!(error(&client.until_ready().await.unwrap()), "26000");
    client.send(&[frame::close_statement("p"), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    assert_eq!(error(&client.query("execute nobody").await.unwrap()), "26000");
    client.rows("execute q(1)").await.unwrap();
    let ways = [
        frame::parse("", "execute later", &[]),
        frame::parse("later", "select sex from clinic.patient", &[]),
        frame::bind("", "", &[], &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&ways.concat()).await.unwrap();
    assert_eq!(error(&client.until_ready().await.unwrap()), "26000");
    client.send(&[frame::close_statement("later"), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    // what may not be read may not be prepared
    assert_eq!(error(&client.query("prepare s as select pg_read_file('x')").await.unwrap()), "42501");
    assert_eq!(error(&client.query("prepare s as delete from clinic.patient").await.unwrap()), "42501");

    let file = gateway.path("classes.yaml");
    let classes = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, classes.replace("sex: none", "sex: unique_id")).unwrap();
    tokio::time::sleep(NOTICED).await;
    assert_eq!(error(&client.query("execute r").await.unwrap()), "0A000", "it would show what is masked by now");
    // the database still has the old one, so that this fails, and what is there stays outdated
    assert_eq!(error(&client.query("prepare r as select count(sex) from clinic.patient").await.unwrap()), "42P05");
    assert_eq!(error(&client.query("execute r").await.unwrap()), "0A000");
    client.query("deallocate r").await.unwrap();
    client.query("prepare r as select count(sex) from clinic.patient").await.unwrap();
    assert_eq!(client.rows("execute r").await.unwrap(), ["0"]);
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// Reads numbers as tokens, and may write them.
const WRITER: &str = r#"
permit (principal in Group::"agents", action in [Action::"connect", Action::"select", Action::"insert", Action::"update",
  Action::"probe", Action::"read_token"], resource);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_written_in_place_of_what_it_stands_for_as_a_parameter_either() {
    let mut gateway = Setup::new().policy(WRITER).tokens().start();
    let mut client = gateway.client("clinic").await;
    let token = client.rows("select mrn from clinic.patient where id = 1").await.unwrap().remove(0);
    assert!(token.starts_with("phi_mrn_"), "{token}");
    let mut run = async |sql: &str, values: &[&[u8]], format: u16| {
        let values: Vec<Option<&[u8]>> = values.iter().copied().map(Some).collect();
        let formats = vec![format; usize::from(format > 0) * values.len()];
        let frames = [
            frame::parse("", sql, &[25, 25]),
            frame::bind("", "", &values, &formats),
            frame::execute("", 0),
            frame::sync(),
        ];
        client.send(&frames.concat()).await.unwrap();
        let answer = client.until_ready().await.unwrap();
        let hint = answer.iter().find_map(|message| message.field(b'H')).unwrap_or_default();
        (error(&answer), hint)
    };
    let update = "update clinic.patient set mrn = $1 where mrn = $2 and id < 0";
    for format in [0, 1] {
        let (code, hint) = run(update, &[token.as_bytes(), token.as_bytes()], format).await;
        assert_eq!(code, "42501");
        assert!(hint.contains("find a row by its token"), "{hint}");
    }
    let insert = "insert into clinic.patient (id, mrn, city) values (-1, $2, $1)";
    assert_eq!(run(insert, &[b"x", token.as_bytes()], 0).await.0, "42501");
    // longer than what is taken up at once
    let long = "x".repeat(1 << 20);
    assert_eq!(run(insert, &[long.as_bytes(), token.as_bytes()], 0).await.0, "42501");
    // in a condition it is what tokens are for, and a number is a number
    assert_eq!(run(update, &[b"M-1", token.as_bytes()], 0).await.0, "");
    assert_eq!(run(update, &[long.as_bytes(), token.as_bytes()], 0).await.0, "");
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

/// A write is judged by what its source holds when it runs: masks do not take the place of what is stored, however early the
/// write was prepared or bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_prepared_before_its_source_was_filled_with_masks_does_not_run() {
    let mut gateway = Setup::new().policy(WRITER).start();
    let write = "update clinic.patient p set sex = left(s.what, 1) from source s where p.id = s.id";
    let fill = "insert into source select id, last_name from clinic.patient where id < 5";
    for own in [false, true] {
        // rows of the agent's own are written, masks are not
        let fill = if own { "insert into source values (5, 'F')" } else { fill };
        let expected = if own { "" } else { "42501" };
        let before = ["begin", "create temp table source (id int, what text)"];

        let mut client = gateway.client("clinic").await;
        for sql in before {
            assert_eq!(error(&client.query(sql).await.unwrap()), "");
        }
        assert_eq!(error(&client.query(&format!("prepare w as {write}")).await.unwrap()), "");
        assert_eq!(error(&client.query(fill).await.unwrap()), "");
        assert_eq!(error(&client.query("execute w").await.unwrap()), expected, "prepared by SQL, own rows: {own}");
        // the row is locked until then
        client.query("rollback").await.unwrap();

        for bound in [false, true] {
            let mut client = gateway.client("clinic").await;
            for sql in before {
                client.query(sql).await.unwrap();
            }
            let (parse, bind) = (frame::parse("w", write, &[]), frame::bind("p", "w", &[], &[]));
            let run = [frame::execute("p", 0), frame::sync()].concat();
            let (first, second) = match bound {
                true => ([parse, bind, frame::sync()].concat(), run),
                false => ([parse, frame::sync()].concat(), [bind, run].concat()),
            };
            client.send(&first).await.unwrap();
            assert_eq!(error(&client.until_ready().await.unwrap()), "");
            assert_eq!(error(&client.query(fill).await.unwrap()), "");
            client.send(&second).await.unwrap();
            let answer = client.until_ready().await.unwrap();
            assert_eq!(error(&answer), expected, "bound before: {bound}, own rows: {own}");
            client.query("rollback").await.unwrap();
        }
    }
    // a query that was bound before the table was filled shows what the table holds: what the agent was shown
    let mut client = gateway.client("clinic").await;
    client.query("begin; create temp table source (id int, what text)").await.unwrap();
    let query = frame::parse("", "select count(*), count(what) from source", &[]);
    client.send(&[query, frame::bind("p", "", &[], &[]), frame::sync()].concat()).await.unwrap();
    client.until_ready().await.unwrap();
    client.query(fill).await.unwrap();
    client.send(&[frame::execute("p", 0), frame::sync()].concat()).await.unwrap();
    let answer = client.until_ready().await.unwrap();
    let row = answer.iter().find(|message| message.tag == b'D').map(Message::row);
    assert!(row.as_deref().is_none_or(|row| row.ends_with("|0")), "{row:?}");
    drop(client);
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
