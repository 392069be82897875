//! A record as a JSON object: the fields of its body and those of every record, in one canonical order.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Body, Record, VERSION};
use crate::jcs::Int;

struct Object<'a, M> {
    map: M,
    record: &'a Record,
}

impl<M: SerializeMap> Object<'_, M> {
    fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), M::Error> {
        self.map.serialize_entry(key, value)
    }

    fn put_some<T: Serialize>(&mut self, key: &str, value: &Option<T>) -> Result<(), M::Error> {
        value.as_ref().map_or(Ok(()), |value| self.put(key, value))
    }

    fn put_abridged(&mut self, abridged: bool) -> Result<(), M::Error> {
        if abridged { self.put("abridged", &true) } else { Ok(()) }
    }

    fn kind(&mut self) -> Result<(), M::Error> {
        self.put("kind", self.record.body.kind())
    }

    fn seq(&mut self) -> Result<(), M::Error> {
        self.record.place.as_ref().map_or(Ok(()), |place| self.put("seq", &Int(place.seq)))
    }

    fn session(&mut self) -> Result<(), M::Error> {
        self.record.place.as_ref().map_or(Ok(()), |place| self.put("session", &place.session))
    }

    fn seq_session(&mut self) -> Result<(), M::Error> {
        self.seq()?;
        self.session()
    }

    fn time(&mut self) -> Result<(), M::Error> {
        self.put("time", &self.record.time)
    }

    fn version(&mut self) -> Result<(), M::Error> {
        self.put("v", &VERSION)
    }
}

/// The masks of a session, as their own value.
struct MaskLine<'a>(&'a Option<chaperone_model::Masks>);

impl Serialize for MaskLine<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        super::nouns::masks::serialize(self.0, s)
    }
}

/// A principal, as its own value.
struct PrincipalLine<'a>(&'a chaperone_model::Principal);

impl Serialize for PrincipalLine<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        super::nouns::principal::serialize(self.0, s)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut o = Object { map: s.serialize_map(None)?, record: self };
        match &self.body {
            Body::ServiceStarted(body) => {
                o.put("configuration", &body.configuration)?;
                o.kind()?;
                o.put("policy_version", &body.policy_version)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
                o.put("version", &body.version)?;
            }
            Body::ServiceStopped(super::ServiceStopped { checkpoints })
            | Body::Heartbeat(super::Heartbeat { checkpoints }) => {
                o.put("checkpoints", &Int(*checkpoints))?;
                o.kind()?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::LoginRefused(body) => {
                o.put_some("connection", &body.connection)?;
                o.put_some("issuer", &body.issuer)?;
                o.kind()?;
                o.put("peer", &body.peer)?;
                o.put("rule", &body.rule)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::PolicyChanged(body) => {
                o.kind()?;
                o.put_some("previous", &body.previous)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
                o.put("version", &body.version)?;
            }
            Body::ClassificationChanged(body) => {
                o.put("connection", &body.connection)?;
                o.kind()?;
                o.put("previous", &body.previous)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
                o.put("version", &body.version)?;
            }
            Body::CredentialMinted(body) => {
                o.put("connection", &body.connection)?;
                o.put("for_session", &body.for_session)?;
                o.kind()?;
                o.put("profile", &body.profile)?;
                o.put("role", &body.role)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::CredentialDropped(body) => {
                o.put("connection", &body.connection)?;
                o.kind()?;
                o.put("role", &body.role)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::Alert(body) => {
                o.kind()?;
                o.put("rule", &body.rule)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::SessionOpened(body) => {
                o.put_abridged(body.abridged)?;
                o.put_some("application_name", &body.application_name)?;
                o.put("classification_version", &body.classification)?;
                o.put("connection", &body.connection)?;
                o.kind()?;
                if body.masks.is_some() {
                    o.put("masks", &MaskLine(&body.masks))?;
                }
                o.put("peer", &body.peer)?;
                o.put("policy_version", &body.policy)?;
                o.put("principal", &PrincipalLine(&body.principal))?;
                o.seq()?;
                o.put_some("server_version", &body.server_version)?;
                o.session()?;
                o.time()?;
                o.put_some("tls", &body.tls)?;
                o.version()?;
            }
            Body::AuthorityChanged(body) => {
                o.put_abridged(body.abridged)?;
                o.put("classification_version", &body.classification)?;
                o.kind()?;
                if body.masks.is_some() {
                    o.put("masks", &MaskLine(&body.masks))?;
                }
                o.put("policy_version", &body.policy)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::Received(body) => {
                o.put_abridged(body.abridged)?;
                o.put("in", &body.input)?;
                o.kind()?;
                o.put_some("payload", &body.payload)?;
                o.seq_session()?;
                o.put("statements", &body.statements)?;
                o.time()?;
                o.version()?;
            }
            Body::Answered(body) => {
                o.put_abridged(body.abridged)?;
                o.put("finished", &body.finished)?;
                o.kind()?;
                o.put("out", &body.output)?;
                o.put_some("payload", &body.payload)?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::CancelRequested(super::CancelRequested {}) => {
                o.kind()?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
            Body::SessionClosed(body) => {
                o.put("in", &Int(body.input))?;
                o.kind()?;
                o.put("out", &Int(body.output))?;
                o.put("reason", &body.reason)?;
                o.put("records", &Int(body.records))?;
                o.seq_session()?;
                o.time()?;
                o.version()?;
            }
        }
        o.map.end()
    }
}
