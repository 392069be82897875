//! The policies that can matter, so that Cedar, whose time grows with every policy that it is given, looks at few.
//!
//! Sliced twice, by what the scopes of policies say: once for the agent and an action, then for the resource. A policy
//! that is left out is one whose scope does not match, so no answer can change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{EntityUid, PolicySet as CedarSet};

use crate::reads::Reads;
use crate::rule::Rule;
use crate::schema::Ask;
use crate::set::PolicySet;

/// Different sets that a slice keeps; tables that the same policies speak of share one.
const MOST_SETS: usize = 256;

/// What is asked about, and everything that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) uid: EntityUid,
    pub(crate) within: Vec<EntityUid>,
}

/// The policies whose scope can match one agent and one action.
pub(crate) struct Slice {
    /// Places in the set's rules, by what a rule's resource must be or be in.
    anchored: HashMap<EntityUid, Vec<usize>>,
    /// Places of rules that name no resource.
    anywhere: Vec<usize>,
    /// What any of them reads.
    pub(crate) reads: Reads,
    pub(crate) forbids: bool,
    pub(crate) tells_tables_apart: bool,
    sets: Mutex<HashMap<Box<[usize]>, Arc<CedarSet>>>,
}

impl Slice {
    pub(crate) fn new(policies: &PolicySet, ask: Ask, agent: &EntityUid, groups: &[EntityUid]) -> Slice {
        let concerns = |(_, rule): &(usize, &Rule)| rule.covers(ask) && rule.concerns(agent, groups);
        let rules: Vec<(usize, &Rule)> = policies.rules.iter().enumerate().filter(concerns).collect();
        let (mut anchored, mut anywhere): (HashMap<EntityUid, Vec<usize>>, Vec<usize>) = Default::default();
        for (place, rule) in &rules {
            match rule.anchor() {
                Some(uid) => anchored.entry(uid.clone()).or_default().push(*place),
                None => anywhere.push(*place),
            }
        }
        Slice {
            reads: rules.iter().fold(Reads::default(), |all, (_, rule)| all.and(rule.reads)),
            forbids: rules.iter().any(|(_, rule)| rule.forbids()),
            tells_tables_apart: rules.iter().any(|(_, rule)| rule.tells_tables_apart()),
            anchored,
            anywhere,
            sets: Mutex::default(),
        }
    }

    /// Those whose scope matches the resource too.
    pub(crate) fn about<'p>(&self, policies: &'p PolicySet, resource: &Resource) -> About<'p> {
        let anchors = std::iter::once(&resource.uid).chain(&resource.within);
        let places = anchors.filter_map(|uid| self.anchored.get(uid)).chain([&self.anywhere]).flatten();
        let rules = places.filter_map(|place| Some((*place, policies.rules.get(*place)?)));
        let mut rules: Vec<_> = rules.filter(|(_, rule)| rule.is_about(&resource.uid, &resource.within)).collect();
        rules.sort_by_key(|(place, _)| *place);
        About { rules }
    }

    /// The same in Cedar's form.
    pub(crate) fn set(&self, about: &About<'_>) -> Arc<CedarSet> {
        let places: Box<[usize]> = about.rules.iter().map(|(place, _)| *place).collect();
        // a panic cannot leave the map half changed
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = sets.get(&places) {
            return set.clone();
        }
        if sets.len() >= MOST_SETS {
            sets.clear();
        }
        let set = CedarSet::from_policies(about.rules().map(|rule| rule.policy.clone()));
        let set = Arc::new(set.expect("a set was loaded, so its ids are different"));
        sets.insert(places, set.clone());
        set
    }
}

/// The policies whose scope matches agent, action and resource: only their conditions are left to ask.
pub(crate) struct About<'p> {
    rules: Vec<(usize, &'p Rule)>,
}

impl<'p> About<'p> {
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'p Rule> {
        self.rules.iter().map(|(_, rule)| *rule)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What any of them reads.
    pub(crate) fn reads(&self) -> Reads {
        self.rules().fold(Reads::default(), |all, rule| all.and(rule.reads))
    }
}
