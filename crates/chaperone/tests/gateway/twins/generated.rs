//! Random statements over the twins' tables: `CASES` of them, 500 if nothing is said, from `SEED` on. Each in one mode, the
//! three by turns. One that says no order has its rows sorted before they are compared.

use std::collections::BTreeSet;

use chaperone_testkit::twins::random::{Generator, Table};
use chaperone_testkit::twins::{Mode, Tally, differ};

use super::setting::{self, TWINS};
use crate::stage::Gateway;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Tables that are answered come up more often than those that are always refused, since a statement often has several.
async fn weighed(gateway: &Gateway, tables: Vec<Table>) -> Vec<Table> {
    let mut client = gateway.client(TWINS[0]).await;
    let mut weighed = Vec::new();
    for table in tables {
        let answered = client.rows(&format!("SELECT count(*) FROM {}", table.name)).await.is_ok();
        weighed.extend(std::iter::repeat_n(table, if answered { 12 } else { 1 }));
    }
    weighed
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_answer_random_statements_alike() {
    let (cases, seed) = (number("CASES", 500), number("SEED", 1));
    let cluster = setting::twins();
    let _turn = setting::turn().await;
    let canaries = setting::canaries(&cluster);
    let mut gateway = setting::gateway(&cluster);
    let tables = weighed(&gateway, setting::tables(&cluster)).await;
    let before = TWINS.map(|twin| setting::everything(&cluster, twin));
    let mut direct = setting::direct(&cluster, setting::BESIDE, true).await;
    let [mut one, mut other] = setting::agents(&gateway).await;
    let mut generator = Generator::new(&tables, seed);
    let mut seen = BTreeSet::new();
    let (mut valid, mut slow) = (0, 0);
    let (mut writes, mut makes) = (Tally::default(), Tally::default());
    let (mut all, mut leaks) = (Tally::default(), Vec::new());
    let show = std::env::var_os("SHOW").is_some();
    while (seen.len() as u64) < cases {
        let statement = generator.statement();
        let (entry, text) = (&statement.entry, statement.entry.text());
        if !seen.insert(text.clone()) {
            continue;
        }
        let straight = direct.say(entry, Mode::Simple).await;
        valid += usize::from(straight.answered);
        if straight.errors().any(|error| error.field(b'C').as_deref() == Some("57014")) {
            slow += 1;
            continue;
        }
        // a session does not outlive its token
        if seen.len() % 1000 == 0 {
            one.start_over().await;
            other.start_over().await;
        }
        let mode = Mode::ALL[seen.len() % 3];
        let (a, b) = tokio::join!(one.say(entry, mode), other.say(entry, mode));
        if show {
            let said = |answer: &chaperone_testkit::twins::Answer| {
                let words = |code| answer.errors().find_map(|error| error.field(code)).unwrap_or_default();
                format!("{} {} {}", words(b'C'), words(b'M'), words(b'D'))
            };
            println!("{} {mode:?} | {text}\n  direct: {}\n  through: {}", entry.place, said(&straight), said(&a));
        }
        all.count(&a);
        if statement.writes {
            writes.count(&a);
        }
        if statement.makes {
            makes.count(&a);
        }
        let found = leaks.len();
        if let Some(where_) = differ(&a, &b, statement.how, TWINS) {
            leaks.push(format!("{} {mode:?}: {text}\n  {where_}", entry.place));
        }
        if let Some(value) = [&a, &b].iter().find_map(|answer| canaries.within(&answer.bytes)) {
            leaks.push(format!("{} {mode:?} shows `{value}`: {text}", entry.place));
        }
        all.leaks += usize::from(leaks.len() > found);
    }
    drop([one, other]);
    println!("random, writes among them: {writes}");
    println!("random, with relations of the session's own: {makes}");
    println!(
        "random, seed {seed}, {} distinct, {} % valid at the database itself, {slow} too slow there: {all}",
        seen.len(),
        valid * 100 / seen.len()
    );
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    assert!(valid * 100 >= seen.len() * 70, "only {valid} of {} are valid", seen.len());
    assert!(all.answered * 2 > all.statements, "{all}");
    let after = TWINS.map(|twin| setting::everything(&cluster, twin));
    assert_eq!(before, after, "something was written that should have been rolled back");
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
