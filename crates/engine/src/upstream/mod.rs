//! The other side: a connection to the database, open and authenticated.
//!
//! ```text
//!  Target (a libpq URI, no secret in it) ┐
//!  CredentialSource ─ resolved each time ┴─► open: each host in turn ─► connect ─► TLS ─► log in ─► Upstream
//!                                                                                                    ├─► a session
//!                                                                                                    └─► Control
//! ```
//! The database is not trusted either: what it sends before it has proved that it knows the password is bounded in
//! size and time, its certificate is verified, and a weaker way to log in than it could offer is refused
//! ([`UpstreamError`] lists each).

mod authenticate;
mod cancel;
mod connect;
mod control;
mod credential;
mod error;
mod login;
mod messages;
mod open;
mod stream;
mod target;
mod tls;
mod uri;

#[cfg(test)]
mod tests;

pub use cancel::cancel;
pub use control::Control;
pub use credential::{Credential, CredentialError, CredentialSource, Secret};
pub use error::UpstreamError;
pub use open::{BackendKey, OpenLimits, ServerAddress, Upstream, open};
pub use stream::UpstreamStream;
pub use target::{SessionAttrs, Target, TargetError, TlsMode};
