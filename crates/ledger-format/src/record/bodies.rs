//! What each kind of record says. Fields are in the order of canonical JSON.

use std::collections::BTreeMap;
use std::fmt;

use chaperone_model::{Enumerated, Facts, Masks, Principal, Refusal};
use serde::{Deserialize, Serialize};

use super::nouns;
use crate::jcs;

fn is_false(v: &bool) -> bool {
    !v
}

/// The gateway started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceStarted {
    /// The digest of the configuration.
    pub configuration: String,
    /// The version of the policies.
    pub policy_version: String,
    /// The gateway's version.
    pub version: String,
}

/// The gateway stopped in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceStopped {
    /// How many checkpoints the history holds so far.
    #[serde(with = "jcs::int")]
    pub checkpoints: u64,
}

/// The gateway lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// How many checkpoints the history holds so far: so that none can be taken out of it unseen.
    #[serde(with = "jcs::int")]
    pub checkpoints: u64,
}

/// Somebody was not let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRefused {
    /// The connection asked for, where it is one of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The issuer's name in the configuration, where the token named one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The agent's network address.
    pub peer: String,
    /// The rule that refused.
    pub rule: String,
}

/// The policies changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChanged {
    /// The version that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The version in force from now on.
    pub version: String,
}

/// What is said of a connection's columns changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationChanged {
    /// The configured connection.
    pub connection: String,
    /// The version that was in force.
    pub previous: String,
    /// The version in force from now on.
    pub version: String,
}

/// A session got a database role of its own, about to log in; nobody else can afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialMinted {
    /// The configured connection.
    pub connection: String,
    /// The session, which opens after this.
    pub for_session: String,
    /// The role that has the privileges.
    pub profile: String,
    /// The session's role.
    pub role: String,
}

/// A session's database role is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialDropped {
    /// The configured connection.
    pub connection: String,
    /// The role.
    pub role: String,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The rule that raised it.
    pub rule: String,
}

/// A session began: its agent is authenticated and let in. Both byte streams of the session are counted from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionOpened {
    /// Whether something was left out to fit the record's limit. Set by the writer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub abridged: bool,
    /// What the agent calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_name: Option<String>,
    /// The version of the connection's classification.
    #[serde(rename = "classification_version")]
    pub classification: String,
    /// The configured connection.
    pub connection: String,
    /// The rung of every classified column; `None` where the connection holds no PHI.
    #[serde(default, with = "nouns::masks", skip_serializing_if = "Option::is_none")]
    pub masks: Option<Masks>,
    /// The agent's network address.
    pub peer: String,
    /// The version of the policies that decided.
    #[serde(rename = "policy_version")]
    pub policy: String,
    /// Who.
    #[serde(with = "nouns::principal")]
    pub principal: Principal,
    /// The database's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The TLS version of the agent's connection, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
}

/// From here on a session is decided by other policies, or sees columns otherwise: the policies or the classification
/// were replaced, or the live catalog changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityChanged {
    /// Whether something was left out to fit the record's limit. Set by the writer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub abridged: bool,
    /// The version of the connection's classification.
    #[serde(rename = "classification_version")]
    pub classification: String,
    /// The rung of every classified column; `None` where the connection holds no PHI.
    #[serde(default, with = "nouns::masks", skip_serializing_if = "Option::is_none")]
    pub masks: Option<Masks>,
    /// The version of the policies that decide.
    #[serde(rename = "policy_version")]
    pub policy: String,
}

/// A part of a byte stream: `from <= byte < to`, counted from 0 at the session's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first byte.
    #[serde(with = "jcs::int")]
    pub from: u64,
    /// The byte after the last.
    #[serde(with = "jcs::int")]
    pub to: u64,
}

/// What a record commits to beside itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadRef {
    /// Bytes of the stream in it.
    #[serde(with = "jcs::int")]
    pub bytes: u64,
    /// HMAC-SHA-256 of the plaintext under the salt inside the ciphertext, in hex.
    pub commit: String,
    /// SHA-256 of the payload's frame, in hex: wrapped key and ciphertext.
    pub ct_sha256: String,
}

/// Bytes came from the agent, with these statements in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Received {
    /// Whether something was left out to fit the record's limit. The payload has everything.
    #[serde(default, skip_serializing_if = "is_false")]
    pub abridged: bool,
    /// Which bytes of what the agent sends.
    #[serde(rename = "in")]
    pub input: Span,
    /// The bytes, and what ran in place of them; none where there are no bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadRef>,
    /// The statements that end in these bytes, with what was decided.
    pub statements: Vec<Statement>,
}

/// Bytes that may go to the agent, with the statements that end in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// Whether something was left out to fit the record's limit.
    #[serde(default, skip_serializing_if = "is_false")]
    pub abridged: bool,
    /// The statements that ended.
    pub finished: Vec<Finished>,
    /// Which bytes of what goes to the agent.
    #[serde(rename = "out")]
    pub output: Span,
    /// The bytes; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadRef>,
}

/// A cancel request for the session came, with the right secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequested {}

/// A session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionClosed {
    /// Bytes from the agent in the whole session.
    #[serde(rename = "in", with = "jcs::int")]
    pub input: u64,
    /// Bytes to the agent in the whole session.
    #[serde(rename = "out", with = "jcs::int")]
    pub output: u64,
    /// Why.
    pub reason: CloseReason,
    /// Records of the session, this one included.
    #[serde(with = "jcs::int")]
    pub records: u64,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The agent said goodbye.
    Agent,
    /// The agent's socket failed.
    AgentLost,
    /// The database ended it.
    Server,
    /// The database's socket failed.
    ServerLost,
    /// What the agent sent is not the protocol.
    AgentViolation,
    /// What the database sent is not the protocol.
    ServerViolation,
    /// The database described an answer that the rewriting did not predict.
    MaskingDisagreement,
    /// The catalog changed while a statement ran, and by it the statement would be masked in another way.
    MaskingOutdated,
    /// Whether the catalog changed while a statement ran could not be asked.
    MaskingUnchecked,
    /// A text encoding in which statements cannot be read safely was switched on.
    Encoding,
    /// The session's database role could not be given what its masks need.
    CredentialFailed,
    /// Records could not be made durable.
    LedgerFailed,
    /// Nothing came from the agent for too long.
    Idle,
    /// It was as old as sessions may get.
    SessionLimit,
    /// The agent's token ran out.
    TokenExpired,
    /// The policies do not let the agent in any more.
    Revoked,
    /// The gateway stopped: in order, or found so after a crash.
    GatewayStopped,
    /// The gateway dropped it without a reason: a fault of ours.
    GatewayFault,
}

impl CloseReason {
    /// As in records.
    pub fn name(self) -> &'static str {
        match self {
            CloseReason::Agent => "agent",
            CloseReason::AgentLost => "agent_lost",
            CloseReason::Server => "server",
            CloseReason::ServerLost => "server_lost",
            CloseReason::AgentViolation => "agent_violation",
            CloseReason::ServerViolation => "server_violation",
            CloseReason::MaskingDisagreement => "masking_disagreement",
            CloseReason::MaskingOutdated => "masking_outdated",
            CloseReason::MaskingUnchecked => "masking_unchecked",
            CloseReason::Encoding => "encoding",
            CloseReason::CredentialFailed => "credential_failed",
            CloseReason::LedgerFailed => "ledger_failed",
            CloseReason::Idle => "idle",
            CloseReason::SessionLimit => "session_limit",
            CloseReason::TokenExpired => "token_expired",
            CloseReason::Revoked => "revoked",
            CloseReason::GatewayStopped => "gateway_stopped",
            CloseReason::GatewayFault => "gateway_fault",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One statement that the agent sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What was decided.
    pub decision: Ruling,
    /// How many rows the database expected, where a policy wanted to know.
    #[serde(default, with = "jcs::opt_int", skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<u64>,
    /// What analysis found.
    #[serde(default, with = "nouns::facts", skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// The shape of the statement, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Its ordinal in the session, counted from 1.
    #[serde(with = "jcs::int")]
    pub id: u64,
    /// Its text without literals, comments and names that the agent chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<String>,
    /// How it came.
    pub op: Op,
    /// The ordinal of the prepared statement that it executes.
    #[serde(default, with = "jcs::opt_int", skip_serializing_if = "Option::is_none")]
    pub refers_to: Option<u64>,
    /// Whether another text ran in its place.
    pub rewritten: bool,
}

/// How a statement came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A simple query.
    #[default]
    Query,
    /// Prepared, not yet run.
    Prepare,
    /// A run of a prepared one.
    Execute,
    /// Rows for a `COPY` from the agent.
    CopyData,
    /// A call of a function by its number.
    FunctionCall,
}

/// What was decided about a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The SQLSTATE that the agent gets, where it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The ids of the policies that decided.
    pub policies: Vec<String>,
    /// The rule that it breaks, where it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether it runs.
    pub verdict: Verdict,
}

/// Whether a statement runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Allow,
    /// The policies say no.
    Deny,
    /// A rule of Chaperone's says no, whatever the policies say.
    #[default]
    Refuse,
}

impl Ruling {
    /// It runs, permitted by these policies.
    pub fn allowed<P: fmt::Display>(policies: &[P]) -> Self {
        Ruling { verdict: Verdict::Allow, policies: names(policies), rule: None, code: None }
    }

    /// It does not run: the policies do not permit it. `policies` forbade it or failed; none where none permits.
    pub fn denied<P: fmt::Display>(policies: &[P], refusal: &Refusal) -> Self {
        Ruling { verdict: Verdict::Deny, policies: names(policies), ..Self::refused(refusal) }
    }

    /// It does not run, by a rule of Chaperone's.
    pub fn refused(refusal: &Refusal) -> Self {
        Ruling {
            verdict: Verdict::Refuse,
            policies: Vec::new(),
            rule: Some(refusal.rule.to_owned()),
            code: Some(refusal.code.0.to_owned()),
        }
    }
}

fn names<P: fmt::Display>(policies: &[P]) -> Vec<String> {
    policies.iter().map(P::to_string).collect()
}

/// How a statement ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// The SQLSTATE of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its ordinal in the session.
    #[serde(with = "jcs::int")]
    pub id: u64,
    /// Microseconds from its arrival to here.
    #[serde(with = "jcs::int")]
    pub micros: u64,
    /// How.
    pub outcome: Outcome,
    /// Rows returned or touched.
    #[serde(default, with = "jcs::opt_int", skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Whose rows the answer has; none where the statement reads no table about persons, or the connection's
    /// classification does not say of any which column names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<Subjects>,
    /// The words of its command tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Whose rows an answer has. The names are in the payload: see [`crate::subject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subjects {
    /// How many different ones; of more than 65,536 some may count more than once.
    #[serde(with = "jcs::int")]
    pub count: u64,
    /// SHA-256 of the entries in the payloads, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether these are all whose rows were read.
    #[serde(with = "nouns::enumerated")]
    pub enumerated: Enumerated,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// To its end.
    Finished,
    /// With an error of the database's.
    Failed,
    /// It never ran: denied or refused.
    Denied,
    /// It gave the rows that were asked for and has more.
    Suspended,
    /// It never ran: an error before it in the same pipeline.
    Skipped,
    /// Its session ended first.
    #[default]
    CutOff,
}

/// Columns and their rungs, by table.
pub(super) type MaskTable = BTreeMap<String, BTreeMap<String, String>>;
