use std::collections::{BTreeMap, BTreeSet};

use chaperone_model::{TableClasses, TableName};
use serde::Deserialize;

use super::*;
use crate::postgres::Options;

#[derive(Deserialize)]
struct Classification {
    tables: BTreeMap<TableName, TableClasses>,
}

#[test]
fn the_same_seed_gives_the_same_clinic() {
    assert_eq!(sql(7, 20), sql(7, 20));
    assert_ne!(sql(7, 20), sql(8, 20));
    assert_eq!(ops_sql(7), ops_sql(7));
}

#[test]
fn loads_and_every_column_is_classified() {
    let cluster = Cluster::start(Options::default()).unwrap();
    load(&cluster, "clinic_app", "secret").unwrap();
    let count = |database: &str, sql: &str| cluster.psql_in(database, sql).unwrap().parse::<u64>().unwrap();
    assert_eq!(count("clinic", "select count(*) from clinic.patient"), PATIENTS as u64);
    for table in ["visit", "diagnosis", "lab_result", "prescription", "claim", "clinical_note", "contact", "allergy"] {
        assert!(count("clinic", &format!("select count(*) from clinic.{table}")) > 50, "{table}");
    }
    assert!(count("ops", "select count(*) from ops.stock") > 50);
    // The classes are told by people: show that they speak of the columns that exist, of all and of no other.
    let listed: Classification = serde_saphyr::from_str(CLASSIFICATION).unwrap();
    let listed: BTreeSet<String> = listed
        .tables
        .iter()
        .flat_map(|(table, columns)| columns.columns.keys().map(move |column| format!("{table}.{column}")))
        .collect();
    let real = cluster.psql_in(
        "clinic",
        "select table_schema || '.' || table_name || '.' || column_name from information_schema.columns \
         where table_schema = 'clinic'",
    );
    let real: BTreeSet<String> = real.unwrap().lines().map(str::to_owned).collect();
    assert_eq!(listed, real);
}

#[test]
fn nobody_in_it_can_exist() {
    let cluster = Cluster::start(Options::default()).unwrap();
    load(&cluster, "clinic_app", "secret").unwrap();
    let wrong = cluster.psql_in(
        "clinic",
        "select id from clinic.patient where ssn !~ '^9[0-9]{2}-[0-4][0-9]-[0-9]{4}$' \
         or phone !~ ' 555-01[0-9]{2}$' or email !~ '\\.example\\.org$'",
    );
    assert_eq!(wrong.unwrap(), "");
    let hidden = "select count(distinct left(zip, 3)) from clinic.patient where left(zip, 3) in ('036', '821')";
    assert_eq!(cluster.psql_in("clinic", hidden).unwrap(), "2");
    let old = "select count(*) > 0 from clinic.patient where dob < date '1936-01-01'";
    assert_eq!(cluster.psql_in("clinic", old).unwrap(), "t");
}
