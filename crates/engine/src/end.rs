//! How a session ends.

use std::io;

use chaperone_evidence::CloseReason;
use chaperone_model::SqlState;
use chaperone_wire::postgres::WireError;

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The agent said goodbye, or closed its side and had its answers.
    Agent,
    /// The agent's socket failed.
    AgentLost(io::Error),
    /// The database ended the session, after an error of its own.
    Server,
    /// The database's socket closed or failed without a word.
    ServerLost,
    /// What the agent sent is not the protocol.
    AgentViolation(&'static str),
    /// What the database sent is not the protocol.
    ServerViolation(&'static str),
    /// The database describes rows that the rewriting did not predict.
    Disagreement,
    /// The catalog changed while a statement ran, and by it the statement would be masked in another way.
    Outdated,
    /// Whether it did could not be asked for too long.
    Unchecked,
    /// A text encoding in which statements cannot be read safely was switched on.
    Encoding,
    /// The session's own database role cannot be given what its masks need.
    Credential,
    /// The evidence log cannot take records.
    Ledger,
    /// Nothing came from the agent for longer than allowed.
    Idle,
    /// The session is older than allowed.
    TooOld,
    /// The token is over, and so is its grace.
    TokenExpired,
    /// A change of policy took the permission to connect.
    Revoked,
    /// The gateway stops.
    Drained,
}

/// What the agent is told.
pub(crate) struct Farewell {
    pub(crate) code: SqlState,
    pub(crate) message: &'static str,
    pub(crate) hint: &'static str,
}

impl End {
    pub(crate) fn from_agent(error: WireError) -> Self {
        End::AgentViolation(match error {
            WireError::TooLong { .. } => "a message is longer than the gateway allows",
            WireError::UnknownTag { .. } => "unknown message type",
            _ => "malformed message",
        })
    }

    /// The rule of the alert that precedes it on record.
    pub(crate) fn alert(&self) -> Option<&'static str> {
        match self {
            End::Disagreement => Some(crate::inside::DIFFERS),
            End::Outdated => Some("masking.outdated"),
            _ => None,
        }
    }

    /// The reason in the record.
    pub(crate) fn reason(&self) -> CloseReason {
        match self {
            End::Agent => CloseReason::Agent,
            End::AgentLost(_) => CloseReason::AgentLost,
            End::Server => CloseReason::Server,
            End::ServerLost => CloseReason::ServerLost,
            End::AgentViolation(_) => CloseReason::AgentViolation,
            End::ServerViolation(_) => CloseReason::ServerViolation,
            End::Disagreement => CloseReason::MaskingDisagreement,
            End::Outdated => CloseReason::MaskingOutdated,
            End::Unchecked => CloseReason::MaskingUnchecked,
            End::Encoding => CloseReason::Encoding,
            End::Credential => CloseReason::CredentialFailed,
            End::Ledger => CloseReason::LedgerFailed,
            End::Idle => CloseReason::Idle,
            End::TooOld => CloseReason::SessionLimit,
            End::TokenExpired => CloseReason::TokenExpired,
            End::Revoked => CloseReason::Revoked,
            End::Drained => CloseReason::GatewayStopped,
        }
    }

    /// What the agent is told; nothing when it is gone, or was told by the database.
    pub(crate) fn farewell(&self) -> Option<Farewell> {
        let (code, message, hint): (_, &'static str, _) = match self {
            End::Agent | End::AgentLost(_) | End::Server => return None,
            End::ServerLost => (
                SqlState::CONNECTION_FAILURE,
                "the database closed the connection",
                "connect again; if it happens again, the gateway's log names the database and the time",
            ),
            End::AgentViolation(what) => (
                SqlState::PROTOCOL_VIOLATION,
                *what,
                "the driver sent bytes that are no message of the PostgreSQL protocol 3",
            ),
            End::ServerViolation(_) => (
                SqlState::PROTOCOL_VIOLATION,
                "the database sent a message that the gateway does not understand",
                "connect again; the gateway's log says what it was",
            ),
            End::Disagreement => (
                SqlState::INSUFFICIENT_PRIVILEGE,
                "the database's answer is not what masking predicts, so it was stopped",
                "the schema may have changed during the statement: connect again; tell the gateway's operator if it happens again",
            ),
            // as when an administrator ends it: whether a write took effect has to be looked up
            End::Outdated => (
                SqlState::ADMIN_SHUTDOWN,
                "the schema changed while a statement ran, so its answer was not sent",
                "connect again and ask again; what was written and committed stays",
            ),
            End::Unchecked => (
                SqlState::SYSTEM_ERROR,
                "whether the schema changed while a statement ran cannot be told, so its answer was not sent",
                "try again in a moment; what was written and committed stays; if it stays so, tell the gateway's operator",
            ),
            End::Encoding => (
                SqlState::FEATURE_NOT_SUPPORTED,
                "statements cannot be read safely in this client encoding",
                "use UTF8 as client_encoding",
            ),
            End::Credential => (
                SqlState::CONNECTION_FAILURE,
                "the session's database role cannot be given what its masks need",
                "connect again; if it happens again, tell the gateway's operator: the gateway's log says why",
            ),
            End::Ledger => (
                SqlState::SYSTEM_ERROR,
                "the evidence log cannot be written, so nothing may run",
                "tell the gateway's operator: its disk may be full or gone",
            ),
            End::Idle => (
                SqlState::IDLE_SESSION_TIMEOUT,
                "the session was idle for longer than the gateway allows",
                "connect again",
            ),
            End::TooOld => (
                SqlState::ADMIN_SHUTDOWN,
                "the session reached the longest life that the gateway allows",
                "connect again",
            ),
            End::TokenExpired => (
                SqlState::INVALID_AUTHORIZATION,
                "the token of this session has expired",
                "connect again with a fresh token",
            ),
            End::Revoked => (
                SqlState::INVALID_AUTHORIZATION,
                "the policy no longer permits this principal to use this connection",
                "ask the owner of the policy; a model version that was taken off its list needs the new one",
            ),
            End::Drained => (SqlState::ADMIN_SHUTDOWN, "the gateway is shutting down", "connect again"),
        };
        Some(Farewell { code, message, hint })
    }
}
