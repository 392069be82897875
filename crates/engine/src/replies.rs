//! What the database still owes for what was sent to it.
//!
//! Every frontend message that will be answered leaves one [`Owed`] here, in the order sent; every backend message
//! settles the one at the front (PostgreSQL manual 55.2.3, 55.2.4). That is how an error is matched to its statement,
//! how a refused statement's error gets its own words, and how an answer is counted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use chaperone_analysis::Output;
use chaperone_model::Refusal;

use crate::inside::Step;
use crate::prepared::{Names, Portal, Prepared};

/// What one message is owed.
#[derive(Debug)]
pub(crate) enum Owed {
    /// A simple query or a function call: for each statement a result, then `ReadyForQuery`.
    Query(Query),
    /// `ParseComplete`. On an error the name gets its earlier meaning back.
    Parse { name: Vec<u8>, previous: Option<Arc<Prepared>>, refusal: Option<Box<Refusal>> },
    /// `BindComplete`.
    Bind { name: Vec<u8>, previous: Option<Arc<Portal>> },
    /// `CloseComplete`. When the database skips it the name keeps its meaning.
    Close { name: Vec<u8>, statement: Option<Arc<Prepared>>, portal: Option<Arc<Portal>> },
    /// `ParameterDescription`, then `RowDescription` or `NoData`.
    DescribeStatement { output: Option<Arc<Output>> },
    /// `RowDescription` or `NoData`; `hidden` when the agent did not ask for it.
    DescribePortal { output: Option<Arc<Output>>, hidden: bool },
    /// Rows, then `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`. `checked` when a hidden description
    /// was compared.
    Execute { ordinal: u64, output: Option<Arc<Output>>, started: Instant, rows: u64, checked: bool },
    /// Either an error in the database's own words for a text that we cannot read, or `ParseComplete`, which is not
    /// for the agent.
    Probe,
    /// The error of a text that cannot be parsed, which stands behind a [`Owed::Probe`]; the agent gets the refusal.
    Probed { statements: VecDeque<u64>, started: Instant, refusal: Box<Refusal> },
    /// `ReadyForQuery`.
    Sync,
    /// What is left of the answers that describe what is inside a statement: the number of the query, and the steps.
    Inside { query: usize, steps: &'static [Step] },
    /// The `ReadyForQuery` after those, which the agent did not ask for.
    SyncInside,
    /// Nothing: the place of the agent's `CopyDone` or `CopyFail` among the others. While the database copies in it
    /// ignores a `Sync` (55.2.7), so those before this mark are not owed anything.
    CopyEnd,
}

/// The rest of a simple query's answer.
#[derive(Debug)]
pub(crate) struct Query {
    /// Ordinals of the statements that have not finished, first one next.
    pub(crate) statements: VecDeque<u64>,
    /// What each of those may return; empty when nothing is checked.
    pub(crate) outputs: VecDeque<Arc<Output>>,
    /// When it was sent.
    pub(crate) started: Instant,
    /// Rows of the statement at the front so far.
    pub(crate) rows: u64,
    /// Whether the statement at the front had its `RowDescription` checked.
    pub(crate) checked: bool,
    /// Set when the text that went to the database is the one that fails.
    pub(crate) refusal: Option<Box<Refusal>>,
}

impl Query {
    /// Owed results for statements sent now.
    pub(crate) fn of(statements: impl IntoIterator<Item = u64>) -> Self {
        Query {
            statements: statements.into_iter().collect(),
            outputs: VecDeque::new(),
            started: Instant::now(),
            rows: 0,
            checked: false,
            refusal: None,
        }
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    queue: VecDeque<Owed>,
    /// The database skips to a `Sync` that the agent has not sent yet.
    skipping: bool,
    /// How many `ReadyForQuery` were asked for, and how many came.
    asked: u64,
    came: u64,
}

impl Replies {
    /// Owes one more. Gives it back when the database will skip the message: it owes nothing for that one.
    pub(crate) fn push(&mut self, owed: Owed) -> Option<Owed> {
        if self.skipping && !matches!(owed, Owed::Sync | Owed::SyncInside) {
            return Some(owed);
        }
        self.skipping = false;
        self.asked += u64::from(matches!(owed, Owed::Sync | Owed::Query(_)));
        self.queue.push_back(owed);
        None
    }

    /// The number of the segment that is being sent: what lies between two messages that `ReadyForQuery` answers.
    pub(crate) fn segment(&self) -> u64 {
        self.asked
    }

    /// Whether it is known what became of a message: one of an earlier segment may have been skipped, and what comes
    /// now runs all the same. One of this segment is skipped together with what comes now.
    pub(crate) fn is_known(&self, segment: u64) -> bool {
        segment == self.asked || segment < self.came
    }

    /// How many segments are answered.
    pub(crate) fn answered(&self) -> u64 {
        self.came
    }

    /// `ReadyForQuery` came.
    pub(crate) fn ready(&mut self) {
        self.came += 1;
    }

    /// What the next reply is for. Marks at the front are dropped on the way.
    pub(crate) fn front(&mut self) -> Option<&mut Owed> {
        while matches!(self.queue.front(), Some(Owed::CopyEnd)) {
            self.queue.pop_front();
        }
        self.queue.front_mut()
    }

    pub(crate) fn pop(&mut self) -> Option<Owed> {
        self.front()?;
        self.queue.pop_front()
    }

    /// The execution at the front had its description checked.
    pub(crate) fn front_is_checked(&mut self) {
        if let Some(Owed::Execute { checked, .. }) = self.queue.front_mut() {
            *checked = true;
        }
    }

    /// Whether the description of what is inside a statement is owed.
    pub(crate) fn owe_inside(&self) -> bool {
        self.queue.iter().any(|owed| matches!(owed, Owed::Inside { .. } | Owed::SyncInside))
    }

    /// Whether what was sent last is answered by `ReadyForQuery` in any case, and that is still to come. A simple query
    /// is not where the `Sync` before it was left out: an error there, and the database skips the query too.
    pub(crate) fn ends_segment(&self) -> bool {
        let mut ends = false;
        for owed in self.queue.iter().rev() {
            match owed {
                Owed::Sync | Owed::SyncInside => return true,
                Owed::Query(_) => ends = true,
                Owed::CopyEnd => {}
                Owed::Parse { .. }
                | Owed::Bind { .. }
                | Owed::Close { .. }
                | Owed::DescribeStatement { .. }
                | Owed::DescribePortal { .. }
                | Owed::Execute { .. }
                | Owed::Probe
                | Owed::Probed { .. }
                | Owed::Inside { .. } => return false,
            }
        }
        ends
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.iter().all(|owed| matches!(owed, Owed::CopyEnd))
    }

    /// The database started to copy in: it will not answer a `Sync` sent before the copy's end, and will take any other
    /// message for a violation of the protocol. `false` when the agent sent such a message.
    #[must_use]
    pub(crate) fn copy_in_started(&mut self) -> bool {
        // marks of earlier copies go first
        self.front();
        let after = |owed: &Owed| !matches!(owed, Owed::Sync);
        let end = self.queue.iter().skip(1).position(after).map_or(self.queue.len(), |ignored| ignored + 1);
        let ignored = self.queue.drain(1.min(end)..end).count();
        self.came += u64::try_from(ignored).unwrap_or(0);
        matches!(self.queue.get(1), None | Some(Owed::CopyEnd))
    }

    /// One copy of a query with more than one is over: its end is not that of the next.
    pub(crate) fn copy_in_ended(&mut self) {
        if matches!(self.queue.get(1), Some(Owed::CopyEnd)) {
            self.queue.remove(1);
        }
    }

    /// After an error in the extended protocol the database skips to the next `Sync` (55.2.3): nothing in between is
    /// owed any more. Names that those messages gave are taken back; the ordinals of statements that will not run are
    /// returned.
    pub(crate) fn skip_to_sync(&mut self, names: &mut Names) -> Vec<u64> {
        let mut skipped = Vec::new();
        let mut undo = Vec::new();
        while let Some(owed) = self.queue.front() {
            if matches!(owed, Owed::Sync | Owed::SyncInside) {
                break;
            }
            match self.queue.pop_front() {
                Some(Owed::Execute { ordinal, .. }) => skipped.push(ordinal),
                // a simple query stands here only when the agent left the `Sync` out: the database discards it too
                // discarded, so that no `ReadyForQuery` answers it
                Some(Owed::Query(query)) => {
                    self.came += 1;
                    skipped.extend(query.statements);
                }
                Some(Owed::Probed { statements, .. }) => skipped.extend(statements),
                Some(other) => undo.push(other),
                None => break,
            }
        }
        self.take_back(undo, names);
        self.skipping = self.queue.is_empty();
        skipped
    }

    /// Undoes what messages did to the names, since the database did not accept them. Where a message that was sent later
    /// has given or closed the name since, that is what stays; should it fail too, the name means what it did before all.
    pub(crate) fn take_back(&mut self, undo: Vec<Owed>, names: &mut Names) {
        let mut statements: HashMap<Vec<u8>, Option<Arc<Prepared>>> = HashMap::new();
        let mut portals: HashMap<Vec<u8>, Option<Arc<Portal>>> = HashMap::new();
        // the first that had a name knows what it meant before
        for owed in undo.into_iter().rev() {
            match owed {
                Owed::Parse { name, previous, .. } => drop(statements.insert(name, previous)),
                Owed::Bind { name, previous } => drop(portals.insert(name, previous)),
                Owed::Close { name, statement: Some(previous), .. } => {
                    drop(statements.insert(name, Some(previous)));
                }
                Owed::Close { name, portal: Some(previous), .. } => drop(portals.insert(name, Some(previous))),
                _ => {}
            }
        }
        for owed in &mut self.queue {
            if statements.is_empty() && portals.is_empty() {
                return;
            }
            match owed {
                Owed::Parse { name, previous, .. } => {
                    if let Some(before) = statements.remove(name) {
                        *previous = before;
                    }
                }
                Owed::Bind { name, previous } => {
                    if let Some(before) = portals.remove(name) {
                        *previous = before;
                    }
                }
                Owed::Close { name, statement: statement @ Some(_), .. } => {
                    if let Some(before) = statements.remove(name) {
                        *statement = before;
                    }
                }
                Owed::Close { name, portal: portal @ Some(_), .. } => {
                    if let Some(before) = portals.remove(name) {
                        *portal = before;
                    }
                }
                _ => {}
            }
        }
        statements.into_iter().for_each(|(name, before)| names.restore_statement(name, before));
        portals.into_iter().for_each(|(name, before)| names.restore_portal(name, before));
    }

    /// Ordinals of every statement that has not finished; for the record when the session ends.
    pub(crate) fn unfinished(&mut self) -> Vec<u64> {
        self.queue.drain(..).flat_map(|owed| owed.ordinals()).collect()
    }
}

impl Owed {
    /// Ordinals of the statements in it.
    pub(crate) fn ordinals(&self) -> Vec<u64> {
        match self {
            Owed::Query(Query { statements, .. }) | Owed::Probed { statements, .. } => {
                statements.iter().copied().collect()
            }
            Owed::Execute { ordinal, .. } => vec![*ordinal],
            Owed::Parse { .. }
            | Owed::Bind { .. }
            | Owed::Close { .. }
            | Owed::DescribeStatement { .. }
            | Owed::DescribePortal { .. }
            | Owed::Probe
            | Owed::Sync
            | Owed::Inside { .. }
            | Owed::SyncInside
            | Owed::CopyEnd => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execute(ordinal: u64) -> Owed {
        Owed::Execute { ordinal, output: None, started: Instant::now(), rows: 0, checked: false }
    }

    #[test]
    fn a_sync_before_the_end_of_a_copy_is_not_owed_anything() {
        let mut replies = Replies::default();
        for owed in [execute(1), Owed::Sync, Owed::Sync, Owed::CopyEnd, Owed::Sync] {
            assert!(replies.push(owed).is_none());
        }
        assert!(replies.copy_in_started());
        assert!(matches!(replies.pop(), Some(Owed::Execute { .. })));
        assert!(matches!(replies.pop(), Some(Owed::Sync)));
        assert!(replies.pop().is_none());
    }

    #[test]
    fn the_end_of_an_earlier_copy_does_not_count() {
        let mut replies = Replies::default();
        for owed in [Owed::CopyEnd, execute(1)] {
            assert!(replies.push(owed).is_none());
        }
        assert!(replies.copy_in_started());
        assert!(replies.push(execute(2)).is_none());
        assert!(!replies.copy_in_started());
    }

    #[test]
    fn a_sync_sent_before_the_copy_is_known_has_no_end_yet() {
        let mut replies = Replies::default();
        assert!(replies.push(execute(1)).is_none());
        assert!(replies.push(Owed::Sync).is_none());
        assert!(replies.copy_in_started());
        assert!(matches!(replies.pop(), Some(Owed::Execute { .. })));
        assert!(replies.is_empty());
    }

    #[test]
    fn an_error_before_the_sync_was_sent_skips_what_is_still_to_come() {
        let mut names = Names::default();
        let mut replies = Replies::default();
        assert!(replies.push(execute(1)).is_none());
        replies.pop();
        assert!(replies.push(execute(2)).is_none());
        assert_eq!(replies.skip_to_sync(&mut names), vec![2]);
        assert_eq!(replies.push(execute(3)).map(|owed| owed.ordinals()), Some(vec![3]));
        assert!(replies.push(Owed::Sync).is_none());
        assert!(replies.push(execute(4)).is_none());
        assert!(matches!(replies.pop(), Some(Owed::Sync)));
        assert!(matches!(replies.pop(), Some(Owed::Execute { ordinal: 4, .. })));
    }

    #[test]
    fn a_query_that_is_discarded_is_not_waited_for() {
        let mut names = Names::default();
        let mut replies = Replies::default();
        for owed in [execute(1), Owed::Query(Query::of([2])), Owed::Sync] {
            assert!(replies.push(owed).is_none());
        }
        let segment = replies.segment();
        replies.pop();
        assert_eq!(replies.skip_to_sync(&mut names), vec![2]);
        assert!(matches!(replies.pop(), Some(Owed::Sync)));
        replies.ready();
        assert!(replies.is_known(segment) && replies.is_known(segment - 1));
        assert_eq!(replies.answered(), segment);
    }

    #[test]
    fn what_was_given_later_stays_when_something_earlier_fails() {
        let mut names = Names::default();
        let mut replies = Replies::default();
        let name = || b"s".to_vec();
        let first = Arc::new(Prepared::unknown());
        names.set_statement(name(), first.clone());
        let parse = |names: &mut Names, replies: &mut Replies| {
            let statement = Arc::new(Prepared::unknown());
            let previous = names.set_statement(name(), statement.clone());
            assert!(replies.push(Owed::Parse { name: name(), previous, refusal: None }).is_none());
            statement
        };
        let of_s = |names: &Names, statement: &Arc<Prepared>| {
            names.statement(b"s").is_some_and(|known| Arc::ptr_eq(known, statement))
        };
        // two in a segment, of which the first fails; then two in segments of their own
        parse(&mut names, &mut replies);
        parse(&mut names, &mut replies);
        assert!(replies.push(Owed::Sync).is_none());
        parse(&mut names, &mut replies);
        assert!(replies.push(Owed::Sync).is_none());
        let last = parse(&mut names, &mut replies);
        assert!(replies.push(Owed::Sync).is_none());
        for remains in [&last, &last, &first] {
            let failed = replies.pop().unwrap();
            replies.take_back(vec![failed], &mut names);
            assert!(replies.skip_to_sync(&mut names).is_empty());
            assert!(matches!(replies.pop(), Some(Owed::Sync)));
            assert!(of_s(&names, remains));
        }
    }

    #[test]
    fn a_query_that_may_be_skipped_ends_nothing() {
        let mut replies = Replies::default();
        assert!(!replies.ends_segment());
        for (owed, ends) in [
            (Owed::Query(Query::of([1])), true),
            (execute(2), false),
            (Owed::Query(Query::of([3])), false),
            (Owed::Sync, true),
            (Owed::CopyEnd, true),
            (Owed::Query(Query::of([4])), true),
        ] {
            assert!(replies.push(owed).is_none());
            assert_eq!(replies.ends_segment(), ends, "{replies:?}");
        }
    }

    #[test]
    fn an_error_skips_to_the_sync_and_takes_names_back() {
        let mut names = Names::default();
        let mut replies = Replies::default();
        let previous = names.set_statement(b"s".to_vec(), Arc::new(Prepared::unknown()));
        assert!(replies.push(Owed::Parse { name: b"s".to_vec(), previous, refusal: None }).is_none());
        assert!(replies.push(execute(7)).is_none());
        assert!(replies.push(Owed::Sync).is_none());
        assert_eq!(replies.skip_to_sync(&mut names), vec![7]);
        assert!(names.statement(b"s").is_none());
        assert!(matches!(replies.pop(), Some(Owed::Sync)));
    }
}
