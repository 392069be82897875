//! What would have helped, found by asking the policies again; only once something is denied.
//!
//! The work is bounded: a few alternatives, each asked about a few needs. What is tried comes from the policies' own
//! words (a purpose that one of them compares with, a version of a model) and from what any agent can do (write a
//! `WHERE`), so nothing but policy is told.

use std::cell::Cell;
use std::collections::BTreeSet;

use chaperone_model::{Action, AiModel, Need, Principal};

use crate::authority::{Authority, Verdict};
use crate::request::{Asker, Shape};
use crate::rule::Rule;
use crate::schema::Ask;
use crate::set::PolicyId;

/// Statements with more unmet needs get no advice.
const MOST_NEEDS: usize = 16;
/// Questions that are asked in search of what would help: each costs as much as a decision.
const MOST_ASKED: usize = 48;
/// Other purposes, and other models, that are tried.
const MOST_TRIED: usize = 8;
/// Policies, and attributes that they look at, that are named.
const MOST_NAMED: usize = 8;

/// What might help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// With this everything would be permitted.
    pub(crate) helps: Option<Helps>,
    /// What is permitted on the resource of the first need that was not met.
    pub(crate) instead: Vec<Action>,
    /// Policies that would permit that need, but for their conditions.
    pub(crate) near: Vec<PolicyId>,
    /// What those conditions look at.
    pub(crate) look_at: Vec<String>,
}

/// A change that makes the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Helps {
    Where,
    Purpose(String),
    Model(AiModel),
    /// To act for a person, whoever that is.
    Person,
}

impl Authority {
    /// What would have helped with `denied`, in a statement of this shape; none where it is a session that is denied.
    pub(crate) fn advice(&self, denied: &[(&Need, Verdict)], shape: Option<&Shape<'_>>, now: i64) -> Advice {
        let Some((first, verdict)) = denied.first() else { return Advice::default() };
        let Ok(asker) = &self.asker else { return Advice::default() };
        if denied.len() > MOST_NEEDS {
            return Advice::default();
        }
        let permitted = |asker: &Asker, need: &Need, shape: Option<&Shape<'_>>| {
            self.refused_table(need).is_none() && matches!(self.ask_as(asker, need, shape, now), Verdict::Permitted(_))
        };
        let left = Cell::new(MOST_ASKED);
        let all = |asker: &Asker, shape: Option<&Shape<'_>>| {
            denied.iter().all(|(need, _)| {
                let some = left.get() > 0;
                left.set(left.get().saturating_sub(1));
                some && permitted(asker, need, shape)
            })
        };
        let rules: Vec<&Rule> = denied.iter().flat_map(|(need, _)| self.rules_about(asker, need)).collect();

        let mut helps = None;
        if let Some(shape) = shape
            && !shape.has_where
            && rules.iter().any(|rule| rule.reads.has_where)
            && all(asker, Some(&Shape { has_where: true, ..*shape }))
        {
            helps = Some(Helps::Where);
        }
        let helps = helps.or_else(|| {
            others(&self.principal, &rules).into_iter().find_map(|(other, helps)| {
                let asker = Asker::new(&other, &self.connection).ok()?;
                all(&asker, shape).then_some(helps)
            })
        });

        let actions = [Action::Select, Action::Insert, Action::Update, Action::Delete, Action::Call, Action::Ddl];
        let instead = actions.into_iter().filter(|action| {
            let need = Need { action: *action, table: first.table.clone() };
            shape.is_some() && permitted(asker, &need, shape)
        });
        let mut advice = Advice { helps, instead: instead.collect(), ..Advice::default() };
        if *verdict == Verdict::Unmentioned {
            let near: Vec<&Rule> = self.rules_about(asker, first).into_iter().filter(|rule| !rule.forbids()).collect();
            let ids: BTreeSet<&PolicyId> = near.iter().map(|rule| &rule.id).collect();
            let look_at: BTreeSet<&String> = near.iter().flat_map(|rule| &rule.looks.at).collect();
            advice.near = ids.into_iter().take(MOST_NAMED).cloned().collect();
            advice.look_at = look_at.into_iter().take(MOST_NAMED).cloned().collect();
        }
        advice
    }

    /// The policies whose scope matches a need.
    fn rules_about(&self, asker: &Asker, need: &Need) -> Vec<&Rule> {
        let resource = asker.resource(self.table(need));
        self.slice(Ask::Act(need.action)).about(&self.policies, &resource).rules().collect()
    }
}

/// The same principal with another purpose, another model, or a person behind it, as far as the policies' conditions
/// compare with such.
fn others(principal: &Principal, rules: &[&Rule]) -> Vec<(Principal, Helps)> {
    let all =
        |of: fn(&Rule) -> &BTreeSet<String>| -> BTreeSet<&String> { rules.iter().flat_map(|rule| of(rule)).collect() };
    let looks_at = |attribute: &str| rules.iter().any(|rule| rule.looks.at.contains(attribute));
    let mut others = Vec::new();
    for purpose in all(|rule| &rule.looks.purposes).into_iter().take(MOST_TRIED) {
        let other = Principal { purpose: Some(purpose.clone()), ..principal.clone() };
        others.push((other, Helps::Purpose(purpose.clone())));
    }
    // the same model in another version first
    let own = principal.model.as_ref().map(|model| &model.name);
    let names = own.into_iter().chain(all(|rule| &rule.looks.models)).collect::<Vec<_>>();
    let versions: Vec<Option<&String>> = all(|rule| &rule.looks.versions).into_iter().rev().map(Some).collect();
    let versions = if versions.is_empty() { vec![None] } else { versions };
    let models = names.iter().flat_map(|name| versions.iter().map(move |version| (*name, *version)));
    for (name, version) in models.take(MOST_TRIED) {
        let model = AiModel { name: name.clone(), version: version.cloned() };
        others.push((Principal { model: Some(model.clone()), ..principal.clone() }, Helps::Model(model)));
    }
    if principal.acts_for.is_none() && (looks_at("context.acts_for") || looks_at("principal.acts_for")) {
        let other = Principal { acts_for: Some("somebody".into()), ..principal.clone() };
        others.push((other, Helps::Person));
    }
    others
}
