//! A "no".

use serde::Serialize;

/// An SQLSTATE (PostgreSQL manual, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct SqlState(pub &'static str);

impl SqlState {
    /// `42501` insufficient privilege: a policy or a masking rule says no.
    pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState("42501");
    /// `0A000` feature not supported: Chaperone does not do this yet, so it does not let it through.
    pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState("0A000");
    /// `42601` syntax error.
    pub const SYNTAX_ERROR: SqlState = SqlState("42601");
    /// `42P01` undefined table.
    pub const UNDEFINED_TABLE: SqlState = SqlState("42P01");
    /// `54000` program limit exceeded.
    pub const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState("54000");
    /// `58000` system error: something that safety needs (the log, a policy) is missing.
    pub const SYSTEM_ERROR: SqlState = SqlState("58000");
    /// `28000` invalid authorization.
    pub const INVALID_AUTHORIZATION: SqlState = SqlState("28000");
    /// `28P01` invalid password: a token that does not verify.
    pub const INVALID_PASSWORD: SqlState = SqlState("28P01");
    /// `57P01` admin shutdown: the session is ended by the gateway.
    pub const ADMIN_SHUTDOWN: SqlState = SqlState("57P01");
    /// `57P05` idle session time-out.
    pub const IDLE_SESSION_TIMEOUT: SqlState = SqlState("57P05");
    /// `08P01` protocol violation.
    pub const PROTOCOL_VIOLATION: SqlState = SqlState("08P01");
    /// `08006` connection failure: the database is gone.
    pub const CONNECTION_FAILURE: SqlState = SqlState("08006");
    /// `08001` unable to connect: the database cannot be reached.
    pub const UNABLE_TO_CONNECT: SqlState = SqlState("08001");
    /// `3D000` invalid catalog name: no such connection.
    pub const INVALID_CATALOG_NAME: SqlState = SqlState("3D000");
    /// `53300` too many connections.
    pub const TOO_MANY_CONNECTIONS: SqlState = SqlState("53300");
    /// `XX000` internal error.
    pub const INTERNAL_ERROR: SqlState = SqlState("XX000");
}

/// Why a statement (or a log-in) is refused, in words that an agent can act on.
///
/// No field may hold a literal or any other value of the statement, nor data of the database: names of tables,
/// columns, functions and rules only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message} (rule `{rule}`)")]
pub struct Refusal {
    /// What the client's driver sees as the error code.
    pub code: SqlState,
    /// The rule that refuses, stable and greppable in `docs/`: `policy.select`, `masking.function`, …
    pub rule: &'static str,
    /// What happened: lower case, no full stop.
    pub message: String,
    /// Why, naming the rule's subject.
    pub detail: String,
    /// What to do next.
    pub hint: String,
}
