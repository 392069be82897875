//! Records: what is in the log, one line of canonical JSON (RFC 8785) each, at most [`MAX_RECORD`] bytes.
//!
//! A record holds no value of the data: ids, times, names, decisions, counts. What holds values is the payload that
//! `received` and `answered` records commit to.

mod bodies;
mod nouns;
mod shorten;
mod time;
mod write;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use self::bodies::{
    Alert, Answered, AuthorityChanged, CancelRequested, ClassificationChanged, CloseReason, CredentialDropped,
    CredentialMinted, Finished, Heartbeat, LoginRefused, Op, Outcome, PayloadRef, PolicyChanged, Received, Ruling,
    ServiceStarted, ServiceStopped, SessionClosed, SessionOpened, Span, Statement, Subjects, Verdict,
};
pub use self::time::Time;

/// The longest record, in bytes; the writer shortens lists and texts until it fits.
pub const MAX_RECORD: usize = 16 * 1024;
/// The version of the schema: `v` of every record.
pub const VERSION: u64 = 1;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was made, by the gateway's clock.
    pub time: Time,
    /// The session that it belongs to, if any.
    pub place: Option<Place>,
    /// What happened.
    pub body: Body,
}

/// A record's place in its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The session's id.
    pub session: String,
    /// 0 for the session's first record, then one more each.
    pub seq: u64,
}

/// What happened. The name of each is the record's `kind`, in snake case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The gateway started.
    ServiceStarted(ServiceStarted),
    /// The gateway stopped in order.
    ServiceStopped(ServiceStopped),
    /// The gateway lives: each minute.
    Heartbeat(Heartbeat),
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
    /// A session began.
    SessionOpened(Box<SessionOpened>),
    /// From here on a session is decided by other policies, or sees columns otherwise.
    AuthorityChanged(Box<AuthorityChanged>),
    /// Bytes came from the agent.
    Received(Received),
    /// Bytes may go to the agent.
    Answered(Answered),
    /// A cancel request for the session came.
    CancelRequested(CancelRequested),
    /// A session ended.
    SessionClosed(SessionClosed),
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, or fields missing, unknown or of the wrong type.
    #[error("not a record")]
    Malformed,
    /// A version that this code does not know.
    #[error("a record of another version")]
    Version,
    /// Longer than [`MAX_RECORD`].
    #[error("longer than {MAX_RECORD} bytes")]
    TooLong,
    /// The same content would be written in other bytes.
    #[error("not canonical JSON")]
    NotCanonical,
}

impl Record {
    /// The record's bytes: canonical, and shortened to fit [`MAX_RECORD`] (then `abridged` is set in it).
    pub fn to_bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.canonical();
        for step in shorten::STEPS {
            if bytes.len() <= MAX_RECORD {
                break;
            }
            shorten::apply(&mut self.body, *step);
            bytes = self.canonical();
        }
        bytes
    }

    fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        // writing to memory cannot fail, and every key is a string; should it ever, the record would not parse
        let _ = serde_json::to_writer(&mut bytes, self);
        bytes
    }

    /// Reads a record strictly.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: anything but the very bytes that [`Record::to_bytes`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| RecordError::Malformed)?;
        let mut take = |name: &str| fields.remove(name);
        match take("v").and_then(|v| v.as_u64()) {
            Some(VERSION) => {}
            Some(_) => return Err(RecordError::Version),
            None => return Err(RecordError::Malformed),
        }
        let kind = take("kind");
        let kind = kind.as_ref().and_then(Value::as_str).ok_or(RecordError::Malformed)?;
        let time = field(take("time"))?;
        let place = match (take("session"), take("seq")) {
            (None, None) => None,
            (Some(session), Some(seq)) => {
                Some(Place { session: field(Some(session))?, seq: field::<crate::jcs::Int>(Some(seq))?.0 })
            }
            _ => return Err(RecordError::Malformed),
        };
        let rest = Some(Value::Object(fields));
        let body = match kind {
            "service_started" => Body::ServiceStarted(field(rest)?),
            "service_stopped" => Body::ServiceStopped(field(rest)?),
            "heartbeat" => Body::Heartbeat(field(rest)?),
            "login_refused" => Body::LoginRefused(field(rest)?),
            "policy_changed" => Body::PolicyChanged(field(rest)?),
            "classification_changed" => Body::ClassificationChanged(field(rest)?),
            "credential_minted" => Body::CredentialMinted(field(rest)?),
            "credential_dropped" => Body::CredentialDropped(field(rest)?),
            "alert" => Body::Alert(field(rest)?),
            "session_opened" => Body::SessionOpened(field(rest)?),
            "authority_changed" => Body::AuthorityChanged(field(rest)?),
            "received" => Body::Received(field(rest)?),
            "answered" => Body::Answered(field(rest)?),
            "cancel_requested" => Body::CancelRequested(field(rest)?),
            "session_closed" => Body::SessionClosed(field(rest)?),
            _ => return Err(RecordError::Malformed),
        };
        let record = Record { time, place, body };
        if record.canonical() == bytes { Ok(record) } else { Err(RecordError::NotCanonical) }
    }
}

fn field<T: for<'de> Deserialize<'de>>(value: Option<Value>) -> Result<T, RecordError> {
    value.and_then(|value| serde_json::from_value(value).ok()).ok_or(RecordError::Malformed)
}

impl Body {
    /// The `kind` in the record.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::ServiceStarted(_) => "service_started",
            Body::ServiceStopped(_) => "service_stopped",
            Body::Heartbeat(_) => "heartbeat",
            Body::LoginRefused(_) => "login_refused",
            Body::PolicyChanged(_) => "policy_changed",
            Body::ClassificationChanged(_) => "classification_changed",
            Body::CredentialMinted(_) => "credential_minted",
            Body::CredentialDropped(_) => "credential_dropped",
            Body::Alert(_) => "alert",
            Body::SessionOpened(_) => "session_opened",
            Body::AuthorityChanged(_) => "authority_changed",
            Body::Received(_) => "received",
            Body::Answered(_) => "answered",
            Body::CancelRequested(_) => "cancel_requested",
            Body::SessionClosed(_) => "session_closed",
        }
    }

    /// What the record commits to beside itself.
    pub fn payload(&self) -> Option<&PayloadRef> {
        match self {
            Body::Received(body) => body.payload.as_ref(),
            Body::Answered(body) => body.payload.as_ref(),
            Body::ServiceStarted(_)
            | Body::ServiceStopped(_)
            | Body::Heartbeat(_)
            | Body::LoginRefused(_)
            | Body::PolicyChanged(_)
            | Body::ClassificationChanged(_)
            | Body::CredentialMinted(_)
            | Body::CredentialDropped(_)
            | Body::Alert(_)
            | Body::SessionOpened(_)
            | Body::AuthorityChanged(_)
            | Body::CancelRequested(_)
            | Body::SessionClosed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
