//! The answer: a [`Permit`] that must be handed in to run a statement, or a [`Denial`] in words.

use std::fmt;
use std::sync::Arc;

use chaperone_model::{Masks, Refusal, StatementId};

use crate::PolicyId;

/// What the policies say about one statement.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// It may run: once, as the statement that was decided.
    Allow(Permit),
    /// It may not.
    Deny(Denial),
}

/// The proof that one statement was permitted. It can be had only from
/// [`Authority::decide`](crate::Authority::decide), is moved into what it permits, and cannot be copied.
///
/// It has no public constructor:
/// ```compile_fail,E0451
/// fn forge(statement: chaperone_model::StatementId) -> chaperone_policy::Permit {
///     chaperone_policy::Permit { statement, policy_version: "".into(), policies: [].into(), masks: Default::default() }
/// }
/// ```
/// it cannot be used twice:
/// ```compile_fail,E0599
/// fn twice(permit: chaperone_policy::Permit) -> (chaperone_policy::Permit, chaperone_policy::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// and it cannot be read from bytes:
/// ```compile_fail,E0277
/// fn revive(json: &str) -> chaperone_policy::Permit {
///     serde_json::from_str(json).unwrap()
/// }
/// ```
#[must_use]
pub struct Permit {
    pub(crate) statement: StatementId,
    pub(crate) policy_version: Arc<str>,
    pub(crate) policies: Arc<[PolicyId]>,
    pub(crate) masks: Arc<Masks>,
}

impl Permit {
    /// The statement, with its session, that it is for.
    pub fn statement(&self) -> StatementId {
        self.statement
    }

    /// The version of the policies that were asked.
    pub fn policy_version(&self) -> &str {
        &self.policy_version
    }

    /// What the principal sees of each column: the only masks under which the statement may run.
    pub fn masks(&self) -> &Arc<Masks> {
        &self.masks
    }

    /// The policies that permitted it, in order of id.
    pub fn policies(&self) -> &[PolicyId] {
        &self.policies
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} by {:?} of {})", self.statement, self.policies, self.policy_version)
    }
}

/// Why a statement was not permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// For the agent; the rule is `policy.<action>` of the first need that was not met.
    pub refusal: Refusal,
    /// The policies that forbade it or failed, in order of id; empty where simply none permits.
    pub policies: Vec<PolicyId>,
    /// The policies that would permit the first need that was not met, but for their conditions; at most eight, in
    /// order of id.
    pub near: Vec<PolicyId>,
}
