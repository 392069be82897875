//! One policy, and when it can matter.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

use crate::reads::{Looks, Reads};
use crate::schema::{self, Ask};
use crate::set::PolicyId;

/// One policy, with what its text says about when it can matter. What is asked for each decision is taken out of
/// Cedar's form once, since it is copied each time there.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: PolicyId,
    pub(crate) policy: Policy,
    pub(crate) reads: Reads,
    pub(crate) looks: Looks,
    principals: PrincipalConstraint,
    resources: ResourceConstraint,
    /// By [`Ask::ordinal`].
    covers: [bool; Ask::ALL.len()],
    forbids: bool,
    tells_tables_apart: bool,
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// A policy that speaks of tables or columns rather than of a whole connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRule {
    /// The policy.
    pub policy: PolicyId,
    /// Whether it forbids. One that permits is merely without effect where tables are not known; one that forbids
    /// would be silently broken.
    pub forbids: bool,
    /// The connections whose tables or columns it names; empty if it speaks of tables without naming any.
    pub connections: BTreeSet<String>,
}

impl TableRule {
    /// Whether it speaks of tables of `connection`.
    pub fn concerns(&self, connection: &str) -> bool {
        self.connections.is_empty() || self.connections.contains(&schema::part(connection))
    }
}

impl Rule {
    pub(crate) fn new(
        id: PolicyId,
        policy: Policy,
        (reads, looks): (Reads, Looks),
        (file, line): (String, usize),
    ) -> Rule {
        let covers = Ask::ALL.map(|ask| covers(&policy, ask));
        let apart = reads.resource || !ids(&policy, "Table").is_empty() || !ids(&policy, "Column").is_empty();
        Rule {
            id,
            reads,
            looks,
            principals: policy.principal_constraint(),
            resources: policy.resource_constraint(),
            covers,
            forbids: policy.effect() == Effect::Forbid,
            tells_tables_apart: apart,
            policy,
            file,
            line,
        }
    }

    pub(crate) fn forbids(&self) -> bool {
        self.forbids
    }

    /// Whether its scope can match this agent; what it says of actions and resources is not looked at.
    pub(crate) fn concerns(&self, agent: &EntityUid, groups: &[EntityUid]) -> bool {
        match &self.principals {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
            PrincipalConstraint::Eq(uid) => uid == agent,
            PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => uid == agent || groups.contains(uid),
        }
    }

    /// Whether its scope can match this action, on a resource of the type that the action has.
    pub(crate) fn covers(&self, ask: Ask) -> bool {
        self.covers.get(ask.ordinal()).copied().unwrap_or(true)
    }

    /// An action that its scope lists and that it can never be about, since the action's resources are of another type:
    /// `select` in a rule on a class. A rule that forbids would seem to forbid it.
    pub(crate) fn listed_in_vain(&self) -> Option<&'static str> {
        let ActionConstraint::In(listed) = self.policy.action_constraint() else { return None };
        Ask::ALL.into_iter().find(|ask| listed.contains(&ask.uid()) && !self.covers(*ask)).map(Ask::name)
    }

    /// Whether its scope matches a resource, given with everything that it is in.
    pub(crate) fn is_about(&self, resource: &EntityUid, within: &[EntityUid]) -> bool {
        let inside = |uid: &EntityUid| uid == resource || within.contains(uid);
        match &self.resources {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => uid == resource,
            ResourceConstraint::In(uid) => inside(uid),
            ResourceConstraint::Is(is) => is == resource.type_name(),
            ResourceConstraint::IsIn(is, uid) => is == resource.type_name() && inside(uid),
        }
    }

    /// What its scope's resource must be, or be in; `None` if it is not named.
    pub(crate) fn anchor(&self) -> Option<&EntityUid> {
        match &self.resources {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
            ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => Some(uid),
        }
    }

    /// Whether what it says depends on more of a resource than its connection and its class.
    pub(crate) fn tells_tables_apart(&self) -> bool {
        self.tells_tables_apart
    }

    /// What it says of tables, if it does.
    pub(crate) fn table_rule(&self) -> Option<TableRule> {
        let is_typed = match &self.resources {
            ResourceConstraint::Is(t) | ResourceConstraint::IsIn(t, _) => t.basename() != "Connection",
            ResourceConstraint::Any | ResourceConstraint::In(_) | ResourceConstraint::Eq(_) => false,
        };
        if !is_typed && !self.tells_tables_apart {
            return None;
        }
        let named = ids(&self.policy, "Table").into_iter().chain(ids(&self.policy, "Column"));
        let connections = named.map(|id| id.split('/').next().unwrap_or_default().to_owned()).collect();
        Some(TableRule { policy: self.id.clone(), forbids: self.forbids, connections })
    }
}

fn covers(policy: &Policy, ask: Ask) -> bool {
    let action = ask.uid();
    let acts = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == action,
        ActionConstraint::In(uids) => uids.contains(&action),
    };
    let (equal, within) = ask.resources();
    acts && match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(uid) => equal.contains(&uid.type_name().basename()),
        ResourceConstraint::In(uid) => within.contains(&uid.type_name().basename()),
        ResourceConstraint::Is(is) => equal.contains(&is.basename()),
        ResourceConstraint::IsIn(is, uid) => {
            equal.contains(&is.basename()) && within.contains(&uid.type_name().basename())
        }
    }
}

/// The ids of the entities of one type that a policy names.
pub(crate) fn ids(policy: &Policy, type_name: &str) -> Vec<String> {
    let literals = policy.entity_literals().into_iter();
    literals.filter(|uid| uid.type_name().basename() == type_name).map(|uid| uid.id().unescaped().to_owned()).collect()
}
