//! The offline verifier. It needs the files and the log's public key, and shares with the writer only the format.
//!
//! What it establishes, in this order:
//! 1. the newest checkpoint, and each of the history, is signed by the log's key ([`checkpoints`]);
//! 2. the entry bundles hash to the root of every one of them, and every tile is what the bundles say ([`log`]);
//! 3. the journal is whole, and its records are those entries, each canonical; each payload is the one that its record
//!    commits to, and with the payload key opens to it ([`journal`]), and names those whose rows it has as its records say
//!    ([`subjects`]);
//! 4. each session is complete: its records in order without a gap, both its byte streams covered once, closed with
//!    the right counts; the gateway said that it lived all the time ([`sessions`]);
//! 5. what decided is kept: policies and classifications, by the digests that records name ([`versions`]).
//!
//! It cannot see that the whole folder was put back to an earlier state: keep checkpoints elsewhere too.

mod checkpoints;
mod fuzz;
mod journal;
mod log;
mod report;
mod sessions;
mod subjects;
mod versions;

use std::path::Path;
use std::{fs, io};

use chaperone_ledger_format::checkpoint::Verifier;
pub use chaperone_ledger_format::payload::PayloadKey;

#[doc(hidden)]
pub use self::fuzz::fuzz_folder;
pub use self::report::{Counts, Finding, Report, Severity};

/// Verifies the log in `dir` against the public key `vkey` (the text of `keys/log.vkey`, from somewhere safe). With
/// the payload key, payloads are opened and compared with what their records commit to. The folder is only read; it
/// may be in use, then the newest records are reported as not covered yet.
pub fn verify(dir: &Path, vkey: &str, payload_key: Option<&PayloadKey>) -> Report {
    let mut report = Report::default();
    let verifier = match Verifier::new(vkey) {
        Ok(verifier) => verifier,
        Err(error) => {
            report.cannot_check("the public key", error);
            return report;
        }
    };
    // the order matters while the gateway writes: the journal is always ahead of the log, the log of its checkpoint
    let signed = checkpoints::read(dir, &verifier, &mut report);
    let log = log::read(dir, &signed, &mut report);
    journal::read(dir, verifier.origin(), &signed, &log, payload_key, &mut report);
    report
}

/// The content of a file. A pipe or a device in its place would never end.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.is_file() { fs::read(path) } else { Err(io::Error::other("not a file")) }
}
