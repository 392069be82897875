//! `chaperone discover` against the clinic's database, as an operator runs it.

use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;

use crate::stage::{Gateway, Setup, fresh_cluster};

fn discover(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .arg("discover")
        .args(if arguments.contains(&"--connection") { &[][..] } else { &["--connection", "clinic"] })
        .args(arguments)
        .env("CHAPERONE_CONFIG", gateway.path("chaperone.yaml"))
        .output()
        .unwrap()
}

fn good(output: &Output) -> (String, String) {
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    (out.into_owned(), said.into_owned())
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_first_classification_and_what_is_new_later() {
    let cluster = Arc::new(fresh_cluster());
    let gateway = Setup::new().cluster(cluster.clone()).start();
    let classes = gateway.path("classes.yaml");
    let file = classes.to_str().unwrap();
    let by_hand = std::fs::read_to_string(&classes).unwrap();

    // a first proposal does not need the classification that the configuration names
    std::fs::remove_file(&classes).unwrap();
    let (proposed, said) = good(&discover(&gateway, &["--schema", "clinic"]));
    assert!(proposed.contains("      ssn: ssn # proposed: high: name says `ssn`\n"), "{proposed}");
    assert!(proposed.contains("  clinic.patient: # a row for each patient\n    subject: id\n"), "{proposed}");
    assert!(said.contains("no row was read"), "{said}");
    std::fs::write(&classes, &by_hand).unwrap();

    // nothing new, nothing changed
    let (merged, _) = good(&discover(&gateway, &["--merge", file]));
    assert_eq!(merged, by_hand);

    // a comment is read, and nothing of it but the word that counts is repeated
    cluster
        .psql_in(
            "clinic",
            "alter table clinic.room add column q7 text; alter table clinic.room rename column beds to places;
             comment on column clinic.room.q7 is 'E-mail of xyzzy, who has the key';
             create table clinic.\"on: hold\" (id serial primary key, patient_id integer references clinic.patient,
               \"Why?\" text, until date)",
        )
        .unwrap();
    let (out, said) = good(&discover(&gateway, &["--merge", file, "--out", file]));
    assert_eq!(out, "");
    let now = std::fs::read_to_string(&classes).unwrap();
    let added: Vec<&str> = now.lines().filter(|line| !by_hand.lines().any(|old| old == *line)).collect();
    assert_eq!(
        added,
        [
            "    columns: { id: none, department_id: none, label: none, beds: none,",
            "      places: unknown, # proposed: low: a number, and its name does not say of what",
            "      q7: unknown, # proposed `email`: medium: comment says `email`",
            "      }",
            "  \"clinic.on: hold\":",
            "      id: unknown # proposed `none`: high: a key filled by a sequence",
            "      patient_id: unknown # proposed `none`: medium: refers to `clinic.patient.id`, which identifies nobody",
            "      \"Why?\": unknown # proposed: low: nothing in its name says what it holds",
            "      until: unknown # proposed `date`: high: type date",
        ]
    );
    assert!(now.contains("\n  \"clinic.on: hold\":\n    subject: patient_id\n"), "{now}");
    assert!(said.contains("in the file, not in the database: columns (1):\n  clinic.room.beds"), "{said}");
    assert!(!format!("{said}{now}").contains("xyzzy"));

    // again: nothing more
    let (merged, said) = good(&discover(&gateway, &["--merge", file]));
    assert_eq!(merged, now);
    assert!(said.contains("added 0 columns"), "{said}");

    // for programs
    let (json, _) = good(&discover(&gateway, &["--format", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let patient = json["tables"].as_array().unwrap().iter().find(|t| t["table"]["name"] == "patient").unwrap();
    assert_eq!(patient["about"], "patient");
    assert_eq!(patient["columns"][3]["class"], "ssn");
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_written() {
    let gateway = Setup::new().start();
    let classes = gateway.path("classes.yaml");
    let file = classes.to_str().unwrap();
    let before = std::fs::read_to_string(&classes).unwrap();
    assert!(refused(&discover(&gateway, &["--out", file])).contains("give it to `--merge` too"));
    assert!(refused(&discover(&gateway, &["--schema", "nowhere"])).contains("`nowhere`"));
    assert!(refused(&discover(&gateway, &["--merge", file, "--format", "json"])).contains("--format json"));
    assert!(refused(&discover(&gateway, &["--connection", "other"])).contains("other"));
    assert_eq!(std::fs::read_to_string(&classes).unwrap(), before);
    // a layout that cannot be edited
    std::fs::write(&classes, "tables: { clinic.room: { columns: { id: none } } }\n").unwrap();
    assert!(refused(&discover(&gateway, &["--merge", file, "--out", file])).contains("line 1"));
    std::fs::write(&classes, "tables: [").unwrap();
    assert!(refused(&discover(&gateway, &["--merge", file])).contains("classes.yaml"));
}
