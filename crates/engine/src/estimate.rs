//! How many rows the database expects of a statement, for policies that ask.
//!
//! It is asked by `EXPLAIN` of the statement rewritten with all that is protected redacted, whatever the session may see: so
//! the number tells nothing of what is hidden. It runs over a connection of the gateway's own, beside the session's;
//! nothing is executed. Only statements that can be masked are planned at all, and only where a policy that concerns them
//! reads the number.
//!
//! The number is the most that any step of the plan yields, not what comes out at the top: `string_agg` makes one row of
//! all. Below a `Limit`, steps that hand on row by row count as far as the limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::connection::Connection;
use crate::upstream::{self, Control, OpenLimits, UpstreamError};

/// How long the database may plan.
const PLANNING: Duration = Duration::from_secs(10);

/// Numbers that are asked for, one for each statement of a text. `None`: there is none.
pub(crate) struct Estimating {
    text: String,
    rows: Pin<Box<dyn Future<Output = Vec<Option<u64>>> + Send>>,
}

/// What was answered about a text.
#[derive(Debug, Clone)]
pub(crate) struct Estimated {
    pub(crate) text: String,
    pub(crate) rows: Vec<Option<u64>>,
}

impl Estimating {
    /// Asks for each of `statements`, the forms with everything redacted; `None` for those of which nothing is asked.
    pub(crate) fn ask(connection: &Arc<Connection>, text: &str, statements: Vec<Option<String>>) -> Self {
        let connection = connection.clone();
        let rows = async move {
            let mut rows = Vec::with_capacity(statements.len());
            for statement in statements {
                rows.push(match statement {
                    Some(statement) => connection.planner.rows(&connection, &statement).await,
                    None => None,
                });
            }
            rows
        };
        Estimating { text: text.to_owned(), rows: Box::pin(rows) }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Estimated> {
        self.rows.as_mut().poll(cx).map(|rows| Estimated { text: std::mem::take(&mut self.text), rows })
    }
}

/// Statements of one connection that are planned at a time.
const AT_ONCE: usize = 4;

/// The connections that plan; not the catalog's, which sessions wait for. Several, so that one slow plan holds up nobody
/// else's.
pub(crate) struct Planner {
    idle: Mutex<Vec<Control>>,
    places: Semaphore,
}

impl Default for Planner {
    fn default() -> Self {
        Planner { idle: Mutex::default(), places: Semaphore::new(AT_ONCE) }
    }
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Planner")
    }
}

impl Planner {
    async fn rows(&self, connection: &Connection, statement: &str) -> Option<u64> {
        let _place = self.places.acquire().await.ok()?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut control = match idle {
            Some(control) => control,
            None => {
                let credential = connection.credential.resolve().await.ok()?;
                let parameters = [("application_name".to_owned(), "chaperone planner".to_owned())];
                let limits = OpenLimits::default();
                let opened = upstream::open(&connection.target, &credential, &parameters, &limits).await;
                Control::new(
                    opened.inspect_err(|error| tracing::warn!(%error, "nothing can be planned")).ok()?,
                    PLANNING,
                )
            }
        };
        let answer = control.query(&format!("EXPLAIN (FORMAT JSON) {statement}")).await;
        if matches!(answer, Ok(_) | Err(UpstreamError::Server { .. })) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(control);
        }
        // a parameter has no value yet, so that the database cannot plan: there is no number then
        rows_of(&answer.ok()?.into_iter().next()?.into_iter().next()??)
    }
}

/// The most rows that any node yields (PostgreSQL manual, EXPLAIN, FORMAT JSON).
fn rows_of(plan: &str) -> Option<u64> {
    let plan: Value = serde_json::from_str(plan).ok()?;
    most(plan.get(0)?.get("Plan")?, None, DEEPEST)
}

/// Levels of a plan that are looked at; JSON that is nested deeper is not read at all.
const DEEPEST: usize = 128;

/// The most that `node` or a node below it yields; `limit` is what nodes above take at most.
fn most(node: &Value, limit: Option<u64>, deep: usize) -> Option<u64> {
    let deep = deep.checked_sub(1)?;
    let expected = node.get("Plan Rows")?.as_u64()?;
    let taken = limit.map_or(expected, |limit| expected.min(limit));
    let below = match node.get("Node Type")?.as_str()? {
        "Limit" => Some(taken),
        // what comes out is made of all that goes in
        "Aggregate" | "Group" | "WindowAgg" | "SetOp" | "Unique" | "Recursive Union" | "ProjectSet" => None,
        _ => limit,
    };
    let mut largest = taken;
    for child in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        // plans beside the node run to their end
        let beside = matches!(child.get("Parent Relationship").and_then(Value::as_str), Some("InitPlan" | "SubPlan"));
        largest = largest.max(most(child, if beside { None } else { below }, deep)?);
    }
    Some(largest)
}

#[cfg(test)]
mod tests {
    use super::rows_of;

    fn plan(kind: &str, rows: u64, below: &[String]) -> String {
        format!(r#"{{"Node Type": "{kind}", "Plan Rows": {rows}, "Plans": [{}]}}"#, below.join(", "))
    }

    fn rows(plan: &str) -> Option<u64> {
        rows_of(&format!(r#"[{{"Plan": {plan}}}]"#))
    }

    #[test]
    fn the_largest_step_counts() {
        let scan = plan("Seq Scan", 300, &[]);
        assert_eq!(rows(&scan), Some(300));
        assert_eq!(rows(&plan("Aggregate", 1, std::slice::from_ref(&scan))), Some(300));
        let sort = plan("Sort", 300, std::slice::from_ref(&scan));
        assert_eq!(rows(&plan("Limit", 7, &[sort])), Some(7), "row by row, as far as the limit");
        let aggregate = plan("Aggregate", 1, std::slice::from_ref(&scan));
        assert_eq!(rows(&plan("Limit", 1, &[aggregate])), Some(300), "all of them in one row");
        let beside = scan.replacen('{', r#"{"Parent Relationship": "InitPlan", "#, 1);
        assert_eq!(rows(&plan("Limit", 1, &[plan("Result", 1, &[beside])])), Some(300));
    }

    #[test]
    fn what_is_no_plan_has_no_number() {
        for bad in ["", "{}", "[]", r#"[{"Plan": {"Plan Rows": -1}}]"#, r#"[{"Plan": {"Plan Rows": "7"}}]"#] {
            assert_eq!(rows_of(bad), None, "{bad}");
        }
        let deep = (0..200).fold(plan("Result", 1, &[]), |below, _| plan("Result", 1, &[below]));
        assert_eq!(rows(&deep), None);
    }
}
