//! The server's side of `OAUTHBEARER` (RFC 7628 over RFC 4422), as PostgreSQL 18 and its libpq speak it.
//!
//! ```text
//!  server                                    client
//!  AuthenticationSASL ["OAUTHBEARER"] ─────►
//!                       ◄───────────────────  SASLInitialResponse: n,,^Aauth=Bearer TOKEN^A^A
//!  AuthenticationOk ───────────────────────►                               the token is good
//!  AuthenticationSASLContinue {"status":…} ►                               it is not, or there was none
//!                       ◄───────────────────  SASLResponse: ^A
//!  ErrorResponse ──────────────────────────►
//! ```
//! There is no I/O and no verification here: [`Exchange::take`] turns a client's message into the next [`Step`].

use std::fmt;

use bytes::{Bytes, BytesMut};
use zeroize::Zeroizing;

use super::WireError;
use super::backend::{Authentication, encode};
use super::frontend::SaslInitial;

/// The mechanism's registered name.
pub const OAUTHBEARER: &str = "OAUTHBEARER";
/// Between keys and values of the mechanism's messages.
const SEPARATOR: u8 = 0x01;

/// Why an exchange ends. Nothing of what the client sent is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// Not even the message around it is right.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A mechanism that was not offered.
    #[error("the client chose a SASL mechanism that was not offered")]
    Mechanism,
    /// The mechanism's own message is malformed.
    #[error("malformed `OAUTHBEARER` message: {0}")]
    Malformed(&'static str),
    /// The client insists on channel binding, which the mechanism does not have.
    #[error("`OAUTHBEARER` has no channel binding")]
    ChannelBinding,
    /// The client wants to be somebody else than the token says.
    #[error("`OAUTHBEARER` authorization identities are not supported")]
    AuthorizationIdentity,
}

/// Where a client may get a token that we accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// URL of the issuer's `.well-known/openid-configuration`.
    pub openid_configuration: String,
    /// Scopes to ask for, separated by spaces.
    pub scope: String,
}

/// A bearer token, wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token, to be verified and not kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An exchange that waits for the client.
#[derive(Debug)]
pub struct Exchange {
    discovery: Discovery,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// For the choice of a mechanism.
    Choice,
    /// For the data that did not come with the choice.
    Data,
    /// For the word that ends an exchange which failed.
    Farewell,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, then give the client's answer to the exchange.
    Reply(Bytes, Exchange),
    /// Verify the token, then tell the verdict.
    Verify(Token, Verdict),
    /// The failure was told and taken: send the `ErrorResponse` and close.
    Failed,
}

/// Waits to be told whether the token is good. If it is, drop this and send `AuthenticationOk`.
#[derive(Debug)]
pub struct Verdict {
    discovery: Discovery,
}

impl Verdict {
    /// The token is not good: what to send, and the exchange that waits for the client's farewell.
    pub fn refuse(self) -> (Bytes, Exchange) {
        let told = serde_json::json!({
            "status": "invalid_token",
            "scope": self.discovery.scope,
            "openid-configuration": self.discovery.openid_configuration,
        });
        let reply = challenge(told.to_string().as_bytes());
        (reply, Exchange { discovery: self.discovery, state: State::Farewell })
    }
}

impl Exchange {
    /// Begins: what to send first, and the exchange.
    pub fn start(discovery: Discovery) -> (Bytes, Exchange) {
        let offer = encoded(&Authentication::Sasl { mechanisms: vec![OAUTHBEARER.as_bytes()] });
        (offer, Exchange { discovery, state: State::Choice })
    }

    /// Takes the body of the client's next `p` message.
    ///
    /// # Errors
    /// All end the log-in; the client is told by an `ErrorResponse`.
    pub fn take(self, body: &[u8]) -> Result<Step, SaslError> {
        match self.state {
            State::Choice => {
                let initial = SaslInitial::parse(body)?;
                if initial.mechanism != OAUTHBEARER.as_bytes() {
                    return Err(SaslError::Mechanism);
                }
                match initial.data {
                    Some(data) => self.data(data),
                    None => Ok(Step::Reply(challenge(b""), Exchange { state: State::Data, ..self })),
                }
            }
            State::Data => self.data(body),
            State::Farewell if body == [SEPARATOR] => Ok(Step::Failed),
            State::Farewell => Err(SaslError::Malformed("a failed exchange goes on")),
        }
    }

    fn data(self, data: &[u8]) -> Result<Step, SaslError> {
        let verdict = Verdict { discovery: self.discovery };
        Ok(match bearer(data)? {
            Some(token) => Step::Verify(token, verdict),
            None => {
                // a client without a token asks where to get one (RFC 7628, 4.3)
                let (reply, exchange) = verdict.refuse();
                Step::Reply(reply, exchange)
            }
        })
    }
}

fn challenge(data: &[u8]) -> Bytes {
    encoded(&Authentication::SaslContinue(data))
}

fn encoded(authentication: &Authentication<'_>) -> Bytes {
    let mut buffer = BytesMut::new();
    let written = encode::authentication(&mut buffer, authentication);
    debug_assert!(written.is_ok());
    buffer.freeze()
}

/// The token in a client's data: `None` where `auth` is empty.
fn bearer(data: &[u8]) -> Result<Option<Token>, SaslError> {
    let mut rest = gs2_header(data)?;
    let mut auth = None;
    loop {
        let end = rest.iter().position(|byte| *byte == SEPARATOR).ok_or(SaslError::Malformed("it is cut short"))?;
        let (pair, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if pair.is_empty() {
            break;
        }
        let equals = pair.iter().position(|byte| *byte == b'=').ok_or(SaslError::Malformed("a key has no value"))?;
        let (key, value) = pair.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        if key.is_empty() || !key.iter().all(u8::is_ascii_alphabetic) {
            return Err(SaslError::Malformed("a key is not made of letters"));
        }
        // RFC 7628, 3.1: `host`, `port` and keys that we do not know are passed over
        if key == b"auth" && auth.replace(value).is_some() {
            return Err(SaslError::Malformed("`auth` is given twice"));
        }
    }
    if !rest.is_empty() {
        return Err(SaslError::Malformed("it goes on after its end"));
    }
    match auth.ok_or(SaslError::Malformed("`auth` is missing"))? {
        [] => Ok(None),
        auth => token(auth).map(Some),
    }
}

/// Takes `n,,` and the separator off (RFC 5801, section 4).
fn gs2_header(data: &[u8]) -> Result<&[u8], SaslError> {
    let after_flag = match data.split_first() {
        Some((b'n' | b'y', rest)) => rest,
        Some((b'p', _)) => return Err(SaslError::ChannelBinding),
        _ => return Err(SaslError::Malformed("its header is not `n,,`")),
    };
    let identity = after_flag.strip_prefix(b",").ok_or(SaslError::Malformed("its header is not `n,,`"))?;
    if identity.starts_with(b"a=") {
        return Err(SaslError::AuthorizationIdentity);
    }
    identity.strip_prefix(&[b',', SEPARATOR]).ok_or(SaslError::Malformed("its header is not `n,,`"))
}

/// The `b64token` after `Bearer ` (RFC 6750, 2.1).
fn token(auth: &[u8]) -> Result<Token, SaslError> {
    let malformed = SaslError::Malformed("`auth` is not a bearer token");
    let (scheme, value) = auth.split_at_checked(b"Bearer ".len()).ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(malformed);
    }
    let value = std::str::from_utf8(value).map_err(|_| malformed)?.trim_start_matches(' ');
    let body = value.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(allowed) {
        return Err(malformed);
    }
    Ok(Token(Zeroizing::new(value.to_owned())))
}

/// Body of the fuzz target: whatever a client sends, in up to three messages, the exchange ends.
#[doc(hidden)]
pub fn fuzz_sasl(data: &[u8]) {
    let discovery = Discovery { openid_configuration: "https://issuer.example/\"".into(), scope: "db".into() };
    let (_, mut exchange) = Exchange::start(discovery);
    for body in data.split(|byte| *byte == 0xff).chain([&b"\x01"[..]; 3]) {
        exchange = match exchange.take(body) {
            Ok(Step::Reply(_, next)) => next,
            Ok(Step::Verify(token, verdict)) => {
                assert!(token.expose().is_ascii() && !token.expose().is_empty());
                verdict.refuse().1
            }
            Ok(Step::Failed) | Err(_) => return,
        };
    }
    unreachable!("three farewells end every exchange");
}
