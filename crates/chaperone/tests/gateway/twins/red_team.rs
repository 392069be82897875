//! The attacks of `tests/twins/red-team`, and the ordinary and hostile statements that `analysis` has: each in the simple
//! protocol and in the extended one with text and with binary results.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chaperone_testkit::twins::entry::{self, Entry};
use chaperone_testkit::twins::{Canaries, How, Mode, Tally, differ};

use super::setting::{self, TWINS};
use super::statements::{ATTACKS, CLINICAL};
use crate::stage::Gateway;

/// Lists, by their names; `clinical` must be answered.
fn lists() -> Vec<(String, Vec<Entry>)> {
    let in_code = |name: &str, statements: &[&str]| {
        let entry = |(n, sql): (usize, &&str)| Entry {
            in_transaction: writes(sql),
            ..Entry::single(format!("{name}:{n}"), *sql)
        };
        (name.to_owned(), statements.iter().enumerate().map(entry).collect())
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/twins/red-team");
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    // what is written to stay comes last
    names.sort_by_key(|name| (name == "committed.sql", name.clone()));
    let in_files = names.into_iter().map(|name| {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        let entries = entry::read(&name, &text);
        (name, entries)
    });
    [in_code("clinical", CLINICAL), in_code("attacks", ATTACKS)].into_iter().chain(in_files).collect()
}

fn writes(sql: &str) -> bool {
    let first = sql.split(' ').next().unwrap_or_default();
    ["INSERT", "UPDATE", "DELETE", "MERGE", "CREATE"].contains(&first)
        || ["AS (UPDATE", " INTO x ", "FROM STDIN"].iter().any(|part| sql.contains(part))
}

/// The order of a heap, the shape of a plan and time are not promised.
fn how(entry: &Entry) -> How {
    match entry.steps.first() {
        Some(step) if step.sql.starts_with("EXPLAIN") => How::Outcome,
        // how far it comes until then is a matter of time
        Some(step) if step.sql.contains("statement_timeout = 1;") => How::Outcome,
        _ if setting::defaults() => How::Sorted,
        _ => How::Bytes,
    }
}

/// What came of a list in one mode.
#[derive(Default)]
struct Run {
    tally: Tally,
    leaks: Vec<String>,
    unanswered: Vec<String>,
}

async fn run(gateway: &Gateway, entries: &[&Entry], mode: Mode, canaries: &Canaries) -> Run {
    let [mut one, mut other] = setting::agents(gateway).await;
    let mut run = Run::default();
    for entry in entries {
        let (a, b) = tokio::join!(one.say(entry, mode), other.say(entry, mode));
        let (text, place) = (entry.text(), &entry.place);
        if std::env::var_os("SHOW").is_some() {
            println!("{mode:?} {place} | {text}\n{}", String::from_utf8_lossy(&a.bytes).replace('\0', " "));
        }
        run.tally.count(&a);
        let found = run.leaks.len();
        if let Some(where_) = differ(&a, &b, how(entry), TWINS) {
            run.leaks.push(format!("{place} {mode:?}: {text}\n  {where_}"));
        }
        // what the statement itself says comes back
        let said = canaries.within(text.as_bytes()).is_some();
        if let Some(value) = [&a, &b].iter().find_map(|answer| canaries.within(&answer.bytes)).filter(|_| !said) {
            run.leaks.push(format!("{place} {mode:?} shows `{value}`: {text}"));
        }
        run.tally.leaks += usize::from(run.leaks.len() > found);
        if !a.answered {
            run.unanswered.push(format!("{mode:?}: {text}\n  {}", String::from_utf8_lossy(&a.bytes)));
        }
    }
    run
}

/// The harness itself: where a policy shows names, it says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_found() {
    let cluster = setting::twins();
    let _turn = setting::turn().await;
    let names = r#"permit (principal, action == Action::"read_raw", resource in Class::"name");"#;
    let policy = format!("{}\n@id(\"names\")\n{names}", setting::POLICY);
    let gateway = setting::gateway_of(&cluster, include_str!("classes.yaml"), &policy);
    let canaries = setting::canaries(&cluster);
    let tells = |sql: &str| Entry::single("here", sql);
    let says = [
        // by a value, by its bytes in hexadecimal and in base64, by an order, a count, an error
        tells("SELECT last_name FROM clinic.patient WHERE id = 5"),
        tells("SELECT encode(convert_to(last_name, 'UTF8'), 'hex') FROM clinic.patient WHERE id = 5"),
        tells("SELECT encode(convert_to(last_name, 'UTF8'), 'base64') FROM clinic.patient WHERE id = 5"),
        tells("SELECT id FROM clinic.patient ORDER BY last_name, id"),
        tells("SELECT count(*) FROM clinic.patient WHERE last_name < 'M'"),
        tells("SELECT 1 / (CASE WHEN last_name LIKE '%x%' THEN 0 ELSE 1 END) FROM clinic.patient WHERE id = 7"),
        // and this by nothing
        tells("SELECT id, sex, ssn FROM clinic.patient ORDER BY id"),
    ];
    for mode in Mode::ALL {
        let found = run(&gateway, &says.iter().collect::<Vec<_>>(), mode, &canaries).await;
        assert_eq!(found.tally.leaks, says.len() - 1, "{mode:?}: {}", found.leaks.join("\n"));
        let shown = found.leaks.iter().filter(|leak| leak.contains("shows")).count();
        assert_eq!(shown, 3, "{mode:?}: {}", found.leaks.join("\n"));
    }
}

/// Who may learn by writing what is there (`probe`), and have rows chosen by it (`filter`), is shown no value for all that:
/// not in an error, not in what a write gives back. That twins then differ is what was permitted.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_probed_is_not_shown() {
    let cluster = setting::twins();
    let _turn = setting::turn().await;
    let probe = r#"permit (principal, action in [Action::"probe", Action::"filter"], resource);"#;
    let policy = format!("{}\n@id(\"probes\")\n{probe}", setting::POLICY);
    let mut gateway = setting::gateway_of(&cluster, include_str!("classes.yaml"), &policy);
    let canaries = setting::canaries(&cluster);
    let lists: Vec<_> =
        lists().into_iter().filter(|(_, entries)| entries.iter().any(|entry| entry.in_transaction)).collect();
    assert!(lists.len() >= 5);
    let (mut tally, mut shown) = (Tally::default(), Vec::new());
    for (n, (_, entries)) in lists.iter().enumerate() {
        let run = run(&gateway, &entries.iter().collect::<Vec<_>>(), Mode::ALL[n % 3], &canaries).await;
        tally.add(&run.tally);
        shown.extend(run.leaks.into_iter().filter(|leak| leak.contains(" shows `")));
    }
    tally.leaks = shown.len();
    println!("red team, probing permitted: {tally} by a value that is shown");
    assert!(shown.is_empty(), "{} leaks:\n{}", shown.len(), shown.join("\n"));
    gateway.assert_well();
}

/// The list itself: straight at the database, without a gateway, most of it tells the twins apart.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "looks at the list, not at Chaperone"]
async fn the_list_is_worth_its_name() {
    let cluster = setting::fresh();
    let canaries = setting::canaries(&cluster);
    let mut one = setting::direct(&cluster, TWINS[0], false).await;
    let mut other = setting::direct(&cluster, TWINS[1], false).await;
    let (mut tell, mut all) = (0, Tally::default());
    for (name, entries) in lists().iter().filter(|(name, _)| name != "committed.sql" && name != "clinical") {
        let (mut told, mut tally) = (0, Tally::default());
        for entry in entries {
            let (a, b) = tokio::join!(one.say(entry, Mode::Simple), other.say(entry, Mode::Simple));
            tally.count(&a);
            let tells = differ(&a, &b, How::Bytes, TWINS).is_some() || canaries.within(&a.bytes).is_some();
            told += usize::from(tells);
            if std::env::var_os("SHOW").is_some() && !tells {
                let why: Vec<_> = a.errors().map(|error| format!("{error:?}")).collect();
                println!("{} | {}\n  {}", entry.place, entry.text(), why.join(" "));
            }
        }
        println!("{name}: {told} of {} tell the twins apart; {tally}", entries.len());
        tell += told;
        all.add(&tally);
    }
    println!("straight at the database {tell} of {} attacks tell the twins apart", all.statements);
    assert!(tell * 2 > all.statements, "{tell} of {}", all.statements);
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_answer_every_attack_alike() {
    let cluster = setting::twins();
    let _turn = setting::turn().await;
    let canaries = setting::canaries(&cluster);
    let mut gateway = setting::gateway(&cluster);
    let lists = lists();
    let distinct: BTreeSet<_> = lists.iter().skip(1).flat_map(|(_, entries)| entries).map(Entry::text).collect();
    let sequences = lists.iter().flat_map(|(_, entries)| entries).filter(|entry| entry.sequence).count();
    assert!(distinct.len() >= 400 && sequences >= 40, "{} attacks, {sequences} sequences", distinct.len());
    let only = std::env::var("ONLY").ok();
    let before = TWINS.map(|twin| setting::everything(&cluster, twin));
    let mut all = Tally::default();
    let mut leaks = Vec::new();
    let mut unanswered = Vec::new();
    for (name, entries) in &lists {
        let mut tally = Tally::default();
        if name == "committed.sql" {
            let after = TWINS.map(|twin| setting::everything(&cluster, twin));
            assert_eq!(before, after, "something was written that should have been rolled back");
        }
        let entries: Vec<_> =
            entries.iter().filter(|entry| only.as_ref().is_none_or(|only| entry.text().contains(only))).collect();
        let runs = match entries.iter().any(|entry| entry.in_transaction || name == "committed.sql") {
            // writes to one row wait for each other
            true => {
                let mut runs = Vec::new();
                for mode in Mode::ALL {
                    runs.push(run(&gateway, &entries, mode, &canaries).await);
                }
                runs
            }
            false => <[Run; 3]>::from(tokio::join!(
                run(&gateway, &entries, Mode::Simple, &canaries),
                run(&gateway, &entries, Mode::Text, &canaries),
                run(&gateway, &entries, Mode::Binary, &canaries),
            ))
            .into(),
        };
        for run in runs {
            tally.add(&run.tally);
            leaks.extend(run.leaks);
            if name == "clinical" {
                unanswered.extend(run.unanswered);
            }
        }
        println!("{name}: {tally}");
        all.add(&tally);
    }
    println!("red team, {} attacks, {sequences} of them sequences, in 3 modes: {all}", distinct.len());
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    assert!(unanswered.is_empty(), "{} ordinary statements failed:\n{}", unanswered.len(), unanswered.join("\n"));
    let [a, b] = TWINS.map(|twin| setting::unprotected(&cluster, twin));
    assert_eq!(a, b, "what nobody protects differs after the writes");
    gateway.assert_well();
    assert_eq!(gateway.stop_and_verify(), 0, "{}", gateway.log());
}
