//! Who asks.

use serde::Serialize;

/// Who holds a session, from a verified token. Never the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// The issuer's name in the configuration.
    pub issuer: String,
    /// The issuer's URL, the token's `iss`.
    pub issuer_url: String,
    /// The AI client: the token's `sub`, or `act.sub` where the issuer delegates by RFC 8693.
    pub agent: String,
    /// The person behind the agent, where the token says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acts_for: Option<String>,
    /// Groups, from the claim that the issuer's configuration names.
    pub groups: Vec<String>,
    /// OAuth scopes.
    pub scopes: Vec<String>,
    /// The model that drives the agent, where the token says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<AiModel>,
    /// The purpose of use that the issuer vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The Kubernetes workload, for projected service-account tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// About the token.
    pub token: TokenFacts,
}

/// The model that drives an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AiModel {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A Kubernetes workload, from the `kubernetes.io` claim of a projected service-account token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// The namespace.
    pub namespace: String,
    /// The service account's name.
    pub service_account: String,
    /// The pod's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The pod's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// The node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// What a record may say about a token. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenFacts {
    /// `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The signature algorithm (`RS256`, …).
    pub algorithm: String,
    /// `iat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<i64>,
    /// `exp`.
    pub expires_at: i64,
}
