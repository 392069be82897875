//! A denial in words that an agent can act on: what is missing, who says so, what to do instead.

use std::fmt::Write as _;

use chaperone_model::{Need, Refusal, SqlState};

use crate::advice::{Advice, Helps};
use crate::authority::{Authority, Verdict};
use crate::decision::Denial;
use crate::schema::rule;

/// How many needs, and how many groups, one refusal spells out.
const SPELLED_OUT: usize = 4;

pub(crate) fn refusal(authority: &Authority, denied: &[(&Need, Verdict)], advice: &Advice) -> Refusal {
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
        detail: detail(first, verdict, authority, advice),
        hint: hint(first, verdict, authority, advice),
    }
}

/// `delete` on table `clinic.visit` of connection `clinic`
fn spelled(need: &Need, connection: &str) -> String {
    match &need.table {
        Some(table) => format!("`{}` on table `{table}`", need.action.name()),
        None => format!("`{}` on connection `{connection}`", need.action.name()),
    }
}

fn detail(need: &Need, verdict: &Verdict, authority: &Authority, advice: &Advice) -> String {
    let asked = spelled(need, &authority.connection);
    let policies = listed(verdict.policies());
    match verdict {
        Verdict::Forbidden(_) => format!("{asked} is forbidden by policy {policies}"),
        Verdict::Failed(ids) if ids.is_empty() => format!("{asked} could not be decided, and so is denied"),
        Verdict::Failed(_) => format!("{asked} is denied because policy {policies} failed"),
        Verdict::Unestimated(_) => format!(
            "{asked} is denied because policy {policies} looks at how many rows are expected, and that is not known"
        ),
        Verdict::Permitted(_) | Verdict::Unmentioned => {
            let who = who(authority);
            if advice.near.is_empty() {
                return format!("{asked} is permitted by no policy for {who}, and what is not permitted is denied");
            }
            format!(
                "{asked} is permitted for {who} only on conditions that are not met: policy {} looks at {}",
                listed(&advice.near),
                listed(&advice.look_at)
            )
        }
    }
}

/// `a`, `b`
fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
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
    match &advice.helps {
        Some(Helps::Where) => return "add a WHERE clause: the policies permit it then".to_owned(),
        Some(Helps::Purpose(purpose)) => {
            return format!("the policies permit it for the purpose `{purpose}`; {CLAIM}");
        }
        Some(Helps::Model(model)) => {
            let version = model.version.as_ref().map(|version| format!(" of version `{version}`"));
            return format!(
                "the policies permit it for model `{}`{}; {CLAIM}",
                model.name,
                version.unwrap_or_default()
            );
        }
        Some(Helps::Person) => {
            return format!("the policies permit it to an agent that acts for a person; {CLAIM}");
        }
        None => {}
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
        Verdict::Unestimated(_) => {
            hint.push_str("the database could not be asked; if it stays, report this to the operator of the gateway");
        }
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

/// An agent cannot change this by asking in other words.
const CLAIM: &str = "that is a claim of the token, so it takes another token and another session";

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
        near: Vec::new(),
    }
}
