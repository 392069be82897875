//! Asking the server to stop what another connection runs.

use bytes::BytesMut;
use chaperone_wire::postgres::frontend::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connect::connect;
use super::{BackendKey, ServerAddress, UpstreamError};

/// Sends a `CancelRequest` over a connection of its own, encrypted as the first was, and waits until the server has
/// taken it: it answers by closing.
///
/// # Errors
/// The server cannot be reached, or did not close in time. Whether anything was cancelled is never told.
pub async fn cancel(server: &ServerAddress, key: &BackendKey) -> Result<(), UpstreamError> {
    let mut request = BytesMut::new();
    encode::cancel_request(&mut request, key.pid, &key.secret)?;
    timeout(server.connect_timeout, send(server, &request)).await.unwrap_or(Err(UpstreamError::TimedOut))
}

async fn send(server: &ServerAddress, request: &[u8]) -> Result<(), UpstreamError> {
    let (mut stream, _) = connect(server.address, &server.host, &server.tls).await?;
    stream.write_all(request).await.map_err(UpstreamError::Io)?;
    stream.flush().await.map_err(UpstreamError::Io)?;
    // a server closes without a TLS goodbye or resets: both are the end
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    Ok(())
}
