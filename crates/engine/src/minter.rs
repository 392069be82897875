//! A database role for each session: made when it opens, of no use to anybody else, gone when it ends.
//!
//! ```text
//!  mint ── make the role ─► log in ─► disarm: no log-in, no password ─► the session runs ─► end: close what is left, drop
//!             │ member of                                                    │ masks change
//!             └► its profile, one for each set of masks  ◄───────────────────┘ moves to another
//! ```
//! A password lives in this process for the milliseconds between the first two steps; the database knows its SCRAM verifier
//! alone. What a crash leaves is found by its name ([`names`]) and dropped ([`reconcile`]).

mod keeper;
mod names;
mod plan;
mod profile;
mod reconcile;
mod script;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use chaperone_evidence::{Entry, Ledger};
use chaperone_model::SessionId;
use chaperone_wire::postgres::HEADER;
use chaperone_wire::postgres::backend::{Fields, field};

use self::names::Names;
pub(crate) use self::plan::Plan;
use self::plan::Plans;
pub(crate) use self::reconcile::EVERY;
pub use self::script::script;
use crate::connection::Connection;
use crate::upstream::{self, Control, Credential, CredentialError, OpenLimits, Secret, Upstream, UpstreamError};

/// How long a statement of ours may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a role may be logged in with: the database's own bound, should we be gone before we disarm it.
const ARMED: Duration = Duration::from_secs(60);

/// Bytes of a password; of chance, so that nobody guesses it (NIST SP 800-63B 3.1.2 asks for less).
const PASSWORD: usize = 32;

/// Makes and drops the roles of one connection's sessions.
#[derive(Debug)]
pub(crate) struct Minter {
    names: Names,
    ledger: Ledger,
    plans: Plans,
    /// Session roles that are in use, or about to be: never swept up.
    live: Mutex<BTreeSet<String>>,
    /// To make roles; holds what is known of profiles.
    making: tokio::sync::Mutex<Making>,
    /// To drop them: whoever waits for a backend to end keeps nobody from opening a session.
    dropping: tokio::sync::Mutex<Option<Control>>,
}

#[derive(Debug, Default)]
struct Making {
    control: Option<Control>,
    /// Profiles that this process made.
    profiles: BTreeSet<String>,
    /// What is set for the minter's role.
    settings: Vec<(String, String)>,
    /// Those of an earlier process are gone.
    swept: bool,
}

/// A session's role. Dropped without [`Minted::end`] (the session did not open, or its agent left) it ends all the same.
#[derive(Debug)]
pub(crate) struct Minted {
    connection: Arc<Connection>,
    role: String,
    plan: Arc<Plan>,
    /// The one that it is a member of: what the minter can pass on may be something else by now.
    profile: String,
    /// There is a role to drop, perhaps.
    made: bool,
}

/// Why a session gets no role; then it does not open.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The database cannot be asked.
    #[error("the database does not make a role for the session")]
    Upstream(#[source] UpstreamError),
    /// It does not do what we ask, in its own words: our statements name roles, tables and columns, and hold no data.
    #[error("the database does not make a role for the session: SQLSTATE {code}, {said}")]
    Refused {
        /// Its SQLSTATE.
        code: String,
        /// Its message.
        said: String,
    },
    /// The minter's own credential cannot be had.
    #[error("the minter's credential cannot be had")]
    Credential(#[from] CredentialError),
    /// It does not let the session in: an agent's startup parameter, perhaps.
    #[error("the database does not let the session's role in")]
    LogIn(#[source] UpstreamError),
    /// The role could read what its masks hide.
    #[error("a session's role could read what its masks hide, by a privilege of PUBLIC perhaps: {}", .0.join(", "))]
    Reads(Vec<String>),
    /// There is no chance to be had.
    #[error("no random numbers")]
    Random,
    /// It cannot be put on record.
    #[error("the evidence log cannot be written")]
    Ledger,
}

impl From<UpstreamError> for MintError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Server { code, message } => {
                let fields = Fields::parse(message.get(HEADER..).unwrap_or_default());
                let said = fields
                    .ok()
                    .and_then(|fields| fields.get(field::MESSAGE).map(String::from_utf8_lossy).map(Into::into));
                MintError::Refused { code, said: said.unwrap_or_default() }
            }
            error => MintError::Upstream(error),
        }
    }
}

impl Minter {
    pub(crate) fn new(ledger: Ledger, connection: &str) -> Self {
        Minter {
            names: Names::of(ledger.identity(), connection),
            ledger,
            plans: Plans::default(),
            live: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            dropping: tokio::sync::Mutex::default(),
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // a panic elsewhere cannot leave one insertion half done
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session's connection to the database under a role of its own.
    pub(crate) async fn open(
        &self,
        connection: &Arc<Connection>,
        session: SessionId,
        plan: Arc<Plan>,
        parameters: &[(String, String)],
    ) -> Result<(Upstream, Minted), MintError> {
        let role = self.names.session(&random::<16>()?);
        self.live().insert(role.clone());
        let mut minted = Minted {
            connection: connection.clone(),
            role: role.clone(),
            plan: plan.clone(),
            profile: String::new(),
            made: false,
        };
        let password = Secret::new(hex(&random::<PASSWORD>()?));
        let (profile, startup) = {
            let mut making = self.making.lock().await;
            let profile = self.profile(&mut making, connection, &plan).await?;
            let made = making.ask(connection, &create(&role, &profile, &password, &plan)).await;
            let visible = match made {
                Ok(rows) => profile::names(rows),
                Err(error) => {
                    // somebody dropped it: the next session makes it again
                    making.profiles.remove(&profile);
                    return Err(error);
                }
            };
            if !visible.is_empty() {
                making.ask(connection, "ROLLBACK").await?;
                return Err(MintError::Reads(visible));
            }
            // from here on whatever goes wrong leaves a role
            minted.made = true;
            minted.profile.clone_from(&profile);
            making.ask(connection, "COMMIT").await?;
            (profile, startup(connection, &making.settings, parameters))
        };
        let entry = Entry::credential_minted(&connection.name, &role, profile, session.to_string());
        self.ledger.note(entry).await.map_err(|_| MintError::Ledger)?;
        let credential = Credential { user: role.clone(), password: Some(password) };
        let opened = upstream::open(&connection.target, &credential, &startup, &OpenLimits::default()).await;
        drop(credential);
        // also when nobody got in: it may not be of use to anybody
        let disarmed = self.making.lock().await.ask(connection, &disarm(&role)).await;
        let upstream = opened.map_err(MintError::LogIn)?;
        disarmed?;
        Ok((upstream, minted))
    }

    /// What a session's role must be able to do.
    pub(crate) fn plan(&self, protection: Option<(&chaperone_analysis::Protection<'_>, &PlanKey)>) -> Arc<Plan> {
        self.plans.of(protection)
    }

    /// Ends what is left of a session's role and drops it; says so on record.
    async fn end(&self, connection: &Connection, role: &str) -> Result<(), MintError> {
        let mut dropping = self.dropping.lock().await;
        let keeper = self.names.keeper();
        let mut kept = dropping.take();
        let dropped = loop {
            let again = kept.is_some();
            let mut control = match kept.take() {
                Some(control) => control,
                None => control(connection).await?,
            };
            match reconcile::drop_session(&mut control, role, &keeper).await {
                Ok(stays) => {
                    *dropping = Some(control);
                    break stays;
                }
                Err(error) if again && is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
        };
        drop(dropping);
        if dropped {
            // there is more to pass on
            self.plans.look_again();
        }
        self.live().remove(role);
        self.ledger.note(Entry::credential_dropped(&connection.name, role)).await.map_err(|_| MintError::Ledger)
    }
}

/// Whose plan it is: the same catalog and the same masks need the same.
pub(crate) type PlanKey = (Arc<chaperone_analysis::Catalog>, Arc<chaperone_model::Masks>);

impl Making {
    async fn ask(&mut self, connection: &Connection, sql: &str) -> Result<Vec<Vec<Option<String>>>, MintError> {
        let kept = self.control.take();
        // a connection that was not asked for a while may be gone: a restart, somebody's timeout. What begins on another
        // one is whole; what ends here is not
        let again = kept.is_some() && !["COMMIT", "ROLLBACK"].contains(&sql);
        let mut asked = match kept {
            Some(kept) => kept,
            None => control(connection).await?,
        };
        let mut answer = asked.query(sql).await;
        if again && matches!(&answer, Err(error) if is_gone(error)) {
            asked = control(connection).await?;
            answer = asked.query(sql).await;
        }
        let rows = answer?;
        // after an error it is dropped, and the transaction that may be open on it
        self.control = Some(asked);
        Ok(rows)
    }
}

impl Minted {
    /// The plan that the role follows now.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Gives the role what another plan needs, and takes what that does not.
    pub(crate) async fn follow(&mut self, plan: Arc<Plan>) -> Result<(), MintError> {
        let Some(minter) = &self.connection.minter else { return Ok(()) };
        let mut making = minter.making.lock().await;
        let profile = minter.profile(&mut making, &self.connection, &plan).await?;
        let moved = making.ask(&self.connection, &moves(&self.role, &self.profile, &profile, &plan)).await;
        let visible = profile::names(moved.inspect_err(|_| {
            making.profiles.remove(&profile);
        })?);
        if !visible.is_empty() {
            making.control = None;
            return Err(MintError::Reads(visible));
        }
        making.ask(&self.connection, "COMMIT").await?;
        self.profile = profile;
        self.plan = plan;
        Ok(())
    }

    /// The session is over: so is its role. What cannot be done now is done later.
    pub(crate) async fn end(mut self) {
        self.made = false;
        let Some(minter) = &self.connection.minter else { return };
        if let Err(error) = minter.end(&self.connection, &self.role).await {
            tracing::warn!(
                connection = self.connection.name,
                role = self.role,
                error = &error as &dyn std::error::Error,
                "the role of a session could not be dropped: it is tried again"
            );
        }
    }
}

impl Drop for Minted {
    fn drop(&mut self) {
        if self.made
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let left = Minted {
                connection: self.connection.clone(),
                role: self.role.clone(),
                plan: self.plan.clone(),
                profile: std::mem::take(&mut self.profile),
                made: true,
            };
            runtime.spawn(left.end());
        } else if let Some(minter) = &self.connection.minter {
            // what is not live is swept up; `end` has removed it already, or failed
            minter.live().remove(&self.role);
        }
    }
}

/// Opens a connection of the minter's own.
async fn control(connection: &Connection) -> Result<Control, MintError> {
    let credential = connection.credential.resolve().await?;
    // in nobody's schema is there a function or an operator that our statements could mean
    let parameters = [("application_name", "chaperone minter"), ("search_path", "pg_catalog")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let opened = upstream::open(&connection.target, &credential, &parameters, &OpenLimits::default()).await?;
    Ok(Control::new(opened, PATIENCE))
}

/// Whether a connection is over, with nothing of it still running.
fn is_gone(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Io(_) | UpstreamError::Closed)
}

/// Makes a role in a transaction that waits for its end; gives what it could read and should not.
fn create(role: &str, profile: &str, password: &Secret, plan: &Plan) -> String {
    let verifier = password.scram_verifier();
    let until = time::OffsetDateTime::from(SystemTime::now() + ARMED);
    let until = until.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    format!(
        "BEGIN; CREATE ROLE {role} LOGIN INHERIT CONNECTION LIMIT 1 PASSWORD '{verifier}' VALID UNTIL '{until}' \
         IN ROLE {profile} ROLE CURRENT_USER; {}",
        plan.reads_too_much(role)
    )
}

/// What a session begins with: bounds of the database's own, should we be gone; what is set for the minter's role; what
/// the agent asks for.
fn startup(
    connection: &Connection,
    settings: &[(String, String)],
    asked: &[(String, String)],
) -> Vec<(String, String)> {
    let bound = |name: &str, most: Duration| (name.to_owned(), millis(most + ARMED).to_string());
    let mut all =
        vec![bound("idle_session_timeout", connection.limits.idle), bound("statement_timeout", connection.limits.age)];
    for (name, value) in settings.iter().chain(asked) {
        all.retain(|(known, _)| known != name);
        all.push((name.clone(), value.clone()));
    }
    all
}

/// After the log-in: nobody can log in with it any more, the session stays.
fn disarm(role: &str) -> String {
    format!("ALTER ROLE {role} NOLOGIN PASSWORD NULL VALID UNTIL '-infinity'")
}

/// From one profile to another, in a transaction that waits for its end; gives what the role could read and should not.
fn moves(role: &str, from: &str, to: &str, plan: &Plan) -> String {
    let moved = if from == to { String::new() } else { format!("GRANT {to} TO {role}; REVOKE {from} FROM {role}; ") };
    format!("BEGIN; {moved}{}", plan.reads_too_much(role))
}

fn millis(duration: Duration) -> i32 {
    // the server's settings are at most that long
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn random<const N: usize>() -> Result<[u8; N], MintError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| MintError::Random)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // a String takes everything
        let _ = write!(text, "{byte:02x}");
        text
    })
}
