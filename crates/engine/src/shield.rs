//! What masks statements on a connection that holds protected data: the live catalog, the classes, the session's masks.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chaperone_analysis::catalog::{self, Catalog};
use chaperone_analysis::{Protection, Rewritten, Statements, Temporaries};
use chaperone_mask::Masker;
use chaperone_model::{Facts, Masks, Refusal, Rung, TableClasses, TableName};
use chaperone_policy::Authority;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::masking::Masking;
use crate::upstream::{self, Control, CredentialError, OpenLimits, UpstreamError};

/// How old the catalog may be when a session starts, and how often running sessions look again.
pub(crate) const CATALOG_AGE: Duration = Duration::from_secs(1);

/// How old the catalog may become, when the database cannot be asked, before nothing is masked by it any more.
const STALE: Duration = Duration::from_secs(30);

/// How long the catalog's queries may take.
const CATALOG_TIME: Duration = Duration::from_secs(10);

/// One session's protection.
#[derive(Debug)]
pub(crate) struct Shield {
    pub(crate) catalog: Arc<Catalog>,
    tables: Arc<BTreeMap<TableName, TableClasses>>,
    pub(crate) masks: Arc<Masks>,
    masking: Arc<Masking>,
    pub(crate) cutoff_year: i32,
    /// Grows whenever any of the above is replaced, and when the session's own relations change.
    generation: Cell<u64>,
    /// What was rewritten under all of the above, by the exact text of the statement.
    known: RefCell<HashMap<Box<str>, Rewritten>>,
}

/// Rewritten statements that a session remembers, and the longest of them in bytes.
const KNOWN: usize = 256;
const LONGEST_KNOWN: usize = 16 * 1024;

impl Shield {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        tables: Arc<BTreeMap<TableName, TableClasses>>,
        masking: Arc<Masking>,
        authority: &mut Authority,
        now: i64,
        generation: u64,
    ) -> Self {
        let columns = catalog.columns_of(tables.keys());
        let masks = authority.masks(&columns, now);
        let (cutoff_year, generation) = (cutoff_year(now), Cell::new(generation));
        Shield { catalog, tables, masks, masking, cutoff_year, generation, known: RefCell::default() }
    }

    /// By what protection, as a number, something was rewritten.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Statement `i` under the masks of its permit.
    pub(crate) fn rewrite(
        &self,
        statements: &Statements,
        i: usize,
        masks: &Arc<Masks>,
        temporaries: &Temporaries,
    ) -> Result<Rewritten, Refusal> {
        let text = statements.text(i);
        // what is remembered is remembered under these masks only
        let ours = Arc::ptr_eq(masks, &self.masks) && text.len() <= LONGEST_KNOWN;
        if ours && let Some(known) = self.known.borrow().get(text) {
            return Ok(known.clone());
        }
        let protection = Protection {
            catalog: &self.catalog,
            classification: &self.tables,
            masks,
            masker: self.masking.masker(self.cutoff_year),
        };
        let rewritten = chaperone_analysis::rewrite_within(statements, i, &protection, temporaries)?;
        if ours {
            let mut known = self.known.borrow_mut();
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(text.into(), rewritten.clone());
        }
        Ok(rewritten)
    }

    /// What was rewritten may be something else by now: the session's own relations have changed.
    pub(crate) fn forget(&self) {
        self.known.borrow_mut().clear();
        // what was prepared, too: what it writes could be masks by now
        self.generation.set(self.generation() + 1);
    }

    /// Statement `i` with all that is protected redacted, whatever the session may see of it; `None` where it cannot be
    /// masked.
    pub(crate) fn redacted(&self, statements: &Statements, i: usize, temporaries: &Temporaries) -> Option<String> {
        let mut masks = Masks::default();
        for (table, column, rung) in self.masks.iter().filter(|(.., rung)| *rung == Rung::Raw) {
            if self.tables.get(table).is_some_and(|classes| !classes.class(column).is_protected()) {
                masks.set(table, column, rung);
            }
        }
        let protection = Protection {
            catalog: &self.catalog,
            classification: &self.tables,
            masks: &masks,
            masker: Masker { unforeseen: true, keys: None, ..self.masking.masker(self.cutoff_year) },
        };
        let rewritten = chaperone_analysis::rewrite_within(statements, i, &protection, temporaries);
        rewritten.ok().map(|rewritten| rewritten.text)
    }

    /// Whether the masks are those of this year: the year before which births are hidden moves at New Year.
    pub(crate) fn is_of(&self, now: i64) -> bool {
        self.cutoff_year == cutoff_year(now)
    }

    /// The facts of a statement, its relations resolved as the server resolves them.
    pub(crate) fn facts(&self, statements: &Statements, i: usize, temporaries: &Temporaries) -> Facts {
        statements.facts_within(i, &self.catalog, temporaries)
    }
}

/// Births of this year and later may be shown by their year: everyone born in it is under 90 until the year ends, so
/// that no mask changes on a birthday (45 CFR 164.514(b)(2)(i)(C)).
fn cutoff_year(now: i64) -> i32 {
    let year = time::OffsetDateTime::from_unix_timestamp(now).map_or(9999, time::OffsetDateTime::year);
    year - 89
}

/// One number for everything that names and masks hang on. A row that changes gets a new `xmin`.
const FINGERPRINT: &str = "SELECT pg_catalog.concat_ws(',', \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_class), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', attrelid, attnum, xmin), 0)) FROM pg_catalog.pg_attribute), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_proc), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_type), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_operator), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_cast), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_constraint), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_namespace), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', indexrelid, xmin), 0)) FROM pg_catalog.pg_index), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_policy), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', oid, xmin), 0)) FROM pg_catalog.pg_rewrite), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', inhrelid, inhparent, xmin), 0)) FROM pg_catalog.pg_inherits), \
     (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(':', classid, objid, refobjid, xmin), 0)) FROM pg_catalog.pg_depend \
      WHERE refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype = 'e'), \
     pg_catalog.array_to_string(pg_catalog.current_schemas(true), '/'))";

/// The catalog of a connection, kept fresh over a connection of its own: in a session that reads an old snapshot the
/// catalog would be old too.
#[derive(Debug, Default)]
pub(crate) struct Catalogs {
    state: Mutex<State>,
    /// The newest, and when it was known to be that; for sessions, which cannot wait.
    latest: std::sync::RwLock<Option<(Arc<Catalog>, Instant)>>,
}

#[derive(Default)]
struct State {
    control: Option<Control>,
    current: Option<(Arc<Catalog>, String)>,
    read_at: Option<Instant>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("read_at", &self.read_at).finish_non_exhaustive()
    }
}

impl Catalogs {
    /// The catalog, at most [`CATALOG_AGE`] old.
    pub(crate) async fn current(&self, connection: &Connection) -> Result<Arc<Catalog>, CatalogError> {
        let mut state = self.state.lock().await;
        if let (Some((catalog, _)), Some(read_at)) = (&state.current, state.read_at)
            && read_at.elapsed() < CATALOG_AGE
        {
            return Ok(catalog.clone());
        }
        let asked = Instant::now();
        match state.refresh(connection).await {
            Ok(catalog) => {
                state.read_at = Some(asked);
                // a panic elsewhere cannot leave one assignment half done
                *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Some((catalog.clone(), asked));
                Ok(catalog)
            }
            Err(error) => {
                // a control connection in an unknown state is not used again
                state.control = None;
                Err(error)
            }
        }
    }
}

impl Catalogs {
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
    pub(crate) fn latest(&self) -> Option<Arc<Catalog>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|(_, asked)| asked.elapsed() < STALE).map(|(catalog, _)| catalog.clone())
    }
}

impl State {
    async fn refresh(&mut self, connection: &Connection) -> Result<Arc<Catalog>, CatalogError> {
        let mut control = match self.control.take() {
            Some(control) => control,
            None => {
                let credential = connection.credential.resolve().await?;
                let parameters = [("application_name".to_owned(), "chaperone catalog".to_owned())];
                let opened =
                    upstream::open(&connection.target, &credential, &parameters, &OpenLimits::default()).await?;
                Control::new(opened, CATALOG_TIME)
            }
        };
        let fingerprint = control.query(FINGERPRINT).await?;
        let fingerprint = format!("{fingerprint:?}");
        if let Some((catalog, known)) = &self.current
            && *known == fingerprint
        {
            let catalog = catalog.clone();
            self.control = Some(control);
            return Ok(catalog);
        }
        let mut answers = Vec::with_capacity(catalog::QUERIES.len());
        for query in catalog::QUERIES {
            answers.push(control.query(query).await?);
        }
        let catalog = Arc::new(Catalog::load(&answers).map_err(CatalogError::Unreadable)?);
        self.current = Some((catalog.clone(), fingerprint));
        self.control = Some(control);
        Ok(catalog)
    }
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
