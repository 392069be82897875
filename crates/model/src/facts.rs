//! What analysis found in a statement.

use serde::Serialize;

use crate::TableName;

/// What a policy permits, as the actions of the Cedar schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Open a session and use it for statements that touch no relation.
    Connect,
    /// Read rows.
    Select,
    /// Add rows.
    Insert,
    /// Change rows.
    Update,
    /// Remove rows.
    Delete,
    /// Run code by name: `CALL`, `DO`, a function-call message.
    Call,
    /// Create, alter, drop, grant, and other administration.
    Ddl,
    /// Move rows in bulk with `COPY`; comes together with `select` or `insert`.
    Copy,
}

impl Action {
    /// The name in policies and records.
    pub fn name(self) -> &'static str {
        match self {
            Action::Connect => "connect",
            Action::Select => "select",
            Action::Insert => "insert",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Call => "call",
            Action::Ddl => "ddl",
            Action::Copy => "copy",
        }
    }
}

/// One thing that must be permitted for a statement to run. A statement runs only if all its needs are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Need {
    /// What is done.
    pub action: Action,
    /// To which table; `None` is the connection as a whole.
    pub table: Option<TableName>,
}

/// Whether running a statement can change anything that outlives its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effects {
    /// Proven to have none: it may run while its record is still being made durable.
    None,
    /// May have some: its record is durable before it runs.
    Possible,
}

/// What analysis found in one statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The command, in the words of a command tag (`SELECT`, `CREATE TABLE`), never with a name in it.
    pub kind: String,
    /// Everything a policy must permit.
    pub needs: Vec<Need>,
    /// Whether the outermost query or write has a `WHERE`.
    pub has_where: bool,
    /// Whether it may run before its record is durable.
    pub effects: Effects,
}
