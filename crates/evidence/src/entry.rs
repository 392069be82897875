//! What is put on record beside bytes.

use chaperone_ledger_format::record::{
    Alert, AuthorityChanged, Body, CancelRequested, ClassificationChanged, CredentialDropped, CredentialMinted,
    LoginRefused, PolicyChanged, ServiceStarted,
};

/// An event of the gateway's, outside any session. Heartbeats and the orderly stop are written by the ledger itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The gateway started.
    ServiceStarted(ServiceStarted),
    /// Somebody was not let in.
    LoginRefused(LoginRefused),
    /// The policies changed.
    PolicyChanged(PolicyChanged),
    /// What is said of a connection's columns changed.
    ClassificationChanged(ClassificationChanged),
    /// A session got a database role of its own.
    CredentialMinted(CredentialMinted),
    /// A session's database role is gone.
    CredentialDropped(CredentialDropped),
    /// Something that a person should look at.
    Alert(Alert),
}

impl Entry {
    /// The gateway started: its version, the digest of its configuration, the version of its policies.
    pub fn service_started(
        version: impl Into<String>,
        configuration: impl Into<String>,
        policy_version: impl Into<String>,
    ) -> Self {
        Entry::ServiceStarted(ServiceStarted {
            configuration: configuration.into(),
            policy_version: policy_version.into(),
            version: version.into(),
        })
    }

    /// The policies changed from `previous` to `version`.
    pub fn policy_changed(version: impl Into<String>, previous: Option<String>) -> Self {
        Entry::PolicyChanged(PolicyChanged { previous, version: version.into() })
    }

    /// What is said of the columns of `connection` changed from `previous` to `version`.
    pub fn classification_changed(
        connection: impl Into<String>,
        version: impl Into<String>,
        previous: impl Into<String>,
    ) -> Self {
        Entry::ClassificationChanged(ClassificationChanged {
            connection: connection.into(),
            previous: previous.into(),
            version: version.into(),
        })
    }

    /// `for_session` gets `role`, which may do what `profile` may.
    pub fn credential_minted(
        connection: impl Into<String>,
        role: impl Into<String>,
        profile: impl Into<String>,
        for_session: impl Into<String>,
    ) -> Self {
        Entry::CredentialMinted(CredentialMinted {
            connection: connection.into(),
            for_session: for_session.into(),
            profile: profile.into(),
            role: role.into(),
        })
    }

    /// `role` is gone.
    pub fn credential_dropped(connection: impl Into<String>, role: impl Into<String>) -> Self {
        Entry::CredentialDropped(CredentialDropped { connection: connection.into(), role: role.into() })
    }

    /// This rule raised an alert.
    pub fn alert(rule: impl Into<String>) -> Self {
        Entry::Alert(Alert { rule: rule.into() })
    }

    pub(crate) fn into_body(self) -> Body {
        match self {
            Entry::ServiceStarted(body) => Body::ServiceStarted(body),
            Entry::LoginRefused(body) => Body::LoginRefused(body),
            Entry::PolicyChanged(body) => Body::PolicyChanged(body),
            Entry::ClassificationChanged(body) => Body::ClassificationChanged(body),
            Entry::CredentialMinted(body) => Body::CredentialMinted(body),
            Entry::CredentialDropped(body) => Body::CredentialDropped(body),
            Entry::Alert(body) => Body::Alert(body),
        }
    }
}

/// An event of a session that is no part of its byte streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A cancel request with the session's secret came.
    CancelRequested,
    /// From here on the session is decided by other policies, or sees columns otherwise.
    AuthorityChanged(Box<AuthorityChanged>),
    /// This rule raised an alert.
    Alert {
        /// The rule.
        rule: String,
    },
}

impl SessionEvent {
    pub(crate) fn into_body(self) -> Body {
        match self {
            SessionEvent::CancelRequested => Body::CancelRequested(CancelRequested {}),
            SessionEvent::AuthorityChanged(body) => Body::AuthorityChanged(body),
            SessionEvent::Alert { rule } => Body::Alert(Alert { rule }),
        }
    }
}
