//! A database that agents may connect to, as configured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chaperone_model::{Classification, TableClasses, TableName};

use crate::analyse::Analyser;
use crate::catalogs::Catalogs;
use crate::estimate::Planner;
use crate::masking::Masking;
use crate::minter::Minter;
use crate::upstream::{CredentialSource, Target};

/// Bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A session ends when the agent sends nothing for this long while nothing is owed to it
    /// (45 CFR 164.312(a)(2)(iii)).
    pub idle: Duration,
    /// A session ends at this age, whatever it does.
    pub age: Duration,
    /// How long a session may outlive its token.
    pub token_grace: Duration,
    /// Longest statement that is looked at, in bytes; longer ones end the session.
    pub statement: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            idle: Duration::from_secs(30 * 60),
            age: Duration::from_secs(12 * 3600),
            token_grace: Duration::from_secs(60),
            statement: 32 << 20,
        }
    }
}

/// What a connection's owner declares about protected data, at one time.
#[derive(Debug, Clone)]
pub struct Classified {
    /// What is declared.
    pub classification: Arc<Classification>,
    /// Digest of its text, for records.
    pub version: Arc<str>,
    /// The text; empty where nothing was written.
    pub text: Arc<str>,
}

impl Classified {
    /// The declaration that there is no protected data.
    pub fn nothing() -> Self {
        Classified { classification: Arc::new(Classification::NoPhi), version: "none".into(), text: "".into() }
    }

    /// Classified tables, with the digest of the text that says so.
    pub fn tables_of(
        tables: BTreeMap<TableName, TableClasses>,
        version: impl Into<Arc<str>>,
        text: impl Into<Arc<str>>,
    ) -> Self {
        let classification = Arc::new(Classification::Tables(Arc::new(tables)));
        Classified { classification, version: version.into(), text: text.into() }
    }

    /// The classified tables; `None` when the owner declares that there is no protected data.
    pub fn tables(&self) -> Option<&Arc<BTreeMap<TableName, TableClasses>>> {
        match &*self.classification {
            Classification::NoPhi => None,
            Classification::Tables(tables) => Some(tables),
        }
    }
}

/// A connection that declares no protected data cannot come to declare some while it runs, nor the other way round:
/// its sessions were begun in another way. That takes a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("whether there is protected data at all cannot change while the gateway runs")]
pub struct OtherKind;

/// What becomes of sessions with a server whose release is known to show statistics of hidden columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OldServer {
    /// They open, and the operator is told once for each release that is met.
    #[default]
    Warn,
    /// They do not open; neither where the server does not say its release.
    Refuse,
}

/// A configured database.
#[derive(Debug)]
pub struct Connection {
    /// What agents name as `dbname`.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// How the gateway itself logs in; sessions too, unless each has a role of its own.
    pub credential: CredentialSource,
    /// Each session logs in as a role that is made for it, by the role above.
    pub ephemeral: bool,
    /// Bounds of a session.
    pub limits: Limits,
    /// Whether an old release of the server may serve.
    pub old_server: OldServer,
    /// Releases that the operator was told of.
    told: Mutex<BTreeSet<String>>,
    classified: RwLock<Classified>,
    pub(crate) masking: Arc<Masking>,
    pub(crate) planner: Planner,
    /// Where `ephemeral`, since the engine has the connection.
    pub(crate) minter: Option<Minter>,
    pub(crate) analyser: Analyser,
    pub(crate) catalogs: Catalogs,
}

impl Connection {
    /// A connection with an empty cache.
    pub fn new(
        name: String,
        target: Target,
        credential: CredentialSource,
        classified: Classified,
        masking: Masking,
        limits: Limits,
    ) -> Self {
        Connection {
            name,
            target,
            credential,
            ephemeral: false,
            minter: None,
            classified: RwLock::new(classified),
            masking: Arc::new(masking),
            limits,
            old_server: OldServer::default(),
            told: Mutex::default(),
            planner: Planner::default(),
            analyser: Analyser::default(),
            catalogs: Catalogs::default(),
        }
    }

    /// Looks at the release that the server greets with.
    ///
    /// # Errors
    /// Sessions with it are refused by configuration; with what is wrong.
    pub(crate) fn check_release(&self, version: Option<&str>) -> Result<(), String> {
        let version = version.unwrap_or_default();
        let wrong = match chaperone_analysis::server_version_num(version) {
            Some(number) => chaperone_analysis::old_server(number),
            None => Some("the server does not say which release it is".to_owned()),
        };
        let Some(wrong) = wrong else { return Ok(()) };
        // a panic elsewhere cannot leave one insertion half done
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(version.to_owned()) {
            tracing::warn!(connection = self.name, "{wrong}");
        }
        match self.old_server {
            OldServer::Warn => Ok(()),
            OldServer::Refuse => Err(wrong),
        }
    }

    /// What is declared about protected data now.
    pub fn classified(&self) -> Classified {
        // a panic elsewhere cannot leave one assignment half done
        self.classified.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is protected data.
    pub fn is_protected(&self) -> bool {
        self.classified().tables().is_some()
    }

    /// Declares something else from now on; gives back what was declared. Sessions take it up when they are told that
    /// [policies changed](crate::Sessions::policies_changed).
    ///
    /// # Errors
    /// [`OtherKind`].
    pub(crate) fn reclassify(&self, classified: Classified) -> Result<Classified, OtherKind> {
        let mut current = self.classified.write().unwrap_or_else(PoisonError::into_inner);
        if current.tables().is_some() != classified.tables().is_some() {
            return Err(OtherKind);
        }
        Ok(std::mem::replace(&mut current, classified))
    }
}
