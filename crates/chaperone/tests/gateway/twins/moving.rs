//! Somebody else changes the tables while an agent speaks, before each of its messages in turn. The agent's answer may be a
//! refusal or the end of its session; it holds no masked value, and is the same from both twins.

use chaperone_testkit::raw::{Client, frontend as frame};

use super::setting::{self, TWINS};
use crate::stage::Gateway;

/// What is done, and undone. Each makes a name mean a masked value that did not mean one before.
const CHANGES: &[[&str; 2]] = &[
    [
        "ALTER TABLE clinic.stay RENAME guest TO x; ALTER TABLE clinic.stay RENAME state TO guest; ALTER TABLE clinic.stay RENAME x TO state",
        "ALTER TABLE clinic.stay RENAME guest TO x; ALTER TABLE clinic.stay RENAME state TO guest; ALTER TABLE clinic.stay RENAME x TO state",
    ],
    [
        "ALTER TABLE clinic.room RENAME TO chamber; CREATE VIEW clinic.room AS SELECT last_name AS room, id AS beds, ssn::varchar AS wing FROM clinic.patient; GRANT ALL ON clinic.room TO gateway",
        "DROP VIEW clinic.room; ALTER TABLE clinic.chamber RENAME TO room",
    ],
    [
        "ALTER TABLE clinic.room RENAME TO chamber; CREATE TABLE clinic.room AS SELECT last_name AS room, id AS beds, ssn::text AS wing FROM clinic.patient; GRANT ALL ON clinic.room TO gateway",
        "DROP TABLE clinic.room; ALTER TABLE clinic.chamber RENAME TO room",
    ],
    [
        "ALTER TABLE clinic.stay ADD copy text; UPDATE clinic.stay SET copy = guest; ALTER TABLE clinic.stay RENAME state TO old; ALTER TABLE clinic.stay RENAME copy TO state",
        "ALTER TABLE clinic.stay DROP state; ALTER TABLE clinic.stay RENAME old TO state",
    ],
    [
        "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()'; ALTER ROLE gateway IN DATABASE @ SET search_path = public, pg_catalog, clinic",
        "DROP FUNCTION public.lower(varchar); ALTER ROLE gateway IN DATABASE @ SET search_path = clinic, public",
    ],
];

/// What the agent says meanwhile, and whether a row of it would show the change.
const SAYS: [&str; 4] = [
    "SELECT id, state, guest FROM clinic.stay ORDER BY id",
    "SELECT room, beds, wing FROM clinic.room ORDER BY beds, room",
    "SELECT s.id, s.state FROM clinic.stay s JOIN clinic.claim c USING (id) ORDER BY 1",
    "SELECT lower(state::varchar) FROM clinic.stay ORDER BY id",
];

/// One message after the other, each answered before the next; the change before the one at `at`.
async fn speak(gateway: &Gateway, twin: &'static str, sql: &str, at: usize, change: impl Fn()) -> Vec<u8> {
    let mut client: Client = gateway.client(twin).await;
    client.take_received();
    // a statement that was prepared before, and one that is prepared on the way
    let messages = [
        (frame::parse("q", sql, &[]), b'1'),
        (frame::bind("p", "q", &[], &[0]), b'2'),
        (frame::describe_portal("p"), b'T'),
        (frame::execute("p", 2), b's'),
        (frame::execute("p", 0), b'C'),
        (frame::sync(), b'Z'),
        (frame::bind("", "q", &[], &[1]), b'2'),
        (frame::execute("", 0), b'C'),
        (frame::sync(), b'Z'),
        (frame::query(sql), b'Z'),
    ];
    for (n, (bytes, until)) in messages.iter().enumerate() {
        if n == at {
            change();
        }
        let sent = [bytes.clone(), if matches!(until, b'Z') { Vec::new() } else { frame::flush() }].concat();
        if client.send(&sent).await.is_err() {
            break;
        }
        // an error ends the exchange up to the next `Sync`
        let mut last = 0;
        while last != *until && last != b'E' {
            match client.message().await {
                Ok(message) => last = message.tag,
                Err(_) => return client.take_received(),
            }
        }
        if last == b'E' && *until != b'Z' && client.send(&frame::sync()).await.is_ok() {
            let _ = client.until_ready().await;
            break;
        }
    }
    client.take_received()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_change_between_two_messages_show_nothing() {
    // its own twins: tables that changed have other numbers afterwards
    let cluster = std::sync::Arc::new(setting::fresh());
    let canaries = setting::canaries(&cluster);
    let mut gateway = setting::gateway(&cluster);
    let mut leaks = Vec::new();
    let (mut runs, mut whole) = (0, 0);
    for sql in SAYS {
        for [done, undone] in CHANGES {
            for at in [0, 1, 2, 3, 4, 6, 7, 9] {
                let mut answers = Vec::new();
                for twin in TWINS {
                    // a transaction that reads holds its locks: who changes waits, and gives up
                    let change = || {
                        drop(cluster.psql_in(
                            twin,
                            &format!("SET lock_timeout = '50ms'; BEGIN; {}; COMMIT", done.replace('@', twin)),
                        ))
                    };
                    answers.push(speak(&gateway, twin, sql, at, change).await);
                    let _ = cluster.psql_in(
                        twin,
                        &format!("SET lock_timeout = '2s'; BEGIN; {}; COMMIT", undone.replace('@', twin)),
                    );
                }
                runs += 1;
                whole += usize::from(answers[0].ends_with(b"I"));
                for answer in &answers {
                    if let Some(value) = canaries.within(answer) {
                        leaks.push(format!("before message {at}, `{done}` shows `{value}`: {sql}"));
                    }
                }
            }
        }
    }
    println!("moving tables: {runs} exchanges, {whole} to their end, {} that show something", leaks.len());
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
