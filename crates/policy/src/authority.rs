//! One session's view of the policies: ask Cedar once, then remember.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, PolicySet as CedarSet,
    Request,
};
use chaperone_model::{
    Action, Class, Classification, Facts, Masks, Need, Principal, Refusal, Rung, SessionId, SqlState, StatementId,
    TableName,
};

use crate::decision::{Decision, Denial, Permit};
use crate::memory::Remembered;
use crate::request::{Asker, Broken, Classes, Shape, groups};
use crate::schema::{self, Ask};
use crate::set::{PolicyId, PolicySet};
use crate::slice::Slice;
use crate::words;

/// What the policies say to one session: its principal, on its connection.
///
/// It asks Cedar once for each thing that could change the answer and remembers; a change of the policies means a new
/// `Authority` over the new set.
pub struct Authority {
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) classification: Arc<Classification>,
    pub(crate) principal: Principal,
    pub(crate) asker: Result<Asker, Broken>,
    pub(crate) connection: String,
    /// Tables whose redacted form is forbidden too, with the policies that say so; filled by `masks`.
    pub(crate) withheld: BTreeMap<TableName, Vec<PolicyId>>,
    /// The tables whose columns `masks` has seen.
    pub(crate) masked: BTreeSet<TableName>,
    /// What `masks` last answered: every permit carries it. Empty before, so that everything is redacted.
    pub(crate) vector: Arc<Masks>,
    /// What the tables hold whose live columns `masks` has seen.
    pub(crate) held: HashMap<TableName, Classes>,
    session: SessionId,
    version: Arc<str>,
    pub(crate) agent: EntityUid,
    pub(crate) groups: Vec<EntityUid>,
    slices: [OnceLock<Slice>; Ask::ALL.len()],
    remembered: Remembered,
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
    /// These policies may forbid it, depending on how many rows are expected, which nobody knows.
    Unestimated(Arc<[PolicyId]>),
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
            asker: Asker::new(principal, connection),
            connection: connection.to_owned(),
            agent: schema::agent(principal),
            groups: groups(principal).collect(),
            principal: principal.clone(),
            policies,
            session,
            classification,
            withheld: BTreeMap::new(),
            masked: BTreeSet::new(),
            vector: Arc::default(),
            held: HashMap::new(),
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
                let denied = [(&need, verdict)];
                let refusal = words::refusal(self, &denied, &self.advice(&denied, None, now));
                Err(Refusal { code: SqlState::INVALID_AUTHORIZATION, ..refusal })
            }
        }
    }

    /// May this statement run at `now` (seconds since the Unix epoch)? Every need must be permitted; a statement that
    /// needs nothing needs `connect`. A policy that fails denies.
    ///
    /// On a connection that declares no PHI tables are not resolved, so each need is decided on the connection.
    ///
    /// It decides without an estimate of rows: for a statement of which a policy [wants](Authority::wants_estimate) one,
    /// call [`decide_estimated`](Authority::decide_estimated).
    pub fn decide(&mut self, statement: StatementId, facts: &Facts, now: i64) -> Decision {
        self.decide_estimated(statement, facts, now, None)
    }

    /// As [`decide`](Authority::decide), where the database expects the statement to yield or change so many rows: its
    /// own estimate (`EXPLAIN`) of the statement rewritten with *everything* redacted, so that the number tells nothing
    /// of what is hidden. `None` where it could not be had: a permit that reads it then does not apply, and where a
    /// forbid that reads it concerns the statement, the statement is denied.
    pub fn decide_estimated(
        &mut self,
        statement: StatementId,
        facts: &Facts,
        now: i64,
        estimated_rows: Option<u64>,
    ) -> Decision {
        if statement.session != self.session {
            return Decision::Deny(words::wrong_session());
        }
        let connect = [Need { action: Action::Connect, table: None }];
        let needs = if facts.needs.is_empty() { &connect[..] } else { &facts.needs };
        let reads_classes = needs.iter().any(|need| self.slice(Ask::Act(need.action)).reads.classes);
        let shape = Shape {
            kind: &facts.kind,
            has_where: facts.has_where,
            tables: tables(needs),
            classes: if reads_classes { self.classes(needs) } else { Classes::default() },
            estimated_rows: estimated_rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)),
        };

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
        // other actions' policies may read what those of this statement do not
        let shape = Shape { classes: self.classes(needs), ..shape };
        let advice = self.advice(&denied, Some(&shape), now);
        let mut policies: Vec<PolicyId> = denied.iter().flat_map(|(_, v)| v.policies()).cloned().collect();
        policies.sort();
        policies.dedup();
        Decision::Deny(Denial { refusal: words::refusal(self, &denied, &advice), policies, near: advice.near })
    }

    /// Whether a policy that concerns the statement reads how many rows the database expects: only then is it worth
    /// asking the database.
    pub fn wants_estimate(&self, facts: &Facts) -> bool {
        if !self.policies.reads_estimates() {
            return false;
        }
        let Ok(asker) = &self.asker else { return false };
        facts.needs.iter().any(|need| {
            let slice = self.slice(Ask::Act(need.action));
            slice.reads.estimated_rows
                && slice.about(&self.policies, &asker.resource(self.table(need))).reads().estimated_rows
        })
    }

    /// The verdict on one need, from memory where nothing that it depends on has changed.
    fn verdict(&mut self, need: &Need, shape: &Shape<'_>, now: i64) -> Verdict {
        let reads = self.slice(Ask::Act(need.action)).reads;
        if let Some(verdict) = self.remembered.get(need, shape, reads, now) {
            return verdict;
        }
        let verdict = match self.refused_table(need) {
            Some(verdict) => verdict,
            None => self.ask(need, Some(shape), now),
        };
        self.remembered.put(need, shape, reads, now, verdict.clone());
        verdict
    }

    /// Reading a table whose redacted form is forbidden, by the name of that rung.
    pub(crate) fn refused_table(&self, need: &Need) -> Option<Verdict> {
        let table = need.table.as_ref().filter(|_| need.action == Action::Select)?;
        let Classification::Tables(tables) = &*self.classification else { return None };
        if let Some(policies) = self.withheld.get(table) {
            return Some(Verdict::Forbidden(policies.as_slice().into()));
        }
        // a forbid that nobody has compared with the table's columns yet: whoever forgot must not open it
        let unseen = tables.contains_key(table) && !self.masked.contains(table);
        (unseen && self.slice(Ask::Read(Rung::Redacted)).forbids).then(|| Verdict::Failed([].into()))
    }

    /// The table that a need is decided on; else it is the connection.
    pub(crate) fn table<'n>(&self, need: &'n Need) -> Option<&'n TableName> {
        match &*self.classification {
            Classification::NoPhi => None,
            Classification::Tables(_) => need.table.as_ref().filter(|_| need.action != Action::Connect),
        }
    }

    /// The classes that the tables of a statement hold.
    fn classes(&self, needs: &[Need]) -> Classes {
        let Classification::Tables(tables) = &*self.classification else { return Classes::default() };
        let unknown = Classes::of([Class::Unknown]);
        let mut all = Classes::default();
        for need in needs.iter().filter(|need| need.action != Action::Connect) {
            let Some(table) = &need.table else {
                all = all.and(unknown);
                continue;
            };
            let classes = match (self.held.get(table), tables.get(table)) {
                (Some(classes), _) => *classes,
                (None, Some(classes)) => Classes::of(classes.columns.values().copied()),
                (None, None) if matches!(&*table.schema, "pg_catalog" | "information_schema") => Classes::default(),
                (None, None) => unknown,
            };
            all = all.and(classes);
        }
        all
    }

    /// Asks Cedar whether `need` is permitted.
    pub(crate) fn ask(&self, need: &Need, shape: Option<&Shape<'_>>, now: i64) -> Verdict {
        match &self.asker {
            Ok(asker) => self.ask_as(asker, need, shape, now),
            Err(Broken(_)) => Verdict::Failed([].into()),
        }
    }

    /// The same for a principal that differs from this session's in what a token can say beside its name and groups.
    pub(crate) fn ask_as(&self, asker: &Asker, need: &Need, shape: Option<&Shape<'_>>, now: i64) -> Verdict {
        let ask = Ask::Act(need.action);
        let (slice, table) = (self.slice(ask), self.table(need));
        let resource = asker.resource(table);
        let about = slice.about(&self.policies, &resource);
        if about.is_empty() {
            return Verdict::Unmentioned;
        }
        let shape = shape.filter(|_| need.action != Action::Connect);
        // what reads the estimate and is not known to hold must not be taken for a forbid that does not
        if shape.is_some_and(|shape| shape.estimated_rows.is_none()) {
            let waiting = about.rules().filter(|rule| rule.forbids() && rule.reads.estimated_rows);
            let waiting: Vec<PolicyId> = waiting.map(|rule| rule.id.clone()).collect();
            if !waiting.is_empty() {
                return Verdict::Unestimated(waiting.into());
            }
        }
        match (asker.entities_with(table), asker.context(now, shape, about.reads())) {
            (Ok(entities), Ok(context)) => {
                self.is_authorized(ask, resource.uid, &slice.set(&about), &entities, context)
            }
            _ => Verdict::Failed([].into()),
        }
    }

    /// Asks Cedar about a column.
    pub(crate) fn ask_column(
        &self,
        ask: Ask,
        column: (&TableName, &str, Class),
        entities: &Entities,
        context: &Context,
    ) -> Verdict {
        let Ok(asker) = &self.asker else { return Verdict::Failed([].into()) };
        let (slice, resource) = (self.slice(ask), asker.column(column));
        let about = slice.about(&self.policies, &resource);
        if about.is_empty() {
            return Verdict::Unmentioned;
        }
        self.is_authorized(ask, resource.uid, &slice.set(&about), entities, context.clone())
    }

    /// Asks Cedar. This is the only place that does.
    fn is_authorized(
        &self,
        ask: Ask,
        resource: EntityUid,
        policies: &CedarSet,
        entities: &Entities,
        context: Context,
    ) -> Verdict {
        // not compared with the schema, since what no policy reads is left out: a test does that for what is not
        let request = Request::new(self.agent.clone(), ask.uid(), resource, context, None);
        let Ok(request) = request else { return Verdict::Failed([].into()) };
        let response = Authorizer::new().is_authorized(&request, policies, entities);
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
        self.remembered.len()
    }

    /// Forgets every verdict: what is withheld may have changed.
    pub(crate) fn forget(&mut self) {
        self.remembered = Remembered::default();
    }

    pub(crate) fn slice(&self, ask: Ask) -> &Slice {
        let new = || Slice::new(&self.policies, ask, &self.agent, &self.groups);
        match self.slices.get(ask.ordinal()) {
            Some(slice) => slice.get_or_init(new),
            None => unreachable!("there is a place for each"),
        }
    }
}

impl Verdict {
    pub(crate) fn policies(&self) -> &[PolicyId] {
        match self {
            Verdict::Permitted(p) | Verdict::Forbidden(p) | Verdict::Failed(p) | Verdict::Unestimated(p) => p,
            Verdict::Unmentioned => &[],
        }
    }
}

/// How many tables a statement touches.
fn tables(needs: &[Need]) -> i64 {
    let tables = match needs {
        [] | [_] => needs.iter().filter(|need| need.table.is_some()).count(),
        needs => needs.iter().filter_map(|need| need.table.as_ref()).collect::<BTreeSet<_>>().len(),
    };
    i64::try_from(tables).unwrap_or(i64::MAX)
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
