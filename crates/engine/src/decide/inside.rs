//! What of a text must be described before it can run.

use std::sync::Arc;

use chaperone_model::StatementId;
use chaperone_policy::Decision;

use super::{Judge, now};
use crate::inside::{Wanted, to_describe};

impl Judge {
    /// The queries inside the statements of a text that would be permitted; none where something in it would be refused,
    /// which [`Judge::text`] will say. With how many statements the text has.
    pub(crate) fn queries_inside(&mut self, text: &str) -> (Vec<Wanted>, usize) {
        self.wanted(text).unwrap_or_default()
    }

    fn wanted(&mut self, text: &str) -> Option<(Vec<Wanted>, usize)> {
        self.is_shielded().then_some(())?;
        let statements = self.parsed(text).ok()?;
        // most have none, and are not looked at twice
        (0..statements.len()).any(|i| statements.has_inside(i)).then_some(())?;
        self.refresh().ok()?;
        let shield = self.shield.as_ref()?;
        // each may read what those before it make
        let mut temporaries = self.own.temporaries.clone();
        let mut outputs = Vec::with_capacity(statements.len());
        let mut permits = Vec::with_capacity(statements.len());
        for i in 0..statements.len() {
            let estimates = self.estimated.as_ref().filter(|estimated| estimated.text == text);
            let estimate = estimates.and_then(|estimated| estimated.rows.get(i).copied().flatten());
            let facts = self.lasting.facts(self.facts_within(&statements, i, &temporaries), true).into_owned();
            let id = StatementId { session: self.session, ordinal: self.next_ordinal };
            let Decision::Allow(permit) = self.authority.decide_estimated(id, &facts, now(), estimate) else {
                return None;
            };
            if temporaries.note(&statements, i, &facts) {
                shield.forget();
            }
            let rewritten = shield.rewrite(&statements, i, permit.masks(), &temporaries).ok()?;
            if temporaries.filled(&rewritten.filled, permit.masks(), shield.cutoff_year) {
                shield.forget();
            }
            outputs.push(Arc::new(rewritten.output));
            permits.push(Some(permit));
        }
        let wanted = to_describe(&outputs)
            .filter_map(|statement| {
                let (permit, output) = (permits[statement].take()?, outputs[statement].clone());
                Some(Wanted { permit, statement, output, types: Vec::new() })
            })
            .collect();
        Some((wanted, statements.len()))
    }
}
