//! Golden files: what a statement becomes, for a person to read. `UPDATE_GOLDEN=1` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use chaperone_analysis::{Catalog, Protection, Returns, Temporaries, parse, rewrite_within};

use crate::clinic::{self, Clinic};

/// Compares `actual` with a golden file.
pub fn compare(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/analysis/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (expected, actual)) in expected.lines().zip(actual.lines()).enumerate() {
        assert_eq!(expected, actual, "{name}, line {}", line + 1);
    }
    assert_eq!(expected.lines().count(), actual.lines().count(), "{name}: number of lines");
}

/// The statements of the golden file, one a line.
const STATEMENTS: &str = include_str!("golden/rewrite.sql");

#[test]
fn rewriting() {
    let catalog: Catalog = clinic::paper_catalog();
    let Clinic { classification, masks } = clinic::clinic();
    let protection = Protection {
        catalog: &catalog,
        classification: &classification,
        masks: &masks,
        masker: chaperone_mask::Masker::new(1937),
    };
    let mut text = String::new();
    for sql in STATEMENTS.lines().filter(|line| !line.is_empty()) {
        if sql.starts_with("--") {
            writeln!(text, "{sql}").unwrap();
            continue;
        }
        writeln!(text, "{sql}").unwrap();
        match parse(sql) {
            Err(refusal) => writeln!(text, "  ✗ {} {}: {}", refusal.code.0, refusal.rule, refusal.message).unwrap(),
            Ok(statements) => {
                let mut temporaries = Temporaries::default();
                for i in 0..statements.len() {
                    temporaries.note(&statements, i, &statements.facts_within(i, &catalog, &temporaries));
                    match rewrite_within(&statements, i, &protection, &temporaries) {
                        Ok(rewritten) => {
                            writeln!(text, "  → {}", rewritten.text).unwrap();
                            if let Some(inside) = &rewritten.output.inside {
                                writeln!(text, "    inside: {}", inside.text).unwrap();
                            }
                            if let Returns::Rows { origins, columns, .. } = rewritten.output.returns {
                                let names = columns.map(|columns| {
                                    let name = |c: chaperone_analysis::Expected| c.name.unwrap_or("?".into());
                                    columns.into_iter().map(name).collect::<Vec<_>>().join(", ")
                                });
                                let names = names.unwrap_or("*".into());
                                writeln!(text, "    ({names}) with {} columns as stored", origins.len()).unwrap();
                            }
                        }
                        Err(refusal) => {
                            writeln!(text, "  ✗ {} {}: {}", refusal.code.0, refusal.rule, refusal.message).unwrap();
                        }
                    }
                }
            }
        }
    }
    compare("rewrite.txt", &text);
}
