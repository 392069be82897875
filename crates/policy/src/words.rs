//! A denial in words that an agent can act on: what is missing, who says so, what to do instead.

use std::fmt::Write as _;

use chaperone_model::{Action, Need, Refusal, SqlState};

use crate::authority::{Authority, Verdict};
use crate::decision::Denial;
use crate::schema::rule;

/// How many needs, and how many groups, one refusal spells out.
const SPELLED_OUT: usize = 4;

/// What might help, found by asking the policies again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// With a `WHERE` it would be permitted.
    pub(crate) where_helps: bool,
    /// What is permitted on the resource of the first need that was not met.
    pub(crate) instead: Vec<Action>,
}

pub(crate) fn refusal(authority: &Authority, denied: &[(&Need, Verdict)], advice: Advice) -> Refusal {
    let Some((first, verdict)) = denied.first() else { return wrong_session().refusal };
    let mut missing = String::new();
    for (i, (need, _)) in denied.iter().take(SPELLED_OUT).enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        let _ = write!(missing, "{separator}{}", spelled(need, &authority.connection));
    }
    if denied.len() > SPELLED_OUT {
        let _ = write!(missing, " and {} more", denied.len() - SPELLED_OUT);
    }
    Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: rule(first.action),
        message: format!("policy does not permit {missing}"),
        detail: detail(first, verdict, authority),
        hint: hint(first, verdict, authority, &advice),
    }
}

/// `delete` on table `clinic.visit` of connection `clinic`
fn spelled(need: &Need, connection: &str) -> String {
    match &need.table {
        Some(table) => format!("`{}` on table `{table}`", need.action.name()),
        None => format!("`{}` on connection `{connection}`", need.action.name()),
    }
}

fn detail(need: &Need, verdict: &Verdict, authority: &Authority) -> String {
    let asked = spelled(need, &authority.connection);
    let policies = verdict.policies().iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    match verdict {
        Verdict::Forbidden(_) => format!("{asked} is forbidden by policy {policies}"),
        Verdict::Failed(ids) if ids.is_empty() => format!("{asked} could not be decided, and so is denied"),
        Verdict::Failed(_) => format!("{asked} is denied because policy {policies} failed"),
        Verdict::Permitted(_) | Verdict::Unmentioned => {
            format!("{asked} is permitted by no policy for {}, and what is not permitted is denied", who(authority))
        }
    }
}

/// agent `corp/agent-1` in groups `care-agents`, `night`
fn who(authority: &Authority) -> String {
    let mut who = format!("agent `{}`", authority.agent.id().unescaped());
    for (i, group) in authority.groups.iter().take(SPELLED_OUT).enumerate() {
        let separator = if i == 0 { " in groups " } else { ", " };
        let _ = write!(who, "{separator}`{}`", group.id().unescaped());
    }
    if authority.groups.len() > SPELLED_OUT {
        let _ = write!(who, " and {} more", authority.groups.len() - SPELLED_OUT);
    }
    who
}

fn hint(need: &Need, verdict: &Verdict, authority: &Authority, advice: &Advice) -> String {
    if advice.where_helps {
        return "add a WHERE clause: the policies permit it then".to_owned();
    }
    let mut hint = String::new();
    let here = match &need.table {
        Some(table) => format!("table `{table}`"),
        None => format!("connection `{}`", authority.connection),
    };
    if !advice.instead.is_empty() {
        let actions = advice.instead.iter().map(|a| format!("`{}`", a.name())).collect::<Vec<_>>().join(", ");
        let _ = write!(hint, "permitted on {here}: {actions}; ");
    }
    match verdict {
        Verdict::Failed(_) => hint.push_str("trying again will not help; report this to the operator of the gateway"),
        Verdict::Forbidden(_) | Verdict::Permitted(_) | Verdict::Unmentioned => {
            let _ = write!(
                hint,
                "trying again will not help; whoever keeps the policies can permit `{}` on {here}",
                need.action.name()
            );
        }
    }
    hint
}

/// A statement of another session was put to this one: a fault of ours.
pub(crate) fn wrong_session() -> Denial {
    Denial {
        refusal: Refusal {
            code: SqlState::INTERNAL_ERROR,
            rule: "policy.session",
            message: "the statement belongs to another session".into(),
            detail: "a statement is decided by the authority of its own session".into(),
            hint: "report this to the operator of the gateway".into(),
        },
        policies: Vec::new(),
    }
}
