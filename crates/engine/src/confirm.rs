//! confirm: the catalog by which a statement was masked is still the one there is, looked at since its answer came.
//!
//! Why that is enough: what the database does with a statement hangs on what was committed when it did it. A look that begins
//! when the answer is here sees all of that. So either it finds the catalog by which the statement was rewritten, or the
//! statement is rewritten by the one it finds.

use std::sync::Arc;
use std::task::Context;

use chaperone_analysis::{Named, Output, Returns};
use tokio::time::Instant;

use crate::catalogs::STALE;
use crate::end::End;
use crate::named::FURTHEST;
use crate::prepared::Prepared;
use crate::running::Meant;
use crate::session::Session;

impl<S> Session<S> {
    /// Statements are sent, in this segment of the protocol.
    pub(crate) fn runs(&mut self, meant: &[Arc<Meant>], outputs: &[Arc<Output>]) {
        let segment = self.replies.segment();
        let mut all = meant.to_vec();
        all.extend(outputs.iter().flat_map(|output| self.meant_by(&output.returns, FURTHEST)));
        if meant.iter().any(|meant| meant.moves()) {
            all.extend(self.judge.cursors.meant(None));
            all.extend(self.names.portals().filter_map(|portal| meant_as(&portal.statement)));
        }
        if meant.iter().any(|meant| meant.commits()) {
            all.extend(self.judge.cursors.filled_by_commit());
        }
        if !meant.is_empty() {
            all.extend(self.judge.views().cloned());
        }
        for meant in &all {
            self.judge.looks_again(meant);
            self.running.add(meant, segment);
        }
    }

    /// One that was prepared by the protocol is described by planning, or run.
    pub(crate) fn runs_prepared(&mut self, prepared: &Prepared) {
        if let Some(meant) = meant_as(prepared) {
            self.runs(&[meant], prepared.output.as_slice());
        }
    }

    /// What a name stands for that `FETCH` or `EXECUTE` has.
    fn meant_by(&self, returns: &Returns, further: usize) -> Vec<Arc<Meant>> {
        let (Some(further), Returns::Named(named)) = (further.checked_sub(1), returns) else { return Vec::new() };
        match named {
            Named::Prepared(name) => self.judge.made.meant(name),
            Named::Cursor(name) => {
                let mut all = self.judge.cursors.meant(Some(name));
                // portals of the protocol are cursors, too
                if let Some(portal) = self.names.portal(name.as_bytes()) {
                    all.extend(meant_as(&portal.statement));
                    let returns = portal.statement.output.as_ref().map(|output| output.returns.clone());
                    all.extend(returns.iter().flat_map(|returns| self.meant_by(returns, further)));
                }
                all
            }
        }
    }

    /// Up to which ticket the catalog was looked at. What runs must still mean what it was taken to.
    pub(crate) fn confirm(&mut self, cx: &Context<'_>) -> Result<u64, End> {
        let waits = self.segments.first_ticket();
        if !self.judge.is_shielded() || self.segments.takes_no_tickets() || (waits.is_none() && self.running.is_empty())
        {
            return Ok(0);
        }
        let catalogs = &self.judge.connection.catalogs;
        let known = if self.running.is_empty() { u64::MAX } else { self.running.known() };
        let found = catalogs.found(self.judge.session, known, waits.map(|(ticket, _)| ticket), cx);
        if self.running.hold(&found.newer).is_err() {
            return Err(End::Outdated);
        }
        match waits {
            Some((ticket, since)) if ticket > found.checked && since.elapsed() >= STALE => Err(End::Unchecked),
            _ => Ok(found.checked),
        }
    }

    /// A ticket for what has come from the database. Where nothing runs it is none of a statement's doing: names and types
    /// of columns, the end of a session, words that stand in for others.
    pub(crate) fn ticket(&self) -> Option<(u64, Instant)> {
        let takes = self.judge.is_shielded() && !self.running.is_empty() && !self.segments.takes_no_tickets();
        takes.then(|| (self.judge.connection.catalogs.ticket(), Instant::now()))
    }
}

fn meant_as(prepared: &Prepared) -> Option<Arc<Meant>> {
    prepared.source.as_ref().map(|source| source.meant())
}
