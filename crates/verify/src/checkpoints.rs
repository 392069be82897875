//! The newest checkpoint and the history.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use chaperone_ledger_format::checkpoint::{Checkpoint, Verifier, history};
use chaperone_ledger_format::layout;

use crate::{Report, content};

/// What the log's key signed.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    /// The newest.
    pub(crate) newest: Option<Checkpoint>,
    /// Those of the history, in order.
    pub(crate) history: Vec<Checkpoint>,
    /// Whether the history ends in a part of the newest.
    pub(crate) torn: bool,
}

impl Signed {
    /// Records that a signature covers.
    pub(crate) fn size(&self) -> u64 {
        self.newest.iter().chain(&self.history).map(|checkpoint| checkpoint.size).max().unwrap_or(0)
    }
}

pub(crate) fn read(dir: &Path, verifier: &Verifier, report: &mut Report) -> Signed {
    let mut signed = Signed::default();
    // the history first: the newest checkpoint is written before it goes there
    let torn = read_history(dir, verifier, &mut signed, report);
    match content(&dir.join(layout::CHECKPOINT)) {
        Ok(note) => {
            match verifier.verify(&note) {
                Ok(checkpoint) => signed.newest = Some(checkpoint),
                Err(error) => report.tampered(layout::CHECKPOINT, error),
            }
            if let Some((place, torn)) = torn {
                // the newest checkpoint goes into the history after it is written: a crash leaves a part of that one
                if note.starts_with(&torn) {
                    signed.torn = true;
                    report.incomplete(place, "the last checkpoint in it is cut off");
                } else {
                    report.tampered(place, "it does not end with a checkpoint");
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            report.incomplete(layout::CHECKPOINT, "there is none");
        }
        Err(error) => report.cannot_check(layout::CHECKPOINT, error),
    }
    if let (Some(newest), Some(last)) = (&signed.newest, signed.history.last())
        && newest.size < last.size
    {
        report.tampered(layout::CHECKPOINT, "it is older than the last of the history");
    }
    report.counts.signed = signed.size();
    report.counts.checkpoints = signed.history.len() as u64 + u64::from(signed.newest.is_some());
    signed
}

/// Returns the name of the last file and what is after the last whole checkpoint in it, if anything is.
fn read_history(
    dir: &Path,
    verifier: &Verifier,
    signed: &mut Signed,
    report: &mut Report,
) -> Option<(String, Vec<u8>)> {
    let mut end = None;
    let folder = dir.join(layout::CHECKPOINTS);
    let mut names = Vec::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            names.extend(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => report.incomplete(layout::CHECKPOINTS, "there is none"),
        Err(error) => report.cannot_check(layout::CHECKPOINTS, error),
    }
    names.sort();
    for (i, name) in names.iter().enumerate() {
        let place = format!("{}/{name}", layout::CHECKPOINTS);
        if !layout::is_history(name) {
            stray(&place, report);
            continue;
        }
        let bytes = match content(&folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.cannot_check(place, error);
                continue;
            }
        };
        let (notes, torn) = history(&bytes);
        for note in notes {
            match verifier.verify(note) {
                Ok(checkpoint) if signed.history.last().is_some_and(|last| last.size >= checkpoint.size) => {
                    report.tampered(&place, format_args!("a checkpoint of size {} is out of order", checkpoint.size));
                }
                Ok(checkpoint) => signed.history.push(checkpoint),
                Err(error) => report.tampered(&place, error),
            }
        }
        if bytes.is_empty() {
            report.tampered(&place, "it is empty");
        } else if torn.is_empty() {
        } else if i + 1 == names.len() {
            end = Some((place, torn.to_vec()));
        } else {
            report.tampered(&place, "the last checkpoint in it is cut off, and there are later ones");
        }
    }
    end
}

/// A file that the writer makes only on the way to another, or not at all.
pub(crate) fn stray(place: &str, report: &mut Report) {
    if place.ends_with(layout::UNFINISHED) {
        report.incomplete(place, "a file that was not finished");
    } else {
        report.tampered(place, "a file that no log has");
    }
}
