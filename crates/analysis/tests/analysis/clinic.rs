//! A small clinic: as a catalog on paper, and its classification and masks.

use std::collections::BTreeMap;

use chaperone_analysis::Catalog;
use chaperone_analysis::catalog::Rows;
use chaperone_model::{Class, Masks, Rung, Subject, TableClasses, TableName};

/// What a connection's owner declares, and what a session is shown.
pub struct Clinic {
    pub classification: BTreeMap<TableName, TableClasses>,
    pub masks: Masks,
}

/// Table, column, class, rung.
const COLUMNS: &[(&str, &str, Class, Rung)] = &[
    ("patient", "id", Class::None, Rung::Raw),
    ("patient", "first_name", Class::Name, Rung::Redacted),
    ("patient", "last_name", Class::Name, Rung::Redacted),
    ("patient", "ssn", Class::Ssn, Rung::Redacted),
    ("patient", "mrn", Class::Mrn, Rung::Redacted),
    ("patient", "dob", Class::BirthDate, Rung::Partial),
    ("patient", "zip", Class::Zip, Rung::Partial),
    ("patient", "sex", Class::None, Rung::Raw),
    ("patient", "lang", Class::None, Rung::Raw),
    ("patient", "weight", Class::None, Rung::Raw),
    ("patient", "died", Class::Date, Rung::Partial),
    ("patient", "insurance_id", Class::InsuranceId, Rung::Raw),
    ("patient", "initials", Class::None, Rung::Raw),
    ("patient", "extra", Class::Unknown, Rung::Redacted),
    ("encounter", "id", Class::None, Rung::Raw),
    ("encounter", "patient_id", Class::None, Rung::Raw),
    ("encounter", "admitted", Class::Date, Rung::Partial),
    ("encounter", "discharged", Class::Date, Rung::Partial),
    ("encounter", "unit", Class::None, Rung::Raw),
    ("encounter", "room", Class::None, Rung::Raw),
    ("encounter", "note", Class::ClinicalText, Rung::Redacted),
    ("room", "room", Class::None, Rung::Raw),
    ("room", "beds", Class::None, Rung::Raw),
    ("room", "wing", Class::None, Rung::Raw),
    ("lab", "id", Class::None, Rung::Raw),
    ("lab", "encounter_id", Class::None, Rung::Raw),
    ("lab", "code", Class::None, Rung::Raw),
    ("lab", "value", Class::None, Rung::Raw),
    ("lab", "taken", Class::Date, Rung::Partial),
    ("lab", "data", Class::None, Rung::Raw),
    ("by_name", "id", Class::None, Rung::Raw),
    ("by_name", "last_name", Class::Name, Rung::Redacted),
    ("by_unit", "id", Class::None, Rung::Raw),
    ("by_unit", "unit", Class::None, Rung::Raw),
    ("by_unit", "last_name", Class::Name, Rung::Redacted),
    ("guarded", "id", Class::None, Rung::Raw),
    ("guarded", "last_name", Class::Name, Rung::Redacted),
    ("v", "id", Class::None, Rung::Raw),
    ("parent", "id", Class::None, Rung::Raw),
    ("parent", "what", Class::None, Rung::Raw),
    ("child", "id", Class::None, Rung::Raw),
    ("child", "what", Class::Name, Rung::Redacted),
    ("stepparent", "id", Class::None, Rung::Raw),
    ("made", "id", Class::None, Rung::Raw),
    ("made", "parts", Class::None, Rung::Raw),
    ("boxed", "id", Class::None, Rung::Raw),
];

/// The classification, and masks that show all three rungs.
pub fn clinic() -> Clinic {
    let mut classification: BTreeMap<TableName, TableClasses> = BTreeMap::new();
    let mut masks = Masks::default();
    for (table, column, class, rung) in COLUMNS {
        let table = TableName::new("clinic", *table);
        classification.entry(table.clone()).or_default().columns.insert((*column).to_owned(), *class);
        masks.set(&table, column, *rung);
    }
    Clinic { classification, masks }
}

/// The same, where tables say whose rows they have.
pub fn with_subjects() -> Clinic {
    let mut clinic = clinic();
    let subjects =
        [("patient", "id"), ("encounter", "patient_id"), ("by_name", "id"), ("by_unit", "id"), ("guarded", "id")];
    for (table, column) in subjects {
        let classes = clinic.classification.get_mut(&TableName::new("clinic", table)).unwrap();
        classes.subject = Some(Subject::Column(column.to_owned()));
    }
    clinic.classification.get_mut(&TableName::new("clinic", "room")).unwrap().subject = Some(Subject::Nobody);
    clinic
}

fn rows(rows: &[&[&str]]) -> Rows {
    rows.iter().map(|row| row.iter().map(|value| (*value != "NULL").then(|| (*value).to_owned())).collect()).collect()
}

/// A catalog as a server could answer it, with a few traps in it.
pub fn paper_catalog() -> Catalog {
    let relation = |oid: &str, schema: &str, name: &str, kind: &str| -> Vec<Option<String>> {
        [oid, schema, name, kind, "f", "f"]
            .iter()
            .map(|value| Some((*value).to_owned()))
            .chain([None, Some("f".to_owned())])
            .collect()
    };
    let mut columns = Vec::new();
    let mut table = |oid: &str, names: &[(&str, &str)]| {
        for (number, (name, ty)) in names.iter().enumerate() {
            let number = (number + 1).to_string();
            let generated = if *name == "initials" { "t" } else { "f" };
            columns.push(
                [oid, &number, name, "25", "25", "pg_catalog", ty, "b", "0", "NULL", "NULL", generated]
                    .iter()
                    .map(|value| (*value != "NULL").then(|| (*value).to_owned()))
                    .collect::<Vec<_>>(),
            );
        }
    };
    table(
        "20001",
        &[
            ("id", "int4"),
            ("last_name", "text"),
            ("ssn", "text"),
            ("mrn", "bpchar"),
            ("dob", "date"),
            ("zip", "varchar"),
            ("sex", "bpchar"),
            ("died", "date"),
            ("initials", "text"),
        ],
    );
    table(
        "20002",
        &[("id", "int4"), ("patient_id", "int4"), ("admitted", "timestamptz"), ("unit", "text"), ("room", "text")],
    );
    table("20003", &[("room", "text"), ("beds", "int4")]);
    table("20004", &[("id", "int4")]);
    table("20005", &[("id", "int4")]);
    table("1259", &[("oid", "oid"), ("relname", "name"), ("reltuples", "float4")]);
    Catalog::load(&[
        rows(&[&["150020"]]),
        rows(&[&["pg_catalog"], &["clinic"]]),
        vec![
            relation("20001", "clinic", "patient", "r"),
            relation("20002", "clinic", "encounter", "r"),
            relation("20003", "clinic", "room", "r"),
            relation("20004", "clinic", "v", "v"),
            relation("20005", "clinic", "secret", "r"),
            relation("1259", "pg_catalog", "pg_class", "r"),
            relation("1260", "pg_catalog", "pg_stats", "v"),
        ],
        columns,
        rows(&[&["20001", "1", "t"], &["20001", "2 1", "f"], &["20002", "1", "t"], &["20003", "1", "t"]]),
        rows(&[&["20001", "9", "2"]]),
        rows(&[&["30001", "clinic", "probe", "d"], &["30002", "clinic", "mood", "e"]]),
        rows(&[&["clinic", "peek"], &["clinic", "fn"], &["elsewhere", "upper"]]),
        rows(&[&["clinic", "@@@"], &["clinic", "+++"]]),
        rows(&[&["clinic", "fn", "t"], &["pg_catalog", "to_json", "t"], &["pg_catalog", "current_setting", "f"]]),
        rows(&[]),
        rows(&[]),
        // views, constraints, triggers
        rows(&[&["20004", " SELECT patient.id FROM clinic.patient WHERE (patient.last_name < 'M'::text);", "NULL"]]),
        rows(&[
            &["20001", "u", "3", "0", "", "f"],
            &["20002", "f", "2", "20001", "1", "f"],
            &["20001", "c", "8 5", "0", "", "f"],
        ]),
        rows(&[]),
        // of extensions
        rows(&[]),
        rows(&[]),
        rows(&[]),
        rows(&[]),
        rows(&[]),
    ])
    .unwrap()
}
