//! What is proposed for five schemas, against what a person says of them. The truth files were written before the
//! heuristics; a rule that is made for a column of theirs is no rule.

use std::collections::{BTreeMap, HashMap};

use chaperone_analysis::catalog::Rows;
use chaperone_analysis::discover::{About, Confidence, Proposal, QUERIES, Snapshot, merge, propose, propose_with};
use chaperone_model::{Class, TableClasses, TableName};
use chaperone_testkit::clinic;
use chaperone_testkit::postgres::{Cluster, Options};
use tokio_postgres::{NoTls, SimpleQueryMessage};

const SCHEMAS: [(&str, &str, &str); 5] = [
    ("omop", include_str!("discover/omop.sql"), include_str!("discover/omop.truth")),
    ("mimic", include_str!("discover/mimic.sql"), include_str!("discover/mimic.truth")),
    ("saas", include_str!("discover/saas.sql"), include_str!("discover/saas.truth")),
    ("odd", include_str!("discover/odd.sql"), include_str!("discover/odd.truth")),
    ("later", include_str!("discover/later.sql"), include_str!("discover/later.truth")),
];

/// A classification file.
#[derive(serde::Deserialize)]
struct File {
    tables: BTreeMap<TableName, TableClasses>,
}

/// Reads a database's definitions as `chaperone discover` does.
async fn snapshot(cluster: &Cluster, database: &str) -> Snapshot {
    let config = cluster.conn_string_for(database, "postgres", cluster.password());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
    let mut answers: Vec<Rows> = Vec::new();
    for query in QUERIES {
        let messages = client.simple_query(query).await.unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect()),
            _ => None,
        });
        answers.push(rows.collect());
    }
    Snapshot::load(&answers).unwrap()
}

/// `schema.table: column class, …`
fn truth(text: &str) -> BTreeMap<(TableName, String), Class> {
    let mut truth = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (table, columns) = line.split_once(": ").unwrap();
        let (schema, name) = table.split_once('.').unwrap();
        for column in columns.split(", ") {
            let (column, class) = column.split_once(' ').unwrap();
            let class = Class::ALL.into_iter().find(|c| c.name() == class).unwrap_or_else(|| panic!("{class}"));
            let twice = truth.insert((TableName::new(schema, name), column.to_owned()), class);
            assert_eq!(twice, None, "{table}.{column}");
        }
    }
    truth
}

#[test]
fn nothing_protected_is_proposed_as_none() {
    let cluster = Cluster::start(Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut leaks = Vec::new();
    for (name, sql, expected) in SCHEMAS {
        cluster.create_database(name, "postgres").unwrap();
        cluster.psql_in(name, sql).unwrap();
        let proposal = propose(&runtime.block_on(snapshot(&cluster, name)));
        let truth = truth(expected);
        let columns: usize = proposal.tables.iter().map(|table| table.columns.len()).sum();
        assert_eq!(columns, truth.len(), "{name}: the truth is about other columns");
        leaks.extend(judged(name, &proposal, &truth));
        keeps_its_word(&proposal);
        if let Some(expected) = subjects(name) {
            for (table, subject) in expected {
                let found = proposal.tables.iter().find(|proposal| proposal.table.to_string() == *table).unwrap();
                assert_eq!(found.subject.as_deref(), *subject, "{table}");
            }
        }
    }
    assert!(leaks.is_empty(), "protected, but proposed as `none`:\n{}", leaks.join("\n"));
}

/// A schema and a truth of another hand: the demo's, which declares names and licences of its own staff public.
#[test]
fn the_clinic_of_the_demo() {
    let cluster = Cluster::start(Options::default()).unwrap();
    cluster.psql(clinic::SCHEMA).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let proposal = propose(&runtime.block_on(snapshot(&cluster, "postgres")));
    let file: File = serde_saphyr::from_str(clinic::CLASSIFICATION).unwrap();
    let truth = file.tables.iter().flat_map(|(table, classes)| {
        classes.columns.iter().map(|(column, class)| ((table.clone(), column.clone()), *class))
    });
    let leaks = judged("clinic", &proposal, &truth.collect());
    assert!(leaks.is_empty(), "protected, but proposed as `none`:\n{}", leaks.join("\n"));
    keeps_its_word(&proposal);
    for table in &proposal.tables {
        let subject = match &*table.table.name {
            "patient" => Some("id"),
            "contact" | "visit" | "lab_result" | "prescription" | "allergy" | "appointment" | "claim"
            | "clinical_note" => Some("patient_id"),
            _ => None,
        };
        assert_eq!(table.subject.as_deref(), subject, "{}", table.table);
    }
}

/// Prints precision and recall of each class, and gives what must not be.
fn judged(name: &str, proposal: &Proposal, truth: &BTreeMap<(TableName, String), Class>) -> Vec<String> {
    let mut leaks = Vec::new();
    // by class: proposed, true, both
    let mut counts: BTreeMap<Class, (u32, u32, u32)> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut covered = 0;
    for table in &proposal.tables {
        for column in &table.columns {
            let key = (table.table.clone(), column.name.clone());
            let expected = *truth.get(&key).unwrap_or_else(|| panic!("no truth of {}.{}", key.0, key.1));
            counts.entry(column.class).or_default().0 += 1;
            counts.entry(expected).or_default().1 += 1;
            covered += u32::from(column.class.is_protected() == expected.is_protected());
            if column.class == expected {
                counts.entry(expected).or_default().2 += 1;
                continue;
            }
            let line = format!(
                "{}.{}: {} ({}: {}), truly {}",
                table.table,
                column.name,
                column.class.name(),
                column.confidence.name(),
                column.reason,
                expected.name()
            );
            if column.class == Class::None {
                leaks.push(line.clone());
            }
            wrong.push(line);
        }
    }
    println!("{name}: {} columns, {covered} rightly protected or not", truth.len());
    println!("  {:<14} {:>8} {:>5} {:>6} {:>9} {:>6}", "class", "proposed", "true", "right", "precision", "recall");
    for (class, (proposed, real, both)) in counts {
        let share = |of: u32| if of == 0 { "-".to_owned() } else { format!("{:.2}", f64::from(both) / f64::from(of)) };
        println!("  {:<14} {proposed:>8} {real:>5} {both:>6} {:>9} {:>6}", class.name(), share(proposed), share(real));
    }
    if std::env::var_os("DISCOVER_WRONG").is_some() {
        wrong.iter().for_each(|line| println!("  {line}"));
    }
    leaks
}

/// What holds for every proposal.
fn keeps_its_word(proposal: &Proposal) {
    for table in &proposal.tables {
        for column in &table.columns {
            assert!(!column.reason.is_empty());
            assert!(
                column.class != Class::None || column.confidence > Confidence::Low,
                "{}.{}",
                table.table,
                column.name
            );
        }
        if let Some(subject) = &table.subject {
            assert!(table.columns.iter().any(|column| column.name == *subject));
        }
    }
    // the file says the same
    let file: File = serde_saphyr::from_str(&proposal.write()).unwrap();
    assert_eq!(file.tables.len(), proposal.tables.len());
    for table in &proposal.tables {
        let written = &file.tables[&table.table];
        assert_eq!(written.subject_column(), table.subject.as_deref());
        assert_eq!(written.columns.len(), table.columns.len());
        assert!(table.columns.iter().all(|column| written.columns[&column.name] == column.class));
    }
}

type Subjects = &'static [(&'static str, Option<&'static str>)];

fn subjects(name: &str) -> Option<Subjects> {
    match name {
        "omop" => Some(&[
            ("omop.person", Some("person_id")),
            ("omop.measurement", Some("person_id")),
            ("omop.concept", None),
            ("omop.note_nlp", None),
        ]),
        "mimic" => Some(&[
            ("mimic_hosp.patients", Some("subject_id")),
            ("mimic_hosp.emar", Some("subject_id")),
            ("mimic_icu.chartevents", Some("subject_id")),
        ]),
        "saas" => Some(&[
            ("app.Clients", Some("id")),
            ("app.ChartNotes", Some("clientId")),
            ("app.InvoiceLines", None),
            ("app.ClientCoverage", Some("clientId")),
            ("legacy.tbl_pnt_mstr", Some("pnt_cd")),
            ("legacy.tbl_cons", Some("pnt_cd")),
        ]),
        "later" => Some(&[
            ("clarity.PATIENT", Some("PAT_ID")),
            ("clarity.PAT_ENC", Some("PAT_ID")),
            ("clarity.ORDER_RESULTS", Some("PAT_ID")),
            ("emr.patient_data", Some("pid")),
        ]),
        _ => None,
    }
}

/// The answers of a database of many tables, each linked to the one before it.
fn many(tables: u32) -> Vec<Rows> {
    let text = |values: &[&str]| values.iter().map(|v| (*v != "NULL").then(|| (*v).to_owned())).collect::<Vec<_>>();
    let (mut relations, mut columns, mut constraints) = (Rows::new(), Rows::new(), Rows::new());
    let names = [
        "id",
        "parentRecordId",
        "patientLastName",
        "dateOfBirth",
        "admittime",
        "zipcode",
        "noteText",
        "labValueNumeric",
        "xqzzyabcdefghijklmnop",
        "insurancePolicyNumber",
        "statusCode",
        "isActive",
        "createdAt",
        "weightKg",
        "homePhone",
        "emailAddress",
        "attribute17",
        "diagnosisCode",
        "medicalRecordNumber",
        "freeTextCommentField",
    ];
    for table in 0..tables {
        let oid = (20_000 + table).to_string();
        relations.push(text(&[&oid, "s", &format!("visitRecordDetail{table}"), "r", "NULL"]));
        for (at, name) in names.iter().enumerate() {
            let number = (at + 1).to_string();
            let (type_oid, ty) = if at < 2 { ("23", "int4") } else { ("25", "text") };
            let comment = "Comment of a definer, with some words about the column and what it may be used for";
            columns.push(text(&[
                &oid, &number, name, type_oid, type_oid, ty, "b", "NULL", "NULL", "NULL", "-1", ty, "f", "f", "f",
                comment,
            ]));
        }
        constraints.push(text(&[&oid, "0", "p", "1", "0", "NULL", "NULL"]));
        if table > 0 {
            let parent = (20_000 + table - 1).to_string();
            constraints.push(text(&[&oid, "0", "f", "2", &parent, "1", "NULL"]));
        }
    }
    vec![Rows::new(), relations, columns, constraints, Rows::new(), Rows::new(), Rows::new(), Rows::new(), Rows::new()]
}

/// 100,000 columns are read in one pass: each table once, whatever refers to it.
#[test]
fn large_schemas_are_one_pass() {
    let snapshot = Snapshot::load(&many(5_000)).unwrap();
    let mut seen = Vec::new();
    let proposal = propose_with(&snapshot, |done, of| {
        assert_eq!(of, 5_000);
        seen.push(done);
    });
    assert_eq!(seen, (1..=5_000).collect::<Vec<_>>());
    assert_eq!(proposal.tables.len(), 5_000);
    let by_class: HashMap<Class, usize> =
        proposal.tables.iter().flat_map(|table| &table.columns).fold(HashMap::new(), |mut counts, column| {
            *counts.entry(column.class).or_default() += 1;
            counts
        });
    assert_eq!(by_class[&Class::Mrn], 5_000);
    assert!(proposal.tables.iter().all(|table| table.about != About::NoPerson));
}

/// Answers about two tables and a view of whatever names and texts.
fn whatever(names: &[String], types: &[usize], text: &str) -> Vec<Rows> {
    let own = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
    const TYPES: [(&str, &str); 6] =
        [("int4", "b"), ("text", "b"), ("date", "b"), ("jsonb", "b"), ("mood", "e"), ("numeric", "b")];
    let name = |n: usize| names.get(n % names.len()).map_or("", String::as_str);
    let relations: Rows = [("r", "1"), ("r", "2"), ("v", "3")]
        .map(|(kind, oid)| own(&[oid, name(0), &format!("{}{oid}", name(1)), kind, text]))
        .into();
    let mut columns = Rows::new();
    for oid in ["1", "2", "3"] {
        for (at, ty) in types.iter().enumerate() {
            let (ty, kind) = TYPES[ty % TYPES.len()];
            let (number, name) = ((at + 1).to_string(), format!("{}{at}", name(at + 2)));
            let mut row = own(&[oid, &number, &name, "9", "9", ty, kind, "", "", "", "-1", ty, "f", "f", "f", text]);
            (7..10).for_each(|at| row[at] = None);
            columns.push(row);
        }
    }
    let mut constraints = vec![own(&["1", "0", "p", "1", "0", "", ""]), own(&["2", "0", "f", "2", "1", "1", ""])];
    constraints.push(own(&["1", "0", "c", "2", "0", "", text]));
    let views = vec![own(&["3", text])];
    let reads = vec![own(&["3", "1", "1"]), own(&["3", "3", "1"])];
    let labels = vec![own(&["9", text])];
    vec![Rows::new(), relations, columns, constraints, labels, views, Rows::new(), reads, Rows::new()]
}

proptest::proptest! {
    /// Names, comments and definitions are anything; the file says what was proposed, and can be added to.
    #[test]
    fn whatever_a_definer_writes(
        names in proptest::collection::vec("[^\\x00.]{1,12}|[a-z_ÄA-Z0-9]{1,20}|dob|null|(patient|mrn|Id|Name|_){1,4}", 1..8),
        types in proptest::collection::vec(0_usize..6, 1..8),
        text in ".{0,60}|SELECT [a-z.,()*' ]{0,40}|\\(?a = ANY \\([a-z',{}]{0,20}\\)\\)?",
    ) {
        let proposal = propose(&Snapshot::load(&whatever(&names, &types, &text)).unwrap());
        keeps_its_word(&proposal);
        let mut first = proposal.clone();
        for table in &mut first.tables {
            table.columns.truncate(1);
        }
        first.tables.truncate(2);
        let file = |text: &str| serde_saphyr::from_str::<File>(text).unwrap().tables;
        let before = first.write();
        let merged = merge(&before, &file(&before), &proposal);
        let merged = merged.unwrap_or_else(|error| panic!("{error}\n{before}"));
        // what was there keeps its class, what was added waits for somebody to look at it
        let (before, after) = (file(&before), file(&merged.text));
        for (table, classes) in file(&proposal.write()) {
            for column in classes.columns.keys() {
                let kept = before.get(&table).and_then(|classes| classes.columns.get(column)).copied();
                proptest::prop_assert_eq!(after[&table].columns[column], kept.unwrap_or(Class::Unknown));
            }
            proptest::prop_assert_eq!(after[&table].columns.len(), classes.columns.len());
        }
    }
}

#[test]
fn answers_of_another_shape_are_refused() {
    assert!(Snapshot::load(&[]).is_err());
    let mut answers = many(2);
    answers[2][3].truncate(5);
    assert!(Snapshot::load(&answers).is_err());
    let mut answers = many(2);
    answers[3][0][2] = None;
    assert!(Snapshot::load(&answers).is_err());
}
