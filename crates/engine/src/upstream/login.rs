//! From a connected stream to `ReadyForQuery`, over anything that carries bytes.

use bytes::{Bytes, BytesMut};
use chaperone_wire::postgres::backend::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, Tag, TransactionStatus,
};
use chaperone_wire::postgres::frontend::encode;
use chaperone_wire::postgres::startup::Version;
use tokio::io::{AsyncRead, AsyncWrite};

use super::authenticate::{Binding, Exchange, Step};
use super::messages::{Messages, refusal};
use super::{BackendKey, Credential, UpstreamError};

/// Longest message at log-in: an error of the server has room, a flood has not.
const LONGEST: u32 = 64 * 1024;

/// What to ask for.
pub(super) struct Ask<'a> {
    pub(super) credential: &'a Credential,
    pub(super) database: &'a str,
    pub(super) parameters: &'a [(String, String)],
    pub(super) protocol: Version,
    /// Bytes of all messages together.
    pub(super) most: usize,
}

/// What was given.
#[derive(Debug)]
pub(super) struct Welcome {
    pub(super) version: Version,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) key: BackendKey,
    pub(super) messages: Bytes,
    pub(super) unread: BytesMut,
}

pub(super) async fn login<S>(stream: S, binding: Binding, ask: &Ask<'_>) -> Result<Welcome, UpstreamError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let startup = startup(ask)?;
    let mut log_in = LogIn { messages: Messages::new(stream, LONGEST), left: ask.most, ask };
    log_in.messages.send(&startup).await?;
    let version = log_in.authenticate(binding).await?;
    log_in.settle(version).await
}

fn startup(ask: &Ask<'_>) -> Result<BytesMut, UpstreamError> {
    let mut pairs = vec![("user", ask.credential.user.as_str()), ("database", ask.database)];
    for (name, value) in ask.parameters {
        match name.as_str() {
            "user" | "database" => {}
            "replication" => return Err(UpstreamError::Parameter(name.clone())),
            option if option.starts_with("_pq_.") => {}
            _ => pairs.push((name, value)),
        }
    }
    let mut packet = BytesMut::new();
    encode::startup(&mut packet, ask.protocol, pairs)?;
    Ok(packet)
}

struct LogIn<'a, S> {
    messages: Messages<S>,
    left: usize,
    ask: &'a Ask<'a>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> LogIn<'_, S> {
    async fn next(&mut self) -> Result<(Tag, chaperone_wire::postgres::Frame), UpstreamError> {
        let (tag, frame) = self.messages.next().await?;
        self.left = self.left.checked_sub(frame.bytes.len()).ok_or(UpstreamError::TooMuch { limit: self.ask.most })?;
        if tag == Tag::ErrorResponse { Err(refusal(&frame)?) } else { Ok((tag, frame)) }
    }

    /// Up to `AuthenticationOk`.
    async fn authenticate(&mut self, mut binding: Binding) -> Result<Version, UpstreamError> {
        let mut version = self.ask.protocol;
        let mut exchange = Exchange::Fresh;
        loop {
            let (tag, frame) = self.next().await?;
            match tag {
                Tag::Authentication => {
                    let request = Authentication::parse(frame.body())?;
                    match exchange.take(&request, self.ask.credential, &mut binding)? {
                        Step::Done => return Ok(version),
                        Step::Reply(next, reply) => {
                            exchange = next;
                            if !reply.is_empty() {
                                self.messages.send(&reply).await?;
                            }
                        }
                    }
                }
                Tag::NegotiateProtocolVersion => {
                    let answer = NegotiateProtocolVersion::parse(frame.body())?;
                    // we ask for no options; a version must be one that we have, and not above what we asked for
                    let known = answer.version == Version::V3_0 || answer.version == Version::V3_2;
                    if !known || answer.version > self.ask.protocol || !answer.unsupported.is_empty() {
                        return Err(UpstreamError::Version);
                    }
                    version = answer.version;
                }
                // nobody has proved anything yet: not worth repeating to an agent
                Tag::NoticeResponse => {}
                _ => return Err(UpstreamError::Unexpected("before the log-in was accepted")),
            }
        }
    }

    /// From `AuthenticationOk` to `ReadyForQuery`.
    async fn settle(mut self, version: Version) -> Result<Welcome, UpstreamError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut key = BackendKey::default();
        let mut relayed = BytesMut::new();
        loop {
            let (tag, frame) = self.next().await?;
            match tag {
                Tag::ParameterStatus => {
                    let status = ParameterStatus::parse(frame.body())?;
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    let (name, value) = (text(status.name), text(status.value));
                    parameters.retain(|(known, _)| *known != name);
                    parameters.push((name, value));
                    relayed.extend_from_slice(&frame.bytes);
                }
                Tag::NoticeResponse => relayed.extend_from_slice(&frame.bytes),
                Tag::BackendKeyData => {
                    let data = BackendKeyData::parse(frame.body())?;
                    if version == Version::V3_0 && data.secret.len() != 4 {
                        return Err(UpstreamError::Unexpected("a long cancel key in protocol 3.0"));
                    }
                    key = BackendKey { pid: data.pid, secret: Bytes::copy_from_slice(data.secret) };
                }
                Tag::ReadyForQuery => {
                    if TransactionStatus::parse(frame.body())? != TransactionStatus::Idle {
                        return Err(UpstreamError::Unexpected("a transaction at log-in"));
                    }
                    let unread = self.messages.into_unread();
                    return Ok(Welcome { version, parameters, key, messages: relayed.freeze(), unread });
                }
                _ => return Err(UpstreamError::Unexpected("between the log-in and readiness")),
            }
        }
    }
}
