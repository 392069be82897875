//! The door: from the first byte of a connection to a startup message, over TLS or without.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chaperone_model::{Refusal, SqlState};
use chaperone_wire::postgres::WireError;
use chaperone_wire::postgres::startup::{self, CancelRequest, Opening, StartupMessage};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::stream::AgentStream;

/// The protocol's name in TLS (PostgreSQL manual 55.2.10): required where TLS starts without a request for it.
pub const ALPN: &[u8] = b"postgresql";

/// How long a connection may take to present a token.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What came through the door.
pub(crate) enum Visitor {
    /// Someone who wants a session.
    Startup { stream: AgentStream, message: StartupMessage },
    /// Someone who wants to cancel a statement of a session. The answer is that the connection closes.
    Cancel { stream: AgentStream, request: CancelRequest },
}

/// Why nobody came through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    #[error("what came is no start of a PostgreSQL connection")]
    Wire(#[from] WireError),
    /// Nothing came. Health checks of load balancers look like this.
    #[error("nothing was sent")]
    Silent,
    #[error("{0}")]
    Refused(Box<Refused>),
}

/// Turned away with words, which are still to be said.
#[derive(Debug, thiserror::Error)]
#[error("{refusal}")]
pub(crate) struct Refused {
    pub(crate) stream: AgentStream,
    pub(crate) refusal: Refusal,
}

/// Leads a connection through the door. `tls`: the listener's certificate; without one everything is in the clear,
/// which the configuration allows on loopback only.
pub(crate) async fn enter(mut tcp: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<Visitor, DoorError> {
    let mut buffer = BytesMut::with_capacity(1024);
    let mut asked_gss = false;
    loop {
        match opening(&mut tcp, &mut buffer).await? {
            Opening::DirectTls => {
                let Some(config) = tls else { return Err(WireError::UnknownTag { tag: 0x16 }.into()) };
                let stream = handshake(config, Prefixed::new(buffer, tcp)).await?;
                if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
                    // a client of another protocol must not be led into this one
                    return Err(refused(stream.into(), no_alpn()));
                }
                return inside(stream.into()).await;
            }
            Opening::SslRequest => match &tls {
                Some(config) => {
                    if !buffer.is_empty() {
                        // sent before the handshake, so by anyone (CVE-2021-23214)
                        return Err(WireError::Trailing { message: "SSLRequest" }.into());
                    }
                    tcp.write_all(b"S").await?;
                    let stream = handshake(config.clone(), Prefixed::new(buffer, tcp)).await?;
                    return inside(stream.into()).await;
                }
                None => tcp.write_all(b"N").await?,
            },
            Opening::GssEncRequest if asked_gss => {
                return Err(WireError::BadField { message: "GSSENCRequest", field: "place: it was sent twice" }.into());
            }
            Opening::GssEncRequest => {
                asked_gss = true;
                tcp.write_all(b"N").await?;
            }
            Opening::Cancel(request) => return Ok(Visitor::Cancel { stream: plain(tcp, buffer)?, request }),
            Opening::Startup(message) => {
                let stream = plain(tcp, buffer)?;
                return match tls {
                    Some(_) => Err(refused(stream, tls_required())),
                    None => Ok(Visitor::Startup { stream, message }),
                };
            }
        }
    }
}

/// What is said first on an encrypted connection.
async fn inside(mut stream: AgentStream) -> Result<Visitor, DoorError> {
    let mut buffer = BytesMut::with_capacity(1024);
    match opening(&mut stream, &mut buffer).await? {
        Opening::Startup(message) if buffer.is_empty() => Ok(Visitor::Startup { stream, message }),
        Opening::Cancel(request) => Ok(Visitor::Cancel { stream, request }),
        Opening::Startup(_) => Err(WireError::Trailing { message: "StartupMessage" }.into()),
        Opening::SslRequest | Opening::GssEncRequest | Opening::DirectTls => {
            Err(WireError::BadField { message: "StartupMessage", field: "place: it is encrypted already" }.into())
        }
    }
}

async fn opening<S: AsyncReadExt + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> Result<Opening, DoorError> {
    loop {
        if let Some(opening) = startup::next(buffer)? {
            return Ok(opening);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(if buffer.is_empty() {
                DoorError::Silent
            } else {
                WireError::Truncated { message: "StartupMessage" }.into()
            });
        }
    }
}

type Prefixed = crate::stream::Prefixed<TcpStream>;

async fn handshake(config: Arc<ServerConfig>, stream: Prefixed) -> Result<TlsStream<Prefixed>, DoorError> {
    Ok(TlsAcceptor::from(config).accept(stream).await?)
}

/// A client speaks only when it is asked after its startup message.
fn plain(tcp: TcpStream, buffer: BytesMut) -> Result<AgentStream, DoorError> {
    match buffer.is_empty() {
        true => Ok(AgentStream::Plain(tcp)),
        false => Err(WireError::Trailing { message: "StartupMessage" }.into()),
    }
}

fn refused(stream: AgentStream, refusal: Refusal) -> DoorError {
    DoorError::Refused(Box::new(Refused { stream, refusal }))
}

fn tls_required() -> Refusal {
    Refusal {
        code: SqlState::INVALID_AUTHORIZATION,
        rule: "gateway.tls",
        message: "this gateway requires TLS".to_owned(),
        detail: "a token must not cross the network in the clear".to_owned(),
        hint: "connect with `sslmode=verify-full` and the gateway's CA, or through `chaperone sidecar`".to_owned(),
    }
}

fn no_alpn() -> Refusal {
    Refusal {
        code: SqlState::PROTOCOL_VIOLATION,
        rule: "gateway.alpn",
        message: "TLS without a request for it needs the application protocol `postgresql`".to_owned(),
        detail: "the client did not offer it in ALPN".to_owned(),
        hint: "use a driver that speaks direct TLS for PostgreSQL 17, or `sslnegotiation=postgres`".to_owned(),
    }
}
