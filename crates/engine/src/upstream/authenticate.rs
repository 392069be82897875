//! Proving who we are, and having the server prove that it knows us (manual 55.2.1, 55.3).
//!
//! A server asks once. One that asks for something else after we have answered is collecting answers and is refused.

use std::mem;

use bytes::BytesMut;
use chaperone_wire::postgres::backend::Authentication;
use chaperone_wire::postgres::frontend::encode;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};

use super::{Credential, UpstreamError};

/// What the connection gives a log-in to be bound to.
#[derive(Debug, Clone)]
pub(super) enum Binding {
    /// It is not encrypted.
    Plain,
    /// TLS, and the hash of the server's certificate if there is one defined.
    Tls(Option<Vec<u8>>),
}

/// Where the exchange stands.
pub(super) enum Exchange {
    /// Nothing was asked yet.
    Fresh,
    /// A password was sent; `AuthenticationOk` is all that may follow.
    Answered,
    /// SCRAM's first message was sent.
    ScramFirst(Box<ScramSha256>),
    /// SCRAM's proof was sent: now the server owes its own.
    ScramProof(Box<ScramSha256>),
    /// The server has proved that it knows the password.
    Proven,
}

/// What a request leads to.
pub(super) enum Step {
    /// Send this and go on; nothing to send after the server's proof.
    Reply(Exchange, BytesMut),
    /// We are in.
    Done,
}

impl Exchange {
    /// Takes the server's next request.
    pub(super) fn take(
        self,
        request: &Authentication<'_>,
        credential: &Credential,
        binding: &mut Binding,
    ) -> Result<Step, UpstreamError> {
        match (self, request) {
            (Exchange::Fresh | Exchange::Answered | Exchange::Proven, Authentication::Ok) => Ok(Step::Done),
            // a server that skips its proof may be anybody
            (Exchange::ScramFirst(_) | Exchange::ScramProof(_), Authentication::Ok) => Err(UpstreamError::Proof(None)),
            (Exchange::Fresh, Authentication::CleartextPassword) => match binding {
                Binding::Plain => Err(UpstreamError::Cleartext),
                Binding::Tls(_) => password_message(password(credential)?),
            },
            (Exchange::Fresh, Authentication::Md5Password { salt }) => {
                let hash = md5_hash(credential.user.as_bytes(), password(credential)?, *salt);
                password_message(hash.as_bytes())
            }
            (Exchange::Fresh, Authentication::Sasl { mechanisms }) => {
                let (mechanism, binding) = choose(mechanisms, binding)?;
                let scram = ScramSha256::new(password(credential)?, binding);
                let mut reply = BytesMut::new();
                encode::sasl_initial(&mut reply, mechanism.as_bytes(), Some(scram.message()))?;
                Ok(Step::Reply(Exchange::ScramFirst(Box::new(scram)), reply))
            }
            (Exchange::ScramFirst(mut scram), Authentication::SaslContinue(challenge)) => {
                scram.update(challenge).map_err(|error| UpstreamError::Proof(Some(error)))?;
                let mut reply = BytesMut::new();
                encode::sasl_response(&mut reply, scram.message())?;
                Ok(Step::Reply(Exchange::ScramProof(scram), reply))
            }
            (Exchange::ScramProof(mut scram), Authentication::SaslFinal(proof)) => {
                scram.finish(proof).map_err(|error| UpstreamError::Proof(Some(error)))?;
                Ok(Step::Reply(Exchange::Proven, BytesMut::new()))
            }
            (_, Authentication::KerberosV5) => Err(UpstreamError::Method("Kerberos V5")),
            (_, Authentication::Gss | Authentication::GssContinue(_)) => Err(UpstreamError::Method("GSSAPI")),
            (_, Authentication::Sspi) => Err(UpstreamError::Method("SSPI")),
            (
                _,
                Authentication::CleartextPassword
                | Authentication::Md5Password { .. }
                | Authentication::Sasl { .. }
                | Authentication::SaslContinue(_)
                | Authentication::SaslFinal(_),
            ) => Err(UpstreamError::Unexpected("an authentication request")),
        }
    }
}

fn password(credential: &Credential) -> Result<&[u8], UpstreamError> {
    credential.password.as_ref().map(super::Secret::expose).ok_or(UpstreamError::NoPassword)
}

fn password_message(password: &[u8]) -> Result<Step, UpstreamError> {
    let mut reply = BytesMut::new();
    encode::password(&mut reply, password)?;
    Ok(Step::Reply(Exchange::Answered, reply))
}

/// The strongest mechanism. Where both sides can bind the log-in to the TLS connection, they do: no way leads from
/// there to an unbound one. Over TLS to a server that does not offer it we say that we could (`y,,`), so that a real
/// server whose offer was taken out on the way refuses (RFC 5802, section 6).
fn choose(mechanisms: &[&[u8]], binding: &mut Binding) -> Result<(&'static str, ChannelBinding), UpstreamError> {
    let offers = |name: &str| mechanisms.contains(&name.as_bytes());
    match binding {
        Binding::Tls(hash) if offers(SCRAM_SHA_256_PLUS) => {
            let hash = mem::take(hash).ok_or(UpstreamError::ChannelBinding)?;
            Ok((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash)))
        }
        Binding::Tls(_) if offers(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
        Binding::Plain if offers(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
        Binding::Plain | Binding::Tls(_) => Err(UpstreamError::Method("an unknown SASL mechanism's")),
    }
}
