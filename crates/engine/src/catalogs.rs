//! The catalog of a connection, kept fresh over a connection of its own: in a session that reads an old snapshot the catalog
//! would be old too.
//!
//! An answer goes to an agent only when the catalog was looked at after its last byte had come, and is still the one by which
//! the statement was masked: whatever had changed what the statement means was committed before the database answered, so a
//! look that begins later sees it. A session takes a ticket for each segment and waits; one loop for all of them looks:
//!
//! ```text
//! sessions      ticket 7 ·  ticket 8 ·       ticket 9 ·
//! loop                   └─ look, up to 8 ─┘           └─ look, up to 9 ─┘
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use chaperone_analysis::catalog::{self, Catalog};
use chaperone_model::SessionId;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::connection::Connection;
use crate::fingerprint::{self, Fingerprint};
use crate::registry::Sessions;
use crate::upstream::{self, Control, CredentialError, OpenLimits, UpstreamError};

/// How old the catalog may be when a session starts, and how often all of it is looked at.
const AGE: Duration = Duration::from_secs(1);

/// How old the catalog may become, when the database cannot be asked, before nothing is masked by it any more; and how long
/// an answer waits.
pub(crate) const STALE: Duration = Duration::from_secs(30);

/// How long the catalog's queries may take.
const CATALOG_TIME: Duration = Duration::from_secs(10);

/// Where several wait, they are looked for together.
const PACE: Duration = Duration::from_millis(1);

/// A look that takes longer is followed by as long a pause, but by no longer one than this.
const REST: Duration = Duration::from_millis(50);

/// When the database is asked again that could not be.
const AGAIN: Duration = Duration::from_millis(250);

/// Catalogs that are kept, for statements that run while they follow one another.
const KEPT: usize = 4;

/// Which of [`catalog::QUERIES`] leaves the transaction with another search path.
const LAST: usize = 12;

/// A catalog, and the how manieth it is that was read.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) number: u64,
    /// What was asked of [`Numbered::with_columns_of`]: many statements ask the same.
    known: Arc<std::sync::Mutex<Vec<Compared>>>,
}

/// An earlier catalog, and what became of the question.
type Compared = (Arc<Catalog>, Option<Arc<Catalog>>);

impl Numbered {
    pub(crate) fn new(catalog: Arc<Catalog>, number: u64) -> Self {
        Numbered { catalog, number, known: Arc::default() }
    }

    /// The catalog, but with the columns that its tables had in an earlier one; `None` where those were others in another way
    /// than by being added or dropped.
    pub(crate) fn with_columns_of(&self, before: &Arc<Catalog>) -> Option<Arc<Catalog>> {
        // a panic elsewhere cannot leave one insertion half done
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.iter().find(|(asked, _)| Arc::ptr_eq(asked, before)) {
            return found.clone();
        }
        let found = self.catalog.with_columns_of(before).map(Arc::new);
        known.truncate(KEPT);
        known.insert(0, (before.clone(), found.clone()));
        found
    }
}

/// The catalogs of a connection.
#[derive(Debug, Default)]
pub(crate) struct Catalogs {
    state: Mutex<State>,
    news: std::sync::Mutex<News>,
    /// The newest ticket.
    wanted: AtomicU64,
    asked: Notify,
}

/// What sessions, which cannot wait, are told.
#[derive(Debug, Default)]
struct News {
    /// The newest last.
    kept: VecDeque<Numbered>,
    /// When the newest was known to be that.
    known_at: Option<Instant>,
    /// Tickets up to this one are answered.
    checked: u64,
    waiting: HashMap<SessionId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    waker: Waker,
    ticket: Option<u64>,
}

/// What a session finds.
#[derive(Debug)]
pub(crate) struct Found {
    /// Tickets up to this one are answered.
    pub(crate) checked: u64,
    /// The catalogs that were read after the one that the session knows; none where it knows the newest.
    pub(crate) newer: Vec<Numbered>,
}

#[derive(Default)]
struct State {
    control: Option<Control>,
    current: Option<(Arc<Catalog>, Fingerprint)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("current", &self.current.is_some()).finish_non_exhaustive()
    }
}

impl Catalogs {
    /// The catalog, at most [`AGE`] old.
    pub(crate) async fn current(&self, connection: &Connection) -> Result<Numbered, CatalogError> {
        let mut state = self.state.lock().await;
        if let Some(latest) = self.latest_within(AGE) {
            return Ok(latest);
        }
        self.look_with(&mut state, connection, true).await?;
        self.latest().ok_or(CatalogError::Upstream(UpstreamError::TimedOut))
    }

    /// Asks something else over the catalog's connection, which [`Catalogs::current`] opened.
    pub(crate) async fn ask(&self, queries: &[&str]) -> Result<Vec<catalog::Rows>, CatalogError> {
        let mut state = self.state.lock().await;
        let Some(mut control) = state.control.take() else { return Err(UpstreamError::Unusable.into()) };
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            answers.push(control.query(query).await?);
        }
        state.control = Some(control);
        Ok(answers)
    }

    /// The newest catalog, unless it is too old to mask by.
    pub(crate) fn latest(&self) -> Option<Numbered> {
        self.latest_within(STALE)
    }

    fn latest_within(&self, age: Duration) -> Option<Numbered> {
        let news = self.news();
        news.known_at.filter(|known| known.elapsed() < age).and_then(|_| news.kept.back().cloned())
    }

    /// For bytes that have come from the database: a look that answers this ticket begins from now on.
    pub(crate) fn ticket(&self) -> u64 {
        let ticket = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.asked.notify_one();
        ticket
    }

    /// What is known. The session is woken when its ticket is answered or cannot be, and when a catalog is read.
    pub(crate) fn found(&self, id: SessionId, known: u64, ticket: Option<u64>, cx: &Context<'_>) -> Found {
        let mut news = self.news();
        match news.waiting.get_mut(&id) {
            Some(waiting) => {
                waiting.ticket = ticket;
                waiting.waker.clone_from(cx.waker());
            }
            None => drop(news.waiting.insert(id, Waiting { waker: cx.waker().clone(), ticket })),
        }
        let newer = news.kept.iter().filter(|kept| kept.number > known).cloned().collect();
        Found { checked: news.checked, newer }
    }

    /// The session waits no longer.
    pub(crate) fn leave(&self, id: SessionId) {
        self.news().waiting.remove(&id);
    }

    fn news(&self) -> MutexGuard<'_, News> {
        // a panic while it was held can only have left out a waker
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks each second while there are sessions, and whenever one waits. Runs until it is dropped.
    pub(crate) async fn watch(&self, connection: &Connection, sessions: &Sessions) {
        let mut next = Instant::now() + AGE;
        loop {
            let mut waits = self.waits();
            if waits == 0 {
                tokio::select! {
                    () = self.asked.notified() => {}
                    () = sleep_until(next) => {}
                }
                waits = self.waits();
            }
            let began = Instant::now();
            let whole = began >= next;
            if waits == 0 && !(whole && sessions.count() > 0) {
                if whole {
                    next = began + AGE;
                }
                continue;
            }
            match self.look(connection, whole).await {
                Ok(()) => {
                    if whole {
                        next = began + AGE;
                    }
                    let took = began.elapsed();
                    // one that waits alone goes on at once, and comes back with its next statement
                    if took > PACE || waits > 1 {
                        sleep_until(began + PACE.max(took + took.min(REST))).await;
                    }
                }
                Err(error) => {
                    let error = crate::open::chain(&error);
                    tracing::warn!(connection = connection.name, error, "the catalog cannot be read");
                    sleep(AGAIN).await;
                }
            }
        }
    }

    fn waits(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst).saturating_sub(self.news().checked)
    }

    /// Looks once, and tells whoever waits.
    async fn look(&self, connection: &Connection, whole: bool) -> Result<(), CatalogError> {
        let mut state = self.state.lock().await;
        self.look_with(&mut state, connection, whole).await
    }

    async fn look_with(&self, state: &mut State, connection: &Connection, whole: bool) -> Result<(), CatalogError> {
        let asked = Instant::now();
        // what is wanted from here on may have come from the database later than what is asked now
        let wanted = self.wanted.load(Ordering::SeqCst);
        let checked = timeout(STALE, state.check(connection, whole)).await;
        let checked = checked.unwrap_or(Err(CatalogError::Upstream(UpstreamError::TimedOut)));
        let mut news = self.news();
        let wake: Vec<Waker> = match &checked {
            Ok(catalog) => {
                news.checked = news.checked.max(wanted);
                news.known_at = Some(asked);
                let is_new = news.kept.back().is_none_or(|newest| !Arc::ptr_eq(&newest.catalog, catalog));
                if is_new {
                    let number = news.kept.back().map_or(1, |newest| newest.number + 1);
                    news.kept.push_back(Numbered::new(catalog.clone(), number));
                    if news.kept.len() > KEPT {
                        news.kept.pop_front();
                    }
                }
                let checked = news.checked;
                let concerns = |waiting: &Waiting| is_new || waiting.ticket.is_some_and(|ticket| ticket <= checked);
                news.waiting.extract_if(|_, waiting| concerns(waiting)).map(|(_, waiting)| waiting.waker).collect()
            }
            Err(_) => {
                // a control connection in an unknown state is not used again
                state.control = None;
                news.waiting.drain().map(|(_, waiting)| waiting.waker).collect()
            }
        };
        drop(news);
        wake.into_iter().for_each(Waker::wake);
        checked.map(drop)
    }
}

impl State {
    async fn check(&mut self, connection: &Connection, whole: bool) -> Result<Arc<Catalog>, CatalogError> {
        let mut control = match self.control.take() {
            Some(control) => control,
            None => {
                if let Some((_, fingerprint)) = &mut self.current {
                    fingerprint.forget_snapshots();
                }
                open(connection).await?
            }
        };
        if let Some((catalog, fingerprint)) = &mut self.current {
            let is_quiet = fingerprint.asks_snapshot(whole)
                && fingerprint.is_quiet_since(whole, &control.query(fingerprint::ASK_SNAPSHOT).await?);
            if is_quiet || fingerprint.is_still(whole, &control.query(fingerprint::ask(whole)).await?) {
                let catalog = catalog.clone();
                self.control = Some(control);
                return Ok(catalog);
            }
        }
        let began = Instant::now();
        if self.current.is_some() {
            // what a role has by default may have changed, which only a new connection begins with
            drop(control);
            control = open(connection).await?;
        }
        let (catalog, fingerprint) = read(&mut control).await?;
        let catalog = Arc::new(catalog);
        self.current = Some((catalog.clone(), fingerprint));
        self.control = Some(control);
        tracing::debug!(connection = connection.name, took = ?began.elapsed(), "the catalog was read");
        Ok(catalog)
    }
}

async fn open(connection: &Connection) -> Result<Control, CatalogError> {
    let credential = connection.credential.resolve().await?;
    let parameters = [("application_name".to_owned(), "chaperone catalog".to_owned())];
    let opened = upstream::open(&connection.target, &credential, &parameters, &OpenLimits::default()).await?;
    let mut control = Control::new(opened, CATALOG_TIME);
    for question in fingerprint::prepare() {
        control.query(&question).await?;
    }
    Ok(control)
}

/// Reads the catalog, all of it under the snapshot of its fingerprint.
async fn read(control: &mut Control) -> Result<(Catalog, Fingerprint), CatalogError> {
    control.query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let fingerprint = control.query(fingerprint::ask(true)).await?;
    let fingerprint =
        Fingerprint::of(&fingerprint).ok_or(UpstreamError::Unexpected("no fingerprint of the catalog"))?;
    let mut answers = vec![catalog::Rows::new(); catalog::QUERIES.len()];
    let order = (0..answers.len()).filter(|i| *i != LAST).chain([LAST]);
    for i in order {
        if let (Some(answer), Some(query)) = (answers.get_mut(i), catalog::QUERIES.get(i)) {
            *answer = control.query(query).await?;
        }
    }
    control.query("COMMIT").await?;
    Ok((Catalog::load(&answers).map_err(CatalogError::Unreadable)?, fingerprint))
}

/// Why the catalog cannot be had; without it nothing may run.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The database is not there, does not let the gateway in, or fails.
    #[error("the database cannot be asked for its catalog")]
    Upstream(#[from] UpstreamError),
    /// No credential.
    #[error("the gateway's credential for the database cannot be had")]
    Credential(#[from] CredentialError),
    /// The catalog is not what it should be.
    #[error("the database's catalog cannot be read: {0}")]
    Unreadable(#[from] catalog::CatalogError),
}
