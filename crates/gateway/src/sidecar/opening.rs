//! What an agent opens its connection with.

use std::time::Duration;

use bytes::BytesMut;
use chaperone_model::{Refusal, SqlState};
use chaperone_wire::postgres::startup::{self, CancelRequest, Opening, StartupMessage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// PostgreSQL's `authentication_timeout`.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it wants.
pub(super) enum Wish {
    /// A session, and what it sent after asking for it.
    Session(Startup),
    /// To cancel what another session runs.
    Cancel(CancelRequest),
    /// Nothing: it went away, as a health check does.
    Nothing,
}

pub(super) struct Startup {
    pub(super) message: StartupMessage,
    pub(super) rest: BytesMut,
}

/// Answers requests for encryption with "no": there is none on loopback, and clients that prefer it go on without.
pub(super) async fn read(agent: &mut TcpStream) -> Result<Wish, Refusal> {
    match tokio::time::timeout(PATIENCE, negotiate(agent)).await {
        Ok(wish) => wish,
        Err(_) => Ok(Wish::Nothing),
    }
}

async fn negotiate(agent: &mut TcpStream) -> Result<Wish, Refusal> {
    let mut buffer = BytesMut::with_capacity(1024);
    // each may be asked for once
    let (mut asked_tls, mut asked_gss) = (false, false);
    loop {
        let opening = startup::next(&mut buffer).map_err(|error| violation(&error.to_string()))?;
        let asked = match opening {
            None => match agent.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => continue,
                _ => return Ok(Wish::Nothing),
            },
            Some(Opening::Startup(message)) => return Ok(Wish::Session(Startup { message, rest: buffer })),
            Some(Opening::Cancel(request)) => return Ok(Wish::Cancel(request)),
            Some(Opening::DirectTls) => {
                return Err(violation("the sidecar does not speak TLS: it adds it; connect with sslmode=disable"));
            }
            Some(Opening::SslRequest) => &mut asked_tls,
            Some(Opening::GssEncRequest) => &mut asked_gss,
        };
        if std::mem::replace(asked, true) {
            return Err(violation("encryption was asked for twice"));
        }
        if agent.write_all(b"N").await.is_err() {
            return Ok(Wish::Nothing);
        }
    }
}

fn violation(message: &str) -> Refusal {
    Refusal {
        code: SqlState::PROTOCOL_VIOLATION,
        rule: "sidecar.protocol",
        message: message.to_owned(),
        detail: "the sidecar expects a PostgreSQL client of protocol 3, without TLS".to_owned(),
        hint: "connect to the sidecar as to a PostgreSQL server, with sslmode=disable or sslmode=prefer".to_owned(),
    }
}
