//! Sealing payloads, on the thread of whoever appends.

use std::cell::RefCell;

use aws_lc_rs::rand;
use chaperone_ledger_format::payload::{
    Codec, KEY, MAX_PLAINTEXT, Note, PREFIX, SALT, SessionKey, TAG, commitment, digest,
};
use chaperone_ledger_format::record::PayloadRef;
use chaperone_ledger_format::segment::{FRAME_HEAD, Kind, begin_frame, seal_frame};

use crate::LedgerError;

/// Below this, compressing costs more than it saves.
const WORTH_COMPRESSING: usize = 512;
/// Salt, codec and length.
const INNER_HEAD: usize = SALT + 1 + 4;
/// Left in memory between payloads.
const KEPT_SCRATCH: usize = 1 << 20;

#[derive(Default)]
struct Scratch {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    inner: Vec<u8>,
    compressed: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Seals the bytes of a stream and what goes with them; returns the payload's frame, with room for a record's, and
/// what its record says of it.
pub(crate) fn seal(key: &SessionKey, seq: u64, bytes: &[u8], note: Note) -> Result<(Vec<u8>, PayloadRef), LedgerError> {
    SCRATCH.with_borrow_mut(|scratch| {
        let sealed = scratch.seal(key, seq, bytes, note);
        if scratch.inner.capacity() > KEPT_SCRATCH {
            scratch.inner = Vec::new();
            scratch.compressed = Vec::new();
        }
        sealed
    })
}

impl Scratch {
    fn seal(
        &mut self,
        key: &SessionKey,
        seq: u64,
        bytes: &[u8],
        note: Note,
    ) -> Result<(Vec<u8>, PayloadRef), LedgerError> {
        let mut random = [0; KEY + SALT];
        rand::fill(&mut random).map_err(|_| LedgerError::Seal)?;
        let (once, salt) = random.split_first_chunk::<KEY>().ok_or(LedgerError::Seal)?;
        let salt = salt.first_chunk::<SALT>().ok_or(LedgerError::Seal)?;

        let note = encoded(note, bytes.len())?;
        let inner = &mut self.inner;
        inner.clear();
        inner.extend_from_slice(salt);
        inner.push(Codec::Plain.byte());
        let length = u32::try_from(4 + note.len() + bytes.len()).map_err(|_| LedgerError::Seal)?;
        inner.extend_from_slice(&length.to_le_bytes());
        inner.extend_from_slice(&u32::try_from(note.len()).map_err(|_| LedgerError::Seal)?.to_le_bytes());
        inner.extend_from_slice(&note);
        inner.extend_from_slice(bytes);
        let plaintext = inner.get(INNER_HEAD..).unwrap_or_default();
        let commit = commitment(salt, &[plaintext]);

        if plaintext.len() >= WORTH_COMPRESSING {
            if self.compressor.is_none() {
                self.compressor = zstd::bulk::Compressor::new(1).ok();
            }
            self.compressed.clear();
            self.compressed.reserve(zstd::zstd_safe::compress_bound(plaintext.len()));
            let done = match &mut self.compressor {
                Some(compressor) => compressor.compress_to_buffer(plaintext, &mut self.compressed).ok(),
                None => None,
            };
            if done.is_some_and(|size| size < plaintext.len()) {
                inner.truncate(INNER_HEAD);
                if let Some(codec) = inner.get_mut(SALT) {
                    *codec = Codec::Zstd.byte();
                }
                inner.extend_from_slice(&self.compressed);
            }
        }

        // the record's frame follows in the same allocation
        let mut frames = Vec::with_capacity(FRAME_HEAD + 1 + PREFIX + inner.len() + TAG + 1024);
        let start = begin_frame(&mut frames, Kind::Payload);
        let body = frames.len();
        key.seal_into(&mut frames, once, seq, inner).map_err(|_| LedgerError::Seal)?;
        let ct_sha256 = digest(frames.get(body..).unwrap_or_default());
        seal_frame(&mut frames, start);
        Ok((frames, PayloadRef { bytes: bytes.len() as u64, commit: hex::encode(commit), ct_sha256 }))
    }
}

/// What goes with the bytes. A text that ran may be left out where it is too long; whose rows were seen may not.
fn encoded(mut note: Note, bytes: usize) -> Result<Vec<u8>, LedgerError> {
    if note == Note::default() {
        return Ok(Vec::new());
    }
    let json = serde_json::to_vec(&note).map_err(|_| LedgerError::Seal)?;
    if json.len() + bytes + 4 <= MAX_PLAINTEXT || note.run.is_none() {
        return Ok(json);
    }
    note.run = None;
    note.omitted = true;
    serde_json::to_vec(&note).map_err(|_| LedgerError::Seal)
}
