//! Where the database is and what we insist on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chaperone_wire::postgres::startup::Version;
use rustls::ClientConfig;

use super::{tls, uri};

/// A database.
#[derive(Debug, Clone)]
pub struct Target {
    /// In the order to try: a name or address, and a port.
    pub hosts: Vec<(String, u16)>,
    /// Its name on the server.
    pub database: String,
    /// How it is reached.
    pub tls: TlsMode,
    /// What the server must be.
    pub session: SessionAttrs,
    /// For each host, until it is ready for a query.
    pub connect_timeout: Duration,
    /// To ask for; the server may want less.
    pub protocol: Version,
}

/// Whether, and how, the connection is encrypted.
#[derive(Clone)]
pub enum TlsMode {
    /// Not at all: for loopback and private links, by explicit choice.
    Disable,
    /// The certificate must be of an authority in these roots and of the host's name.
    VerifyFull(Arc<ClientConfig>),
}

impl TlsMode {
    /// Verifies against the authorities in a PEM file.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn with_roots_file(path: impl Into<PathBuf>) -> Result<Self, TargetError> {
        tls::roots_of_file(path.into()).and_then(tls::client_config).map(TlsMode::VerifyFull)
    }

    /// Verifies against the authorities that the system trusts.
    ///
    /// # Errors
    /// There are none.
    pub fn with_system_roots() -> Result<Self, TargetError> {
        tls::roots_of_system().and_then(tls::client_config).map(TlsMode::VerifyFull)
    }
}

impl fmt::Debug for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsMode::Disable => "Disable",
            TlsMode::VerifyFull(_) => "VerifyFull",
        })
    }
}

/// libpq's `target_session_attrs`, as far as we have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionAttrs {
    /// Any server.
    #[default]
    Any,
    /// One that accepts writes: no standby, and not read-only by default.
    ReadWrite,
}

/// Why a URI is refused. A URI may hold a password by mistake, so nothing of it but names is repeated.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not one of ours.
    #[error("a database URI starts with `postgres://` or `postgresql://`")]
    Scheme,
    /// A user, or worse, a password.
    #[error("a database URI must not hold a user or password: give the credential by reference (a file or variable)")]
    Credential,
    /// No host, or a port that is none.
    #[error("a database URI needs hosts as `host`, `host:port` or `[address]:port`, separated by commas")]
    Host,
    /// A path as the host.
    #[error("a database behind a Unix socket is not supported")]
    UnixSocket,
    /// No database.
    #[error("a database URI needs the database's name: `postgres://host/name`")]
    Database,
    /// `%` without two digits after it, or something that is not UTF-8 or a NUL.
    #[error("a database URI has a malformed `%` escape")]
    Escape,
    /// A parameter that we do not have.
    #[error("database URI parameter `{0}` is not supported")]
    Parameter(String),
    /// A parameter's value that we do not have.
    #[error("database URI parameter `{name}` must be {allowed}")]
    Value {
        /// Which.
        name: &'static str,
        /// In words.
        allowed: &'static str,
    },
    /// The roots.
    #[error("no certificate authorities in `{}`", path.display())]
    Roots {
        /// Where.
        path: PathBuf,
        /// Why, if it cannot even be read.
        source: Option<rustls_pki_types::pem::Error>,
    },
    /// The roots of the system.
    #[error("the system has no certificate authorities: give `sslrootcert`")]
    SystemRoots,
    /// The TLS library.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Target {
    /// Reads a libpq connection URI (manual 34.1.1.2):
    /// `postgres://host1:port1,host2:port2/database?name=value&…`.
    ///
    /// | parameter | values |
    /// | --- | --- |
    /// | `sslmode` | `verify-full` (also when not given), `disable` |
    /// | `sslrootcert` | a PEM file, or `system` (also when not given) |
    /// | `target_session_attrs` | `any` (also when not given), `read-write` |
    /// | `connect_timeout` | seconds for each host, 1 to 3600; 10 when not given |
    /// | `max_protocol_version` | `3.0`, `3.2`, `latest`; 3.2 when not given |
    ///
    /// Anything else is refused by name, a user or password most of all. The file of `sslrootcert` is read here.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn parse(uri: &str) -> Result<Self, TargetError> {
        uri::parse(uri)
    }
}
