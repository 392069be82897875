//! What a driver counts.

use std::fmt;

/// Statements, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// What was run, each in each way of the protocol.
    pub statements: usize,
    /// Those that were answered without an error.
    pub answered: usize,
    /// Those that Chaperone refused.
    pub refused: usize,
    /// Those that the database refused: errors are answers too.
    pub failed: usize,
    /// Those whose answers differed or held a masked value.
    pub leaks: usize,
}

impl Tally {
    /// Counts an answer.
    pub fn count(&mut self, answer: &super::Answer) {
        self.statements += 1;
        match (answer.answered, answer.refused) {
            (true, _) => self.answered += 1,
            (false, true) => self.refused += 1,
            (false, false) => self.failed += 1,
        }
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Tally) {
        self.statements += other.statements;
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
        self.leaks += other.leaks;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.answered * 100 / self.statements.max(1);
        write!(
            f,
            "{} statements, {} answered ({share} %), {} refused, {} failed in the database, {} differing",
            self.statements, self.answered, self.refused, self.failed, self.leaks
        )
    }
}
