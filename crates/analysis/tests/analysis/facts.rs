//! Facts and normalised texts of statements of every kind.

use std::fmt::Write as _;

use chaperone_analysis::{CopyDirection, Setting, Transaction, parse};
use chaperone_model::{Effects, Need};

use crate::golden::compare;

const STATEMENTS: &str = include_str!("golden/facts.sql");

fn need(need: &Need) -> String {
    match &need.table {
        Some(table) => format!("{} {table}", need.action.name()),
        None => need.action.name().to_owned(),
    }
}

#[test]
fn of_every_kind() {
    let mut text = String::new();
    let mut count = 0;
    for sql in STATEMENTS.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        writeln!(text, "{sql}").unwrap();
        let statements = parse(sql).unwrap_or_else(|refusal| panic!("{sql}: {refusal}"));
        for i in 0..statements.len() {
            count += 1;
            let facts = statements.facts(i);
            writeln!(
                text,
                "  {}{}{} — {}\n  {}",
                facts.kind,
                if facts.effects == Effects::None { "" } else { ", effects" },
                if facts.has_where { ", where" } else { "" },
                facts.needs.iter().map(need).collect::<Vec<_>>().join(", "),
                statements.normalized(i)
            )
            .unwrap();
        }
    }
    assert!(count >= 120, "{count}");
    compare("facts.txt", &text);
}

#[test]
fn a_text_is_cut_into_its_statements() {
    let statements = parse("  SELECT 1 ; /* x */ SELECT 'ä';;COPY t TO STDOUT -- end").unwrap();
    assert_eq!(statements.len(), 3);
    assert_eq!(statements.text(1).trim(), "SELECT 'ä'");
    assert_eq!(statements.copy(0), None);
    assert_eq!(statements.copy(2), Some(CopyDirection::Out));
    assert!(parse(" ; -- nothing\n").unwrap().is_empty());
    assert!(parse("").unwrap().is_empty());
}

#[test]
fn fingerprints_see_the_shape_alone() {
    let fingerprint = |sql: &str| parse(sql).unwrap().fingerprint(0);
    assert_eq!(fingerprint("SELECT a FROM t WHERE b = 1"), fingerprint("select a from t where b = 'x' -- y"));
    assert_ne!(fingerprint("SELECT a FROM t WHERE b = 1"), fingerprint("SELECT a FROM t WHERE c = 1"));
    assert!(fingerprint("SELECT 1").chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn transactions_and_settings() {
    let statements = parse(
        "BEGIN; COMMIT; ROLLBACK; SAVEPOINT s; RELEASE s; ROLLBACK TO s; PREPARE TRANSACTION 'x'; SET LOCAL A.b = 'c', d; \
         SET x TO DEFAULT; RESET Y; RESET ALL; DISCARD ALL; SELECT 1; SET TIME ZONE 'UTC'; END",
    )
    .unwrap();
    use Transaction::*;
    let transactions: Vec<_> = (0..statements.len()).map(|i| statements.transaction(i)).collect();
    assert_eq!(
        transactions[..8],
        [
            Some(Begin),
            Some(Commit),
            Some(Rollback),
            Some(Savepoint),
            Some(Release),
            Some(RollbackTo),
            Some(TwoPhase),
            None
        ]
    );
    assert_eq!(transactions[14], Some(Commit));
    let settings: Vec<_> = (7..14).map(|i| statements.settings(i)).collect();
    let set = |name: &str, value: Option<&str>, local| {
        Some(Setting::Set { name: name.into(), value: value.map(Into::into), local })
    };
    assert_eq!(
        settings,
        [
            set("a.b", Some("c, d"), true),
            set("x", None, false),
            Some(Setting::Reset { name: "y".into() }),
            Some(Setting::ResetAll),
            Some(Setting::ResetAll),
            None,
            set("timezone", Some("UTC"), false),
        ]
    );
}

#[test]
fn statements_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<chaperone_analysis::Statements>();
    shared::<chaperone_analysis::Catalog>();
}
