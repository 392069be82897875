//! What an operator may ask of a connection without any session: what the live database looks like, and what would
//! become of a statement. The very judge of a session answers, so that the explanation cannot differ from what happens;
//! nothing is run but the catalog's queries.

use std::future::poll_fn;
use std::sync::Arc;

use chaperone_analysis::Catalog;
use chaperone_analysis::catalog::Rows;
use chaperone_evidence::{Op, Statement};
use chaperone_model::{Class, Principal, Refusal, Rung, SessionId, TableName};
use chaperone_policy::{PolicyId, PolicySet};
use tokio::sync::watch;

use crate::catalogs::CatalogError;
use crate::connection::Connection;
use crate::decide::{Judge, Judged};

/// What a live database looks like.
#[derive(Debug)]
pub struct Inspection {
    /// Its catalog.
    pub catalog: Arc<Catalog>,
    /// The answers to the caller's queries, in their order.
    pub answers: Vec<Rows>,
}

/// What would become of a statement.
#[derive(Debug)]
pub struct Explanation {
    /// The version of the policies that were asked.
    pub policy_version: String,
    /// The version of the classification; `none` where there is no protected data.
    pub classification_version: String,
    /// The policies that let the principal connect.
    pub connects_by: Vec<PolicyId>,
    /// What the principal sees of every column that is classified or lives in a classified table.
    pub masks: Vec<Seen>,
    /// Each statement of the text as its record would say, the decision among it.
    pub statements: Vec<Statement>,
    /// The text that would run, `None` if it is the one that was given; or why none would.
    pub runs: Result<Option<String>, Refusal>,
}

/// What a principal sees of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The table.
    pub table: TableName,
    /// The column.
    pub column: String,
    /// What it holds.
    pub class: Class,
    /// How it is shown.
    pub rung: Rung,
    /// Whether its stored values may decide which rows are seen, though it is masked.
    pub may_filter: bool,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The principal may not connect at all.
    #[error("{}: {}; {}", .0.message, .0.detail, .0.hint)]
    Refused(Refusal),
    /// The database's catalog cannot be had.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl Connection {
    /// Reads the live catalog, and asks `queries` beside it: by the simple protocol, each value as text, with the
    /// credential that sessions use.
    ///
    /// # Errors
    /// The credential cannot be had, the database cannot be reached, or does not answer as it should.
    pub async fn inspect(&self, queries: &[&str]) -> Result<Inspection, CatalogError> {
        let catalog = self.catalogs.current(self).await?.catalog;
        Ok(Inspection { catalog, answers: self.catalogs.ask(queries).await? })
    }

    /// What would become of `text`, were `principal` to send it now.
    ///
    /// # Errors
    /// The principal may not connect, or the catalog cannot be had.
    pub async fn explain(
        self: &Arc<Self>,
        policies: Arc<PolicySet>,
        principal: Principal,
        text: &str,
    ) -> Result<Explanation, ExplainError> {
        let policy_version = policies.version().to_owned();
        let (_keep, policies) = watch::channel(policies);
        let session = SessionId::generate();
        let mut judge =
            Judge::new(session, Arc::new(principal), self.clone(), policies).map_err(ExplainError::Refused)?;
        if judge.is_shielded() {
            judge.shield(self.catalogs.current(self).await?);
        }
        if let Some(mut asked) = judge.wants_estimates(text) {
            let estimated = poll_fn(|cx| asked.poll(cx)).await;
            judge.estimated(estimated);
        }
        let (statements, judged) = judge.text(text, Op::Query);
        let runs = match judged {
            Judged::Run(cleared) => Ok(cleared.text.run),
            Judged::Refused(refusal) | Judged::Unreadable(refusal) => Err(*refusal),
        };
        let tables = judge.tables();
        let masks = judge.masks();
        let seen = |(table, column, rung): (&TableName, &str, Rung)| Seen {
            may_filter: masks.is_some_and(|masks| masks.may_filter(table, column)),
            class: tables.get(table).map_or(Class::Unknown, |classes| classes.class(column)),
            table: table.clone(),
            column: column.to_owned(),
            rung,
        };
        Ok(Explanation {
            policy_version,
            classification_version: judge.classification_version(),
            connects_by: judge.connects_by(),
            masks: masks.map(|masks| masks.iter().map(seen).collect()).unwrap_or_default(),
            statements,
            runs,
        })
    }
}
