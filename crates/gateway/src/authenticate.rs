//! Authenticate: the token, as a password or by SASL `OAUTHBEARER`, becomes a principal.

use bytes::{Bytes, BytesMut};
use chaperone_model::{Principal, Refusal, SqlState};
use chaperone_wire::postgres::backend::{Authentication, encode};
use chaperone_wire::postgres::sasl::{Discovery, Exchange, SaslError, Step};
use chaperone_wire::postgres::{Frame, Limits, Side, WireError, frontend, next_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::identity::{Identity, LoginRefused};

/// The longest password or SASL message, in bytes; tokens end at 16 KiB.
const LONGEST: u32 = 32 * 1024;

/// How the agent presents its token. A server offers one method a connection, so the agent says at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// As the password: every driver can.
    Password,
    /// By RFC 7628, when the startup option `chaperone.auth=oauthbearer` asks for it.
    OauthBearer,
}

/// Why there is no principal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthenticateError {
    /// The agent's connection failed, or it left.
    #[error("the agent left before it was known")]
    Left(#[from] std::io::Error),
    /// What it sent is no message of the log-in.
    #[error("what came is no message of the log-in")]
    Wire(#[from] WireError),
    /// Its SASL messages are wrong.
    #[error(transparent)]
    Sasl(#[from] SaslError),
    /// It asked how to get a token, and was told.
    #[error("no token was sent")]
    NoToken,
    /// The token does not verify.
    #[error("the token does not verify: {}", .0.rule)]
    Refused(LoginRefused),
}

/// Asks for the token and verifies it.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    method: Method,
    identity: &Identity,
) -> Result<Principal, AuthenticateError> {
    match method {
        Method::Password => {
            let mut out = BytesMut::new();
            encode::authentication(&mut out, &Authentication::CleartextPassword)?;
            send(stream, &out).await?;
            let message = answer(stream).await?;
            let token = frontend::password(message.body())?;
            let token = Zeroizing::new(String::from_utf8_lossy(token).into_owned());
            identity.verify(token.trim()).await.map_err(AuthenticateError::Refused)
        }
        Method::OauthBearer => oauth_bearer(stream, identity).await,
    }
}

async fn oauth_bearer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    identity: &Identity,
) -> Result<Principal, AuthenticateError> {
    let discovery = Discovery { openid_configuration: identity.discovery(), scope: "openid".to_owned() };
    let (offer, mut exchange) = Exchange::start(discovery);
    send(stream, &offer).await?;
    let mut refused = None;
    loop {
        let message = answer(stream).await?;
        let (reply, next): (Bytes, Exchange) = match exchange.take(message.body())? {
            Step::Reply(reply, next) => (reply, next),
            Step::Verify(token, verdict) => match identity.verify(token.expose()).await {
                Ok(principal) => return Ok(principal),
                Err(error) => {
                    refused = Some(error);
                    verdict.refuse()
                }
            },
            Step::Failed => {
                // without a token the client only asked where to get one
                return Err(refused.map_or(AuthenticateError::NoToken, AuthenticateError::Refused));
            }
        };
        send(stream, &reply).await?;
        exchange = next;
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// The agent's next message, which must be a password message.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Frame, AuthenticateError> {
    let limits = Limits::new(Side::Frontend).whole(LONGEST);
    let mut buffer = BytesMut::with_capacity(4096);
    loop {
        if let Some(frame) = next_frame(&mut buffer, &limits)? {
            if frame.tag != frontend::Tag::Password.byte() {
                return Err(WireError::UnknownTag { tag: frame.tag }.into());
            }
            // nothing may follow before the answer to it
            return match buffer.is_empty() {
                true => Ok(frame),
                false => Err(WireError::Trailing { message: "PasswordMessage" }.into()),
            };
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
    }
}

impl AuthenticateError {
    /// What the agent is told; nothing when it is gone.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let (code, rule, message) = match self {
            AuthenticateError::Left(_) => return None,
            AuthenticateError::Wire(_) | AuthenticateError::Sasl(_) => {
                (SqlState::PROTOCOL_VIOLATION, "token.message", "the driver's log-in message cannot be read")
            }
            AuthenticateError::NoToken => (SqlState::INVALID_PASSWORD, "token.missing", "no token was sent"),
            AuthenticateError::Refused(refused) => (SqlState::INVALID_PASSWORD, refused.rule, refused.message.as_str()),
        };
        Some(Refusal {
            code,
            rule,
            message: message.to_owned(),
            detail: "the gateway identifies an agent by the OIDC token that it sends as its password".to_owned(),
            hint: "get a fresh token for this gateway's audience from its issuer, and send it as the password"
                .to_owned(),
        })
    }

    /// The issuer whose token it was, by its name in the configuration.
    pub(crate) fn issuer(&self) -> Option<&str> {
        match self {
            AuthenticateError::Refused(refused) => refused.issuer.as_deref(),
            AuthenticateError::Left(_)
            | AuthenticateError::Wire(_)
            | AuthenticateError::Sasl(_)
            | AuthenticateError::NoToken => None,
        }
    }
}
