//! Statements that were prepared by SQL: `PREPARE`, run later by `EXECUTE`.
//!
//! They are masked when they are prepared. Whether the database would still be asked the same is looked at again whenever
//! masks or catalog have changed: what reads a name anew would find another table under it (rules R4 and R5).

use std::collections::HashMap;
use std::sync::Arc;

use chaperone_analysis::Returns;
use chaperone_model::{Refusal, SqlState};

use crate::running::Meant;

/// Statements that are remembered.
const MOST: usize = 1024;

/// What a session has prepared by SQL, by name.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// There can be several of one name: whether the database took the newest is not known before it says so.
    statements: HashMap<String, Vec<Statement>>,
    count: usize,
}

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) ordinal: u64,
    /// As the agent sent it, and as it ran.
    pub(crate) text: String,
    pub(crate) run: String,
    /// What it may return.
    pub(crate) returns: Returns,
    /// The protection by which it would still run so.
    pub(crate) generation: u64,
    /// By that.
    pub(crate) meant: Arc<Meant>,
}

impl Made {
    /// Whether another can be remembered.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= MOST
    }

    /// A statement is prepared.
    pub(crate) fn add(&mut self, name: &str, statement: Statement) {
        let known = self.statements.entry(name.to_owned()).or_default();
        let same = |known: &&mut Statement| known.text == statement.text && known.run == statement.run;
        match known.iter_mut().find(same) {
            Some(same) => *same = statement,
            None => {
                self.count += 1;
                known.push(statement);
            }
        }
    }

    /// The database took it: there was none of its name, or that is gone.
    pub(crate) fn confirm(&mut self, ordinal: u64) {
        for known in self.statements.values_mut().filter(|known| known.len() > 1) {
            if known.iter().any(|statement| statement.ordinal == ordinal) {
                self.count -= known.len() - 1;
                known.retain(|statement| statement.ordinal == ordinal);
            }
        }
    }

    /// What the statement of a name may return.
    pub(crate) fn returns(&self, name: &str) -> Vec<Returns> {
        self.statements.get(name).into_iter().flatten().map(|known| known.returns.clone()).collect()
    }

    /// What the statement of a name was taken to mean.
    pub(crate) fn meant(&self, name: &str) -> Vec<Arc<Meant>> {
        self.statements.get(name).into_iter().flatten().map(|known| known.meant.clone()).collect()
    }

    /// What a name may stand for.
    pub(crate) fn named(&mut self, name: &str) -> &mut [Statement] {
        self.statements.get_mut(name).map_or(&mut [], Vec::as_mut_slice)
    }
}

/// `EXECUTE` of something that would be masked in another way by now.
pub(crate) fn outdated() -> Refusal {
    Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "masking.prepared",
        message: "cached plan must not change result type".to_owned(),
        detail: "the policy or the schema has changed since this statement was prepared".to_owned(),
        hint: "DEALLOCATE it and prepare it again".to_owned(),
    }
}

/// `EXECUTE` of a name that only the protocol gave.
pub(crate) fn of_the_protocol() -> Refusal {
    Refusal {
        code: SqlState("26000"),
        rule: "masking.prepared",
        message: "EXECUTE cannot be used while statements of the protocol have names".to_owned(),
        detail: "both share their names, and it cannot be told which would run".to_owned(),
        hint: "run what the driver has prepared by the driver, or switch its named statements off".to_owned(),
    }
}

pub(crate) fn too_many() -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "masking.prepared",
        message: "too many prepared statements".to_owned(),
        detail: format!("a session can have {MOST} that were made by PREPARE"),
        hint: "connect again, or prepare them by the protocol".to_owned(),
    }
}
