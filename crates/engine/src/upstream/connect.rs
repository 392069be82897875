//! TCP, and TLS on it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use chaperone_wire::postgres::frontend::encode;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::authenticate::Binding;
use super::stream::Transport;
use super::target::TlsMode;
use super::{UpstreamError, tls};

pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, UpstreamError> {
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(UpstreamError::Resolve)?.collect();
    if addresses.is_empty() {
        return Err(UpstreamError::Resolve(std::io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

/// Connects, and encrypts where the target wants it.
pub(super) async fn connect(
    address: SocketAddr,
    host: &str,
    mode: &TlsMode,
) -> Result<(Transport, Binding), UpstreamError> {
    let stream = tcp(address).await.map_err(UpstreamError::Connect)?;
    match mode {
        TlsMode::Disable => Ok((Transport::Plain(stream), Binding::Plain)),
        TlsMode::VerifyFull(config) => {
            let stream = encrypt(stream, host, config).await?;
            let binding = binding(&stream);
            Ok((Transport::Tls(Box::new(stream)), binding))
        }
    }
}

async fn tcp(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // a session may be silent for hours; a database that vanished must be noticed
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

/// Asks for TLS and does the handshake (manual 55.2.11).
pub(super) async fn encrypt<S>(
    mut stream: S,
    host: &str,
    config: &Arc<ClientConfig>,
) -> Result<TlsStream<S>, UpstreamError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned()).map_err(|_| UpstreamError::ServerName)?;
    let mut request = BytesMut::new();
    encode::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(UpstreamError::Io)?;
    stream.flush().await.map_err(UpstreamError::Io)?;
    // room for more than the one byte that may come: what follows it was put there by somebody in between
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).await.map_err(UpstreamError::Io)?;
    match answer.get(..count).unwrap_or_default() {
        b"S" => {}
        [] => return Err(UpstreamError::Closed),
        [b'S', ..] => return Err(UpstreamError::EarlyData),
        // `E` begins an error that nobody has vouched for (CVE-2024-10977): not repeated
        [b'N' | b'E', ..] => return Err(UpstreamError::TlsRefused),
        _ => return Err(UpstreamError::Unexpected("an answer to `SSLRequest`")),
    }
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(UpstreamError::Tls)
}

fn binding<S>(stream: &TlsStream<S>) -> Binding {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    Binding::Tls(certificate.and_then(|certificate| tls::server_end_point(certificate)))
}
