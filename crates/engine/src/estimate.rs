//! How many rows the database expects of a statement, for policies that ask.
//!
//! It is asked by `EXPLAIN` of the statement rewritten with *everything* redacted, whatever the session may see: so the
//! number tells nothing of what is hidden. It runs over a connection of the gateway's own, beside the session's; nothing
//! is executed. Only statements that can be masked are planned at all, and only where a policy that concerns them reads
//! the number.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Mutex;

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

/// The connection that plans; not the catalog's, which sessions wait for.
#[derive(Default)]
pub(crate) struct Planner(Mutex<Option<Control>>);

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Planner")
    }
}

impl Planner {
    async fn rows(&self, connection: &Connection, statement: &str) -> Option<u64> {
        let mut place = self.0.lock().await;
        let mut control = match place.take() {
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
            *place = Some(control);
        }
        // a parameter has no value yet, so that the database cannot plan: there is no number then
        rows_of(&answer.ok()?.into_iter().next()?.into_iter().next()??)
    }
}

/// The rows of the topmost node (PostgreSQL manual, EXPLAIN, FORMAT JSON).
fn rows_of(plan: &str) -> Option<u64> {
    let plan: serde_json::Value = serde_json::from_str(plan).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::rows_of;

    #[test]
    fn the_topmost_number_counts() {
        assert_eq!(
            rows_of(r#"[{"Plan": {"Node Type": "Limit", "Plan Rows": 7, "Plans": [{"Plan Rows": 300}]}}]"#),
            Some(7)
        );
        for bad in ["", "{}", "[]", r#"[{"Plan": {"Plan Rows": -1}}]"#, r#"[{"Plan": {"Plan Rows": "7"}}]"#] {
            assert_eq!(rows_of(bad), None, "{bad}");
        }
    }
}
