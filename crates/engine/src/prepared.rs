//! Prepared statements and portals by name, as the session believes the database to have them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chaperone_analysis::{Output, Returns};
use chaperone_model::Facts;

use crate::running::Meant;

/// A statement that the agent prepared.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its ordinal in the session; 0 when it was prepared by SQL and not by the protocol.
    pub(crate) ordinal: u64,
    /// What it needs; `None` for one that was prepared by SQL, whose needs were decided there.
    pub(crate) facts: Option<Arc<Facts>>,
    /// How many rows the database expected of it, if a policy wanted to know.
    pub(crate) estimate: Option<u64>,
    /// What its `RowDescription` must look like; `None` when nothing is checked.
    pub(crate) output: Option<Arc<Output>>,
    /// What the name in it stood for when it was prepared, if it is a `FETCH` or an `EXECUTE`.
    pub(crate) named: Vec<Returns>,
    /// Types of parameters that the agent gave, where something inside has to be described.
    pub(crate) types: Vec<u32>,
    /// The text that was prepared upstream, when it is not the agent's; kept to tell whether a new decision would
    /// still give the same.
    pub(crate) source: Option<Arc<Source>>,
    /// When it was sent.
    pub(crate) sent: Moment,
}

/// When a name was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// How many `ReadyForQuery` had been asked for.
    pub(crate) segment: u64,
    /// How many statements had run that give names by SQL.
    pub(crate) by_sql: u64,
}

/// Where a rewritten statement came from.
#[derive(Debug)]
pub(crate) struct Source {
    /// As the agent sent it.
    pub(crate) text: String,
    /// As it was prepared upstream.
    pub(crate) run: String,
    /// The session's protection when it was rewritten: when that moves on, the statement is looked at again.
    pub(crate) generation: u64,
    /// What it was taken to mean when it was looked at last.
    pub(crate) meant: Mutex<Arc<Meant>>,
}

impl Source {
    pub(crate) fn meant(&self) -> Arc<Meant> {
        // a panic elsewhere cannot leave one assignment half done
        self.meant.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It was looked at again.
    pub(crate) fn means(&self, meant: &Arc<Meant>) {
        *self.meant.lock().unwrap_or_else(PoisonError::into_inner) = meant.clone();
    }
}

impl Prepared {
    /// One that the protocol did not make: `PREPARE` and `DECLARE` share the names of `Parse` and `Bind`.
    pub(crate) fn unknown() -> Self {
        Prepared {
            ordinal: 0,
            facts: None,
            estimate: None,
            output: None,
            named: Vec::new(),
            types: Vec::new(),
            source: None,
            sent: Moment::default(),
        }
    }
}

/// A portal that the agent bound.
#[derive(Debug)]
pub(crate) struct Portal {
    /// The statement that it runs.
    pub(crate) statement: Arc<Prepared>,
    /// When it was sent.
    pub(crate) sent: Moment,
}

/// Names remembered in each space. Beyond that a name is one that we do not know: refused where masks apply, and of
/// possible effect elsewhere.
const MOST: usize = 65_536;

/// The two name spaces. The unnamed one is the empty name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    statements: HashMap<Vec<u8>, Arc<Prepared>>,
    portals: HashMap<Vec<u8>, Arc<Portal>>,
    /// How many statements were sent that may give names by SQL: `PREPARE`, `DECLARE`, code of the database.
    by_sql: u64,
    /// The segment of the last `Close`.
    pub(crate) closed: Option<u64>,
}

impl Names {
    pub(crate) fn statement(&self, name: &[u8]) -> Option<&Arc<Prepared>> {
        self.statements.get(name)
    }

    pub(crate) fn portal(&self, name: &[u8]) -> Option<&Arc<Portal>> {
        self.portals.get(name)
    }

    pub(crate) fn portals(&self) -> impl Iterator<Item = &Arc<Portal>> {
        self.portals.values()
    }

    /// Now, for a name that is given in this segment.
    pub(crate) fn moment(&self, segment: u64) -> Moment {
        Moment { segment, by_sql: self.by_sql }
    }

    /// A statement is sent that may give names by SQL: those given before may soon mean something else.
    pub(crate) fn shared_with_sql(&mut self) {
        self.by_sql += 1;
    }

    /// Whether SQL may have given the name to something else since. It cannot give the empty one.
    pub(crate) fn may_be_anothers(&self, name: &[u8], sent: Moment) -> bool {
        !name.is_empty() && sent.by_sql != self.by_sql
    }

    /// Gives a name to a statement; returns what had it.
    pub(crate) fn set_statement(&mut self, name: Vec<u8>, statement: Arc<Prepared>) -> Option<Arc<Prepared>> {
        if self.statements.len() >= MOST && !self.statements.contains_key(&name) {
            return None;
        }
        self.statements.insert(name, statement)
    }

    /// Gives a name to a portal; returns what had it.
    pub(crate) fn set_portal(&mut self, name: Vec<u8>, portal: Arc<Portal>) -> Option<Arc<Portal>> {
        if self.portals.len() >= MOST && !self.portals.contains_key(&name) {
            return None;
        }
        self.portals.insert(name, portal)
    }

    pub(crate) fn restore_statement(&mut self, name: Vec<u8>, previous: Option<Arc<Prepared>>) {
        match previous {
            Some(statement) => self.statements.insert(name, statement),
            None => self.statements.remove(&name),
        };
    }

    pub(crate) fn restore_portal(&mut self, name: Vec<u8>, previous: Option<Arc<Portal>>) {
        match previous {
            Some(portal) => self.portals.insert(name, portal),
            None => self.portals.remove(&name),
        };
    }

    pub(crate) fn close_statement(&mut self, name: &[u8]) -> Option<Arc<Prepared>> {
        self.statements.remove(name)
    }

    pub(crate) fn close_portal(&mut self, name: &[u8]) -> Option<Arc<Portal>> {
        self.portals.remove(name)
    }

    /// Whether there is a statement that SQL could name.
    pub(crate) fn has_named_statements(&self) -> bool {
        self.statements.keys().any(|name| !name.is_empty())
    }

    /// Whether a portal that SQL could name has columns in front that are not the agent's.
    pub(crate) fn has_hidden_portals(&self) -> bool {
        let hides = |portal: &Portal| portal.statement.output.as_ref().is_some_and(|output| output.hidden() > 0);
        self.portals.iter().any(|(name, portal)| !name.is_empty() && hides(portal))
    }

    /// The end of a transaction closes every portal (55.2.3).
    pub(crate) fn close_portals(&mut self) {
        self.portals.clear();
    }

    /// `DISCARD ALL` and `DEALLOCATE ALL` forget prepared statements. Forgetting one that the database still has
    /// only makes it unknown: refused where masks apply, and judged as one that SQL prepared elsewhere.
    pub(crate) fn forget_statements(&mut self, answered: u64) {
        // what was prepared after it is there still
        self.statements.retain(|_, statement| statement.sent.segment > answered);
    }
}
