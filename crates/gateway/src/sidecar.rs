//! The other way round, in the agent's pod: adds TLS and a token to an agent that can do neither.
//!
//! ```text
//! agent ── plaintext, loopback, no password ──► sidecar ── TLS (verify-full) + token from a file ──► gateway
//! ```
//! The agent changes host and port, nothing else. Whoever can reach the port acts as the agent, so the sidecar listens on
//! loopback only: in a pod that is the agent's own network namespace. The token is read from its file for every session,
//! since whoever projects it (Kubernetes, say) rotates it; it is sent only inside TLS, to a gateway whose certificate
//! was verified, and only when that gateway asks for it.
//!
//! One session is: [`opening`] what the agent wants → read the token → [`upstream`] TLS to the gateway → log in → relay
//! bytes both ways, not looking at them. A cancel request goes the same way on a connection of its own.

mod opening;
mod relay;
mod token;
mod upstream;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub use crate::identity::trust::{TrustError, roots};
use crate::socket;

use opening::Wish;
use upstream::Gateway;

/// How long sessions may go on once the sidecar is asked to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// Sessions at once. Each costs two buffers of 64 KiB, and the gateway has limits of its own.
const MAX_SESSIONS: usize = 1024;

/// What a sidecar needs to know.
#[derive(Debug, Clone)]
pub struct SidecarConfig {
    /// Where agents connect: an address of loopback. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The gateway, as `host:port`.
    pub gateway: String,
    /// The name that the gateway's certificate must be for: a DNS name or an address.
    pub server_name: String,
    /// The certificates that the gateway's must lead to: see [`roots`].
    pub ca: RootCertStore,
    /// The file with the token, read anew for every session.
    pub token_file: PathBuf,
}

impl SidecarConfig {
    /// A gateway whose certificate is for the host in `gateway` and leads to one in `ca_file` (PEM), or to one of the
    /// system's.
    ///
    /// # Errors
    /// An address that is not `host:port`, a file of certificates that cannot be used.
    pub fn new(
        listen: SocketAddr,
        gateway: String,
        ca_file: Option<&Path>,
        token_file: PathBuf,
    ) -> Result<SidecarConfig, SidecarError> {
        let host = match gateway.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => host,
            _ => return Err(SidecarError::Gateway(gateway)),
        };
        // an IPv6 address is written in brackets before a port, and without them in a certificate
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let server_name = bare.to_owned();
        Ok(SidecarConfig { listen, gateway, server_name, ca: roots(ca_file)?, token_file })
    }
}

/// Why a sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// It would let everybody who can reach this machine act as the agent.
    #[error("a sidecar listens on loopback only, and `{0}` is not: whoever can connect acts as the agent")]
    NotLoopback(SocketAddr),
    /// There is nowhere to connect.
    #[error("`{0}` is not the `host:port` of a gateway")]
    Gateway(String),
    /// There is nobody to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The name can be on no certificate.
    #[error("`{0}` is not a name that a certificate can be for")]
    ServerName(String),
    /// The port cannot be had.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// A sidecar that listens.
pub struct Sidecar {
    listener: TcpListener,
    gateway: Arc<Gateway>,
}

impl Sidecar {
    /// Checks the configuration and takes the port. Neither the gateway nor the token need to be there yet.
    ///
    /// # Errors
    /// As [`SidecarError`] says.
    pub async fn bind(config: SidecarConfig) -> Result<Sidecar, SidecarError> {
        let address = config.listen;
        if !address.ip().is_loopback() {
            return Err(SidecarError::NotLoopback(address));
        }
        let gateway = Arc::new(Gateway::new(config)?);
        let listen = |source| SidecarError::Listen { address, source };
        Ok(Sidecar { listener: socket::listen(address).map_err(listen)?, gateway })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` resolves, then lets sessions go on for up to five seconds.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let mut sessions = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((agent, _)) if sessions.len() < MAX_SESSIONS => {
                        sessions.spawn(session(agent, Arc::clone(&self.gateway)));
                    }
                    Ok(_) => tracing::warn!(limit = MAX_SESSIONS, "too many sessions: one is turned away"),
                    Err(error) => {
                        // out of descriptors, most likely: others must end first
                        tracing::warn!(%error, "cannot accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
            }
        }
        drop(self.listener);
        let ended = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::info!("sessions are cut off: they did not end in time");
        }
    }
}

/// [`Sidecar::bind`], then [`Sidecar::serve`].
///
/// # Errors
/// As [`SidecarError`] says.
pub async fn run(config: SidecarConfig, shutdown: impl Future<Output = ()>) -> Result<(), SidecarError> {
    let sidecar = Sidecar::bind(config).await?;
    sidecar.serve(shutdown).await;
    Ok(())
}

async fn session(mut agent: TcpStream, gateway: Arc<Gateway>) {
    let _ = agent.set_nodelay(true);
    let refused = match opening::read(&mut agent).await {
        Ok(Wish::Cancel(request)) => {
            if let Err(refused) = gateway.cancel(&request).await {
                tracing::warn!(message = refused.message, "a cancel request is not forwarded");
            }
            return;
        }
        Ok(Wish::Session(startup)) => match gateway.log_in(&mut agent, startup).await {
            Ok(logged_in) => return relay::both_ways(agent, logged_in).await,
            Err(refused) => refused,
        },
        Ok(Wish::Nothing) => return,
        Err(refused) => refused,
    };
    tracing::warn!(rule = refused.rule, message = refused.message, "a session is refused");
    relay::refuse(agent, &refused).await;
}
