//! What an operator says of an issuer.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::keys::Source;

/// The longest skew between clocks that may be configured.
pub(super) const MAX_LEEWAY: Duration = Duration::from_secs(120);

/// An OpenID Connect issuer whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What policies and records call it.
    pub name: String,
    /// Its identifier, exactly as in the tokens' `iss` and in its discovery document, to the last slash.
    pub url: String,
    /// What a token's `aud` must be, or hold.
    pub audience: String,
    /// The claim with the groups: an array of strings or one string. A name with a leading `/` is a JSON pointer (RFC
    /// 6901) into nested claims, here and below: `/realm_access/roles`. Default `groups`.
    pub groups_claim: String,
    /// The claim with the model that drives the agent: a string, or an object of `name` and `version`. Default `model`.
    pub model_claim: String,
    /// The claim with the model's version, where `model_claim` is a string. Default `model_version`.
    pub model_version_claim: String,
    /// The claim with the purpose of use. Default `purpose`.
    pub purpose_claim: String,
    /// How its tokens name a person behind the agent.
    pub delegation: Delegation,
    /// The signature algorithms that are accepted. Default `RS256`, `PS256`, `ES256`, `ES384`, `EdDSA`.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are, where that is not to be discovered.
    pub jwks_url: Option<String>,
    /// Certificates (PEM) that its TLS certificate must lead to, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The longest time between a token's `iat` and now, and between `iat` and `exp`. Default unlimited.
    pub max_token_age: Option<Duration>,
    /// How far its clock may be from ours. Default 30 seconds, at most 120.
    pub leeway: Duration,
}

impl IssuerConfig {
    /// An issuer with the defaults.
    pub fn new(name: impl Into<String>, url: impl Into<String>, audience: impl Into<String>) -> Self {
        IssuerConfig {
            name: name.into(),
            url: url.into(),
            audience: audience.into(),
            groups_claim: "groups".into(),
            model_claim: "model".into(),
            model_version_claim: "model_version".into(),
            purpose_claim: "purpose".into(),
            delegation: Delegation::None,
            algorithms: Algorithm::DEFAULT.to_vec(),
            jwks_url: None,
            ca_file: None,
            max_token_age: None,
            leeway: Duration::from_secs(30),
        }
    }

    /// Its discovery document (OpenID Connect Discovery 1.0, section 4.1).
    pub(super) fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'))
    }

    /// Where its keys are, if all else is well too.
    pub(super) fn check(&self) -> Result<Source, IdentityError> {
        let fault = |why: &str| IdentityError::Issuer { name: self.name.clone(), why: why.to_owned() };
        if self.name.is_empty() {
            return Err(fault("it needs a name"));
        }
        if self.audience.is_empty() {
            return Err(fault("it needs an audience: tokens made for somebody else must not open sessions here"));
        }
        if self.algorithms.is_empty() {
            return Err(fault("it needs an algorithm"));
        }
        if self.leeway > MAX_LEEWAY {
            return Err(fault("a leeway of more than 120 seconds would keep expired tokens alive"));
        }
        let url = address(&self.url).map_err(|why| fault(&format!("`url` {why}")))?;
        if url.query().is_some() {
            return Err(fault("`url` must not have a query"));
        }
        match &self.jwks_url {
            Some(url) => address(url).map(Source::Set).map_err(|why| fault(&format!("`jwks_url` {why}"))),
            None => address(&self.discovery()).map(Source::Discovery).map_err(|why| fault(&format!("`url` {why}"))),
        }
    }
}

/// An address to fetch from: `https`, or `http` to this machine.
pub(super) fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must not have a user, a password or a fragment");
    }
    // the parser keeps the brackets of an IPv6 address, and writes every notation of 127.0.0.1 as that
    let loopback = url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    });
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("must be https (http only on loopback)"),
    }
}

/// How an issuer's tokens name a person behind the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delegation {
    /// They do not: `sub` is the agent. A token with an `act` claim is refused, since its `sub` would be a person.
    #[default]
    None,
    /// RFC 8693, section 4.1: the person is `sub`, the agent is `act.sub`. A token without `act` is refused, since its
    /// `sub` could be a person's own token.
    Rfc8693,
}

/// A signature algorithm (RFC 7518, RFC 8037). There are only asymmetric ones: with a symmetric one whoever can verify
/// can also sign, and a public key would do as the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named in the RFCs")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl Algorithm {
    /// What an issuer may use where the configuration does not say.
    pub const DEFAULT: [Algorithm; 5] =
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

    pub(super) fn jose(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Two issuers that cannot be told apart.
    #[error("two issuers have the {what} `{value}`")]
    Twice {
        /// `name` or `url`.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// Something is wrong with one issuer.
    #[error("issuer `{name}`: {why}")]
    Issuer {
        /// Its name.
        name: String,
        /// What.
        why: String,
    },
}
