//! The gateway: TLS first, then the log-in, with the token when it is asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chaperone_model::{Refusal, SqlState};
use chaperone_wire::postgres::backend::{Authentication, Tag};
use chaperone_wire::postgres::frontend::encode;
use chaperone_wire::postgres::startup::CancelRequest;
use chaperone_wire::postgres::{Frame, Limits, Side, WireError, next_frame};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::opening::Startup;
use super::{SidecarConfig, SidecarError, token};

/// To connect and to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);
/// To log in: the gateway may have to fetch its issuer's keys, and to connect to the database.
const LOG_IN: Duration = Duration::from_secs(60);
/// Nothing that a gateway says before a session starts is longer.
const MAX_MESSAGE: u32 = 64 * 1024;
/// Registered for PostgreSQL by IANA.
const ALPN: &[u8] = b"postgresql";

/// What is needed to reach it.
pub(super) struct Gateway {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
    token_file: PathBuf,
}

/// A session that the gateway has taken up, or refused in its own words: either way what follows is relayed.
pub(super) struct LoggedIn {
    pub(super) gateway: TlsStream<TcpStream>,
    /// From the gateway, for the agent.
    pub(super) down: BytesMut,
    /// From the agent, for the gateway.
    pub(super) up: BytesMut,
}

impl Gateway {
    pub(super) fn new(config: SidecarConfig) -> Result<Gateway, SidecarError> {
        let name = ServerName::try_from(config.server_name.clone())
            .map_err(|_| SidecarError::ServerName(config.server_name))?;
        let mut tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(config.ca)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Gateway {
            address: config.gateway,
            name,
            tls: TlsConnector::from(Arc::new(tls)),
            token_file: config.token_file,
        })
    }

    /// Passes a cancel request on. It is never answered (manual 55.2.9): the gateway closes when it is done.
    pub(super) async fn cancel(&self, request: &CancelRequest) -> Result<(), Refusal> {
        let mut message = BytesMut::new();
        encode::cancel_request(&mut message, request.pid, &request.secret).map_err(|e| broken(&e))?;
        let mut gateway = self.connect().await?;
        gateway.write_all(&message).await.map_err(|e| lost(&e))?;
        gateway.flush().await.map_err(|e| lost(&e))?;
        let mut nothing = [0; 16];
        let _ = tokio::time::timeout(PATIENCE, gateway.read(&mut nothing)).await;
        Ok(())
    }

    /// Logs in for the agent, which sees what the gateway says except for the question that the token answers.
    pub(super) async fn log_in(&self, agent: &mut TcpStream, startup: Startup) -> Result<LoggedIn, Refusal> {
        // before anything is sent: without a token there is nothing to connect for
        let token = token::read(&self.token_file).await?;
        let mut gateway = self.connect().await?;
        let mut message = BytesMut::new();
        let parameters = startup.message.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        encode::startup(&mut message, startup.message.version, parameters).map_err(|e| broken(&e))?;
        gateway.write_all(&message).await.map_err(|e| lost(&e))?;
        gateway.flush().await.map_err(|e| lost(&e))?;
        let answered = answer(&mut gateway, agent, token);
        let down = tokio::time::timeout(LOG_IN, answered).await.map_err(|_| unreachable("it does not answer"))??;
        Ok(LoggedIn { gateway, down, up: startup.rest })
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Refusal> {
        tokio::time::timeout(PATIENCE, self.shake_hands()).await.map_err(|_| unreachable("it does not answer"))?
    }

    async fn shake_hands(&self) -> Result<TlsStream<TcpStream>, Refusal> {
        let mut stream = TcpStream::connect(&self.address).await.map_err(|e| unreachable(&e.to_string()))?;
        let _ = stream.set_nodelay(true);
        let _ = crate::socket::hold_little(&stream);
        let mut request = BytesMut::new();
        encode::ssl_request(&mut request);
        stream.write_all(&request).await.map_err(|e| unreachable(&e.to_string()))?;
        // exactly one byte: what somebody on the way put behind it must not pass for something said inside TLS
        let answer = stream.read_u8().await.map_err(|e| unreachable(&e.to_string()))?;
        if answer != b'S' {
            return Err(unreachable("it offers no TLS, and a token is sent only inside TLS"));
        }
        let connected = self.tls.connect(self.name.clone(), stream).await;
        connected.map_err(|e| unreachable(&format!("TLS with it fails: {e}")))
    }
}

/// Reads until the gateway is content, refuses, or asks for what the agent must answer itself. Returns what is to be
/// relayed first.
async fn answer(
    gateway: &mut TlsStream<TcpStream>,
    agent: &mut TcpStream,
    token: Zeroizing<String>,
) -> Result<BytesMut, Refusal> {
    let limits = Limits::new(Side::Backend).whole(MAX_MESSAGE);
    let mut token = Some(token);
    let mut read = BytesMut::with_capacity(8 * 1024);
    let mut down = BytesMut::new();
    loop {
        let Some(frame) = next_frame(&mut read, &limits).map_err(|e| broken(&e))? else {
            match gateway.read_buf(&mut read).await {
                Ok(0) => return Err(unreachable("it closed the connection")),
                Ok(_) => continue,
                Err(error) => return Err(lost(&error)),
            }
        };
        match asks(&frame)? {
            Asks::Password => {
                let token = token.take().ok_or_else(|| unreachable("it asks for the token twice"))?;
                let mut message = BytesMut::new();
                encode::password(&mut message, token.as_bytes()).map_err(|e| broken(&e))?;
                gateway.write_all(&message).await.map_err(|e| lost(&e))?;
                gateway.flush().await.map_err(|e| lost(&e))?;
            }
            Asks::Patience => agent.write_all(&frame.bytes).await.map_err(|e| lost(&e))?,
            Asks::Nothing => {
                down.extend_from_slice(&frame.bytes);
                down.extend_from_slice(&read);
                return Ok(down);
            }
        }
    }
}

enum Asks {
    /// The token, as a password.
    Password,
    /// To read on: a notice, or which protocol version it speaks.
    Patience,
    /// Nothing more of the sidecar.
    Nothing,
}

fn asks(frame: &Frame) -> Result<Asks, Refusal> {
    match Tag::from_byte(frame.tag) {
        Some(Tag::Authentication) => match Authentication::parse(frame.body()).map_err(|e| broken(&e))? {
            Authentication::CleartextPassword => Ok(Asks::Password),
            // content; or a mechanism that the agent asked for by a startup option, and then answers itself
            _ => Ok(Asks::Nothing),
        },
        Some(Tag::NoticeResponse | Tag::NegotiateProtocolVersion) => Ok(Asks::Patience),
        Some(Tag::ErrorResponse) => Ok(Asks::Nothing),
        _ => Err(unreachable("it does not speak as a gateway does")),
    }
}

fn unreachable(why: &str) -> Refusal {
    Refusal {
        code: SqlState::UNABLE_TO_CONNECT,
        rule: "sidecar.gateway",
        message: format!("the sidecar cannot log in to the gateway: {why}"),
        detail: "the session was not opened, and no statement was run".to_owned(),
        hint: "check the gateway's address, name and certificate in the sidecar's configuration".to_owned(),
    }
}

fn lost(error: &std::io::Error) -> Refusal {
    unreachable(&error.to_string())
}

fn broken(error: &WireError) -> Refusal {
    unreachable(&error.to_string())
}
