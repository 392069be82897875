//! Bytes both ways, and an end that loses none.

use std::time::Duration;

use bytes::BytesMut;
use chaperone_model::Refusal;
use chaperone_wire::postgres::backend::{Report, Severity};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::upstream::LoggedIn;

/// Of each direction.
const BUFFER: usize = 64 * 1024;
/// How long an agent may take to hang up once it was told the last there is.
const FAREWELL: Duration = Duration::from_secs(2);

/// Until the gateway has said its last. An agent that stops sending is still answered.
pub(super) async fn both_ways(agent: TcpStream, session: LoggedIn) {
    let (mut agent_in, mut agent_out) = agent.into_split();
    let (mut gateway_in, mut gateway_out) = tokio::io::split(session.gateway);
    let up = async {
        pump(session.up, &mut agent_in, &mut gateway_out).await;
        // the gateway may have much to say still
        std::future::pending::<()>().await;
    };
    let down = pump(session.down, &mut gateway_in, &mut agent_out);
    tokio::select! {
        () = up => {}
        () = down => {}
    }
    // closing while there is something unread makes the system tell the agent to forget what it has not read yet
    drain(&mut agent_in).await;
}

/// Copies until `from` ends or either side fails, then closes `to`. What is read is sent on before more is read, so a
/// slow reader slows the writer.
async fn pump(first: BytesMut, from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) {
    let mut buffer = first;
    loop {
        if !buffer.is_empty() {
            if to.write_all(&buffer).await.is_err() || to.flush().await.is_err() {
                return;
            }
            buffer.clear();
        }
        buffer.reserve(BUFFER);
        match from.read_buf(&mut buffer).await {
            Ok(read) if read > 0 => {}
            // a peer that closes without saying goodbye in TLS has ended all the same
            _ => break,
        }
    }
    let _ = to.shutdown().await;
}

/// Tells the agent why there is no session.
pub(super) async fn refuse(mut agent: TcpStream, refusal: &Refusal) {
    let mut message = BytesMut::new();
    Report::refusal(Severity::Fatal, refusal).encode(&mut message);
    if agent.write_all(&message).await.is_ok() && agent.shutdown().await.is_ok() {
        drain(&mut agent).await;
    }
}

async fn drain(agent: &mut (impl AsyncRead + Unpin)) {
    let mut nothing = [0; 1024];
    let ended = async { while matches!(agent.read(&mut nothing).await, Ok(read) if read > 0) {} };
    let _ = tokio::time::timeout(FAREWELL, ended).await;
}
