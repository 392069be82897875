//! Each host in turn, until one takes us.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chaperone_wire::postgres::startup::Version;
use tokio::time::timeout;

use super::connect::{connect, resolve};
use super::login::{Ask, login};
use super::target::{SessionAttrs, Target, TlsMode};
use super::{Control, Credential, UpstreamError, UpstreamStream};

/// Bounds of a log-in, besides the target's time for each host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLimits {
    /// For all hosts together.
    pub total: Duration,
    /// Bytes that a server may send until it is ready.
    pub bytes: usize,
}

impl Default for OpenLimits {
    /// 30 seconds, 1 MiB.
    fn default() -> Self {
        OpenLimits { total: Duration::from_secs(30), bytes: 1 << 20 }
    }
}

/// What a `CancelRequest` must quote; a server that gives none has a pid of 0 and no secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BackendKey {
    /// Process id of the server's backend.
    pub pid: i32,
    /// 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub secret: Bytes,
}

impl fmt::Debug for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendKey(pid {})", self.pid)
    }
}

/// The very server that a connection went to, for a cancel request to go there too.
#[derive(Debug, Clone)]
pub struct ServerAddress {
    /// Where it is.
    pub address: SocketAddr,
    pub(super) host: String,
    pub(super) tls: TlsMode,
    pub(super) connect_timeout: Duration,
}

/// A connection to the database, idle and ready for a query.
#[derive(Debug)]
pub struct Upstream {
    /// To read and write.
    pub stream: UpstreamStream,
    /// The protocol version agreed on: 3.0 or 3.2.
    pub version: Version,
    /// Settings that the server reported, each once.
    pub parameters: Vec<(String, String)>,
    /// To cancel what runs here.
    pub key: BackendKey,
    /// All `ParameterStatus` and `NoticeResponse` messages after `AuthenticationOk`, verbatim and in order: to relay.
    pub login_messages: Bytes,
    /// The server.
    pub server: ServerAddress,
}

impl Upstream {
    /// A setting that the server reported at log-in.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Opens a connection. `parameters` are those of the agent's startup message that the database shall see; `user`,
/// `database` and `_pq_.` options among them are passed over, since they are ours to say.
///
/// # Errors
/// Of the last host tried. A log-in that a server refuses ends it, as with libpq.
pub async fn open(
    target: &Target,
    credential: &Credential,
    parameters: &[(String, String)],
    limits: &OpenLimits,
) -> Result<Upstream, UpstreamError> {
    let ask = Ask { credential, database: &target.database, parameters, protocol: target.protocol, most: limits.bytes };
    timeout(limits.total, any_host(target, &ask)).await.unwrap_or(Err(UpstreamError::TimedOut))
}

async fn any_host(target: &Target, ask: &Ask<'_>) -> Result<Upstream, UpstreamError> {
    let mut last = None;
    for (host, port) in &target.hosts {
        let addresses = match timeout(target.connect_timeout, resolve(host, *port)).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => {
                last = Some(error);
                continue;
            }
            Err(_) => {
                last = Some(UpstreamError::TimedOut);
                continue;
            }
        };
        for address in addresses {
            let server = ServerAddress {
                address,
                host: host.clone(),
                tls: target.tls.clone(),
                connect_timeout: target.connect_timeout,
            };
            let attempt = one_server(server, target.session, ask);
            match timeout(target.connect_timeout, attempt).await.unwrap_or(Err(UpstreamError::TimedOut)) {
                Ok(upstream) => return Ok(upstream),
                Err(error) if error.is_of_this_host() => {
                    tracing::debug!(%error, %address, "a host of the database does not do");
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Err(last.unwrap_or(UpstreamError::Connect(std::io::ErrorKind::NotFound.into())))
}

async fn one_server(server: ServerAddress, session: SessionAttrs, ask: &Ask<'_>) -> Result<Upstream, UpstreamError> {
    let (mut transport, binding) = connect(server.address, &server.host, &server.tls).await?;
    let welcome = login(&mut transport, binding, ask).await?;
    let upstream = Upstream {
        stream: UpstreamStream::new(transport, welcome.unread),
        version: welcome.version,
        parameters: welcome.parameters,
        key: welcome.key,
        login_messages: welcome.messages,
        server,
    };
    match session {
        SessionAttrs::Any => Ok(upstream),
        SessionAttrs::ReadWrite => read_write(upstream).await,
    }
}

/// Servers since PostgreSQL 14 say at log-in whether they can be written to; others are asked.
async fn read_write(upstream: Upstream) -> Result<Upstream, UpstreamError> {
    let reported = |name: &str| upstream.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let read_only = match (reported("in_hot_standby"), reported("default_transaction_read_only")) {
        (Some(standby), Some(read_only)) => standby == "on" || read_only == "on",
        _ => {
            let mut control = Control::new(upstream, Duration::from_secs(10));
            let rows = control.query("SHOW transaction_read_only").await?;
            let on = rows.first().and_then(|row| row.first()).is_some_and(|value| value.as_deref() == Some("on"));
            return if on { Err(UpstreamError::ReadOnly) } else { control.into_upstream() };
        }
    };
    if read_only { Err(UpstreamError::ReadOnly) } else { Ok(upstream) }
}
