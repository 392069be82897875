//! Cursors that were declared by SQL, and what each returns: so that a `FETCH` can be held against the query of its cursor.

use std::collections::HashMap;
use std::sync::Arc;

use chaperone_analysis::{Cursor, Output, Returns};
use chaperone_model::{Refusal, SqlState};

use crate::running::Meant;

/// Cursors that are remembered.
const MOST: usize = 4096;

/// What a session has declared.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    /// There can be several of one name: whether the database took the newest is not known before it says so.
    declared: HashMap<String, Vec<Declared>>,
    count: usize,
    /// What is not answered yet, by ordinal.
    sent: HashMap<u64, Cursor>,
}

#[derive(Debug)]
struct Declared {
    ordinal: u64,
    hold: bool,
    /// Its transaction is over: all its rows are there.
    is_filled: bool,
    returns: Returns,
    meant: Option<Arc<Meant>>,
}

impl Cursors {
    /// Whether there is no room for another.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= MOST
    }

    /// A statement goes to the database.
    pub(crate) fn sent(&mut self, ordinal: u64, output: &Output, meant: Option<&Arc<Meant>>) {
        let Some(change) = &output.cursor else { return };
        if let (Cursor::Declare { name, hold }, Some(inside)) = (change, &output.inside) {
            let (returns, meant) = (inside.returns.clone(), meant.cloned());
            let declared = Declared { ordinal, hold: *hold, is_filled: false, returns, meant };
            self.declared.entry(name.clone()).or_default().push(declared);
            self.count += 1;
        }
        self.sent.insert(ordinal, change.clone());
    }

    /// It ran to its end.
    pub(crate) fn done(&mut self, ordinal: u64) {
        match self.sent.remove(&ordinal) {
            None => {}
            // the database had none of the name, or it is gone
            Some(Cursor::Declare { name, .. }) => {
                self.retain(Some(&name), |declared| declared.ordinal >= ordinal);
            }
            Some(Cursor::Close(name)) => self.retain(Some(&name), |declared| declared.ordinal > ordinal),
            Some(Cursor::CloseAll) => self.retain(None, |declared| declared.ordinal > ordinal),
        }
    }

    /// It failed, or never ran.
    pub(crate) fn undone(&mut self, ordinal: u64) {
        if let Some(Cursor::Declare { name, .. }) = self.sent.remove(&ordinal) {
            self.retain(Some(&name), |declared| declared.ordinal != ordinal);
        }
    }

    /// `DISCARD ALL` ran.
    pub(crate) fn discarded(&mut self, ordinal: u64) {
        self.retain(None, |declared| declared.ordinal > ordinal);
    }

    /// The database is in no transaction, and nothing is on its way to it.
    pub(crate) fn transaction_ended(&mut self) {
        if self.count > 0 {
            self.retain(None, |declared| declared.hold);
            self.declared.values_mut().flatten().for_each(|declared| declared.is_filled = true);
        }
    }

    /// What the cursor of a name may return.
    pub(crate) fn returns(&self, name: &str) -> Vec<Returns> {
        self.declared.get(name).into_iter().flatten().map(|declared| declared.returns.clone()).collect()
    }

    /// What the cursors of a name, or all, were taken to mean.
    pub(crate) fn meant(&self, name: Option<&str>) -> Vec<Arc<Meant>> {
        let named = |of: &String| name.is_none_or(|name| name == of);
        let declared = self.declared.iter().filter(|(name, _)| named(name)).flat_map(|(_, declared)| declared);
        declared.filter_map(|declared| declared.meant.clone()).collect()
    }

    /// The same of those that the end of the transaction fills.
    pub(crate) fn filled_by_commit(&self) -> Vec<Arc<Meant>> {
        let filled = self.declared.values().flatten().filter(|declared| declared.hold && !declared.is_filled);
        filled.filter_map(|declared| declared.meant.clone()).collect()
    }

    fn retain(&mut self, name: Option<&str>, keep: impl Fn(&Declared) -> bool) {
        match name {
            Some(name) => {
                let Some(declared) = self.declared.get_mut(name) else { return };
                declared.retain(keep);
                if declared.is_empty() {
                    self.declared.remove(name);
                }
            }
            None => self.declared.retain(|_, declared| {
                declared.retain(&keep);
                !declared.is_empty()
            }),
        }
        self.count = self.declared.values().map(Vec::len).sum();
    }
}

/// `FETCH` from a cursor whose query would be masked in another way by now.
pub(crate) fn outdated() -> Refusal {
    Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "masking.cursor",
        message: "the schema has changed since this session declared a cursor".to_owned(),
        detail: "its query would be masked in another way by now".to_owned(),
        hint: "declare it again".to_owned(),
    }
}

pub(crate) fn too_many() -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "masking.cursor",
        message: "too many cursors".to_owned(),
        detail: format!("a session can have {MOST} that were made by DECLARE"),
        hint: "CLOSE those that are not needed any more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(cursor: Cursor, returns: Returns) -> Output {
        let inside = chaperone_analysis::Inside {
            text: String::new(),
            described: chaperone_analysis::Described::AsQuery,
            returns,
            reads: std::collections::BTreeSet::new(),
        };
        Output {
            returns: Returns::NoRows,
            subjects: None,
            inside: Some(inside),
            cursor: Some(cursor),
            defines: None,
            written: Vec::new(),
        }
    }

    fn declare(name: &str, hold: bool, column: i16) -> Output {
        output(Cursor::Declare { name: name.to_owned(), hold }, of(column))
    }

    fn of(column: i16) -> Returns {
        Returns::Rows { origins: std::sync::Arc::new([(1, column)].into()), permanent: None, columns: None }
    }

    #[test]
    fn a_name_stands_for_whatever_may_have_it() {
        let mut cursors = Cursors::default();
        cursors.sent(1, &declare("c", false, 1), None);
        cursors.done(1);
        cursors.sent(2, &declare("c", false, 2), None);
        assert_eq!(cursors.returns("c"), [of(1), of(2)]);
        cursors.undone(2);
        assert_eq!(cursors.returns("c"), [of(1)]);
        cursors.sent(3, &output(Cursor::Close("c".to_owned()), Returns::NoRows), None);
        cursors.sent(4, &declare("c", false, 4), None);
        cursors.done(3);
        cursors.done(4);
        assert_eq!(cursors.returns("c"), [of(4)]);
        assert_eq!(cursors.returns("d"), []);
    }

    #[test]
    fn what_ends_with_the_transaction_is_forgotten() {
        let mut cursors = Cursors::default();
        cursors.sent(1, &declare("a", false, 1), None);
        cursors.sent(2, &declare("b", true, 2), None);
        cursors.done(1);
        cursors.done(2);
        cursors.transaction_ended();
        assert_eq!((cursors.returns("a"), cursors.returns("b")), (vec![], vec![of(2)]));
        cursors.sent(3, &declare("d", true, 3), None);
        cursors.discarded(3);
        assert_eq!(cursors.count, 0);
    }

    #[test]
    fn there_is_room_again_when_they_are_closed() {
        let mut cursors = Cursors::default();
        for i in 0..MOST as u64 {
            assert!(!cursors.is_full());
            cursors.sent(i, &declare(&format!("c{i}"), true, 1), None);
            cursors.done(i);
        }
        assert!(cursors.is_full());
        cursors.sent(9999, &output(Cursor::CloseAll, Returns::NoRows), None);
        cursors.done(9999);
        assert!(!cursors.is_full());
    }
}
