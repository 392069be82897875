//! How the cases came out.

use std::fmt;

use serde_json::{Value, json};

use crate::policy_test::cases::Case;
use crate::policy_test::judge::Verdict;

/// All cases, in order.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

struct Line {
    file: String,
    name: String,
    expected: String,
    verdict: Verdict,
    /// What is otherwise than expected; empty: the case passed.
    faults: Vec<String>,
}

impl Report {
    pub fn add(&mut self, file: &str, name: String, case: &Case, verdict: Verdict) {
        let mut faults = Vec::new();
        if verdict.decision != case.expect {
            faults.push(format!("decision: expected {}, came {}", case.expect, verdict.decision));
        }
        if let Some(expected) = &case.policies {
            let (mut expected, came) = (expected.clone(), verdict.policies.iter().map(|(id, _)| id.clone()));
            let came: Vec<String> = came.collect();
            expected.sort();
            if expected != came {
                faults.push(format!("policies: expected {}, came {}", listed(&expected), listed(&came)));
            }
        }
        let rule = verdict.refusal.as_ref().map(|refusal| refusal.rule);
        if let Some(expected) = &case.rule
            && rule != Some(expected)
        {
            faults.push(format!(
                "rule: expected `{expected}`, came {}",
                rule.map_or("none".to_owned(), |r| format!("`{r}`"))
            ));
        }
        faults.extend(verdict.columns.iter().cloned());
        self.lines.push(Line { file: file.to_owned(), name, expected: case.expect.to_string(), verdict, faults });
    }

    /// How many cases came out otherwise.
    pub fn failed(&self) -> usize {
        self.lines.iter().filter(|line| !line.faults.is_empty()).count()
    }

    pub fn json(&self) -> Value {
        let case = |line: &Line| {
            let refusal = line.verdict.refusal.as_ref();
            json!({
                "file": line.file,
                "name": line.name,
                "passed": line.faults.is_empty(),
                "expected": line.expected,
                "decision": line.verdict.decision.to_string(),
                "policies": line.verdict.policies.iter().map(|(id, _)| id).collect::<Vec<_>>(),
                "near": line.verdict.near,
                "rule": refusal.map(|refusal| refusal.rule),
                "message": refusal.map(|refusal| &refusal.message),
                "detail": refusal.map(|refusal| &refusal.detail),
                "hint": refusal.map(|refusal| &refusal.hint),
                "faults": line.faults,
            })
        };
        let cases: Vec<Value> = self.lines.iter().map(case).collect();
        json!({"passed": self.lines.len() - self.failed(), "failed": self.failed(), "cases": cases})
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let passed = line.faults.is_empty();
            writeln!(f, "{}  {}: {}", if passed { "ok  " } else { "FAIL" }, line.file, line.name)?;
            if passed {
                continue;
            }
            for fault in &line.faults {
                writeln!(f, "        {fault}")?;
            }
            for (id, place) in &line.verdict.policies {
                let place = place.as_deref().map(|place| format!(" ({place})")).unwrap_or_default();
                writeln!(f, "        decided by `{id}`{place}")?;
            }
            if let Some(refusal) = &line.verdict.refusal {
                writeln!(f, "        {} (rule `{}`)\n        {}", refusal.message, refusal.rule, refusal.detail)?;
            }
        }
        writeln!(f, "{} passed, {} failed", self.lines.len() - self.failed(), self.failed())
    }
}

fn listed(ids: &[String]) -> String {
    match ids {
        [] => "none".to_owned(),
        ids => ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "),
    }
}
