//! Why the database cannot be had.

use std::io;

use bytes::Bytes;
use chaperone_model::SqlState;
use chaperone_wire::postgres::WireError;

use super::credential::CredentialError;

/// Why a connection to the database failed. The text may be shown to an agent: no host, address, user or file is in it.
/// What only the log may know is in the chain of sources.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The credential that the connection refers to.
    #[error("the database's credential cannot be read")]
    Credential(#[from] CredentialError),
    /// The name of a host.
    #[error("the database's host name cannot be resolved")]
    Resolve(#[source] io::Error),
    /// TCP.
    #[error("the database cannot be reached")]
    Connect(#[source] io::Error),
    /// It took too long.
    #[error("the database did not answer in time")]
    TimedOut,
    /// `N` to an `SSLRequest`, or an error.
    #[error("the database does not offer TLS, which this connection requires")]
    TlsRefused,
    /// Bytes after the answer to an `SSLRequest` and before the handshake (CVE-2021-23222): somebody is in between.
    #[error("the database sent data before TLS was established")]
    EarlyData,
    /// The handshake: as a rule, the certificate.
    #[error("the TLS handshake with the database failed")]
    Tls(#[source] io::Error),
    /// The host is not a name that a certificate can have.
    #[error("the database's host name cannot be verified")]
    ServerName,
    /// The connection broke.
    #[error("the connection to the database failed")]
    Io(#[source] io::Error),
    /// The connection ended where a message had to come.
    #[error("the database closed the connection")]
    Closed,
    /// Not the protocol.
    #[error("the database sent a malformed message")]
    Wire(#[from] WireError),
    /// The protocol, but not at this place.
    #[error("the database sent a message out of turn: {0}")]
    Unexpected(&'static str),
    /// More at log-in, or as an answer of the catalog, than we agree to keep.
    #[error("the database sent more than the {limit} bytes allowed")]
    TooMuch {
        /// In bytes.
        limit: usize,
    },
    /// The server speaks no version that we do.
    #[error("the database speaks a protocol version that is not supported")]
    Version,
    /// The server wants to see the password, and there is no TLS.
    #[error("the database asks for the password in clear without TLS")]
    Cleartext,
    /// The server asks for a password, and the credential has none.
    #[error("the database asks for a password, and the credential has none")]
    NoPassword,
    /// A way to authenticate that is not implemented.
    #[error("the database asks for {0} authentication, which is not supported")]
    Method(&'static str),
    /// Channel binding is offered, but the certificate has no hash defined for it. We do not go on without.
    #[error("the database's certificate cannot be bound to the log-in")]
    ChannelBinding,
    /// The server does not know the password, or what it says of itself is malformed.
    #[error("the database failed to prove that it knows the password")]
    Proof(#[source] Option<io::Error>),
    /// `target_session_attrs=read-write`, and it is not.
    #[error("the database is read-only, and this connection wants to write")]
    ReadOnly,
    /// A startup parameter that may not be handed through.
    #[error("startup parameter `{0}` is not supported")]
    Parameter(String),
    /// A connection that was left in the middle of an answer.
    #[error("an earlier query on this connection did not end")]
    Unusable,
    /// The server's own refusal.
    #[error("the database refused: SQLSTATE {code}")]
    Server {
        /// Its SQLSTATE.
        code: String,
        /// The whole `ErrorResponse`, as received: whether an agent may read it is for the session to decide.
        message: Bytes,
    },
}

impl UpstreamError {
    /// What an agent's driver sees as the error code.
    pub fn sql_state(&self) -> SqlState {
        match self {
            UpstreamError::Resolve(_)
            | UpstreamError::Connect(_)
            | UpstreamError::TimedOut
            | UpstreamError::TlsRefused
            | UpstreamError::EarlyData
            | UpstreamError::Tls(_)
            | UpstreamError::ServerName
            | UpstreamError::ReadOnly
            | UpstreamError::Server { .. } => SqlState::UNABLE_TO_CONNECT,
            UpstreamError::Io(_) | UpstreamError::Closed | UpstreamError::Unusable => SqlState::CONNECTION_FAILURE,
            UpstreamError::Wire(_)
            | UpstreamError::Unexpected(_)
            | UpstreamError::TooMuch { .. }
            | UpstreamError::Version => SqlState::PROTOCOL_VIOLATION,
            UpstreamError::Credential(_)
            | UpstreamError::Cleartext
            | UpstreamError::NoPassword
            | UpstreamError::Method(_)
            | UpstreamError::ChannelBinding
            | UpstreamError::Proof(_) => SqlState::SYSTEM_ERROR,
            UpstreamError::Parameter(_) => SqlState::FEATURE_NOT_SUPPORTED,
        }
    }

    /// The server's own `ErrorResponse`, if that is what ended it.
    pub fn server_message(&self) -> Option<&Bytes> {
        match self {
            UpstreamError::Server { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Whether another host may do better. As libpq has it: not after a refused log-in, unless the server is only
    /// starting or stopping (`57P03`).
    pub(super) fn is_of_this_host(&self) -> bool {
        match self {
            UpstreamError::Server { code, .. } => code == "57P03",
            UpstreamError::Credential(_) | UpstreamError::NoPassword | UpstreamError::Parameter(_) => false,
            _ => true,
        }
    }
}
