//! Somebody else changes the database while an agent speaks: before each of its messages in turn. The answer may be a refusal
//! or the end of the session, but it holds no masked value.
//!
//! A name keeps its class, whatever it names: what an owner puts under the name of a column that is `none` is shown. So here a
//! name comes to mean something that has no class of its own, or comes to run code.
//!
//! Some of it is told from the description of the answer ([`DESCRIBED`]). A child that is attached, an operator, a cast or the
//! body of a function is not ([`HIDDEN`]): there the answer waits until the catalog was looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chaperone_evidence::{CloseReason, read};
use chaperone_testkit::postgres::Cluster;
use chaperone_testkit::raw::{Client, frontend as frame};

use super::setting::{self, TWINS};
use crate::stage::Gateway;

/// What the agent says, what is done meanwhile, and how it is undone.
type Move = [&'static str; 3];

/// The description of the answer tells.
const DESCRIBED: [Move; 2] = [
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

/// A column comes that nobody classified, full of what is masked: what runs goes on, and does not read it.
const COLUMNS: [Move; 2] = [
    [
        "SELECT r, r.*, to_json(r) FROM clinic.room r NATURAL JOIN clinic.room s ORDER BY r.beds, r.room",
        "ALTER TABLE clinic.room ADD COLUMN told text DEFAULT trap.reveal()",
        "ALTER TABLE clinic.room DROP COLUMN told",
    ],
    [
        "SELECT s, (SELECT max(to_json(t)::text) FROM clinic.stay t WHERE t.id = s.id) FROM clinic.stay s ORDER BY id",
        "ALTER TABLE clinic.stay ADD COLUMN told text DEFAULT trap.reveal()",
        "ALTER TABLE clinic.stay DROP COLUMN told",
    ],
];

/// It does not.
const HIDDEN: [Move; 5] = [
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
    [
        "SELECT id, unaccent(state) FROM clinic.stay ORDER BY id",
        "CREATE OR REPLACE FUNCTION public.unaccent(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()'",
        "CREATE OR REPLACE FUNCTION public.unaccent(text) RETURNS text LANGUAGE c STABLE STRICT \
         AS '$libdir/unaccent', 'unaccent_dict'",
    ],
    [
        "SELECT id, unaccent(state) FROM clinic.stay ORDER BY id",
        "ALTER EXTENSION unaccent DROP FUNCTION public.unaccent(text); DROP FUNCTION public.unaccent(text); \
         CREATE FUNCTION public.unaccent(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT trap.reveal()'",
        "DROP FUNCTION public.unaccent(text); CREATE FUNCTION public.unaccent(text) RETURNS text LANGUAGE c STABLE STRICT \
         AS '$libdir/unaccent', 'unaccent_dict'; ALTER EXTENSION unaccent ADD FUNCTION public.unaccent(text)",
    ],
];

/// The gateway looks at the catalog each second at least: after this a change is known.
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
    cluster.psql_in(twin, "CREATE EXTENSION unaccent SCHEMA public").unwrap();
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
    play(&[(&DESCRIBED, &[0, 1, 3, 6, 9], Duration::ZERO), (&HIDDEN, &[6, 9], KNOWN)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_just_now_shows_nothing() {
    // 4: in the middle of a portal that has given some of its rows
    play(&[(&HIDDEN, &[0, 1, 3, 4, 6, 9], Duration::ZERO), (&COLUMNS, &[0, 1, 3, 6, 9], Duration::ZERO)]).await;
}

/// Asks again and again, in a new session when one ends. Every byte that came, whole answers, and sessions that ended.
async fn ask_until(gateway: &Gateway, sql: &str, over: &AtomicBool) -> (Vec<u8>, usize, usize) {
    let (mut received, mut answers, mut ends) = (Vec::new(), 0, 0);
    while !over.load(Ordering::SeqCst) {
        let mut client = gateway.client(TWINS[0]).await;
        client.take_received();
        while !over.load(Ordering::SeqCst) {
            match client.query(sql).await {
                Ok(messages) if messages.last().is_some_and(|message| message.tag == b'Z') => {
                    answers += usize::from(messages.iter().any(|message| message.tag == b'D'));
                }
                _ => {
                    ends += 1;
                    break;
                }
            }
        }
        received.extend(client.take_received());
    }
    (received, answers, ends)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_many_ask_shows_nothing() {
    let cluster = std::sync::Arc::new(setting::fresh());
    let canaries = setting::canaries(&cluster);
    let mut gateway = setting::gateway(&cluster);
    cluster.psql_in(TWINS[0], "CREATE EXTENSION unaccent SCHEMA public").unwrap();
    let (mut answers, mut ends) = (0, 0);
    for [sql, done, undone] in HIDDEN {
        let over = AtomicBool::new(false);
        let changes = async {
            for _ in 0..2 {
                // what is refused hastens nobody: that it would be answered again is known within a second
                for (change, wait) in [(done, KNOWN), (undone, Duration::from_millis(300))] {
                    // often in the middle of somebody's statement
                    tokio::time::sleep(wait).await;
                    while !tokio::task::block_in_place(|| administer(&cluster, TWINS[0], change)) {}
                }
            }
            over.store(true, Ordering::SeqCst);
        };
        let ask = || ask_until(&gateway, sql, &over);
        let (.., told) = tokio::join!(changes, async { <[_; 3]>::from(tokio::join!(ask(), ask(), ask())) });
        for (received, answered, ended) in told {
            assert_eq!(canaries.within(&received), None, "{sql}, while `{done}`");
            answers += answered;
            ends += ended;
        }
    }
    println!("while tables move: {answers} answers, {ends} sessions ended");
    assert!(answers > 100 && ends > 10, "{answers} answers, {ends} ends");
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    let sessions = read::sessions(&gateway.path("evidence")).unwrap();
    assert!(sessions.iter().any(|session| session.closed == Some(CloseReason::MaskingOutdated)));
}
