//! `chaperone serve`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chaperone_evidence::Ledger;
use chaperone_gateway::Gateway;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::resolve::{self, Resolved};

/// How long the database may take to drop the roles that are left at a stop.
const LAST_ROLES: Duration = Duration::from_secs(5);

/// Deep statements are analysed on stacks of their own; this is for everything else.
const STACK: usize = 4 << 20;

/// Runs the gateway until SIGTERM or Ctrl-C.
pub fn run(path: &Path) -> Result<()> {
    log_to_stderr();
    let (config, text) = Config::read(path)?;
    let resolved = resolve::resolve(config, &text)?;
    runtime()?.block_on(async {
        let stop = stopped()?;
        serve(resolved, stop, |address| println!("chaperone: serving PostgreSQL on {address}")).await
    })
}

/// A runtime for everything that waits.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build().context("no runtime")
}

/// Serves a resolved configuration until `stop` resolves. `ready` is told the address.
pub async fn serve(
    resolved: Resolved,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<()> {
    let Resolved {
        listen,
        tls,
        identity,
        connections,
        policies,
        policy_folder,
        policy_files,
        classification_files,
        evidence,
        limits,
        text,
    } = resolved;
    // opening recovers what an earlier run left, which may take a while: not on the runtime's threads
    let ledger = tokio::task::spawn_blocking(move || Ledger::open(&evidence.0, evidence.1))
        .await
        .context("the evidence log's recovery failed")?
        .context("the evidence log cannot be opened")?;
    let configuration = keep(&ledger, text.into_bytes()).await?;
    keep(&ledger, policies.bundle()).await?;
    for connection in &connections {
        let classified = connection.classified();
        if classified.tables().is_some() {
            keep(&ledger, classified.text.as_bytes().to_vec()).await?;
        }
    }
    ledger
        .note(chaperone_evidence::Entry::service_started(env!("CARGO_PKG_VERSION"), configuration, policies.version()))
        .await
        .context("the start could not be recorded")?;
    let (sender, receiver) = watch::channel(Arc::new(policies));
    let engine = chaperone_engine::Engine::new(ledger.clone(), receiver, connections);
    let listener = chaperone_gateway::socket::listen(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("no local address")?;
    let watched = crate::reload::Watched::new(policy_folder, policy_files, classification_files, &engine);
    let reload = tokio::spawn(watched.watch(sender, engine.clone()));
    let catalogs = tokio::spawn(engine.clone().watch_catalogs());
    let roles = tokio::spawn(engine.clone().watch_roles());
    let gateway =
        Gateway { engine: engine.clone(), identity, tls, connections: limits.connections, drain: limits.drain };
    ready(address);
    gateway.serve(listener, stop).await;
    reload.abort();
    catalogs.abort();
    roles.abort();
    // of sessions that could not end in order; what is left then is dropped at the next start
    let _ = tokio::time::timeout(LAST_ROLES, engine.drop_roles()).await;
    drop(engine);
    tokio::task::spawn_blocking(move || ledger.shutdown())
        .await
        .context("the evidence log's shutdown failed")?
        .context("the evidence log could not be closed")
}

/// Keeps what decides beside the log, so that what it decided can be reproduced.
pub async fn keep(ledger: &Ledger, bytes: Vec<u8>) -> Result<String> {
    let ledger = ledger.clone();
    tokio::task::spawn_blocking(move || ledger.keep(&bytes))
        .await
        .context("what decides could not be kept beside the evidence log")?
        .context("what decides could not be kept beside the evidence log")
}

/// Resolves on SIGTERM or SIGINT.
pub fn stopped() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Logs to standard error, as `CHAPERONE_LOG` says (`info` by default).
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("CHAPERONE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    if started.is_err() {
        eprintln!("chaperone: logging was started twice");
    }
}
