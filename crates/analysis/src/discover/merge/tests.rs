use chaperone_model::Class;

use crate::discover::{About, Confidence};
use proptest::prelude::*;

use super::*;

fn proposal(tables: &[(&str, &[&str])]) -> Proposal {
    let column = |name: &&str| ColumnProposal {
        name: (*name).to_owned(),
        class: Class::Unknown,
        confidence: Confidence::Low,
        reason: "why".to_owned(),
    };
    let tables = tables.iter().map(|(table, columns)| TableProposal {
        table: TableName::new("s", *table),
        is_view: false,
        about: About::Linked,
        subject: None,
        columns: columns.iter().map(column).collect(),
    });
    Proposal { tables: tables.collect() }
}

fn read(text: &str) -> Existing {
    #[derive(serde::Deserialize)]
    struct File {
        tables: Existing,
    }
    serde_saphyr::from_str::<File>(text).unwrap_or_else(|error| panic!("{error}\n{text}")).tables
}

/// Merges, and holds the new text to what a YAML reader makes of it.
fn merged(text: &str, tables: &[(&str, &[&str])]) -> String {
    let existing = read(text);
    let merged = merge(text, &existing, &proposal(tables)).unwrap();
    let mut expected = existing;
    for (table, columns) in &merged.added {
        let table = expected.entry(table.clone()).or_default();
        for column in columns {
            assert_eq!(table.columns.insert(column.clone(), Class::Unknown), None);
        }
    }
    assert_eq!(read(&merged.text), expected, "{}", merged.text);
    // twice is once
    let again = merge(&merged.text, &expected, &proposal(tables)).unwrap();
    assert_eq!(again.text, merged.text);
    merged.text
}

#[test]
fn columns_and_tables_are_added_and_nothing_else_changes() {
    let text = "\
# ours
tables:
  # the patients
  s.a:
    subject: id # whose
    columns:
      id: none   # by hand
      ssn: ssn

      # births
      dob: birth_date
  s.b:
    columns: { id: none, \"x, }\": name } # short
  s.c:
    columns: { id: none,
      y: date # a comment }
    }
  s.d: { columns: { id: none } }
# the end
";
    let out = merged(
        text,
        &[
            ("a", &["id", "ssn", "dob", "new"]),
            ("b", &["id", "x, }", "b: 2", "no"]),
            ("c", &["id", "y", "z"]),
            ("d", &["id"]),
            ("e", &["e1"]),
        ],
    );
    assert_eq!(
        out,
        "\
# ours
tables:
  # the patients
  s.a:
    subject: id # whose
    columns:
      id: none   # by hand
      ssn: ssn

      # births
      dob: birth_date
      new: unknown # proposed: low: why
  s.b:
    columns: { id: none, \"x, }\": name,
      \"b: 2\": unknown, # proposed: low: why
      \"no\": unknown, # proposed: low: why
      } # short
  s.c:
    columns: { id: none,
      y: date # a comment }
    ,
      z: unknown, # proposed: low: why
      }
  s.d: { columns: { id: none } }
  s.e:
    columns:
      e1: unknown # proposed: low: why
# the end
"
    );
}

#[test]
fn endings_and_indents_are_kept() {
    for text in [
        "tables:\n  s.a:\n    columns:\n      id: none",
        "tables:\r\n  s.a:\r\n    columns:\r\n      id: none\r\n",
        "tables:\n s.a:\n  columns:\n   id: none\n",
        "---\ntables: # all\n    's.a':\n        columns: {}\n",
        "tables:\n  \"s.a\":\n    columns: {id: none,}\n    subject: id\n",
    ] {
        let out = merged(text, &[("a", &["id", "q\"u\\o\u{7}\u{2028}te", "x"]), ("b", &["y"])]);
        assert!(!out.contains("\r\n") || !out.replace("\r\n", "").contains('\n'), "{out:?}");
    }
}

#[test]
fn what_is_gone_is_said_and_stays() {
    let text = "tables:\n  s.a:\n    columns: { id: none, old: name }\n  s.z:\n    columns: { id: none }\n";
    let mut proposal = proposal(&[("a", &["id"])]);
    proposal.tables[0].subject = Some("id".to_owned());
    let merged = merge(text, &read(text), &proposal).unwrap();
    assert_eq!(merged.text, text);
    assert_eq!(merged.gone_tables, [TableName::new("s", "z")]);
    assert_eq!(merged.gone_columns, [(TableName::new("s", "a"), "old".to_owned())]);
    assert_eq!(merged.subjects, [(TableName::new("s", "a"), "id".to_owned())]);
}

#[test]
fn other_layouts_are_refused_with_their_line() {
    for (text, line) in [
        ("tables: { s.a: { columns: { id: none } } }\n", 1),
        ("tables:\n  s.a: { columns: { id: none } }\n", 2),
        ("tables:\n  s.a:\n    columns:\n      ? id\n      : none\n", 4),
        ("tables:\n  s.a:\n    columns: &c { id: none }\n", 3),
    ] {
        let error = merge(text, &read(text), &proposal(&[("a", &["id", "new"])])).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
    }
    assert!(merge("other: 1\n", &Existing::new(), &proposal(&[])).is_err());
}

/// Pieces of files, in any order: what a YAML reader can read is edited as it should be, or refused.
#[rustfmt::skip]
const PIECES: [&str; 24] = [
    "tables:\n", "tables: # all\n", "  s.a:\n", "  's.b':\n", "  \"s.a\": # a\n", "    columns:\n", "    columns: {}\n",
    "    columns: { id: none }\n", "    columns: { id: none, 'x: y': name, } # c\n", "    columns: { id: none, # {\n",
    "      y: date }\n", "      id: none\n", "      \"x # y\": name # z\n", "      y: date\n", "    subject: id\n",
    "    subject: 'columns'\n", "# columns: {\n", "\n", "  # s.c:\n", "---\n", "      }\n", "     ", "  s.c: { columns: { id: none } }\n",
    "    columns: {id: none, y: \"date\"}",
];

proptest! {
    #[test]
    fn a_file_is_edited_rightly_or_not_at_all(
        pieces in proptest::collection::vec(0_usize..PIECES.len(), 0..9),
        ending in any::<bool>(),
    ) {
        #[derive(serde::Deserialize)]
        struct File {
            tables: Existing,
        }
        let mut text: String = "tables:\n  s.a:\n".to_owned();
        pieces.iter().filter_map(|piece| PIECES.get(*piece)).for_each(|piece| text.push_str(piece));
        if ending {
            text = text.replace('\n', "\r\n");
        }
        let proposal = proposal(&[("a", &["id", "new"]), ("b", &["n: 1"]), ("d", &["d1"])]);
        if let Ok(file) = serde_saphyr::from_str::<File>(&text)
            && let Ok(merged) = merge(&text, &file.tables, &proposal)
        {
            let mut expected = file.tables;
            for (table, columns) in &merged.added {
                let table = expected.entry(table.clone()).or_default();
                table.columns.extend(columns.iter().map(|column| (column.clone(), Class::Unknown)));
            }
            prop_assert_eq!(read(&merged.text), expected, "{}\n----\n{}", text, merged.text);
        }
    }
}
