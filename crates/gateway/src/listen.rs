//! Listen: each connection from the door to the end of its session, and the drain of all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chaperone_engine::{Engine, OpenError, Opened, Visit};
use chaperone_evidence::{Entry, LoginRefused as RefusedEntry};
use chaperone_model::{Refusal, SqlState};
use chaperone_wire::postgres::backend::{Report, Severity, encode};
use chaperone_wire::postgres::options;
use chaperone_wire::postgres::startup::{Negotiated, StartupMessage};
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::authenticate::{Method, authenticate};
use crate::door::{self, DoorError, PATIENCE, Refused, Visitor};
use crate::identity::Identity;
use crate::stream::AgentStream;

/// The prefix of startup options that are for the gateway and do not go to the database.
const OURS: &str = "chaperone.";

/// Asks for SASL instead of a password.
const AUTH: &str = "chaperone.auth";

/// Connections that have not logged in, beyond the limit of all: some are cancel requests, others are to be told that
/// there is no room.
const STRANGERS: usize = 64;

/// What a gateway's PostgreSQL listener serves.
#[derive(Clone)]
pub struct Gateway {
    /// The engine that runs the sessions.
    pub engine: Engine,
    /// Who verifies tokens.
    pub identity: Arc<Identity>,
    /// The certificate; `None` only on loopback.
    pub tls: Option<Arc<ServerConfig>>,
    /// Connections at a time, those that are not authenticated yet included.
    pub connections: usize,
    /// How long sessions may go on after a stop was asked for.
    pub drain: Duration,
}

impl Gateway {
    /// Accepts connections until `stop` resolves, then drains: idle sessions end at once with `57P01`, busy ones when
    /// they are done or when the time is over.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(self.connections));
        let doorstep = Arc::new(Semaphore::new(self.connections.saturating_add(STRANGERS).min(Semaphore::MAX_PERMITS)));
        let gateway = Arc::new(self);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((tcp, peer)) => {
                        // without words: whoever sends this many listens to none
                        let Ok(stranger) = doorstep.clone().try_acquire_owned() else { continue };
                        let place = places.clone().try_acquire_owned().ok();
                        connections.spawn(gateway.clone().connection(tcp, peer, place, stranger));
                    }
                    Err(error) => {
                        // out of file descriptors, most likely: waiting lets some close
                        tracing::error!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                // forget those that ended
                Some(ended) = connections.join_next() => log_panic(ended),
            }
        }
        drop(listener);
        let deadline = Instant::now() + gateway.drain;
        gateway.engine.sessions().drain(deadline);
        // sessions end themselves at the deadline; what is left a little later is not a session
        let grace = deadline + Duration::from_secs(15);
        while let Ok(Some(ended)) = timeout_at(grace, connections.join_next()).await {
            log_panic(ended);
        }
    }

    async fn connection(
        self: Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        place: Option<OwnedSemaphorePermit>,
        stranger: OwnedSemaphorePermit,
    ) {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let visitor = match timeout(PATIENCE, door::enter(tcp, self.tls.clone())).await {
            Ok(Ok(visitor)) => visitor,
            Ok(Err(DoorError::Silent)) | Err(_) => return,
            Ok(Err(DoorError::Refused(refused))) => {
                let Refused { stream, refusal } = *refused;
                self.turn_away(stream, &Knock { peer, connection: None, issuer: None }, &refusal).await;
                return;
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a connection that did not begin");
                return;
            }
        };
        match visitor {
            Visitor::Cancel { stream, request } => {
                self.engine.sessions().cancel(request.pid, &request.secret).await;
                drop(stream);
            }
            Visitor::Startup { mut stream, message } => {
                // a name that is not ours could be anything that somebody typed
                let connection = Some(message.database()).filter(|name| self.engine.has_connection(name));
                let mut knock = Knock { peer, connection: connection.map(str::to_owned), issuer: None };
                if place.is_none() {
                    self.turn_away(stream, &knock, &too_many()).await;
                    return;
                }
                match timeout(PATIENCE, self.log_in(&mut stream, &message, &mut knock)).await {
                    Ok(Ok(opened)) => {
                        drop(stranger);
                        opened.run(stream).await;
                    }
                    Ok(Err(Some(OpenError::Refused(refusal)))) => self.turn_away(stream, &knock, &refusal).await,
                    Ok(Err(Some(OpenError::Server(said)))) => self.refuse(stream, &knock, "database", &said).await,
                    Ok(Err(None)) => {}
                    Err(_) => self.turn_away(stream, &knock, &too_slow()).await,
                }
            }
        }
    }

    /// `None`: the agent left.
    async fn log_in(
        &self,
        stream: &mut AgentStream,
        message: &StartupMessage,
        knock: &mut Knock,
    ) -> Result<Opened, Option<OpenError>> {
        let negotiated = message.negotiate();
        let (method, parameters) = parameters(message).map_err(|refusal| Some(refusal.into()))?;
        if negotiated.tell {
            negotiate(stream, &negotiated).await.map_err(|_| None)?;
        }
        let principal = authenticate(stream, method, &self.identity).await.map_err(|error| {
            tracing::info!(peer = %knock.peer, connection = knock.connection, %error, "log-in refused");
            knock.issuer = error.issuer().map(str::to_owned);
            error.refusal().map(OpenError::from)
        })?;
        knock.issuer = Some(principal.issuer.clone());
        let visit = Visit {
            principal,
            connection: message.database().to_owned(),
            parameters,
            version: negotiated.version,
            peer: knock.peer.to_string(),
            tls: stream.tls_version(),
        };
        self.engine.open(visit).await.map_err(Some)
    }

    /// Refuses a log-in in our words.
    async fn turn_away(&self, stream: AgentStream, knock: &Knock, refusal: &Refusal) {
        let mut out = BytesMut::new();
        Report::refusal(Severity::Fatal, refusal).encode(&mut out);
        self.refuse(stream, knock, refusal.rule, &out).await;
    }

    /// Records a refused log-in and says why.
    async fn refuse(&self, mut stream: AgentStream, knock: &Knock, rule: &str, words: &[u8]) {
        let entry = Entry::LoginRefused(RefusedEntry {
            connection: knock.connection.clone(),
            issuer: knock.issuer.clone(),
            peer: knock.peer.to_string(),
            rule: rule.to_owned(),
        });
        if self.engine.ledger().note(entry).await.is_err() {
            tracing::error!("a refused log-in could not be recorded");
        }
        let said = async {
            stream.write_all(words).await?;
            stream.shutdown().await
        };
        // whoever does not listen has left
        let _ = timeout(Duration::from_secs(5), said).await;
    }
}

/// Who knocks, as far as it is known: for the record of a refusal.
#[derive(Debug)]
struct Knock {
    peer: SocketAddr,
    connection: Option<String>,
    issuer: Option<String>,
}

async fn negotiate(stream: &mut AgentStream, negotiated: &Negotiated) -> std::io::Result<()> {
    let mut out = BytesMut::new();
    let unsupported = negotiated.unsupported.iter().map(String::as_str);
    encode::negotiate_protocol_version(&mut out, negotiated.version, unsupported).map_err(std::io::Error::other)?;
    stream.write_all(&out).await?;
    stream.flush().await
}

/// The startup parameters that are for the database, and how the agent wants to log in.
fn parameters(message: &StartupMessage) -> Result<(Method, Vec<(String, String)>), Refusal> {
    let mut method = Method::Password;
    let mut parameters = Vec::new();
    for (name, value) in &message.parameters {
        match name.as_str() {
            // the user is who the token says; the database is ours to name
            "user" | "database" => {}
            name if name.starts_with("_pq_.") => {}
            "options" => {
                let (ours, theirs) = split_options(value)?;
                for (name, value) in ours {
                    method = own_option(&name, &value)?;
                }
                if let Some(theirs) = theirs {
                    parameters.push((name.clone(), theirs));
                }
            }
            name if name.starts_with(OURS) => method = own_option(name, value)?,
            _ => parameters.push((name.clone(), value.clone())),
        }
    }
    Ok((method, parameters))
}

/// Settings by name and value.
type Settings = Vec<(String, String)>;

/// Ours, and the rest as the agent wrote it where nothing was ours.
fn split_options(value: &str) -> Result<(Settings, Option<String>), Refusal> {
    if !value.contains(OURS) {
        return Ok((Vec::new(), Some(value.to_owned())));
    }
    let settings = options::settings(value).map_err(|error| bad_option(error.to_string()))?;
    let (ours, theirs): (Settings, Settings) = settings.into_iter().partition(|(name, _)| name.starts_with(OURS));
    let theirs = options::join(theirs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Ok((ours, (!theirs.is_empty()).then_some(theirs)))
}

fn own_option(name: &str, value: &str) -> Result<Method, Refusal> {
    match (name, value) {
        (AUTH, "oauthbearer") => Ok(Method::OauthBearer),
        (AUTH, "password") => Ok(Method::Password),
        (AUTH, _) => Err(bad_option(format!("`{AUTH}` is `password` or `oauthbearer`"))),
        _ => Err(bad_option("the gateway has no startup option of this name".to_owned())),
    }
}

fn bad_option(detail: String) -> Refusal {
    Refusal {
        code: SqlState("22023"),
        rule: "gateway.option",
        message: "the startup options cannot be used".to_owned(),
        detail,
        hint: format!("the gateway knows `-c {AUTH}=oauthbearer`; all else goes to the database"),
    }
}

fn too_many() -> Refusal {
    Refusal {
        code: SqlState::TOO_MANY_CONNECTIONS,
        rule: "gateway.connections",
        message: "the gateway has no room for another connection".to_owned(),
        detail: "its limit of connections is reached".to_owned(),
        hint: "close connections that are not used, or ask the gateway's operator for a higher limit".to_owned(),
    }
}

fn too_slow() -> Refusal {
    Refusal {
        code: SqlState::INVALID_AUTHORIZATION,
        rule: "gateway.patience",
        message: "the log-in took too long".to_owned(),
        detail: format!("it must be done within {} seconds", PATIENCE.as_secs()),
        hint: "connect again; the token's issuer or the database may be slow".to_owned(),
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        // the message of a panic could hold anything: only that there was one
        tracing::error!(panicked = error.is_panic(), "a connection's task failed");
    }
}
