//! Whose rows an answer has: so that "who saw patient X" can be answered (45 CFR 164.528) and nobody is named.
//!
//! ```text
//! key    HMAC-SHA-256(payload key, "chaperone subjects 1" ‖ origin)
//! name   the first 16 bytes of HMAC-SHA-256(key, connection ‖ 0 ‖ the identifier as text)
//! entry  number of the column in `columns` u8 · name 16
//! ```
//! Entries are in the payloads of the answers, sealed as these are. A record says how many there are for a statement,
//! and the SHA-256 of all of them in order.

use aws_lc_rs::{digest, hmac};
use serde::{Deserialize, Serialize};

use crate::jcs;

/// Bytes of a name.
pub const NAME: usize = 16;
/// Bytes of an entry.
pub const ENTRY: usize = 1 + NAME;

/// Somebody's name in a log.
pub type Name = [u8; NAME];

/// Gives names.
#[derive(Clone)]
pub struct SubjectKey(hmac::Key);

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey")
    }
}

impl SubjectKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        SubjectKey(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The name of whoever has this identifier on a connection, as the database writes it as text.
    pub fn name(&self, connection: &str, identifier: &[u8]) -> Name {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(connection.as_bytes());
        context.update(&[0]);
        context.update(identifier);
        let tag = context.sign();
        let mut name = [0; NAME];
        for (to, from) in name.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        name
    }
}

/// Those whose rows of one statement are in some bytes, and were not in earlier ones of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The columns that say whose rows they are, as `schema.table.column`.
    pub columns: Vec<String>,
    /// The entries, in hex, in the order in which they came.
    #[serde(with = "hex")]
    pub entries: Vec<u8>,
    /// The ordinal of the statement.
    #[serde(with = "jcs::int")]
    pub id: u64,
}

impl Seen {
    /// The entries: which column, and who.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, Name)> {
        self.entries
            .as_chunks::<ENTRY>()
            .0
            .iter()
            .map(|[column, name @ ..]| (self.columns.get(usize::from(*column)).map(String::as_str), *name))
    }
}

/// The digest of a statement's entries as they come.
#[derive(Clone)]
pub struct SeenDigest(digest::Context);

impl Default for SeenDigest {
    fn default() -> Self {
        SeenDigest(digest::Context::new(&digest::SHA256))
    }
}

impl std::fmt::Debug for SeenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeenDigest")
    }
}

impl SeenDigest {
    /// Adds entries.
    pub fn add(&mut self, entries: &[u8]) {
        self.0.update(entries);
    }

    /// In hex.
    pub fn finish(self) -> String {
        hex::encode(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use crate::payload::PayloadKey;

    use super::*;

    #[test]
    fn a_name_is_of_one_identifier_on_one_connection_of_one_log() {
        let name = |key: u8, origin: &str, connection: &str, identifier: &str| {
            PayloadKey::new([key; 32]).subjects(origin).name(connection, identifier.as_bytes())
        };
        let one = name(7, "log.example", "clinic", "4711");
        // computed with the hmac module of Python
        assert_eq!(hex::encode(one), "64bc4f15c41551124e9dfd111026b003");
        for other in [
            name(8, "log.example", "clinic", "4711"),
            name(7, "log.other", "clinic", "4711"),
            name(7, "log.example", "lab", "4711"),
            name(7, "log.example", "clinic", "4712"),
        ] {
            assert_ne!(one, other);
        }
        assert_eq!(name(7, "log.example", "clinic", "4711"), one);
    }

    #[test]
    fn entries_read_back() {
        let entries = [[0].as_slice(), &[1; NAME], &[1], &[2; NAME], &[9], &[3; NAME]].concat();
        let seen = Seen { columns: vec!["c.p.id".into(), "c.e.patient_id".into()], entries, id: 4 };
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        let read: Vec<_> = seen.iter().collect();
        assert_eq!(read, [(Some("c.p.id"), [1; NAME]), (Some("c.e.patient_id"), [2; NAME]), (None, [3; NAME])]);
    }
}
