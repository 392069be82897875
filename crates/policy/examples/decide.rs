//! How long a decision takes, over 200 policies: `cargo run --release -p chaperone-policy --example decide`.
//!
//! *Uncached* is a question that the session was not asked before. Three sets: `spread` gives ten policies to each of
//! twenty groups, as in an organisation; `tables` gives all 200 to one group, each about another table; `worst` gives
//! them all to one group on the whole connection, each with a condition that holds for one of them, so that none can be
//! left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaperone_model::{
    Action, AiModel, Class, Classification, Effects, Facts, Need, Principal, SessionId, StatementId, TableClasses,
    TableName, TokenFacts,
};
use chaperone_policy::{Authority, Decision, PolicySet};

const NOW: i64 = 1_772_443_800;
const TABLES: usize = 2_000;

fn table(n: usize) -> TableName {
    TableName::new("clinic", format!("t{n}"))
}

fn spread() -> String {
    let mut text = String::new();
    for group in 0..20 {
        let actions = ["connect", "select", "insert", "update", "read_partial", "read_token", "read_raw"];
        for action in actions {
            let resource = match action {
                "read_partial" => "resource in Class::\"birth_date\"",
                "read_token" => "resource in Class::\"mrn\"",
                "read_raw" => "resource in Class::\"insurance_id\"",
                _ => "resource in Connection::\"clinic\"",
            };
            text.push_str(&format!(
                "permit (principal in Group::\"g{group}\", action == Action::\"{action}\", {resource}) when {{ context has \
                 model && context.model has version && [\"1\", \"2\"].contains(context.model.version) }};\n"
            ));
        }
        text.push_str(&format!(
            "forbid (principal in Group::\"g{group}\", action in [Action::\"select\", Action::\"update\"], resource == \
             Table::\"clinic/clinic.t{group}\");\n\
             forbid (principal in Group::\"g{group}\", action == Action::\"update\", resource) unless {{ context.has_where }};\n\
             permit (principal in Group::\"g{group}\", action == Action::\"select\", resource) when {{ context has purpose && \
             context.purpose == \"payment\" && context.classes.contains(Class::\"insurance_id\") }};\n"
        ));
    }
    text
}

fn tables() -> String {
    (0..200)
        .map(|n| {
            format!(
                "permit (principal in Group::\"g7\", action in [Action::\"connect\", Action::\"select\"], resource == \
                 Table::\"clinic/clinic.t{n}\") when {{ context has model }};\n"
            )
            .replace("Action::\"connect\", ", "")
        })
        .collect()
}

fn worst() -> String {
    (0..200)
        .map(|n| {
            format!(
                "permit (principal in Group::\"g7\", action == Action::\"select\", resource in Connection::\"clinic\") when {{ \
                 context.tables == {n} && context has purpose && context.purpose == \"treatment\" }};\n"
            )
        })
        .collect()
}

fn principal() -> Principal {
    Principal {
        issuer: "corp".into(),
        issuer_url: "https://login.example".into(),
        agent: "agent-1".into(),
        acts_for: Some("ann".into()),
        groups: vec!["g7".into(), "night".into()],
        scopes: vec!["db:read".into()],
        model: Some(AiModel { name: "scribe".into(), version: Some("2".into()) }),
        purpose: Some("treatment".into()),
        workload: None,
        token: TokenFacts { id: None, key_id: None, algorithm: "RS256".into(), issued_at: None, expires_at: NOW + 300 },
    }
}

fn classification() -> Arc<Classification> {
    let columns = BTreeMap::from([
        ("id".to_owned(), Class::None),
        ("mrn".to_owned(), Class::Mrn),
        ("dob".to_owned(), Class::BirthDate),
        ("insurance_id".to_owned(), Class::InsuranceId),
        ("name".to_owned(), Class::Name),
    ]);
    let tables = (0..TABLES).map(|n| (table(n), TableClasses { columns: columns.clone(), subject: None })).collect();
    Arc::new(Classification::Tables(Arc::new(tables)))
}

fn select(n: usize) -> Facts {
    Facts {
        kind: "SELECT".into(),
        needs: vec![Need { action: Action::Select, table: Some(table(n)) }],
        has_where: true,
        effects: Effects::None,
    }
}

fn delete(n: usize) -> Facts {
    Facts {
        kind: "DELETE".into(),
        needs: vec![Need { action: Action::Delete, table: Some(table(n)) }],
        has_where: true,
        effects: Effects::Possible,
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("  {what:<44} p50 {:>9.2?}   p99 {:>9.2?}", at(50), at(99));
}

fn timed<T>(mut run: impl FnMut(usize) -> T, count: usize) -> Vec<Duration> {
    let one = |n| {
        let start = Instant::now();
        std::hint::black_box(run(n));
        start.elapsed()
    };
    (0..count).map(one).collect()
}

fn main() {
    let (classification, principal) = (classification(), principal());
    let session = SessionId::generate();
    let statement = StatementId { session, ordinal: 1 };
    for (name, text) in [("spread", spread()), ("tables", tables()), ("worst", worst())] {
        let set = PolicySet::load(&[("bench.cedar".into(), text)]).unwrap_or_else(|error| panic!("{error}"));
        println!("{name}: {} policies", set.len());
        let set = Arc::new(set);
        let new = || Authority::new(set.clone(), session, &principal, "clinic", classification.clone());

        print(
            "a session's authority, and its first decision",
            timed(|n| new().decide(statement, &select(n), NOW), 300),
        );
        let mut authority = new();
        let mut permitted = 0;
        let times = timed(
            |n| match authority.decide(statement, &select(n), NOW) {
                Decision::Allow(_) => permitted += 1,
                Decision::Deny(_) => {}
            },
            TABLES,
        );
        print(&format!("uncached ({permitted} of {TABLES} permitted)"), times);
        print("denied, with advice", timed(|n| authority.decide(statement, &delete(n), NOW), TABLES));
        print("cached", timed(|n| authority.decide(statement, &select(n % 7 + 50), NOW), TABLES));
        let columns: Vec<_> = (0..TABLES)
            .map(|n| (table(n), ["id", "mrn", "dob", "insurance_id", "name"].map(str::to_owned).to_vec()))
            .collect();
        print("masks of 10,000 columns", timed(|_| new().masks(&columns, NOW), 10));
    }
}
