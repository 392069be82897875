//! What the policies say, through the public API.

mod advice;
mod authority;
mod documents;
mod facts;
mod ladder;
mod set;
mod slice;

use std::collections::BTreeMap;
use std::sync::Arc;

use chaperone_model::{
    Action, AiModel, Class, Classification, Effects, Facts, Need, Principal, SessionId, StatementId, TableClasses,
    TableName, TokenFacts, Workload,
};

use crate::{Authority, Decision, Denial, Permit, PolicySet};

/// 2026-03-02T09:30:00Z
const NOW: i64 = 1_772_443_800;

fn load(text: &str) -> Arc<PolicySet> {
    match PolicySet::load(&[("care.cedar".to_owned(), text.to_owned())]) {
        Ok(set) => Arc::new(set),
        Err(error) => panic!("{error}"),
    }
}

fn principal(groups: &[&str]) -> Principal {
    Principal {
        issuer: "corp".into(),
        issuer_url: "https://login.example".into(),
        agent: "agent-1".into(),
        acts_for: None,
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        scopes: vec!["db:read".into()],
        model: None,
        purpose: None,
        workload: None,
        token: TokenFacts { id: None, key_id: None, algorithm: "RS256".into(), issued_at: None, expires_at: NOW + 300 },
    }
}

fn patient() -> TableName {
    TableName::new("clinic", "patient")
}

fn classification() -> Arc<Classification> {
    let columns = [
        ("id", Class::None),
        ("ssn", Class::Ssn),
        ("mrn", Class::Mrn),
        ("dob", Class::BirthDate),
        ("insurance_id", Class::InsuranceId),
    ];
    let columns = columns.map(|(name, class)| (name.to_owned(), class)).into();
    let visit = [("id".to_owned(), Class::None), ("day".to_owned(), Class::Date)].into();
    Arc::new(Classification::Tables(Arc::new(BTreeMap::from([
        (patient(), TableClasses { columns, subject: None }),
        (TableName::new("clinic", "visit"), TableClasses { columns: visit, subject: None }),
    ]))))
}

/// A session on connection `clinic`.
struct Session {
    id: SessionId,
    authority: Authority,
    ordinal: u64,
}

impl Session {
    fn new(policies: &str, principal: &Principal) -> Self {
        Self::on(load(policies), principal, classification())
    }

    fn on(policies: Arc<PolicySet>, principal: &Principal, classification: Arc<Classification>) -> Self {
        let id = SessionId::generate();
        Session { id, authority: Authority::new(policies, id, principal, "clinic", classification), ordinal: 0 }
    }

    fn decide(&mut self, facts: &Facts) -> Decision {
        self.ordinal += 1;
        self.authority.decide(StatementId { session: self.id, ordinal: self.ordinal }, facts, NOW)
    }

    #[track_caller]
    fn allowed(&mut self, facts: &Facts) -> Permit {
        match self.decide(facts) {
            Decision::Allow(permit) => permit,
            Decision::Deny(denial) => panic!("denied: {denial:?}"),
        }
    }

    #[track_caller]
    fn denied(&mut self, facts: &Facts) -> Denial {
        match self.decide(facts) {
            Decision::Allow(permit) => panic!("allowed: {permit:?}"),
            Decision::Deny(denial) => denial,
        }
    }
}

fn need(action: Action, table: &str) -> Need {
    Need { action, table: Some(TableName::new("clinic", table)) }
}

fn facts(kind: &str, needs: Vec<Need>) -> Facts {
    Facts { kind: kind.into(), needs, has_where: false, effects: Effects::Possible }
}

fn select() -> Facts {
    facts("SELECT", vec![need(Action::Select, "patient")])
}
