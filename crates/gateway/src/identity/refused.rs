//! A log-in refused.

/// Why a token does not open a session. Safe to show to the client and to record: it names rules and claims, never
/// anything that was in the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (rule `{rule}`)")]
pub struct LoginRefused {
    /// The rule, stable and greppable in `docs/`: `token.expired`, `token.audience`, …
    pub rule: &'static str,
    /// The issuer that judged, by its name in the configuration; `None` where no configured one was addressed.
    pub issuer: Option<String>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

impl LoginRefused {
    pub(super) fn new(rule: &'static str, message: impl Into<String>) -> Self {
        LoginRefused { rule, issuer: None, message: message.into() }
    }

    pub(super) fn by(self, issuer: &str) -> Self {
        LoginRefused { issuer: Some(issuer.to_owned()), ..self }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        LoginRefused::new("token.malformed", message)
    }

    pub(super) fn unknown_issuer() -> Self {
        LoginRefused::new("token.issuer", "the token is from an issuer that is not configured here")
    }

    pub(super) fn unreachable() -> Self {
        LoginRefused::new(
            "token.unreachable_issuer",
            "the issuer's keys cannot be fetched, so the token cannot be verified; try again later",
        )
    }

    pub(super) fn unknown_key() -> Self {
        LoginRefused::new("token.key", "the token is not signed by a key that its issuer publishes")
    }

    /// A claim that is there but not what it must be. `name` is ours or the configuration's, not the token's.
    pub(super) fn claim(name: &str, must: &str) -> Self {
        LoginRefused::new("token.claims", format!("claim `{name}` of the token {must}"))
    }
}
