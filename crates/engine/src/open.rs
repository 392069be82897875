//! open: may this principal be here, the way to the database, the masks, the record of it.

mod refused;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use bytes::{Bytes, BytesMut};
use chaperone_evidence::{Ledger, SessionOpened};
use chaperone_model::{Principal, Refusal, SessionId, SqlState};
use chaperone_policy::PolicySet;
use chaperone_wire::postgres::backend::{Authentication, TransactionStatus, encode};
use chaperone_wire::postgres::startup::Version;
use chaperone_wire::postgres::{Deframer, options};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use self::refused::{encoding, ledger_down, old_server, reads, replication, unknown, unreachable};
use crate::clock::{Clock, Hard};
use crate::connection::{Classified, Connection, OtherKind};
use crate::decide::{Judge, now};
use crate::follow::Role;
use crate::minter::{EVERY as RECONCILED, MintError, Minter, Plan};
use crate::queue::Intake;
use crate::receive::Receiver;
use crate::registry::{CancelKey, Sessions};
use crate::session::{Session, server_limits};
use crate::upstream::{self, OpenLimits, Upstream, UpstreamError};

/// Everything that sessions share.
#[derive(Debug, Clone)]
pub struct Engine {
    ledger: Ledger,
    policies: watch::Receiver<Arc<PolicySet>>,
    connections: Arc<HashMap<String, Arc<Connection>>>,
    sessions: Sessions,
}

/// An authenticated agent at the door.
#[derive(Debug)]
pub struct Visit {
    /// Who it is.
    pub principal: Principal,
    /// The connection it names: `database` of its startup message.
    pub connection: String,
    /// Its other startup parameters, without `user` and `database`.
    pub parameters: Vec<(String, String)>,
    /// The protocol version that was agreed on.
    pub version: Version,
    /// Its network address.
    pub peer: String,
    /// The TLS version, where there is TLS.
    pub tls: Option<String>,
}

/// A session that is open, not yet running.
pub struct Opened {
    id: SessionId,
    upstream: Upstream,
    role: Role,
    judge: Judge,
    log: chaperone_evidence::SessionLog,
    registered: crate::registry::Registered,
    clock: Clock,
    greeting: Bytes,
}

impl Engine {
    /// An engine over resolved connections.
    pub fn new(
        ledger: Ledger,
        policies: watch::Receiver<Arc<PolicySet>>,
        connections: impl IntoIterator<Item = Connection>,
    ) -> Self {
        let own = |mut connection: Connection| {
            connection.minter = connection.ephemeral.then(|| Minter::new(ledger.clone(), &connection.name));
            (connection.name.clone(), Arc::new(connection))
        };
        let connections = Arc::new(connections.into_iter().map(own).collect());
        Engine { ledger, policies, connections, sessions: Sessions::default() }
    }

    /// The live sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether there is a connection of this name.
    pub fn has_connection(&self, name: &str) -> bool {
        self.connections.contains_key(name)
    }

    /// Keeps the catalogs of classified connections fresh while they have sessions; no answer of theirs goes out without.
    /// Runs until it is dropped.
    pub async fn watch_catalogs(self) {
        let mut watched = tokio::task::JoinSet::new();
        for connection in self.connections.values().filter(|connection| connection.is_protected()).cloned() {
            let sessions = self.sessions.clone();
            watched.spawn(async move { connection.catalogs.watch(&connection, &sessions).await });
        }
        watched.join_all().await;
    }

    /// Drops the database roles that no session has, those that an earlier process left among them. Runs until it is
    /// dropped.
    pub async fn watch_roles(self) {
        loop {
            self.drop_roles().await;
            tokio::time::sleep(RECONCILED).await;
        }
    }

    /// Drops them once.
    pub async fn drop_roles(&self) {
        for connection in self.connections.values() {
            let Some(minter) = &connection.minter else { continue };
            if let Err(error) = minter.reconcile(connection).await {
                tracing::warn!(connection = connection.name, error = chain(&error), "left roles cannot be dropped");
            }
        }
    }

    /// Names of the connections that declare no protected data.
    pub fn unclassified(&self) -> BTreeSet<&str> {
        let unclassified = self.connections.values().filter(|connection| !connection.is_protected());
        unclassified.map(|connection| connection.name.as_str()).collect()
    }

    /// What is declared about the protected data of a connection.
    pub fn classified(&self, connection: &str) -> Option<Classified> {
        self.connections.get(connection).map(|connection| connection.classified())
    }

    /// Declares something else about the protected data of a connection, for this moment on: running sessions see by it
    /// when they are next asked for something. Gives the version that was in force.
    ///
    /// # Errors
    /// [`OtherKind`]; a connection that is not there is none of the same kind either.
    pub fn reclassify(&self, connection: &str, classified: Classified) -> Result<Arc<str>, OtherKind> {
        let connection = self.connections.get(connection).ok_or(OtherKind)?;
        let before = connection.reclassify(classified)?;
        self.sessions.policies_changed();
        Ok(before.version)
    }

    /// The evidence log.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Opens a session: policy, then the database, then the record. Nothing has been said to the agent yet.
    ///
    /// # Errors
    /// In words for the agent: no such connection, not permitted, the database is not reachable, the log cannot be
    /// written; or what the database itself says of a startup parameter.
    pub async fn open(&self, visit: Visit) -> Result<Opened, OpenError> {
        let connection = self.connections.get(&visit.connection).cloned().ok_or_else(|| unknown(&visit.connection))?;
        let id = SessionId::generate();
        let principal = Arc::new(visit.principal);
        let mut judge = Judge::new(id, principal.clone(), connection.clone(), self.policies.clone())?;
        let parameters = parameters(visit.parameters, judge.is_shielded())?;
        if judge.is_shielded() {
            let catalog = connection.catalogs.current(&connection).await.map_err(|error| {
                tracing::error!(connection = connection.name, error = chain(&error), "no catalog, so no session");
                unreachable(&connection.name)
            })?;
            judge.shield(catalog);
        }
        let mut startup = parameters.clone();
        startup.extend(judge.token_settings());
        startup.extend(judge.path_setting());
        let (upstream, role) = match judge.plan() {
            Some(plan) => minted(&connection, id, plan, &startup).await?,
            None => (reach(&connection, &startup).await?, Role::Shared),
        };
        connection
            .check_release(upstream.parameter("server_version"))
            .map_err(|wrong| old_server(&connection.name, wrong))?;
        if judge.is_shielded() && upstream.parameter("client_encoding") != Some("UTF8") {
            return Err(encoding().into());
        }
        let secret = secret(visit.version)?;
        let greeting = greeting(&upstream, &secret).map_err(|_| unreachable(&connection.name))?;
        let opened = SessionOpened {
            abridged: false,
            connection: connection.name.clone(),
            principal: (*principal).clone(),
            peer: visit.peer,
            tls: visit.tls,
            application_name: parameters.iter().find(|(name, _)| name == "application_name").map(|(_, v)| v.clone()),
            policy: judge.policy_version(),
            classification: judge.classification_version(),
            masks: judge.masks().cloned(),
            server_version: upstream.parameter("server_version").map(str::to_owned),
        };
        let (log, recorded) = self.ledger.open_session(id, opened);
        recorded.await.map_err(|_| ledger_down())?;
        let key = CancelKey { pid: upstream.key.pid, secret };
        let registered = self.sessions.register(id, key);
        let clock = clock(&connection.limits, principal.token.expires_at);
        Ok(Opened { id, upstream, role, judge, log, registered, clock, greeting })
    }
}

/// Logs in to the database.
async fn reach(connection: &Connection, parameters: &[(String, String)]) -> Result<Upstream, OpenError> {
    let failed = |error: &dyn std::error::Error| {
        tracing::error!(connection = connection.name, error = chain(error), "the database cannot be reached");
    };
    let credential = connection.credential.resolve().await.map_err(|error| {
        failed(&error);
        unreachable(&connection.name)
    })?;
    upstream::open(&connection.target, &credential, parameters, &OpenLimits::default()).await.map_err(|error| {
        failed(&error);
        not_let_in(connection, error)
    })
}

fn not_let_in(connection: &Connection, error: UpstreamError) -> OpenError {
    match error {
        // about a startup parameter of the agent's; what concerns our own log-in (class 28) is not its business
        UpstreamError::Server { code, message } if !connection.is_protected() && !code.starts_with("28") => {
            OpenError::Server(message)
        }
        _ => OpenError::Refused(Box::new(unreachable(&connection.name))),
    }
}

/// Logs in to the database as a role of the session's own.
async fn minted(
    connection: &Arc<Connection>,
    id: SessionId,
    plan: Arc<Plan>,
    parameters: &[(String, String)],
) -> Result<(Upstream, Role), OpenError> {
    let minter = connection.minter.as_ref().ok_or_else(|| unreachable(&connection.name))?;
    match minter.open(connection, id, plan, parameters).await {
        Ok((upstream, minted)) => Ok((upstream, Role::Own(Box::new(minted)))),
        Err(error) => {
            tracing::error!(connection = connection.name, error = chain(&error), "a session gets no database role");
            Err(match error {
                MintError::LogIn(error) => return Err(not_let_in(connection, error)),
                MintError::Ledger => ledger_down(),
                MintError::Reads(_) => reads(&connection.name),
                MintError::Upstream(_) | MintError::Refused { .. } | MintError::Credential(_) | MintError::Random => {
                    unreachable(&connection.name)
                }
            }
            .into())
        }
    }
}

/// Why a session does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// In our words.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// In the database's: an `ErrorResponse` as it came, where nothing is protected.
    #[error("the database refused the session")]
    Server(Bytes),
}

impl From<Refusal> for OpenError {
    fn from(refusal: Refusal) -> Self {
        OpenError::Refused(Box::new(refusal))
    }
}

impl Opened {
    /// The session's id, for logs.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Greets the agent and runs the session to its end. The greeting holds the server's settings and the secret for
    /// cancel requests, and is the one thing that is not part of the recording: the secret must not be in it.
    pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, mut agent: S) {
        let greeted = async {
            agent.write_all(&self.greeting).await?;
            agent.flush().await
        };
        // when this fails the first read of the session fails too, and ends it
        if let Err(error) = greeted.await {
            tracing::debug!(%error, "the agent left before it was greeted");
        }
        let limit = self.judge.connection.limits.statement;
        let session = Session {
            agent,
            server: self.upstream.stream,
            server_address: self.upstream.server,
            server_key: self.upstream.key,
            receiver: Receiver::new(limit),
            judge: self.judge,
            request: Default::default(),
            waiting: Default::default(),
            waiting_bytes: 0,
            to_server: Default::default(),
            agent_closed: false,
            withheld: false,
            gathered: None,
            server_intake: Intake::default(),
            server_deframer: Deframer::new(server_limits()),
            row: None,
            answer: Default::default(),
            returned: None,
            segments: Default::default(),
            to_agent: Default::default(),
            server_said_goodbye: false,
            replies: Default::default(),
            names: Default::default(),
            running: Default::default(),
            transaction: TransactionStatus::Idle,
            copying_in: false,
            settled: true,
            held: None,
            estimating: None,
            looking: None,
            role: self.role,
            log: self.log,
            registered: self.registered,
            clock: self.clock,
        };
        session.run().await;
    }
}

/// What of the agent's startup parameters goes to the database.
fn parameters(asked: Vec<(String, String)>, shielded: bool) -> Result<Vec<(String, String)>, Refusal> {
    let mut parameters = Vec::with_capacity(asked.len() + 1);
    for (name, value) in asked {
        if name == "replication" {
            return Err(replication());
        }
        if name == "client_encoding" && !encoding_is_safe(value.as_bytes()) {
            return Err(encoding());
        }
        if shielded {
            allowed(&name, &value)?;
        }
        parameters.push((name, value));
    }
    if shielded && !parameters.iter().any(|(name, _)| name == "client_encoding") {
        parameters.push(("client_encoding".to_owned(), "UTF8".to_owned()));
    }
    Ok(parameters)
}

fn allowed(name: &str, value: &str) -> Result<(), Refusal> {
    if name != "options" {
        return chaperone_analysis::setting_allowed(name, Some(value));
    }
    let settings = options::settings(value).map_err(|_| Refusal {
        code: SqlState::FEATURE_NOT_SUPPORTED,
        rule: "masking.setting",
        message: "the startup parameter `options` cannot be read".to_owned(),
        detail: "where masks apply each setting must be on the list of those that cannot change them".to_owned(),
        hint: "use `-c name=value` only".to_owned(),
    })?;
    settings.iter().try_for_each(|(name, value)| chaperone_analysis::setting_allowed(name, Some(value)))
}

/// Whether statements in this client encoding can be read: in the others a byte of a longer character may look like a
/// quote or a backslash (PostgreSQL manual 24.3, the encodings that a server does not allow for itself).
pub(crate) fn encoding_is_safe(name: &[u8]) -> bool {
    const UNSAFE: [&str; 16] = [
        "sjis",
        "mskanji",
        "shiftjis",
        "win932",
        "windows932",
        "shiftjis2004",
        "big5",
        "win950",
        "windows950",
        "gbk",
        "win936",
        "windows936",
        "uhc",
        "win949",
        "windows949",
        "gb18030",
    ];
    let name: String =
        name.iter().filter(|b| b.is_ascii_alphanumeric()).map(|b| char::from(b.to_ascii_lowercase())).collect();
    name != "johab" && !UNSAFE.contains(&name.as_str())
}

fn secret(version: Version) -> Result<Vec<u8>, Refusal> {
    // 3.0 has room for four bytes; 3.2 for up to 256 (PostgreSQL manual 55.2.8)
    let mut secret = vec![0; if version == Version::V3_0 { 4 } else { 32 }];
    let random = SystemRandom::new();
    aws_lc_rs::rand::SecureRandom::fill(&random, &mut secret).map_err(|_| Refusal {
        code: SqlState::SYSTEM_ERROR,
        rule: "gateway.random",
        message: "no random numbers".to_owned(),
        detail: "the secret of the session cannot be made".to_owned(),
        hint: "tell the gateway's operator".to_owned(),
    })?;
    Ok(secret)
}

fn greeting(upstream: &Upstream, secret: &[u8]) -> Result<Bytes, chaperone_wire::postgres::WireError> {
    let mut out = BytesMut::new();
    encode::authentication(&mut out, &Authentication::Ok)?;
    out.extend_from_slice(&upstream.login_messages);
    encode::backend_key_data(&mut out, upstream.key.pid, secret)?;
    encode::ready_for_query(&mut out, TransactionStatus::Idle);
    Ok(out.freeze())
}

fn clock(limits: &crate::connection::Limits, token_expires: i64) -> Clock {
    let start = Instant::now();
    let left = u64::try_from(token_expires.saturating_sub(now())).unwrap_or(0);
    // capped so that a token of the far future cannot overflow the clock
    let token = start + Duration::from_secs(left.min(10 * 365 * 86_400)) + limits.token_grace;
    let age = start + limits.age;
    let hard = if token < age { (token, Hard::Token) } else { (age, Hard::Age) };
    Clock::new(hard, limits.idle)
}

/// An error and what caused it, in one line, for the operator's log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
