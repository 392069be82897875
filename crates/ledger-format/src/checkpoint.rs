//! Checkpoints: the log's size and root, signed (C2SP `tlog-checkpoint` in a `signed-note`), and the history of them.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint as Body, Hash};

/// The algorithm byte of an Ed25519 log signature (C2SP `signed-note`).
const ED25519: u8 = 1;

/// A size and a root that somebody signed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checkpoint {
    /// The number of records.
    pub size: u64,
    /// The root over them (RFC 6962).
    pub root: Hash,
}

/// Why a note is no checkpoint of this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The key's text is not a signed-note key.
    #[error("not a key of the signed-note format")]
    Key,
    /// Not the bytes of a signed note with a checkpoint in it.
    #[error("not a signed checkpoint")]
    Malformed,
    /// The log's key did not sign it.
    #[error("the signature is not the log's")]
    Signature,
    /// It is another log's.
    #[error("the checkpoint is of another log")]
    Origin,
    /// It could not be signed.
    #[error("the checkpoint could not be signed")]
    Sign,
}

/// Makes a key pair in text form (signing key, verifying key) for the log named `origin` from 32 random bytes.
///
/// # Errors
///
/// [`CheckpointError::Key`]: `origin` is empty or has a space or a plus in it, which keys cannot name.
pub fn key_pair(origin: &str, seed: &[u8; 32]) -> Result<(String, String), CheckpointError> {
    if !signed_note::is_key_name_valid(origin) {
        return Err(CheckpointError::Key);
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CheckpointError::Key)?;
    let public = [&[ED25519], pair.public_key().as_ref()].concat();
    let id = signed_note::key_id(origin, &public);
    let secret = STANDARD.encode([&[ED25519], &seed[..]].concat());
    Ok((format!("PRIVATE+KEY+{origin}+{id:08x}+{secret}"), format!("{origin}+{id:08x}+{}", STANDARD.encode(public))))
}

/// Signs checkpoints.
pub struct Signer {
    origin: String,
    vkey: String,
    signer: StandardSigner,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.origin)
    }
}

impl Signer {
    /// From the text of the signing key; the key's name is the log's origin.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Key`].
    pub fn new(key: &str) -> Result<Self, CheckpointError> {
        let failed = CheckpointError::Key;
        let signer = StandardSigner::new(key.trim()).map_err(|_| failed)?;
        let origin = signed_note::Signer::name(&signer).to_owned();
        // the format keeps the seed behind the algorithm's byte; base64 has plus signs of its own
        let secret = key.trim().splitn(5, '+').nth(4).and_then(|text| STANDARD.decode(text).ok()).ok_or(failed)?;
        let seed = secret.get(1..).and_then(|seed| <&[u8; 32]>::try_from(seed).ok()).ok_or(failed)?;
        let (_, vkey) = key_pair(&origin, seed)?;
        Ok(Signer { origin, vkey, signer })
    }

    /// The text of the verifying key.
    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The signed note.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Sign`].
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<Vec<u8>, CheckpointError> {
        let failed = CheckpointError::Sign;
        let mut note = Note::new(&text(&self.origin, checkpoint)?, &[]).map_err(|_| failed)?;
        note.add_sigs(&[&self.signer]).map_err(|_| failed)?;
        Ok(note.to_bytes())
    }
}

/// Verifies checkpoints.
pub struct Verifier {
    origin: String,
    known: VerifierList,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.origin)
    }
}

impl Verifier {
    /// From the text of the verifying key.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Key`].
    pub fn new(vkey: &str) -> Result<Self, CheckpointError> {
        let verifier = StandardVerifier::new(vkey.trim()).map_err(|_| CheckpointError::Key)?;
        let origin = signed_note::Verifier::name(&verifier).to_owned();
        Ok(Verifier { origin, known: VerifierList::new(vec![Box::new(verifier)]) })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The checkpoint in a note that the log's key signed, strictly: no byte more or other than a log writes, further
    /// signatures excepted.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub fn verify(&self, note: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::Malformed)?;
        if parsed.to_bytes() != note {
            return Err(CheckpointError::Malformed);
        }
        parsed.verify(&self.known).map_err(|_| CheckpointError::Signature)?;
        let body = Body::from_bytes(parsed.text()).map_err(|_| CheckpointError::Malformed)?;
        if body.origin() != self.origin {
            return Err(CheckpointError::Origin);
        }
        let checkpoint = Checkpoint { size: body.size(), root: *body.hash() };
        if text(&self.origin, &checkpoint)? != parsed.text() {
            return Err(CheckpointError::Malformed);
        }
        Ok(checkpoint)
    }
}

/// What is signed: three lines. The format lets a log add lines of its own; this one adds none.
fn text(origin: &str, checkpoint: &Checkpoint) -> Result<Vec<u8>, CheckpointError> {
    let body = Body::new(origin, checkpoint.size, checkpoint.root, "").map_err(|_| CheckpointError::Sign)?;
    Ok(body.to_bytes())
}

/// Appends a note to a history file: the note and an empty line.
pub fn push_history(file: &mut Vec<u8>, note: &[u8]) {
    file.extend_from_slice(note);
    file.push(b'\n');
}

/// The notes in a history file, and the bytes after the last whole one (none unless a write was torn).
pub fn history(file: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut notes = Vec::new();
    let mut rest = file;
    loop {
        // a note is its text, an empty line, its signatures; then comes the empty line that ends the entry
        let Some(text) = find(rest, 0) else { return (notes, rest) };
        let Some(end) = find(rest, text) else { return (notes, rest) };
        let Some((entry, after)) = rest.split_at_checked(end) else { return (notes, rest) };
        let Some((_, note)) = entry.split_last() else { return (notes, rest) };
        notes.push(note);
        rest = after;
    }
}

/// The place after the first empty line that begins at `from` or later.
fn find(bytes: &[u8], from: usize) -> Option<usize> {
    let at = bytes.get(from..)?.windows(2).position(|pair| pair == b"\n\n")?;
    from.checked_add(at)?.checked_add(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf;

    fn signed(size: u64) -> (Verifier, Checkpoint, Vec<u8>) {
        for seed in 0..=255 {
            let (skey, vkey) = key_pair("log.example", &[seed; 32]).unwrap();
            assert_eq!(Signer::new(&skey).unwrap().vkey(), vkey, "a key may have plus signs in its base64");
        }
        let (skey, vkey) = key_pair("log.example", &[1; 32]).unwrap();
        let checkpoint = Checkpoint { size, root: leaf(b"x") };
        let note = Signer::new(&skey).unwrap().sign(&checkpoint).unwrap();
        (Verifier::new(&vkey).unwrap(), checkpoint, note)
    }

    #[test]
    fn signed_and_verified() {
        let (verifier, checkpoint, note) = signed(42);
        assert!(note.starts_with(b"log.example\n42\n"));
        assert_eq!(verifier.verify(&note), Ok(checkpoint));
        let (_, other) = key_pair("log.example", &[2; 32]).unwrap();
        assert_eq!(Verifier::new(&other).unwrap().verify(&note), Err(CheckpointError::Signature));
        assert!(key_pair("a log", &[1; 32]).is_err());
    }

    #[test]
    fn a_line_more_is_refused_even_if_the_log_signed_it() {
        let (skey, vkey) = key_pair("log.example", &[1; 32]).unwrap();
        let (verifier, signer) = (Verifier::new(&vkey).unwrap(), StandardSigner::new(&skey).unwrap());
        let root = STANDARD.encode([0; 32]);
        for (more, verdict) in [("", true), ("more\n", false)] {
            let text = format!("log.example\n1\n{root}\n{more}");
            let mut note = Note::new(text.as_bytes(), &[]).unwrap();
            note.add_sigs(&[&signer]).unwrap();
            assert_eq!(verifier.verify(&note.to_bytes()).is_ok(), verdict, "{text}");
        }
    }

    #[test]
    fn no_byte_can_change() {
        let (verifier, _, note) = signed(42);
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bad = note.clone();
                bad[at] ^= 1 << bit;
                assert!(verifier.verify(&bad).is_err(), "byte {at} bit {bit}");
            }
            assert!(verifier.verify(&note[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_history_is_read_back_and_a_torn_end_seen() {
        let mut file = Vec::new();
        let notes: Vec<_> = [1, 20, 300].into_iter().map(|size| signed(size).2).collect();
        for note in &notes {
            push_history(&mut file, note);
        }
        assert_eq!(history(&file), (notes.iter().map(Vec::as_slice).collect(), &b""[..]));
        for cut in 1..file.len() {
            let (found, rest) = history(&file[..cut]);
            assert_eq!(found.iter().map(|n| n.len() + 1).sum::<usize>() + rest.len(), cut);
            assert!(found.iter().zip(&notes).all(|(a, b)| *a == &b[..]), "cut at {cut}");
        }
    }
}
