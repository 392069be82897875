//! Payloads: the values that a record may not hold, sealed so that each can be destroyed by itself.
//!
//! ```text
//! plaintext   length of note u32 · note (JSON) · bytes of the stream
//! sealed      AES-256-GCM of: salt 32 · codec u8 (0 plain, 1 zstd) · length of plaintext u32 · plaintext as coded
//! frame body  1 u8 · wrapped key (AES-256-GCM of 32 bytes: 48) · sealed · its tag 16
//! ```
//! Every payload has a random key, wrapped under a key of its session, which is
//! `HMAC-SHA-256(payload key, "chaperone payload wrap 1" ‖ origin ‖ 0 ‖ session)`; the nonce of the wrapping is the
//! record's `seq`, unique in the session; the random key seals once, so its nonce is zero. Both are bound to their
//! place by the additional data `origin ‖ 0 ‖ session ‖ 0 ‖ seq`.
//!
//! The record commits to the plaintext by `HMAC-SHA-256(salt, plaintext)` with the salt inside the ciphertext: a
//! bare hash would let anyone who has the log guess a nine-digit number. GCM alone does not commit to a key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use serde::{Deserialize, Serialize};

use crate::record::PayloadRef;
use crate::subject::{Seen, SubjectKey};

/// Bytes of a key.
pub const KEY: usize = 32;
/// Bytes of a salt.
pub const SALT: usize = 32;
/// Bytes of an AES-GCM tag.
pub const TAG: usize = 16;
/// Bytes of a frame's body before the ciphertext: version and wrapped key.
pub const PREFIX: usize = 1 + KEY + TAG;
/// The first byte of a frame's body.
pub const VERSION: u8 = 1;
/// The longest plaintext, in bytes.
pub const MAX_PLAINTEXT: usize = 32 << 20;

/// How a plaintext is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As it is.
    Plain,
    /// A zstd frame (RFC 8878).
    Zstd,
}

impl Codec {
    /// As written.
    pub fn byte(self) -> u8 {
        match self {
            Codec::Plain => 0,
            Codec::Zstd => 1,
        }
    }
}

/// What goes with the bytes of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Whether the text that ran was too long to be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub omitted: bool,
    /// The text that ran in place of the agent's, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Whose rows are in the bytes, by statement; see [`crate::subject`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Seen>,
}

/// An opened payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// What goes with the bytes.
    pub note: Note,
    /// The bytes of the stream.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({} bytes)", self.bytes.len())
    }
}

/// Why a payload does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not as long as it must be, or of another version.
    #[error("malformed payload")]
    Malformed,
    /// Its key does not unwrap: another payload key, another place, or a change.
    #[error("the payload's key does not unwrap")]
    Wrap,
    /// It does not decrypt: a change.
    #[error("the payload does not decrypt")]
    Seal,
    /// It decrypts to something else than its record commits to.
    #[error("the payload is not what its record commits to")]
    Commitment,
}

/// The key that wraps the keys of payloads: 32 bytes, in hex in its file.
#[derive(Clone)]
pub struct PayloadKey([u8; KEY]);

impl std::fmt::Debug for PayloadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PayloadKey")
    }
}

impl PayloadKey {
    /// From its bytes.
    pub fn new(bytes: [u8; KEY]) -> Self {
        PayloadKey(bytes)
    }

    /// From the text of its file; `None` when that is not 64 hex digits.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut key = [0; KEY];
        hex::decode_to_slice(text.trim(), &mut key).ok()?;
        Some(PayloadKey(key))
    }

    /// The text of its file.
    pub fn to_text(&self) -> String {
        format!("{}\n", hex::encode(self.0))
    }

    /// The key that wraps the keys of one session's payloads. `None` only if the cryptography library fails.
    pub fn session(&self, origin: &str, session: &str) -> Option<SessionKey> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(b"chaperone payload wrap 1");
        context.update(origin.as_bytes());
        context.update(&[0]);
        context.update(session.as_bytes());
        let wrap = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, context.sign().as_ref()).ok()?);
        Some(SessionKey { wrap, aad: [origin.as_bytes(), &[0], session.as_bytes(), &[0]].concat() })
    }
}

impl PayloadKey {
    /// The key under which those whose rows were seen are named; the same for all of a log, so that somebody can be
    /// looked for in it.
    pub fn subjects(&self, origin: &str) -> SubjectKey {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(b"chaperone subjects 1");
        context.update(origin.as_bytes());
        SubjectKey::new(context.sign().as_ref())
    }
}

/// Wraps and unwraps the keys of one session's payloads.
pub struct SessionKey {
    wrap: LessSafeKey,
    aad: Vec<u8>,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey")
    }
}

impl SessionKey {
    /// Seals `inner` (salt, codec, length, coded plaintext) at the end of `frame` after a wrapped `key`.
    ///
    /// # Errors
    ///
    /// [`PayloadError::Seal`] if the cryptography library fails.
    pub fn seal_into(&self, frame: &mut Vec<u8>, key: &[u8; KEY], seq: u64, inner: &[u8]) -> Result<(), PayloadError> {
        let failed = |_| PayloadError::Seal;
        let aad = self.aad(seq);
        frame.push(VERSION);
        let start = frame.len();
        frame.extend_from_slice(key);
        let wrapped = frame.get_mut(start..).ok_or(PayloadError::Seal)?;
        let tag = self.wrap.seal_in_place_separate_tag(wrap_nonce(seq), Aad::from(&aad), wrapped).map_err(failed)?;
        frame.extend_from_slice(tag.as_ref());
        let start = frame.len();
        frame.extend_from_slice(inner);
        let sealed = frame.get_mut(start..).ok_or(PayloadError::Seal)?;
        let once = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(failed)?);
        let tag = once.seal_in_place_separate_tag(zero_nonce(), Aad::from(&aad), sealed).map_err(failed)?;
        frame.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens the payload of the record with this `seq`, and checks it against what the record commits to.
    ///
    /// # Errors
    ///
    /// [`PayloadError`].
    pub fn open(&self, frame: &[u8], seq: u64, record: &PayloadRef) -> Result<Opened, PayloadError> {
        let (version, rest) = frame.split_first().ok_or(PayloadError::Malformed)?;
        let (wrapped, sealed) = rest.split_at_checked(KEY + TAG).ok_or(PayloadError::Malformed)?;
        if *version != VERSION {
            return Err(PayloadError::Malformed);
        }
        let aad = self.aad(seq);
        let mut wrapped = wrapped.to_vec();
        let key =
            self.wrap.open_in_place(wrap_nonce(seq), Aad::from(&aad), &mut wrapped).map_err(|_| PayloadError::Wrap)?;
        let once = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| PayloadError::Wrap)?);
        let mut sealed = sealed.to_vec();
        let inner = once.open_in_place(zero_nonce(), Aad::from(&aad), &mut sealed).map_err(|_| PayloadError::Seal)?;
        let (salt, rest) = inner.split_first_chunk::<SALT>().ok_or(PayloadError::Malformed)?;
        let plaintext = decode(rest).ok_or(PayloadError::Malformed)?;
        if hex::encode(commitment(salt, &[&plaintext])) != record.commit {
            return Err(PayloadError::Commitment);
        }
        let opened = split(&plaintext).ok_or(PayloadError::Malformed)?;
        if opened.bytes.len() as u64 != record.bytes {
            return Err(PayloadError::Commitment);
        }
        Ok(opened)
    }

    fn aad(&self, seq: u64) -> Vec<u8> {
        let mut aad = Vec::with_capacity(self.aad.len() + 8);
        aad.extend_from_slice(&self.aad);
        aad.extend_from_slice(&seq.to_be_bytes());
        aad
    }
}

/// The commitment to a plaintext given in parts.
pub fn commitment(salt: &[u8; SALT], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in parts {
        context.update(part);
    }
    let tag = context.sign();
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    bytes
}

/// SHA-256 of a payload's frame, in hex: `ct_sha256` of its record.
pub fn digest(frame: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, frame))
}

fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let (codec, rest) = coded.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > MAX_PLAINTEXT {
        return None;
    }
    let plaintext = match codec {
        0 => rest.to_vec(),
        // a block is four bytes at least and 128 KiB at most when unpacked (RFC 8878, section 3.1.1.2): no room is made
        // for a claim that cannot be true
        1 if length / (128 << 10) <= rest.len() / 4 => zstd::bulk::decompress(rest, length).ok()?,
        _ => return None,
    };
    (plaintext.len() == length).then_some(plaintext)
}

fn split(plaintext: &[u8]) -> Option<Opened> {
    let (length, rest) = plaintext.split_first_chunk::<4>()?;
    let (note, bytes) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let note = if note.is_empty() { Note::default() } else { serde_json::from_slice(note).ok()? };
    Some(Opened { note, bytes: bytes.to_vec() })
}

fn wrap_nonce(seq: u64) -> Nonce {
    let [a, b, c, d, e, f, g, h] = seq.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (SessionKey, Vec<u8>, PayloadRef) {
        let key = PayloadKey::new([7; KEY]).session("log.example", "s1").unwrap();
        let note = br#"{"run":"select 1"}"#;
        let mut plaintext = (note.len() as u32).to_le_bytes().to_vec();
        plaintext.extend_from_slice(note);
        plaintext.extend_from_slice(b"bytes");
        let salt = [9; SALT];
        let mut inner = salt.to_vec();
        inner.push(Codec::Plain.byte());
        inner.extend_from_slice(&(plaintext.len() as u32).to_le_bytes());
        inner.extend_from_slice(&plaintext);
        let mut frame = Vec::new();
        key.seal_into(&mut frame, &[3; KEY], 5, &inner).unwrap();
        let record = PayloadRef {
            bytes: 5,
            commit: hex::encode(commitment(&salt, &[&plaintext[..4], &plaintext[4..]])),
            ct_sha256: digest(&frame),
        };
        (key, frame, record)
    }

    #[test]
    fn opens_only_in_its_place_and_as_committed() {
        let (key, frame, record) = sealed();
        let opened = key.open(&frame, 5, &record).unwrap();
        assert_eq!((opened.note.run.as_deref(), &opened.bytes[..]), (Some("select 1"), &b"bytes"[..]));
        assert_eq!(key.open(&frame, 6, &record), Err(PayloadError::Wrap));
        let other = PayloadKey::new([7; KEY]).session("log.example", "s2").unwrap();
        assert_eq!(other.open(&frame, 5, &record), Err(PayloadError::Wrap));
        let lie = PayloadRef { commit: "00".repeat(32), ..record.clone() };
        assert_eq!(key.open(&frame, 5, &lie), Err(PayloadError::Commitment));
        assert_eq!(key.open(&frame, 5, &PayloadRef { bytes: 4, ..record }), Err(PayloadError::Commitment));
    }

    #[test]
    fn no_byte_can_change_and_no_cut_panics() {
        let (key, frame, record) = sealed();
        for at in 0..frame.len() {
            let mut bad = frame.clone();
            bad[at] ^= 1;
            assert!(key.open(&bad, 5, &record).is_err(), "byte {at}");
            assert!(key.open(&frame[..at], 5, &record).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_best_compression_opens_and_an_impossible_claim_does_not() {
        let zeros = vec![0; MAX_PLAINTEXT];
        let coded = |length: usize, rest: &[u8]| [&[1][..], &(length as u32).to_le_bytes(), rest].concat();
        let packed = zstd::bulk::compress(&zeros, 19).unwrap();
        assert_eq!(decode(&coded(zeros.len(), &packed)), Some(zeros));
        // an empty frame that claims to hold as much
        let empty = zstd::bulk::compress(b"", 1).unwrap();
        assert_eq!(decode(&coded(0, &empty)), Some(vec![]));
        assert_eq!(decode(&coded(MAX_PLAINTEXT, &empty)), None);
    }

    #[test]
    fn the_key_s_text_round_trips_and_is_not_in_debug() {
        let key = PayloadKey::new([0xab; KEY]);
        assert_eq!(PayloadKey::from_text(&key.to_text()).unwrap().0, key.0);
        assert!(PayloadKey::from_text("abc").is_none());
        assert_eq!(format!("{key:?}"), "PayloadKey");
    }
}
