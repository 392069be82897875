//! A database that agents may connect to, as configured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chaperone_model::{Classification, TableClasses, TableName};

use crate::analyse::Analyser;
use crate::shield::Catalogs;
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

/// A configured database.
#[derive(Debug)]
pub struct Connection {
    /// What agents name as `dbname`.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// How the gateway logs in. A role for each session takes this place later.
    pub credential: CredentialSource,
    /// What its owner declares about protected data.
    pub classification: Arc<Classification>,
    /// Digest of the classification, for records.
    pub classification_version: String,
    /// Bounds of a session.
    pub limits: Limits,
    pub(crate) analyser: Analyser,
    pub(crate) catalogs: Catalogs,
}

impl Connection {
    /// A connection with an empty cache.
    pub fn new(
        name: String,
        target: Target,
        credential: CredentialSource,
        classification: (Arc<Classification>, String),
        limits: Limits,
    ) -> Self {
        let (classification, classification_version) = classification;
        Connection {
            name,
            target,
            credential,
            classification,
            classification_version,
            limits,
            analyser: Analyser::default(),
            catalogs: Catalogs::default(),
        }
    }

    /// The classified tables; `None` when the owner declares that there is no protected data.
    pub(crate) fn tables(&self) -> Option<&Arc<BTreeMap<TableName, TableClasses>>> {
        match &*self.classification {
            Classification::NoPhi => None,
            Classification::Tables(tables) => Some(tables),
        }
    }
}
