//! What outlives the statement that made it: prepared statements and cursors, which are run later by name. They were
//! decided when they were made; once the policies were replaced, they are decided anew.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chaperone_evidence::Op;
use chaperone_model::{Facts, Need, Refusal, SqlState};

use crate::decide::anything;

/// What a session has made that lasts.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    /// What all of it needed.
    needs: BTreeSet<Need>,
    /// The policies were replaced since the session began.
    reconsidered: bool,
    cursors: Cursors,
}

/// Cursors of a session, which show what they were declared to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Cursors {
    #[default]
    None,
    Declared,
    OfOtherPolicies,
}

/// Needs that are remembered; with more, what was prepared could need anything.
const MOST: usize = 1024;

impl Lasting {
    /// Notes what a statement makes.
    pub(crate) fn outlives(&mut self, op: Op, facts: &Facts) {
        if facts.kind == "DECLARE CURSOR" && self.cursors == Cursors::None {
            self.cursors = Cursors::Declared;
        }
        if op == Op::Prepare || matches!(&*facts.kind, "PREPARE" | "DECLARE CURSOR") {
            let room = MOST.saturating_sub(self.needs.len());
            self.needs.extend(facts.needs.iter().take(room).cloned());
        }
    }

    /// What was made before was decided by other policies.
    pub(crate) fn policies_changed(&mut self) {
        self.reconsidered = true;
        if self.cursors == Cursors::Declared {
            self.cursors = Cursors::OfOtherPolicies;
        }
    }

    /// The facts of a statement that may run something by its name: since it is not known which of all it is, with the
    /// needs of all.
    pub(crate) fn facts<'f>(&self, facts: Cow<'f, Facts>, shielded: bool) -> Cow<'f, Facts> {
        let by_name = match &*facts.kind {
            "EXECUTE" | "FETCH" | "MOVE" => true,
            // it may explain an `EXECUTE`, which is refused where masks apply
            "EXPLAIN" => !shielded,
            _ => false,
        };
        if !self.reconsidered || !by_name {
            return facts;
        }
        let mut facts = facts.into_owned();
        match self.needs.len() {
            0..MOST => facts.needs.extend(self.needs.iter().cloned()),
            _ => facts.needs = anything().needs,
        }
        Cow::Owned(facts)
    }

    /// Where masks apply: a cursor shows its rows under those that it was declared with.
    pub(crate) fn refuses(&self, facts: &Facts) -> Option<Refusal> {
        let reads = matches!(&*facts.kind, "FETCH" | "MOVE");
        (reads && self.cursors == Cursors::OfOtherPolicies).then(|| Refusal {
            code: SqlState::FEATURE_NOT_SUPPORTED,
            rule: "masking.cursor",
            message: "the policies have changed since this session declared a cursor".to_owned(),
            detail: "its rows would be shown under the masks of then".to_owned(),
            hint: "connect again".to_owned(),
        })
    }
}
