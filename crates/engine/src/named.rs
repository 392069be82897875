//! `FETCH` and `EXECUTE` name what was sent before: what they may return is what that may.

use std::sync::Arc;

use chaperone_analysis::{Named, Output, Returns};

use crate::prepared::Prepared;
use crate::session::Session;

/// How far a name is followed that stands for another: a portal can run `FETCH` of a portal.
pub(crate) const FURTHEST: usize = 4;

impl<S> Session<S> {
    /// What a statement may return that is sent now. A name that nothing has stands for nothing: the database knows none
    /// either, and whatever it returned would be refused.
    pub(crate) fn outcome(&self, output: &Arc<Output>) -> Arc<Output> {
        match &output.returns {
            Returns::Named(named) => self.any_of(output, self.returns_of(named, FURTHEST)),
            Returns::NoRows | Returns::Rows { .. } | Returns::AnyOf(_) => output.clone(),
        }
    }

    /// The same of one that was prepared before. Some of what describes it still is from then.
    pub(crate) fn outcome_of(&self, prepared: &Prepared) -> Option<Arc<Output>> {
        let output = prepared.output.as_ref()?;
        let Returns::Named(named) = &output.returns else { return Some(output.clone()) };
        let mut known = self.returns_of(named, FURTHEST);
        known.extend(prepared.named.iter().cloned());
        Some(self.any_of(output, known))
    }

    /// What the name in a statement stands for when it is prepared.
    pub(crate) fn named_now(&self, output: Option<&Arc<Output>>) -> Vec<Returns> {
        match output.map(|output| &output.returns) {
            Some(Returns::Named(named)) => self.returns_of(named, FURTHEST),
            _ => Vec::new(),
        }
    }

    fn any_of(&self, output: &Output, known: Vec<Returns>) -> Arc<Output> {
        Arc::new(Output { returns: Returns::AnyOf(known), ..output.clone() })
    }

    fn returns_of(&self, named: &Named, further: usize) -> Vec<Returns> {
        let Some(further) = further.checked_sub(1) else { return Vec::new() };
        match named {
            Named::Prepared(name) => self.judge.made.returns(name),
            Named::Cursor(name) => {
                let mut known = self.judge.cursors.returns(name);
                // portals of the protocol are cursors, too
                let portal = self.names.portal(name.as_bytes()).and_then(|portal| portal.statement.output.clone());
                match portal.map(|output| output.returns.clone()) {
                    Some(Returns::Named(named)) => known.extend(self.returns_of(&named, further)),
                    Some(returns) => known.push(returns),
                    None => {}
                }
                known
            }
        }
    }
}
