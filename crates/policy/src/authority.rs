//! One session's view of the policies: ask Cedar once, then remember.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, PolicySet as CedarSet,
    Request,
};
use chaperone_model::{
    Action, Classification, Facts, Masks, Need, Principal, Refusal, Rung, SessionId, SqlState, StatementId, TableName,
};

use crate::decision::{Decision, Denial, Permit};
use crate::reads::Reads;
use crate::request::{Asker, Broken, Shape, groups};
use crate::schema::{self, Ask};
use crate::set::{PolicyId, PolicySet, Rule};
use crate::words;

/// How many verdicts a session remembers. An agent chooses what it asks for, so there must be a bound; a real session
/// stays far below it.
const REMEMBERED: usize = 4096;

/// What the policies say to one session: its principal, on its connection.
///
/// It asks Cedar once for each thing that could change the answer and remembers; a change of the policies means a new
/// `Authority` over the new set.
pub struct Authority {
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) classification: Arc<Classification>,
    pub(crate) asker: Result<Asker, Broken>,
    pub(crate) connection: String,
    /// Tables whose redacted form is forbidden too, with the policies that say so; filled by `masks`.
    pub(crate) withheld: BTreeMap<TableName, Vec<PolicyId>>,
    /// The tables whose columns `masks` has seen.
    pub(crate) masked: BTreeSet<TableName>,
    /// What `masks` last answered: every permit carries it. Empty before, so that everything is redacted.
    pub(crate) vector: Arc<Masks>,
    session: SessionId,
    version: Arc<str>,
    pub(crate) agent: EntityUid,
    pub(crate) groups: Vec<EntityUid>,
    slices: [OnceLock<Slice>; Ask::ALL.len()],
    remembered: Remembered,
}

/// The policies whose scope can match this agent and one action: the only ones that Cedar needs to look at, and what
/// they read.
pub(crate) struct Slice {
    set: CedarSet,
    pub(crate) reads: Reads,
    pub(crate) forbids: bool,
    pub(crate) tells_tables_apart: bool,
}

/// What Cedar says to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Permitted, by these policies.
    Permitted(Arc<[PolicyId]>),
    /// Forbidden by name, by these policies.
    Forbidden(Arc<[PolicyId]>),
    /// Nothing permits it.
    Unmentioned,
    /// These policies failed, or (if there are none) the question could not be asked.
    Failed(Arc<[PolicyId]>),
}

impl Authority {
    /// The authority of `principal` on `connection`, whose tables are known from `classification`.
    ///
    /// This cannot fail: a principal that cannot be put into Cedar's terms is denied everything.
    pub fn new(
        policies: Arc<PolicySet>,
        session: SessionId,
        principal: &Principal,
        connection: &str,
        classification: Arc<Classification>,
    ) -> Authority {
        Authority {
            version: policies.version().into(),
            asker: Asker::new(principal, connection, &classification),
            connection: connection.to_owned(),
            agent: schema::agent(principal),
            groups: groups(principal).collect(),
            policies,
            session,
            classification,
            withheld: BTreeMap::new(),
            masked: BTreeSet::new(),
            vector: Arc::default(),
            slices: Default::default(),
            remembered: Remembered::default(),
        }
    }

    /// The version of the policies.
    pub fn policy_version(&self) -> &str {
        &self.version
    }

    /// May this principal open a session here, or keep it, at `now` (seconds since the Unix epoch)? Says which
    /// policies permit it.
    ///
    /// # Errors
    /// A refusal with rule `policy.connect` and SQLSTATE `28000`.
    pub fn connect(&self, now: i64) -> Result<Vec<PolicyId>, Refusal> {
        let need = Need { action: Action::Connect, table: None };
        match self.ask(&need, None, now) {
            Verdict::Permitted(policies) => Ok(policies.to_vec()),
            verdict => {
                let refusal = words::refusal(self, &[(&need, verdict)], words::Advice::default());
                Err(Refusal { code: SqlState::INVALID_AUTHORIZATION, ..refusal })
            }
        }
    }

    /// May this statement run at `now` (seconds since the Unix epoch)? Every need must be permitted; a statement that
    /// needs nothing needs `connect`. A policy that fails denies.
    ///
    /// On a connection that declares no PHI tables are not resolved, so each need is decided on the connection.
    pub fn decide(&mut self, statement: StatementId, facts: &Facts, now: i64) -> Decision {
        if statement.session != self.session {
            return Decision::Deny(words::wrong_session());
        }
        let shape = Shape::of(facts);
        let connect = [Need { action: Action::Connect, table: None }];
        let needs = if facts.needs.is_empty() { &connect[..] } else { &facts.needs };

        let mut permitting: Vec<Arc<[PolicyId]>> = Vec::with_capacity(needs.len());
        let mut denied: Vec<(&Need, Verdict)> = Vec::new();
        for need in needs {
            match self.verdict(need, &shape, now) {
                Verdict::Permitted(policies) => permitting.push(policies),
                verdict => denied.push((need, verdict)),
            }
        }
        if denied.is_empty() {
            let policies = union(&permitting);
            let (policy_version, masks) = (self.version.clone(), self.vector.clone());
            return Decision::Allow(Permit { statement, policy_version, policies, masks });
        }
        let advice = self.advice(&denied, &shape, now);
        let mut policies: Vec<PolicyId> = denied.iter().flat_map(|(_, v)| v.policies()).cloned().collect();
        policies.sort();
        policies.dedup();
        Decision::Deny(Denial { refusal: words::refusal(self, &denied, advice), policies })
    }

    /// The verdict on one need, from memory where nothing that it depends on has changed.
    fn verdict(&mut self, need: &Need, shape: &Shape<'_>, now: i64) -> Verdict {
        let slice = self.slice(Ask::Act(need.action));
        let reads = slice.reads;
        if let Some(verdict) = self.remembered.get(need, shape, reads, now) {
            return verdict;
        }
        let verdict = match self.refused_table(need) {
            Some(policies) => policies,
            None => self.ask(need, Some(shape), now),
        };
        self.remembered.put(need, shape, reads, now, verdict.clone());
        verdict
    }

    /// Reading a table whose redacted form is forbidden, by the name of that rung.
    fn refused_table(&self, need: &Need) -> Option<Verdict> {
        let table = need.table.as_ref().filter(|_| need.action == Action::Select)?;
        let Classification::Tables(tables) = &*self.classification else { return None };
        if let Some(policies) = self.withheld.get(table) {
            return Some(Verdict::Forbidden(policies.as_slice().into()));
        }
        // a forbid that nobody has compared with the table's columns yet: whoever forgot must not open it
        let unseen = tables.contains_key(table) && !self.masked.contains(table);
        (unseen && self.slice(Ask::Read(Rung::Redacted)).forbids).then(|| Verdict::Failed([].into()))
    }

    /// Asks Cedar whether `need` is permitted.
    pub(crate) fn ask(&self, need: &Need, shape: Option<&Shape<'_>>, now: i64) -> Verdict {
        let Ok(asker) = &self.asker else { return Verdict::Failed([].into()) };
        let table = match &*self.classification {
            Classification::NoPhi => None,
            Classification::Tables(_) => need.table.as_ref().filter(|_| need.action != Action::Connect),
        };
        let resource = match table {
            Some(table) => schema::table(&self.connection, table),
            None => schema::connection(&self.connection),
        };
        let shape = shape.filter(|_| need.action != Action::Connect);
        match (asker.entities_with(table), asker.context(now, shape)) {
            (Ok(entities), Ok(context)) => self.ask_about(Ask::Act(need.action), resource, &entities, &context),
            _ => Verdict::Failed([].into()),
        }
    }

    /// Asks Cedar. This is the only place that does.
    pub(crate) fn ask_about(&self, ask: Ask, resource: EntityUid, entities: &Entities, context: &Context) -> Verdict {
        let slice = self.slice(ask);
        if slice.set.is_empty() {
            return Verdict::Unmentioned;
        }
        let context = context.clone();
        let request = Request::new(self.agent.clone(), ask.uid(), resource, context, Some(&schema::PARSED));
        let Ok(request) = request else { return Verdict::Failed([].into()) };
        let response = Authorizer::new().is_authorized(&request, &slice.set, entities);
        // Cedar skips a policy that fails, and a forbid that is skipped permits: so any failure denies
        let failed = response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(e)| e.policy_id());
        let failed = sorted(failed);
        if !failed.is_empty() {
            return Verdict::Failed(failed);
        }
        let reasons = sorted(response.diagnostics().reason());
        match response.decision() {
            CedarDecision::Allow => Verdict::Permitted(reasons),
            CedarDecision::Deny if reasons.is_empty() => Verdict::Unmentioned,
            CedarDecision::Deny => Verdict::Forbidden(reasons),
        }
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.remembered.shapes.iter().map(|(_, verdicts)| verdicts.len()).sum()
    }

    /// Forgets every verdict: what is withheld may have changed.
    pub(crate) fn forget(&mut self) {
        self.remembered = Remembered::default();
    }

    pub(crate) fn slice(&self, ask: Ask) -> &Slice {
        let ordinal = Ask::ALL.iter().position(|a| *a == ask).unwrap_or(0);
        self.slices[ordinal].get_or_init(|| {
            let concerns = |rule: &&Rule| rule.covers(ask) && rule.concerns(&self.agent, &self.groups);
            let rules: Vec<&Rule> = self.policies.rules.iter().filter(concerns).collect();
            Slice {
                set: CedarSet::from_policies(rules.iter().map(|rule| rule.policy.clone()))
                    .expect("a set was loaded, so its ids are different"),
                reads: rules.iter().fold(Reads::default(), |all, rule| all.and(rule.reads)),
                forbids: rules.iter().any(|rule| rule.forbids()),
                tells_tables_apart: rules.iter().any(|rule| rule.tells_tables_apart()),
            }
        })
    }

    /// What would have helped: asked only once a statement is denied.
    fn advice(&self, denied: &[(&Need, Verdict)], shape: &Shape<'_>, now: i64) -> words::Advice {
        let with_where = Shape { has_where: true, ..*shape };
        let where_helps = !shape.has_where
            && denied.iter().all(|(need, _)| {
                self.slice(Ask::Act(need.action)).reads.has_where
                    && self.refused_table(need).is_none()
                    && matches!(self.ask(need, Some(&with_where), now), Verdict::Permitted(_))
            });
        let instead = denied.first().map(|(need, _)| {
            let permitted = |action: &Action| {
                let need = Need { action: *action, table: need.table.clone() };
                self.refused_table(&need).is_none()
                    && matches!(self.ask(&need, Some(shape), now), Verdict::Permitted(_))
            };
            let actions = [Action::Select, Action::Insert, Action::Update, Action::Delete, Action::Call, Action::Ddl];
            actions.into_iter().filter(permitted).collect()
        });
        words::Advice { where_helps, instead: instead.unwrap_or_default() }
    }
}

impl Verdict {
    pub(crate) fn policies(&self) -> &[PolicyId] {
        match self {
            Verdict::Permitted(p) | Verdict::Forbidden(p) | Verdict::Failed(p) => p,
            Verdict::Unmentioned => &[],
        }
    }
}

fn sorted<'a>(ids: impl Iterator<Item = &'a cedar_policy::PolicyId>) -> Arc<[PolicyId]> {
    let mut ids: Vec<PolicyId> = ids.map(|id| AsRef::<str>::as_ref(id).to_owned()).collect();
    ids.sort();
    ids.into()
}

fn union(sets: &[Arc<[PolicyId]>]) -> Arc<[PolicyId]> {
    match sets {
        [one] => one.clone(),
        [first, rest @ ..] if rest.iter().all(|set| set == first) => first.clone(),
        sets => {
            let mut all: Vec<PolicyId> = sets.iter().flat_map(|set| set.iter().cloned()).collect();
            all.sort();
            all.dedup();
            all.into()
        }
    }
}

/// Verdicts by what they depend on: the need, and of the statement and the time only what some policy reads.
#[derive(Default)]
struct Remembered {
    at: i64,
    count: usize,
    shapes: Vec<(KnownShape, HashMap<Need, Verdict>)>,
}

struct KnownShape {
    /// Whether the verdicts hold only at `Remembered::at`.
    timed: bool,
    kind: Option<String>,
    has_where: Option<bool>,
    tables: Option<i64>,
}

impl KnownShape {
    fn is(&self, shape: &Shape<'_>, reads: Reads) -> bool {
        self.timed == reads.now
            && self.kind.as_deref() == reads.kind.then_some(shape.kind)
            && self.has_where == reads.has_where.then_some(shape.has_where)
            && self.tables == reads.tables.then_some(shape.tables)
    }
}

impl Remembered {
    fn get(&self, need: &Need, shape: &Shape<'_>, reads: Reads, now: i64) -> Option<Verdict> {
        if reads.now && self.at != now {
            return None;
        }
        let (_, verdicts) = self.shapes.iter().find(|(known, _)| known.is(shape, reads))?;
        verdicts.get(need).cloned()
    }

    fn put(&mut self, need: &Need, shape: &Shape<'_>, reads: Reads, now: i64, verdict: Verdict) {
        if self.count >= REMEMBERED {
            *self = Remembered::default();
        }
        if reads.now && self.at != now {
            self.shapes.retain(|(known, _)| !known.timed);
            self.count = self.shapes.iter().map(|(_, verdicts)| verdicts.len()).sum();
            self.at = now;
        }
        self.count += 1;
        if let Some((_, verdicts)) = self.shapes.iter_mut().find(|(known, _)| known.is(shape, reads)) {
            verdicts.insert(need.clone(), verdict);
            return;
        }
        let known = KnownShape {
            timed: reads.now,
            kind: reads.kind.then(|| shape.kind.to_owned()),
            has_where: reads.has_where.then_some(shape.has_where),
            tables: reads.tables.then_some(shape.tables),
        };
        self.shapes.push((known, HashMap::from([(need.clone(), verdict)])));
    }
}
