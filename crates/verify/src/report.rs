//! What was found.

use std::fmt;

use serde::Serialize;

/// No more findings than this are kept; the rest is counted.
pub(crate) const KEPT: usize = 200;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something is missing that a crash, a running gateway or a removal leaves missing.
    Incomplete,
    /// Something could not be read, so nothing can be said of it.
    CannotCheck,
    /// Something is not what was written.
    Tampered,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// The file, record or session.
    pub place: String,
    /// What is wrong with it. Holds no data.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Incomplete => "incomplete",
            Severity::CannotCheck => "cannot check",
            Severity::Tampered => "tampered",
        };
        write!(f, "{severity}: {}: {}", self.place, self.what)
    }
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records that the newest checkpoint covers.
    pub signed: u64,
    /// Records in the journal.
    pub records: u64,
    /// Sessions.
    pub sessions: u64,
    /// Payloads whose digest was compared.
    pub payloads: u64,
    /// Payloads that were opened.
    pub opened: u64,
    /// Bytes that agents sent or were sent, as recorded.
    pub bytes: u64,
    /// Checkpoints, the newest included.
    pub checkpoints: u64,
    /// Files of the log.
    pub files: u64,
}

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was looked at.
    pub counts: Counts,
    /// What is wrong; nothing when the log is sound.
    pub findings: Vec<Finding>,
    /// Findings that were not kept.
    pub more_findings: u64,
    #[serde(skip)]
    worst: Option<Severity>,
}

impl Report {
    /// The worst finding; `None` when the log is sound.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// 0 sound, 1 tampered, 2 incomplete, 3 cannot check.
    pub fn exit_code(&self) -> u8 {
        match self.worst {
            None => 0,
            Some(Severity::Tampered) => 1,
            Some(Severity::Incomplete) => 2,
            Some(Severity::CannotCheck) => 3,
        }
    }

    /// The result in a word.
    pub fn verdict(&self) -> &'static str {
        match self.worst {
            None => "sound",
            Some(Severity::Tampered) => "tampered",
            Some(Severity::Incomplete) => "incomplete",
            Some(Severity::CannotCheck) => "cannot check",
        }
    }

    pub(crate) fn tampered(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        self.add(Severity::Tampered, &place, &what);
    }

    pub(crate) fn incomplete(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        self.add(Severity::Incomplete, &place, &what);
    }

    pub(crate) fn cannot_check(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        self.add(Severity::CannotCheck, &place, &what);
    }

    fn add(&mut self, severity: Severity, place: &dyn fmt::Display, what: &dyn fmt::Display) {
        self.worst = self.worst.max(Some(severity));
        if self.findings.len() < KEPT {
            self.findings.push(Finding { severity, place: printable(place), what: printable(what) });
        } else {
            self.more_findings += 1;
        }
    }
}

/// Names of files and sessions are whatever somebody wrote: none may speak to the terminal, or go on in a line of its
/// own that looks like the verdict.
fn printable(text: &dyn fmt::Display) -> String {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.to_string().chars().map(|c| if harmless(c) { c } else { '\u{fffd}' }).collect()
}

impl fmt::Display for Report {
    /// The verdict, what was looked at, and each finding in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { signed, records, sessions, payloads, opened, bytes, checkpoints, files } = &self.counts;
        writeln!(
            f,
            "{}: {records} records ({signed} signed), {sessions} sessions, {payloads} payloads ({opened} opened) with {bytes} bytes, {checkpoints} checkpoints, {files} files",
            self.verdict()
        )?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.more_findings > 0 {
            writeln!(f, "and {} more", self.more_findings)?;
        }
        Ok(())
    }
}
