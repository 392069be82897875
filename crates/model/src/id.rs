//! Ids.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

/// A session: from the agent's log-in to the end of its connection. UUID version 7 (RFC 9562), so ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new one, from the clock and the system's random numbers.
    pub fn generate() -> Self {
        SessionId(Uuid::now_v7())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

/// A statement: its session and its ordinal in it, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StatementId {
    /// The session that it belongs to.
    pub session: SessionId,
    /// 1 for the first statement of the session.
    pub ordinal: u64,
}

impl fmt::Display for StatementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.session, self.ordinal)
    }
}
