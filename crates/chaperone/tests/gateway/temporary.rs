//! Temporary tables, on a connection where masks apply.

use std::time::Duration;

use chaperone_testkit::raw::{Message, frontend as frame};

use crate::stage::Setup;

/// Until a change of a file is in force.
const NOTICED: Duration = Duration::from_millis(2500);

fn error(messages: &[Message]) -> String {
    messages.iter().find(|message| message.tag == b'E').and_then(|message| message.field(b'C')).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_table_holds_what_was_shown_and_closes_when_masks_change() {
    let mut gateway = Setup::new().start();
    let mut client = gateway.client("clinic").await;
    // made and read in one text
    let made = "create temp table kept as select id, sex, ssn from clinic.patient; select count(*), count(ssn), count(sex) from kept";
    assert_eq!(client.rows(made).await.unwrap().last().unwrap(), "300|0|300");
    // by the protocol, each message by itself
    let insert = "insert into kept (id, sex) select id + 1000, sex from clinic.patient where id = $1";
    let bytes = [
        frame::parse("more", insert, &[]),
        frame::bind("", "more", &[Some(b"5".as_slice())], &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&bytes.concat()).await.unwrap();
    assert_eq!(error(&client.until_ready().await.unwrap()), "");
    assert_eq!(client.rows("select count(*) from pg_temp.kept where id > 1000").await.unwrap(), ["1"]);
    // rows of the agent's own
    client.query("create temp table codes (code text primary key, label text)").await.unwrap();
    client.send(&frame::query("copy codes from stdin (format csv)")).await.unwrap();
    while client.message().await.unwrap().tag != b'G' {}
    client.send(&[frame::message(b'd', b"a,one\nb,two\n"), frame::message(b'c', b"")].concat()).await.unwrap();
    assert_eq!(error(&client.until_ready().await.unwrap()), "");
    assert_eq!(client.rows("select label from codes order by code").await.unwrap(), ["one", "two"]);
    // COPY of what is not there, and of what may not be written to
    assert_eq!(error(&client.query("copy pg_temp.nothing from stdin").await.unwrap()), "42501");
    assert_eq!(error(&client.query("copy clinic.patient (id, sex) from stdin").await.unwrap()), "42501");
    // a rollback takes the table away, and the name means nothing else
    client.query("begin; create temp table gone as select 1 as a; rollback").await.unwrap();
    assert_eq!(error(&client.query("select * from gone").await.unwrap()), "42P01");
    // what is not temporary needs `ddl`, and what filled a table is needed to read it
    assert_eq!(error(&client.query("create table clinic.lasting (a int)").await.unwrap()), "42501");
    assert_eq!(error(&client.query("create temp table text (a int)").await.unwrap()), "42P07");

    client.query("create temp view seen as select sex from clinic.patient").await.unwrap();
    assert_eq!(client.rows("select count(sex) from seen").await.unwrap(), ["300"]);
    let file = gateway.path("classes.yaml");
    let classes = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, classes.replace("sex: none", "sex: unique_id")).unwrap();
    tokio::time::sleep(NOTICED).await;
    for sql in [
        "select sex from kept",
        "insert into kept (id) values (1)",
        "select sex from seen",
        "select sex from pg_temp.kept",
    ] {
        assert_eq!(error(&client.query(sql).await.unwrap()), "42501", "{sql}");
    }
    // not by what was prepared before, either
    let again = [frame::bind("", "more", &[Some(b"6".as_slice())], &[]), frame::execute("", 0), frame::sync()];
    client.send(&again.concat()).await.unwrap();
    assert_ne!(error(&client.until_ready().await.unwrap()), "");
    client.query("drop table kept").await.unwrap();
    assert_eq!(
        client
            .rows("create temp table anew as select sex from clinic.patient; select count(sex) from anew")
            .await
            .unwrap()
            .last()
            .unwrap(),
        "0"
    );
    // another session knows nothing of it
    let mut other = gateway.client("clinic").await;
    assert_eq!(error(&other.query("select * from anew").await.unwrap()), "42P01");
    drop((client, other));
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
