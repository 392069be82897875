//! Somebody else changes the database while an agent speaks: before each of its messages in turn. The answer may be a refusal
//! or the end of the session, but it holds no masked value.
//!
//! A name keeps its class, whatever it names: what an owner puts under the name of a column that is `none` is shown. So here a
//! name comes to mean something that has no class of its own, or comes to run code.
//!
//! The gateway looks at the catalog each second. What changed before that is shown nowhere if it is told from the description
//! of the answer ([`AT_ONCE`]); a child that is attached, an operator or a cast is not told from it, and masked only once it
//! is known ([`LATER`]).

use std::time::Duration;

use chaperone_testkit::postgres::Cluster;
use chaperone_testkit::raw::{Client, frontend as frame};

use super::setting::{self, TWINS};

/// What the agent says, what is done meanwhile, and how it is undone.
type Move = [&'static str; 3];

/// Nothing is shown however soon.
const AT_ONCE: [Move; 2] = [
    [
        "SELECT room, beds, wing FROM clinic.room ORDER BY beds, room",
        "ALTER TABLE clinic.room RENAME TO chamber; CREATE VIEW clinic.room AS SELECT last_name AS room, id AS beds, \
         lang::clinic.wing AS wing FROM clinic.patient; GRANT ALL ON clinic.room TO gateway",
        "DROP VIEW clinic.room; ALTER TABLE clinic.chamber RENAME TO room",
    ],
    [
        "SELECT id, lower(state::varchar) FROM clinic.stay ORDER BY id",
        "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()'",
        "DROP FUNCTION public.lower(varchar)",
    ],
];

/// Nothing is shown once the change is known.
const LATER: [Move; 3] = [
    [
        "SELECT id, what FROM clinic.spill ORDER BY id",
        "ALTER TABLE clinic.child INHERIT clinic.spill",
        "ALTER TABLE clinic.child NO INHERIT clinic.spill",
    ],
    [
        "SELECT id, state::varchar || 'x'::varchar FROM clinic.stay ORDER BY id",
        "CREATE OPERATOR public.|| (FUNCTION = trap.says, LEFTARG = varchar, RIGHTARG = varchar)",
        "DROP OPERATOR public.|| (varchar, varchar)",
    ],
    [
        "SELECT id, mood::text FROM clinic.lab ORDER BY id",
        "CREATE FUNCTION trap.moody(clinic.mood) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()'; \
         CREATE CAST (clinic.mood AS text) WITH FUNCTION trap.moody(clinic.mood)",
        "DROP CAST (clinic.mood AS text); DROP FUNCTION trap.moody(clinic.mood)",
    ],
];

/// The gateway looks at the catalog each second: after this a change is known.
const KNOWN: Duration = Duration::from_millis(1300);

/// One message and the answer that it waits for.
fn exchange(sql: &str) -> [(Vec<u8>, u8); 10] {
    [
        (frame::parse("q", sql, &[]), b'1'),
        (frame::bind("p", "q", &[], &[0]), b'2'),
        (frame::describe_portal("p"), b'T'),
        (frame::execute("p", 2), b's'),
        (frame::execute("p", 0), b'C'),
        (frame::sync(), b'Z'),
        // the statement was prepared in a transaction that is over
        (frame::bind("", "q", &[], &[1]), b'2'),
        (frame::execute("", 0), b'C'),
        (frame::sync(), b'Z'),
        (frame::query(sql), b'Z'),
    ]
}

/// Says one message after the other; `change` comes before the one at `at`. Every byte that came back.
async fn speak(client: &mut Client, sql: &str, at: usize, change: impl Fn()) -> Vec<u8> {
    let mut skipping = false;
    for (n, (bytes, until)) in exchange(sql).into_iter().enumerate() {
        if n == at {
            change();
        }
        // after an error the server waits for `Sync`
        if skipping && bytes != frame::sync() {
            continue;
        }
        skipping = false;
        let flush = if until == b'Z' { Vec::new() } else { frame::flush() };
        if client.send(&[bytes, flush].concat()).await.is_err() {
            break;
        }
        loop {
            let Ok(message) = client.message().await else { return client.take_received() };
            match message.tag {
                // fewer rows than were asked for end the portal
                b'C' if until == b's' => break,
                b'E' if until != b'Z' => {
                    skipping = true;
                    break;
                }
                tag if tag == until => break,
                _ => {}
            }
        }
    }
    client.take_received()
}

/// As an administrator: gives up where the agent's transaction holds a lock.
fn administer(cluster: &Cluster, twin: &str, sql: &str) -> bool {
    cluster.psql_in(twin, &format!("SET lock_timeout = '100ms'; BEGIN; {sql}; COMMIT")).is_ok()
}

/// Plays moves: the change comes before each of these messages in turn, and the message that long after it.
async fn play(scenes: &[(&[Move], &[usize], Duration)]) {
    // of its own: other tests would be in the way
    let cluster = std::sync::Arc::new(setting::fresh());
    let canaries = setting::canaries(&cluster);
    let mut gateway = setting::gateway(&cluster);
    let twin = TWINS[0];
    let mut shown = Vec::new();
    let (mut runs, mut changed) = (0, 0);
    for &(moves, before, wait) in scenes {
        for ([sql, done, undone], &at) in moves.iter().flat_map(|it| before.iter().map(move |at| (it, at))) {
            let mut client = gateway.client(twin).await;
            tokio::time::sleep(KNOWN).await;
            client.take_received();
            let did = std::cell::Cell::new(false);
            let change = || {
                did.set(administer(&cluster, twin, done));
                std::thread::sleep(wait);
            };
            let answer = speak(&mut client, sql, at, change).await;
            runs += 1;
            changed += usize::from(did.get());
            if let Some(value) = canaries.within(&answer) {
                shown.push(format!("before message {at}, `{done}` shows `{value}`: {sql}"));
            }
            // what was not done need not be undone; the agent's locks end with its transaction
            if did.get() {
                client.query("ROLLBACK").await.ok();
                assert!(administer(&cluster, twin, undone), "{undone}");
            }
        }
    }
    println!("moving tables: {runs} exchanges, {changed} with a change in them, {} that show something", shown.len());
    assert!(changed * 2 > runs, "{changed} of {runs}");
    assert!(shown.is_empty(), "{} leaks:\n{}", shown.len(), shown.join("\n"));
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_between_two_messages_shows_nothing() {
    play(&[(&AT_ONCE, &[0, 1, 3, 6, 9], Duration::ZERO), (&LATER, &[6, 9], KNOWN)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_just_now_shows_nothing() {
    play(&[(&LATER, &[0, 1, 3, 6, 9], Duration::ZERO)]).await;
}
