//! `SIGKILL` at random instants under load: the log verifies, and whatever a client got or the database did is in it.
//!
//! A killed process leaves what it handed to the kernel, so this shows the order of recording and acting, and that
//! recovery loses and adds nothing. It does not show what a power cut leaves.

mod full_disk;
mod load;
mod trail;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaperone_evidence::{CloseReason, read};
use chaperone_testkit::postgres::Cluster;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc;

use self::load::{Heard, Task, WORKS};
use self::trail::{Trail, marks};
use crate::stage::{Gateway, Setup, fresh_cluster};

const ROUNDS: u32 = 50;
const SEED: u64 = 20_261_124;

/// What all rounds came to: a test of nothing must not pass.
#[derive(Debug, Default)]
struct Total {
    /// Sessions that a kill cut.
    cut: usize,
    /// Bytes that clients received.
    heard: usize,
    /// Sessions whose record is longer than what the client received.
    ahead: usize,
    /// Rows of the scratch table.
    effects: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_instants_under_load() {
    let cluster = Arc::new(fresh_cluster());
    cluster.psql_in("ops", "set role gateway; create table ops.scratch (mark text primary key)").unwrap();
    let mut gateway = Setup::new().cluster(cluster.clone()).start();
    let mut trail = Trail::new(&gateway.path("evidence"));
    let mut random = StdRng::seed_from_u64(SEED);
    let mut total = Total::default();
    for round in 0..ROUNDS {
        let heard = play_and_kill(&mut gateway, round, &mut random).await;
        trail.follow();
        let cut = trail.open_sessions();
        check_answers(&trail, &heard, &mut total);
        if round % 20 == 10 {
            let report = trail.verify();
            assert!([0, 2].contains(&report.exit_code()), "round {round}: {report}");
        }

        gateway.launch();
        trail.follow();
        for id in &cut {
            let closed = trail.sessions.get(id).and_then(|session| session.closed);
            assert_eq!(closed, Some(CloseReason::GatewayStopped), "round {round}: {id}");
        }
        assert_eq!(trail.open_sessions(), Vec::<String>::new(), "round {round}");
        total.cut += cut.len();
        total.effects += check_effects(&cluster, &trail, round);
        trail.forget();
    }
    eprintln!("{total:?}, {} records", trail.records);
    assert!(total.cut > 150 && total.heard > 10_000_000 && total.ahead > 0 && total.effects > 1_000, "{total:?}");
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
    let sessions = read::sessions(&gateway.path("evidence")).unwrap();
    let stopped = sessions.iter().filter(|session| session.closed == Some(CloseReason::GatewayStopped)).count();
    assert!(sessions.iter().all(|session| session.closed.is_some()));
    assert_eq!(stopped, total.cut);
}

/// One round: clients at work, and the gateway killed in the middle of it.
async fn play_and_kill(gateway: &mut Gateway, round: u32, random: &mut StdRng) -> Vec<Heard> {
    let clients = random.random_range(6..=10);
    let first = random.random_range(0..WORKS.len());
    let (greeted, mut greetings) = mpsc::unbounded_channel();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let work = WORKS[(first + client) % WORKS.len()];
            let address = format!("127.0.0.1:{}", gateway.port);
            let task = Task { work, round, client, address, token: gateway.token(), greeted: greeted.clone() };
            tokio::spawn(task.play())
        })
        .collect();
    drop(greeted);
    // some are killed while they let clients in, most while all are at work
    if random.random_bool(0.75) {
        for _ in 0..clients {
            let came = tokio::time::timeout(Duration::from_secs(30), greetings.recv()).await;
            assert!(matches!(came, Ok(Some(()))), "round {round}: a client got no session: {}", gateway.log());
        }
    }
    tokio::time::sleep(Duration::from_millis(random.random_range(5..=400))).await;
    gateway.kill();
    join_all(tasks).await.into_iter().flat_map(|heard| heard.unwrap()).collect()
}

/// Every byte that a client received is in its session's record, in its place.
fn check_answers(trail: &Trail, heard: &[Heard], total: &mut Total) {
    for Heard { peer, bytes, task } in heard {
        let mut of_peer = trail.sessions.iter().filter(|(_, session)| session.peer == *peer);
        let (Some((id, session)), None) = (of_peer.next(), of_peer.next()) else {
            panic!("{task}: not one session of {peer}");
        };
        let recorded = &session.answered;
        assert!(
            recorded.starts_with(bytes),
            "{task}, session {id}: {} bytes received and {} recorded, the same up to {:?}",
            bytes.len(),
            recorded.len(),
            bytes.iter().zip(recorded).position(|(one, other)| one != other)
        );
        total.heard += bytes.len();
        total.ahead += usize::from(recorded.len() > bytes.len());
    }
}

/// Every row that is in the scratch table was asked for on record. Returns how many there are of this round.
fn check_effects(cluster: &Cluster, trail: &Trail, round: u32) -> usize {
    // what the database was doing when the gateway died is done to its end first
    let start = Instant::now();
    while cluster.psql("select count(*) from pg_stat_activity where usename = 'gateway'").unwrap() != "0" {
        assert!(start.elapsed() < Duration::from_secs(20), "round {round}: sessions of a gateway that is gone");
    }
    let of_round = format!("select mark from ops.scratch where mark like '<_.{round}.%'");
    let visible = cluster.psql_in("ops", &of_round).unwrap();
    let asked: BTreeSet<String> = trail.sessions.values().flat_map(|session| marks(&session.received)).collect();
    for mark in visible.lines() {
        assert!(asked.contains(mark), "{mark} is in the table, and no record has it");
        // in a message of its own: then the very record of those bytes has the statement and its decision
        let decided = !mark.starts_with("<q") || trail.decided.contains(mark);
        assert!(decided, "{mark} is in the table, and its record has no statement");
    }
    visible.lines().count()
}
