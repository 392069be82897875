//! decide: what policy says of a statement, and what masks apply to the session.

mod inside;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chaperone_analysis::{Named, Prepares, Returns, Rewritten, Statements, Temporaries};
use chaperone_evidence::{AuthorityChanged, Op, Ruling, Statement, Verdict};
use chaperone_model::{
    Action, Effects, Facts, Need, Principal, Refusal, SessionId, SqlState, StatementId, TableClasses, TableName,
};
use chaperone_policy::{Authority, Decision, Permit, PolicySet};
use tokio::sync::watch;

use crate::catalogs::Numbered;
use crate::connection::{Classified, Connection};
use crate::cursors::{self, Cursors};
use crate::end::End;
use crate::estimate::{Estimated, Estimating};
use crate::lasting::Lasting;
use crate::made::{self, Made};
use crate::minter::Plan;
use crate::own::Own;
use crate::rewrite::{self, Permitted, Text};
use crate::running::Meant;
use crate::shield::Shield;

/// One session's judge.
pub(crate) struct Judge {
    pub(crate) session: SessionId,
    principal: Arc<Principal>,
    pub(crate) connection: Arc<Connection>,
    policies: watch::Receiver<Arc<PolicySet>>,
    classified: Classified,
    authority: Authority,
    shield: Option<Shield>,
    /// How many rows the database expects of the text that is judged next.
    estimated: Option<Estimated>,
    /// It decides or masks by something else than what is on record.
    has_news: bool,
    /// The catalog looks names up in other schemas than the session does.
    pub(crate) has_lost_path: bool,
    next_ordinal: u64,
    lasting: Lasting,
    pub(crate) made: Made,
    own: Own,
    pub(crate) cursors: Cursors,
    /// Statements of the protocol have names, which `EXECUTE` could give.
    pub(crate) names_of_protocol: bool,
    /// Portals bound by the protocol have columns that are not the agent's; `FETCH` would show them.
    pub(crate) hidden_portals: bool,
}

/// What is to become of a text.
pub(crate) enum Judged {
    /// It may run.
    Run(Cleared),
    /// It may not.
    Refused(Box<Refusal>),
    /// Nobody can tell what it is: our parser does not read it. The database will not either, and says so in its own
    /// words where nothing is protected.
    Unreadable(Box<Refusal>),
}

/// Why a statement may not run, and what the record says of that.
pub(crate) type Refused = (Refusal, Ruling);

/// A text that may run.
pub(crate) struct Cleared {
    pub(crate) text: Text,
    pub(crate) permitted: Permitted,
    pub(crate) effects: Effects,
    /// The facts of its first statement; a prepared statement has no second.
    pub(crate) facts: Option<Arc<Facts>>,
    /// How many rows the database expects of that, if a policy wanted to know.
    pub(crate) estimate: Option<u64>,
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.connection.catalogs.leave(self.session);
    }
}

impl Judge {
    /// The judge of a session whose principal may connect.
    pub(crate) fn new(
        session: SessionId,
        principal: Arc<Principal>,
        connection: Arc<Connection>,
        mut policies: watch::Receiver<Arc<PolicySet>>,
    ) -> Result<Self, Refusal> {
        let current = policies.borrow_and_update().clone();
        let classified = connection.classified();
        let classification = classified.classification.clone();
        let authority = Authority::new(current, session, &principal, &connection.name, classification);
        authority.connect(now())?;
        Ok(Judge {
            session,
            principal,
            connection,
            policies,
            classified,
            authority,
            shield: None,
            estimated: None,
            has_news: false,
            has_lost_path: false,
            next_ordinal: 1,
            lasting: Lasting::default(),
            made: Made::default(),
            own: Own::default(),
            cursors: Cursors::default(),
            names_of_protocol: false,
            hidden_portals: false,
        })
    }

    /// Puts masks in place, from the live catalog.
    pub(crate) fn shield(&mut self, catalog: Numbered) {
        if let Some(tables) = self.classified.tables() {
            let generation = self.shield.as_ref().map_or(1, |shield| shield.generation() + 1);
            let masking = self.connection.masking.clone();
            let shield = Shield::new(catalog, tables.clone(), masking, &mut self.authority, now(), generation);
            self.has_news |= self.shield.as_ref().is_some_and(|before| before.masks != shield.masks);
            self.shield = Some(shield);
        }
    }

    /// Whether masks apply.
    pub(crate) fn is_shielded(&self) -> bool {
        self.classified.tables().is_some()
    }

    pub(crate) fn masks(&self) -> Option<&chaperone_model::Masks> {
        self.shield.as_ref().map(|shield| &*shield.masks)
    }

    /// What the session's own role must be able to do, where it has one.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        let minter = self.connection.minter.as_ref()?;
        Some(self.shield.as_ref().map_or_else(|| minter.plan(None), |shield| shield.plan(minter)))
    }

    /// The policies that let the principal connect.
    pub(crate) fn connects_by(&self) -> Vec<chaperone_policy::PolicyId> {
        self.authority.connect(now()).unwrap_or_default()
    }

    /// The settings by which the session makes its tokens. Secret.
    pub(crate) fn token_settings(&self) -> Vec<(String, String)> {
        let (Some(masks), Some(tables)) = (self.masks(), self.classified.tables()) else { return Vec::new() };
        self.connection.masking.settings(masks, tables)
    }

    /// The setting by which names mean in the session what they mean in the catalog. A change of what a role has by default, or
    /// of the server's configuration, would else reach one of them and not the other.
    pub(crate) fn path_setting(&self) -> Option<(String, String)> {
        self.shield.as_ref().map(|shield| ("search_path".to_owned(), shield.catalog.path_setting()))
    }

    /// The tables that are classified; none where nothing is protected.
    pub(crate) fn tables(&self) -> Arc<BTreeMap<TableName, TableClasses>> {
        self.classified.tables().cloned().unwrap_or_default()
    }

    /// By what the session is decided and masked from here on, where that is not on record yet.
    pub(crate) fn news(&mut self) -> Option<AuthorityChanged> {
        std::mem::take(&mut self.has_news).then(|| AuthorityChanged {
            abridged: false,
            classification: self.classification_version(),
            masks: self.masks().cloned(),
            policy: self.policy_version(),
        })
    }

    pub(crate) fn classification_version(&self) -> String {
        self.classified.version.to_string()
    }

    pub(crate) fn policy_version(&self) -> String {
        self.authority.policy_version().to_owned()
    }

    /// The generation of the session's protection; 0 where nothing is protected.
    pub(crate) fn generation(&self) -> u64 {
        self.shield.as_ref().map_or(0, |shield| shield.generation())
    }

    /// Looks whether the catalog was replaced, and puts the masks anew if so.
    ///
    /// # Errors
    /// The catalog is too old to mask by.
    pub(crate) fn refresh(&mut self) -> Result<(), Refusal> {
        let Some(shield) = &self.shield else { return Ok(()) };
        match self.connection.catalogs.latest() {
            Some(latest) if latest.number == shield.number && shield.is_of(now()) => Ok(()),
            // the database goes on by the path that the session began with
            Some(latest) if latest.catalog.path() != &*shield.path => {
                self.has_lost_path = true;
                Err(Refusal {
                    code: SqlState::FEATURE_NOT_SUPPORTED,
                    rule: "masking.path",
                    message: "names are looked up in other schemas since this session began".to_owned(),
                    detail: "the search path that the database's role has by default was changed".to_owned(),
                    hint: "connect again".to_owned(),
                })
            }
            Some(latest) => {
                self.shield(latest);
                Ok(())
            }
            None => Err(Refusal {
                code: SqlState::SYSTEM_ERROR,
                rule: "masking.catalog",
                message: "the database's catalog is not known well enough to mask by".to_owned(),
                detail: "the gateway could not read it for a while".to_owned(),
                hint: "try again in a moment; if it stays, tell the gateway's operator".to_owned(),
            }),
        }
    }

    /// Whether policies or classification were replaced since they were last looked at.
    pub(crate) fn is_stale(&self) -> bool {
        let classified = self.connection.classified();
        self.policies.has_changed().unwrap_or(false)
            || !Arc::ptr_eq(&classified.classification, &self.classified.classification)
    }

    /// The policies were replaced: decides anew whether the session may go on, and its masks.
    pub(crate) fn reconsider(&mut self) -> Result<(), End> {
        let current = self.policies.borrow_and_update().clone();
        self.classified = self.connection.classified();
        self.authority = Authority::new(
            current,
            self.session,
            &self.principal,
            &self.connection.name,
            self.classified.classification.clone(),
        );
        self.authority.connect(now()).map_err(|_| End::Revoked)?;
        self.has_news = true;
        self.lasting.policies_changed();
        if let Some(shield) = self.shield.take() {
            let catalog = shield.known_by();
            self.shield = Some(shield);
            self.shield(catalog);
        }
        Ok(())
    }

    /// A number for the next statement.
    pub(crate) fn ordinal(&mut self) -> u64 {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        ordinal
    }

    /// Whether any policy could want to know how many rows the database expects.
    pub(crate) fn asks_for_estimates(&self) -> bool {
        self.is_shielded() && self.policies.borrow().reads_estimates()
    }

    /// What the database must be asked before a text can be judged, if a policy wants to know how many rows it expects.
    pub(crate) fn wants_estimates(&self, text: &str) -> Option<Estimating> {
        let shield = self.shield.as_ref().filter(|_| self.asks_for_estimates())?;
        if self.estimated.as_ref().is_some_and(|estimated| estimated.text == text) {
            return None;
        }
        let statements = self.parsed(text).ok()?;
        let wanted = |i: usize| self.authority.wants_estimate(&self.facts(&statements, i));
        let asked: Vec<Option<String>> = (0..statements.len())
            .map(|i| wanted(i).then(|| shield.redacted(&statements, i, &self.own.temporaries)).flatten())
            .collect();
        asked.iter().any(Option::is_some).then(|| Estimating::ask(&self.connection, text, asked))
    }

    /// The answer to that: for the next judgement of this text.
    pub(crate) fn estimated(&mut self, estimated: Estimated) {
        self.estimated = Some(estimated);
    }

    /// Judges a text: each of its statements gets a line for the record; all must be permitted for any to run.
    pub(crate) fn text(&mut self, text: &str, op: Op) -> (Vec<Statement>, Judged) {
        if let Err(refusal) = self.refresh() {
            return self.unreadable(op, refusal);
        }
        let statements = match self.parsed(text) {
            Ok(statements) => statements,
            Err(refusal) => return self.unreadable(op, refusal),
        };
        if let Some(shield) = &self.shield {
            self.own.renew(shield, &self.connection.analyser);
        }
        let estimates = self.estimated.take().filter(|estimated| estimated.text == text);
        let estimate = |i: usize| estimates.as_ref().and_then(|estimates| estimates.rows.get(i).copied().flatten());
        let mut lines = Vec::with_capacity(statements.len());
        let mut permits = Vec::with_capacity(statements.len());
        let mut effects = Effects::None;
        let mut refused = None;
        let (mut prepared, mut executed) = (Vec::new(), Vec::new());
        for i in 0..statements.len() {
            let ordinal = self.ordinal();
            if self.is_shielded()
                && let Some(prepares) = statements.prepares(i)
            {
                match prepares {
                    Prepares::Prepare(_) if self.made.is_full() => _ = refused.get_or_insert(made::too_many()),
                    Prepares::Prepare(name) => prepared.push((i, ordinal, name)),
                    Prepares::Execute(name) => {
                        executed.push(name);
                        if let Err(refusal) = self.executes(name) {
                            refused.get_or_insert(refusal);
                        }
                    }
                }
            }
            let facts = self.lasting.facts(self.facts(&statements, i), self.is_shielded());
            if let Some(shield) = &self.shield
                && let Err(refusal) = self.own.note(&statements, i, &facts, shield)
            {
                refused.get_or_insert(refusal);
            }
            if facts.effects == Effects::Possible {
                effects = Effects::Possible;
            }
            let mut line = Statement {
                id: ordinal,
                op,
                normalized: Some(statements.normalized(i).to_owned()),
                fingerprint: Some(statements.fingerprint(i)),
                estimated_rows: estimate(i),
                ..Statement::default()
            };
            let id = StatementId { session: self.session, ordinal };
            let decision = self.authority.decide_estimated(id, &facts, now(), estimate(i));
            if let Some(refusal) = self.lasting.refuses(&facts).filter(|_| self.is_shielded()) {
                refused.get_or_insert(refusal);
            }
            if self.hidden_portals && matches!(&*facts.kind, "FETCH" | "MOVE") {
                refused.get_or_insert(portals());
            }
            if self.cursors.is_full() && facts.kind == "DECLARE CURSOR" {
                refused.get_or_insert(cursors::too_many());
            }
            if matches!(decision, Decision::Allow(_)) {
                self.lasting.outlives(op, &facts);
            }
            line.facts = Some(facts.into_owned());
            match decision {
                Decision::Allow(permit) => {
                    line.decision = Ruling::allowed(permit.policies());
                    permits.push(permit);
                }
                Decision::Deny(denial) => {
                    line.decision = Ruling::denied(&denial.policies, &denial.refusal);
                    refused.get_or_insert(denial.refusal);
                }
            }
            lines.push(line);
        }
        let escaped = if refused.is_none() { self.escaped(text, &mut effects) } else { Ok(()) };
        let rewritten = match (refused, escaped) {
            (Some(refusal), _) | (None, Err(refusal)) => Err(refusal),
            (None, Ok(())) => rewrite::text(&statements, permits, self.shield.as_ref(), &mut self.own),
        };
        let rewritten = rewritten.and_then(|text| self.fetches(&text.0.meant).map(|()| text));
        // what this text itself fills may be masks by the time that it executes something
        let rewritten =
            rewritten.and_then(|text| executed.iter().try_for_each(|name| self.executes(name)).map(|()| text));
        if let (Ok((ran, _)), Some(shield)) = (&rewritten, &self.shield) {
            for (i, ordinal, name) in prepared {
                // the same masks as just now, so this cannot fail
                if let Ok(Rewritten { text: run, output, .. }) =
                    shield.rewrite(&statements, i, &shield.masks, &self.own.temporaries)
                    && let Some(inside) = output.inside
                    && let Some(meant) = ran.meant.get(i).cloned()
                {
                    let (text, generation) = (statements.text(i).to_owned(), shield.generation());
                    self.made
                        .add(name, made::Statement { ordinal, text, run, returns: inside.returns, generation, meant });
                }
            }
        }
        match rewritten {
            Ok((text, permitted)) => {
                for line in &mut lines {
                    line.rewritten = text.run.is_some();
                }
                let facts = (!statements.is_empty()).then(|| Arc::new(self.facts(&statements, 0).into_owned()));
                (lines, Judged::Run(Cleared { text, permitted, effects, facts, estimate: estimate(0) }))
            }
            Err(refusal) => {
                // the line that was denied says so already; a refusal of masking concerns the text as a whole
                if lines.iter().all(|line| line.decision.verdict == Verdict::Allow)
                    && let Some(line) = lines.first_mut()
                {
                    line.decision = Ruling::refused(&refusal);
                }
                (lines, Judged::Refused(Box::new(refusal)))
            }
        }
    }

    /// Whether what `EXECUTE` names may run as it was prepared.
    fn executes(&mut self, name: &str) -> Result<(), Refusal> {
        // the database has one space of names, and it cannot be told which of the two it means
        if self.names_of_protocol {
            return Err(made::of_the_protocol());
        }
        let Some(shield) = &self.shield else { return Ok(()) };
        for statement in self.made.named(name).iter_mut().filter(|known| known.generation != shield.generation()) {
            let statements = self.connection.analyser.analyse(&statement.text)?;
            let again = shield.rewrite(&statements, 0, &shield.masks, &self.own.temporaries)?;
            if again.text != statement.run {
                return Err(made::outdated());
            }
            statement.meant = shield.meant(&statements, 0, &shield.masks, &self.own.temporaries, &again);
            // the columns of a name can be others by now
            statement.returns = again.output.inside.map_or(Returns::NoRows, |inside| inside.returns);
            statement.generation = shield.generation();
        }
        Ok(())
    }

    /// Whether what `FETCH` and `MOVE` name is what was declared: a function in it may have become another.
    fn fetches(&self, sent: &[Arc<Meant>]) -> Result<(), Refusal> {
        let Some(shield) = &self.shield else { return Ok(()) };
        let named = sent.iter().flat_map(|meant| match &meant.output.returns {
            Returns::Named(Named::Cursor(name)) => self.cursors.meant(Some(name)),
            _ if meant.moves() => self.cursors.meant(None),
            _ if meant.commits() => self.cursors.filled_by_commit(),
            _ => Vec::new(),
        });
        let known_by = shield.known_by();
        match { named }.all(|declared| declared.holds(&known_by)) {
            true => Ok(()),
            false => Err(cursors::outdated()),
        }
    }

    /// What was sent earlier is run by its name: whether it still holds is better known now than when its answer is here.
    pub(crate) fn looks_again(&self, meant: &Meant) {
        if let Some(shield) = &self.shield {
            meant.holds(&shield.known_by());
        }
    }

    /// What the session's own views show.
    pub(crate) fn views(&self) -> impl Iterator<Item = &Arc<Meant>> {
        // those that are closed by now show nothing
        let number = self.shield.as_ref().map_or(0, |shield| shield.number);
        self.own.views().filter(move |meant| meant.is_known_until(number))
    }

    fn parsed(&self, text: &str) -> Result<Arc<Statements>, Refusal> {
        match self.is_shielded() {
            // what is rewritten must be this very text
            true => self.connection.analyser.analyse(text),
            false => self.connection.analyser.shape_of(text),
        }
    }

    /// Where nothing is protected the agent may set `standard_conforming_strings` off, and then a backslash changes
    /// where a string ends. A text that could be read both ways needs the permissions of both readings.
    fn escaped(&mut self, text: &str, effects: &mut Effects) -> Result<(), Refusal> {
        if self.is_shielded() || !text.contains('\\') {
            return Ok(());
        }
        let statements = match chaperone_analysis::parse_escaped(text) {
            Ok(statements) => statements,
            // a text that cannot be read this way cannot be run this way
            Err(refusal) if refusal.rule == chaperone_analysis::UNTERMINATED => return Ok(()),
            // but it could be too long for us alone, or in the grammar of an older server
            Err(refusal) => {
                *effects = Effects::Possible;
                let id = StatementId { session: self.session, ordinal: self.next_ordinal };
                return match self.authority.decide(id, &anything(), now()) {
                    Decision::Allow(_) => Ok(()),
                    Decision::Deny(_) => Err(refusal),
                };
            }
        };
        for i in 0..statements.len() {
            let facts = statements.facts(i);
            if facts.effects == Effects::Possible {
                *effects = Effects::Possible;
            }
            let id = StatementId { session: self.session, ordinal: self.next_ordinal };
            if let Decision::Deny(denial) = self.authority.decide(id, facts, now()) {
                return Err(denial.refusal);
            }
        }
        Ok(())
    }

    /// A text that the database may read in another way than we do could be anything.
    pub(crate) fn ambiguous(&mut self, op: Op) -> (Vec<Statement>, Judged) {
        self.unreadable(op, Refusal {
            code: SqlState::FEATURE_NOT_SUPPORTED,
            rule: "analysis.encoding",
            message: "the statement cannot be read with certainty".to_owned(),
            detail: "a backslash follows a character that is not ASCII, and an earlier message that is not answered may \
                     change the client encoding"
                .to_owned(),
            hint: "send it when everything before it is answered".to_owned(),
        })
    }

    /// A text that we cannot read could be anything, so it needs every permission there is; where something is
    /// protected it cannot be masked, and is refused.
    fn unreadable(&mut self, op: Op, refusal: Refusal) -> (Vec<Statement>, Judged) {
        let ordinal = self.ordinal();
        let mut line = Statement { id: ordinal, op, ..Statement::default() };
        if self.is_shielded() {
            line.decision = Ruling::refused(&refusal);
            return (vec![line], Judged::Refused(Box::new(refusal)));
        }
        let facts = anything();
        let judged = match self.authority.decide(StatementId { session: self.session, ordinal }, &facts, now()) {
            Decision::Allow(permit) => {
                line.decision = Ruling::allowed(permit.policies());
                let (text, permitted) = rewrite::as_sent(permit);
                Judged::Run(Cleared {
                    text,
                    permitted,
                    effects: Effects::Possible,
                    facts: Some(Arc::new(facts.clone())),
                    estimate: None,
                })
            }
            Decision::Deny(_) => {
                line.decision = Ruling::refused(&refusal);
                Judged::Unreadable(Box::new(refusal))
            }
        };
        line.facts = Some(facts);
        (vec![line], judged)
    }

    /// Judges a run of a statement whose text was judged when it was prepared. `None` facts: it was prepared by SQL.
    pub(crate) fn run(
        &mut self,
        ordinal: u64,
        facts: Option<&Facts>,
        estimate: Option<u64>,
    ) -> Result<(Permit, Ruling), Box<Refused>> {
        let id = StatementId { session: self.session, ordinal };
        let unknown;
        let facts = match facts {
            Some(facts) => facts,
            None => {
                unknown = Facts {
                    kind: "EXECUTE".to_owned(),
                    needs: Vec::new(),
                    has_where: false,
                    effects: Effects::Possible,
                };
                &unknown
            }
        };
        if let Some(refusal) = self.lasting.refuses(facts).filter(|_| self.is_shielded()) {
            let ruling = Ruling::refused(&refusal);
            return Err(Box::new((refusal, ruling)));
        }
        let facts = self.lasting.facts(Cow::Borrowed(facts), self.is_shielded());
        match self.authority.decide_estimated(id, &facts, now(), estimate) {
            Decision::Allow(permit) => {
                let ruling = Ruling::allowed(permit.policies());
                Ok((permit, ruling))
            }
            Decision::Deny(denial) => {
                let ruling = Ruling::denied(&denial.policies, &denial.refusal);
                Err(Box::new((denial.refusal, ruling)))
            }
        }
    }

    fn facts<'s>(&self, statements: &'s Statements, i: usize) -> Cow<'s, Facts> {
        self.facts_within(statements, i, &self.own.temporaries)
    }

    fn facts_within<'s>(&self, statements: &'s Statements, i: usize, temporaries: &Temporaries) -> Cow<'s, Facts> {
        let mut facts = match &self.shield {
            None => Cow::Borrowed(statements.facts(i)),
            Some(shield) => Cow::Owned(shield.facts(statements, i, temporaries)),
        };
        // `EXPLAIN ANALYZE EXECUTE` runs what was prepared
        if facts.kind == "EXPLAIN" && facts.effects == Effects::None {
            facts.to_mut().effects = Effects::Possible;
        }
        facts
    }
}

/// `FETCH` by SQL while portals of the protocol are open whose rows have more columns than the agent asked for.
fn portals() -> Refusal {
    Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "subjects.portal",
        message: "FETCH and MOVE cannot be mixed with named portals of the protocol here".to_owned(),
        detail: "whose rows such a portal returns is kept on record by columns that would show".to_owned(),
        hint: "fetch from it by `Execute`, or close it first".to_owned(),
    }
}

/// What a function-call message needs.
pub(crate) fn function_call() -> Facts {
    Facts {
        kind: "FUNCTION CALL".to_owned(),
        needs: vec![Need { action: Action::Call, table: None }],
        has_where: false,
        effects: Effects::Possible,
    }
}

/// What a text needs that could be anything.
pub(crate) fn anything() -> Facts {
    let all = [Action::Select, Action::Insert, Action::Update, Action::Delete, Action::Call, Action::Ddl, Action::Copy];
    Facts {
        kind: "UNREADABLE".to_owned(),
        needs: all.into_iter().map(|action| Need { action, table: None }).collect(),
        has_where: false,
        effects: Effects::Possible,
    }
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_secs()).ok()).unwrap_or(i64::MAX)
}
