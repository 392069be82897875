//! The workload as it is written, and what may be said of two answers to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// A statement of the workload, or a few that belong together in one session.
pub struct Case {
    pub theme: String,
    pub name: String,
    pub steps: Vec<String>,
    /// Values of `$1`, `$2`, …: it then goes by the extended protocol.
    pub parameters: Option<Vec<Option<String>>>,
    /// Why the copy cannot say what should come out.
    pub incomparable: Option<String>,
    /// The first major release of the server that has the grammar.
    pub since: u32,
}

/// What came back for one step.
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<String>,
    pub tag: String,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/clinical")
}

/// The workload, by theme. `-- name:` begins a case, a `;` at the end of a line ends a step of it.
pub fn cases() -> Vec<Case> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let theme = file.file_stem().unwrap().to_string_lossy().into_owned();
        let mut step = String::new();
        for line in fs::read_to_string(&file).unwrap().lines() {
            if let Some(name) = line.strip_prefix("-- name: ") {
                assert!(step.trim().is_empty(), "{theme}: `{step}` does not end before `{name}`");
                cases.push(Case {
                    theme: theme.clone(),
                    name: name.to_owned(),
                    steps: Vec::new(),
                    parameters: None,
                    incomparable: None,
                    since: 0,
                });
                continue;
            }
            let Some(case) = cases.last_mut().filter(|case| case.theme == theme) else { continue };
            if let Some(values) = line.strip_prefix("-- parameters: ") {
                let value = |value: &str| (value.trim() != "\\N").then(|| value.trim().to_owned());
                case.parameters = Some(values.split('|').map(value).collect());
            } else if let Some(reason) = line.strip_prefix("-- incomparable: ") {
                case.incomparable = Some(reason.to_owned());
            } else if let Some(release) = line.strip_prefix("-- since: ") {
                case.since = release.trim().parse().unwrap();
            } else {
                step += line;
                step.push('\n');
                if line.trim_end().ends_with(';') {
                    case.steps.push(std::mem::take(&mut step).trim().trim_end_matches(';').to_owned());
                }
            }
        }
        assert!(step.trim().is_empty(), "{theme}: `{step}` does not end");
    }
    assert!(cases.iter().all(|case| !case.steps.is_empty()), "a case has no statement");
    let names: BTreeSet<&str> = cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    cases
}

/// Whether the step says in which order its rows come: `ORDER BY` outside brackets, or it brings what another step asked.
fn is_ordered(case: &Case, step: &str) -> bool {
    let words = step.to_lowercase();
    let orders = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").contains("order by");
    if ["fetch", "execute", "copy"].iter().any(|word| words.trim_start().starts_with(word)) {
        return case.steps.iter().any(|step| orders(&step.to_lowercase()));
    }
    let mut depth = 0;
    let outside: String = words
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        })
        .collect();
    orders(&outside)
}

/// The first thing in which the agent's answer is not what the copy answers.
pub fn difference(case: &Case, got: &[Answer], expected: &[Answer]) -> Option<String> {
    for ((got, expected), step) in got.iter().zip(expected).zip(&case.steps) {
        if (&got.columns, &got.tag) != (&expected.columns, &expected.tag) {
            return Some(format!("{:?} {} in place of {:?} {}", got.columns, got.tag, expected.columns, expected.tag));
        }
        let (mut got, mut expected): (Vec<_>, Vec<_>) = (got.rows.iter().collect(), expected.rows.iter().collect());
        if !is_ordered(case, step) {
            got.sort();
            expected.sort();
        }
        if let Some((got, expected)) = got.iter().zip(&expected).find(|(got, expected)| got != expected) {
            return Some(format!("`{got}` in place of `{expected}`"));
        }
    }
    None
}
