//! A PostgreSQL client that says exactly what it is told and keeps every byte that comes back.
//!
//! It shares no code with the product, so that an error in the one cannot hide the same error in the other.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use chaperone_testkit::raw::{Client, Transport, frontend};
//! let mut client = Client::connect("127.0.0.1:5432", Transport::Plain).await?;
//! client.login("postgres", "clinic", "secret").await?;
//! client.send(&frontend::query("select 1")).await?;
//! let answer = client.until_ready().await?;
//! assert_eq!(answer.first().map(|message| message.tag), Some(b'T'));
//! # Ok(())
//! # }
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How to reach the server.
#[derive(Debug, Clone)]
pub enum Transport {
    /// TCP without TLS.
    Plain,
    /// `SSLRequest`, then TLS that trusts this authority's PEM file only, for this host name.
    Tls {
        /// The PEM file of the authority.
        ca: PathBuf,
        /// The name the certificate must carry.
        host: String,
    },
    /// TLS from the first byte, with ALPN `postgresql`.
    DirectTls {
        /// The PEM file of the authority.
        ca: PathBuf,
        /// The name the certificate must carry.
        host: String,
    },
}

/// One message of the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type, such as `b'D'` for a row.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", char::from(self.tag), self.body.escape_ascii())
    }
}

impl Message {
    /// The message as it was on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        frontend::message(self.tag, &self.body)
    }

    /// A field of an error or a notice by its code: `C` the SQLSTATE, `M` the message, `D` the detail, `H` the hint.
    pub fn field(&self, code: u8) -> Option<String> {
        if !matches!(self.tag, b'E' | b'N') {
            return None;
        }
        let field = self.body.split(|&byte| byte == 0).find(|field| field.first() == Some(&code))?;
        Some(String::from_utf8_lossy(field.get(1..)?).into_owned())
    }

    /// The values of a row (`D`), `None` for NULL.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        let mut values = Vec::new();
        let mut rest = self.body.get(2..).filter(|_| self.tag == b'D').unwrap_or_default();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = i32::from_be_bytes(*length);
            let value = usize::try_from(length).ok().and_then(|length| after.split_at_checked(length));
            match value {
                Some((value, after)) => {
                    values.push(Some(value.to_vec()));
                    rest = after;
                }
                None => {
                    values.push(None);
                    rest = after;
                }
            }
        }
        values
    }

    /// The values of a row as text, `NULL` for NULL, `|` between them.
    pub fn row(&self) -> String {
        let text = |value: Option<Vec<u8>>| {
            value.map_or("NULL".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        self.values().into_iter().map(text).collect::<Vec<_>>().join("|")
    }

    /// The names of the columns that a row description (`T`) announces.
    pub fn columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut rest = self.body.get(2..).filter(|_| self.tag == b'T').unwrap_or_default();
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            names.push(String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned());
            // table oid 4, column 2, type oid 4, size 2, modifier 4, format 2
            rest = rest.get(end + 1 + 18..).unwrap_or_default();
        }
        names
    }
}

/// Type and length.
const HEAD: usize = 5;

/// The length field counts itself.
fn body_length(field: [u8; 4]) -> Result<usize> {
    usize::try_from(u32::from_be_bytes(field))?.checked_sub(4).context("a length under 4")
}

/// What [`Client::count`] counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rows of a result, or lines of a `COPY`.
    pub rows: u64,
    /// Messages of any type.
    pub messages: u64,
    /// Bytes, with the heads of the messages.
    pub bytes: u64,
}

/// What `BackendKeyData` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelKey {
    /// The process id.
    pub pid: i32,
    /// The secret: 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub secret: Vec<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection.
pub struct Client {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// How much of the buffer was parsed already.
    parsed: usize,
    received: Vec<u8>,
    patience: Duration,
    local: Option<SocketAddr>,
    /// The messages of the login, from the first answer to `ReadyForQuery`.
    pub greeting: Vec<Message>,
    /// The key of this session for [`cancel`], once it is known.
    pub cancel_key: Option<CancelKey>,
}

impl Client {
    /// Opens the connection and, as asked, TLS; sends no startup message yet.
    ///
    /// # Errors
    /// Nobody listens, the server refuses TLS, or its certificate is not of this authority or name.
    pub async fn connect(address: &str, transport: Transport) -> Result<Self> {
        let mut tcp = TcpStream::connect(address).await.with_context(|| format!("cannot connect to `{address}`"))?;
        tcp.set_nodelay(true)?;
        let local = tcp.local_addr()?;
        let stream: Box<dyn Stream> = match transport {
            Transport::Plain => Box::new(tcp),
            Transport::Tls { ca, host } => {
                tcp.write_all(&frontend::ssl_request()).await?;
                let answer = tcp.read_u8().await?;
                ensure!(answer == b'S', "the server has no TLS: it answered `{}`", answer.escape_ascii());
                Box::new(tls(tcp, &ca, host, false).await?)
            }
            Transport::DirectTls { ca, host } => Box::new(tls(tcp, &ca, host, true).await?),
        };
        Ok(Client { local: Some(local), ..Client::over(stream) })
    }

    /// A client over any stream, such as one half of a duplex pipe.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Client {
            stream: Box::new(stream),
            buffer: Vec::new(),
            parsed: 0,
            received: Vec::new(),
            patience: Duration::from_secs(20),
            local: None,
            greeting: Vec::new(),
            cancel_key: None,
        }
    }

    /// Its own address, by which the server knows it; none where it runs over another stream than TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// How long one message may take to come; 20 seconds unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Logs in with protocol 3.0: answers a request for the password in clear, as MD5 or by SCRAM-SHA-256.
    ///
    /// # Errors
    /// The server's error, as its SQLSTATE and message.
    pub async fn login(&mut self, user: &str, database: &str, password: &str) -> Result<()> {
        self.login_with(frontend::V3_0, &[("user", user), ("database", database)], password).await
    }

    /// Logs in with a protocol version and startup parameters of one's own.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub async fn login_with(&mut self, version: u32, parameters: &[(&str, &str)], password: &str) -> Result<()> {
        self.send(&frontend::startup(version, parameters)).await?;
        let user = parameters.iter().find(|(name, _)| *name == "user").map_or("", |(_, value)| value);
        let mut scram: Option<ScramSha256> = None;
        loop {
            let message = self.message().await?;
            self.greeting.push(message.clone());
            match message.tag {
                b'R' => self.authenticate(&message.body, user, password, &mut scram).await?,
                b'E' => bail!(describe(&message)),
                b'K' => {
                    let (pid, secret) = message.body.split_first_chunk::<4>().context("a short `BackendKeyData`")?;
                    self.cancel_key = Some(CancelKey { pid: i32::from_be_bytes(*pid), secret: secret.to_vec() });
                }
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    async fn authenticate(
        &mut self,
        body: &[u8],
        user: &str,
        password: &str,
        scram: &mut Option<ScramSha256>,
    ) -> Result<()> {
        let (kind, rest) = body.split_first_chunk::<4>().context("a short authentication request")?;
        match u32::from_be_bytes(*kind) {
            0 => Ok(()),
            3 => self.send(&frontend::password(password)).await,
            5 => {
                let salt: [u8; 4] = rest.try_into().context("the salt has 4 bytes")?;
                self.send(&frontend::password(&md5_hash(user.as_bytes(), password.as_bytes(), salt))).await
            }
            10 => {
                let first = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                self.send(&frontend::sasl_initial(SCRAM_SHA_256, first.message())).await?;
                *scram = Some(first);
                Ok(())
            }
            11 => {
                let scram = scram.as_mut().context("SASL goes on that never began")?;
                scram.update(rest)?;
                let answer = scram.message().to_vec();
                self.send(&frontend::message(b'p', &answer)).await
            }
            12 => Ok(scram.as_mut().context("SASL ends that never began")?.finish(rest)?),
            other => bail!("no answer to authentication request {other}"),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next message.
    ///
    /// # Errors
    /// The connection ended, or nothing came in time.
    pub async fn message(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = self.parse()? {
                return Ok(message);
            }
            ensure!(self.fill().await? > 0, "the server closed the connection");
        }
    }

    /// The messages up to and with the next `ReadyForQuery`.
    ///
    /// # Errors
    /// As [`Client::message`].
    pub async fn until_ready(&mut self) -> Result<Vec<Message>> {
        self.until(b'Z').await
    }

    /// The messages up to and with the next one of this type.
    ///
    /// # Errors
    /// As [`Client::message`].
    pub async fn until(&mut self, tag: u8) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await?;
            let last = message.tag == tag;
            messages.push(message);
            if last {
                return Ok(messages);
            }
        }
    }

    /// The messages that come until the server closes the connection.
    ///
    /// # Errors
    /// It does not close in time, or closes within a message.
    pub async fn until_closed(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            while let Some(message) = self.parse()? {
                messages.push(message);
            }
            match self.fill().await {
                Ok(0) => break,
                Ok(_) => {}
                // A reset is an end too.
                Err(error) if error.downcast_ref::<std::io::Error>().is_some() => break,
                Err(error) => return Err(error),
            }
        }
        ensure!(self.buffer.len() == self.parsed, "the connection ended within a message");
        Ok(messages)
    }

    /// Sends a simple query and reads the answer.
    ///
    /// # Errors
    /// The connection broke; an error of the server is one of the messages.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Message>> {
        self.send(&frontend::query(sql)).await?;
        self.until_ready().await
    }

    /// The rows of a simple query, each as [`Message::row`] gives it.
    ///
    /// # Errors
    /// The server's first error.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<String>> {
        let answer = self.query(sql).await?;
        if let Some(error) = answer.iter().find(|message| message.tag == b'E') {
            bail!(describe(error));
        }
        Ok(answer.iter().filter(|message| message.tag == b'D').map(Message::row).collect())
    }

    /// Sends a simple query and counts the answer without keeping any of it, however large a message is.
    ///
    /// # Errors
    /// The server's first error, or the connection broke.
    pub async fn count(&mut self, sql: &str) -> Result<Totals> {
        self.send(&frontend::query(sql)).await?;
        let mut totals = Totals::default();
        let mut chunk = std::mem::take(&mut self.buffer).split_off(std::mem::take(&mut self.parsed));
        let (mut head, mut filled) = ([0; HEAD], 0);
        let mut body_left = 0;
        loop {
            totals.bytes += chunk.len() as u64;
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let body = body_left.min(rest.len());
                body_left -= body;
                rest = rest.get(body..).unwrap_or_default();
                while filled < HEAD && body_left == 0 {
                    let Some((byte, after)) = rest.split_first() else { break };
                    head[filled] = *byte;
                    (filled, rest) = (filled + 1, after);
                }
                if filled < HEAD {
                    continue;
                }
                filled = 0;
                let [tag, length @ ..] = head;
                body_left = body_length(length)?;
                totals.messages += 1;
                totals.rows += u64::from(matches!(tag, b'D' | b'd'));
                match tag {
                    b'Z' => {
                        let state = rest.get(..body_left).context("`ReadyForQuery` is cut")?;
                        ensure!(state.len() == rest.len(), "bytes after `ReadyForQuery`");
                        return Ok(totals);
                    }
                    b'E' => bail!("an error after {} rows", totals.rows),
                    _ => {}
                }
            }
            chunk.resize(256 << 10, 0);
            let read =
                timeout(self.patience, self.stream.read(&mut chunk)).await.context("the server says nothing")??;
            ensure!(read > 0, "the server closed the connection");
            chunk.truncate(read);
        }
    }

    /// Every byte received since the connection (or TLS) was up, or since it was last taken.
    pub fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }

    fn parse(&mut self) -> Result<Option<Message>> {
        let unparsed = self.buffer.get(self.parsed..).unwrap_or_default();
        let Some((head, rest)) = unparsed.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [tag, length @ ..] = *head;
        let length = body_length(length)?;
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = Message { tag, body: body.to_vec() };
        self.parsed += HEAD + length;
        Ok(Some(message))
    }

    async fn fill(&mut self) -> Result<usize> {
        self.buffer.drain(..self.parsed);
        self.parsed = 0;
        let mut chunk = vec![0; 64 << 10];
        let read = timeout(self.patience, self.stream.read(&mut chunk)).await.context("the server says nothing")??;
        let chunk = chunk.get(..read).unwrap_or_default();
        self.buffer.extend_from_slice(chunk);
        self.received.extend_from_slice(chunk);
        Ok(read)
    }
}

/// An error message in one line.
fn describe(message: &Message) -> String {
    let field = |code| message.field(code).unwrap_or_default();
    format!("{}: {}", field(b'C'), field(b'M'))
}

/// Asks a server to cancel what the session of this key is doing, on a connection of its own.
///
/// # Errors
/// The connection cannot be made.
pub async fn cancel(address: &str, transport: Transport, key: &CancelKey) -> Result<()> {
    let mut client = Client::connect(address, transport).await?;
    client.send(&frontend::cancel_request(key)).await?;
    client.until_closed().await.map(drop)
}

async fn tls(
    tcp: TcpStream,
    ca: &std::path::Path,
    host: String,
    direct: bool,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(ca).with_context(|| format!("cannot read `{}`", ca.display()))? {
        roots.add(cert?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    let name = ServerName::try_from(host)?;
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
}

/// Messages of a client, as bytes (PostgreSQL manual, "Message Formats").
pub mod frontend {
    use super::CancelKey;

    /// Protocol 3.0.
    pub const V3_0: u32 = 3 << 16;
    /// Protocol 3.2, of PostgreSQL 18.
    pub const V3_2: u32 = (3 << 16) | 2;

    fn length(body: &[u8]) -> [u8; 4] {
        u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes()
    }

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    }

    fn count(out: &mut Vec<u8>, count: usize) {
        out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
    }

    /// A message of this type and body; its length is right.
    pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag], &length(body)[..], body].concat()
    }

    fn untagged(body: &[u8]) -> Vec<u8> {
        [&length(body)[..], body].concat()
    }

    /// `StartupMessage`.
    pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in parameters {
            text(&mut body, name);
            text(&mut body, value);
        }
        body.push(0);
        untagged(&body)
    }

    /// `SSLRequest`.
    pub fn ssl_request() -> Vec<u8> {
        untagged(&80_877_103_u32.to_be_bytes())
    }

    /// `GSSENCRequest`.
    pub fn gssenc_request() -> Vec<u8> {
        untagged(&80_877_104_u32.to_be_bytes())
    }

    /// `CancelRequest`.
    pub fn cancel_request(key: &CancelKey) -> Vec<u8> {
        untagged(&[&80_877_102_u32.to_be_bytes()[..], &key.pid.to_be_bytes(), &key.secret].concat())
    }

    /// `PasswordMessage`.
    pub fn password(password: &str) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, password);
        message(b'p', &body)
    }

    /// `SASLInitialResponse`.
    pub fn sasl_initial(mechanism: &str, data: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, mechanism);
        body.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(data);
        message(b'p', &body)
    }

    /// `Query`.
    pub fn query(sql: &str) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, sql);
        message(b'Q', &body)
    }

    /// `Parse`, with the types of the parameters as far as they are given.
    pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, name);
        text(&mut body, sql);
        count(&mut body, types.len());
        body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
        message(b'P', &body)
    }

    /// `Bind` with text parameters (`None` is NULL); `formats` are those of the results, 0 text, 1 binary.
    pub fn bind(portal: &str, statement: &str, values: &[Option<&[u8]>], formats: &[u16]) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, portal);
        text(&mut body, statement);
        count(&mut body, 0);
        count(&mut body, values.len());
        for value in values {
            match value {
                Some(value) => {
                    body.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
                    body.extend_from_slice(value);
                }
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
        count(&mut body, formats.len());
        body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
        message(b'B', &body)
    }

    fn named(tag: u8, kind: u8, name: &str) -> Vec<u8> {
        let mut body = vec![kind];
        text(&mut body, name);
        message(tag, &body)
    }

    /// `Describe` of a prepared statement.
    pub fn describe_statement(name: &str) -> Vec<u8> {
        named(b'D', b'S', name)
    }

    /// `Describe` of a portal.
    pub fn describe_portal(name: &str) -> Vec<u8> {
        named(b'D', b'P', name)
    }

    /// `Close` of a prepared statement.
    pub fn close_statement(name: &str) -> Vec<u8> {
        named(b'C', b'S', name)
    }

    /// `Close` of a portal.
    pub fn close_portal(name: &str) -> Vec<u8> {
        named(b'C', b'P', name)
    }

    /// `Execute`, for at most this many rows; 0 is all.
    pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, portal);
        body.extend_from_slice(&rows.to_be_bytes());
        message(b'E', &body)
    }

    /// `Sync`.
    pub fn sync() -> Vec<u8> {
        message(b'S', &[])
    }

    /// `Flush`.
    pub fn flush() -> Vec<u8> {
        message(b'H', &[])
    }

    /// `Terminate`.
    pub fn terminate() -> Vec<u8> {
        message(b'X', &[])
    }

    /// `CopyData`.
    pub fn copy_data(data: &[u8]) -> Vec<u8> {
        message(b'd', data)
    }

    /// `CopyDone`.
    pub fn copy_done() -> Vec<u8> {
        message(b'c', &[])
    }

    /// `CopyFail`.
    pub fn copy_fail(why: &str) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, why);
        message(b'f', &body)
    }
}

#[cfg(test)]
mod tests {
    use super::frontend::*;
    use super::*;
    use crate::pki::Authority;
    use crate::postgres::{Auth, Cluster, Options, SUPERUSER};

    fn tags(messages: &[Message]) -> String {
        messages.iter().map(|message| char::from(message.tag)).collect()
    }

    #[tokio::test]
    async fn speaks_with_a_real_server() {
        let pki = Authority::new("server CA").unwrap();
        let files = pki.leaf(&["localhost"]).unwrap().write().unwrap();
        let options = Options::default().tls(&files).hba("host all clear 127.0.0.1/32 password");
        let cluster = Cluster::start(options).unwrap();
        cluster.create_role("clear", "secret").unwrap();
        let address = format!("127.0.0.1:{}", cluster.port());

        let transport = Transport::Tls { ca: files.ca.clone(), host: "localhost".into() };
        let mut client = Client::connect(&address, transport).await.unwrap();
        client.login(SUPERUSER, "postgres", cluster.password()).await.unwrap();
        client.take_received();
        let answer = client.query("select 1 as one, null as nothing, 'x' as x").await.unwrap();
        assert_eq!(tags(&answer), "TDCZ");
        assert_eq!(answer[0].columns(), ["one", "nothing", "x"]);
        assert_eq!(answer[1].row(), "1|NULL|x");
        let bytes: Vec<u8> = answer.iter().flat_map(Message::bytes).collect();
        assert_eq!(client.take_received(), bytes);

        let pipeline =
            [parse("", "select $1::int", &[]), bind("", "", &[Some(b"7")], &[]), execute("", 0), sync()].concat();
        client.send(&pipeline).await.unwrap();
        let answer = client.until_ready().await.unwrap();
        assert_eq!(tags(&answer), "12DCZ");
        assert_eq!(answer[2].row(), "7");
        let totals = client.count("select repeat('x', 300000) from generate_series(1, 9)").await.unwrap();
        // T with one column, 9 rows of two bytes count and four bytes length, C `SELECT 9`, Z
        assert_eq!((totals.rows, totals.messages), (9, 12));
        assert_eq!(totals.bytes, 32 + 9 * (5 + 2 + 4 + 300_000) + 14 + 6);
        let totals = client.count("copy (select generate_series(1, 1000)) to stdout").await.unwrap();
        assert_eq!(totals.rows, 1000);
        let error = client.rows("select 1/0").await.unwrap_err().to_string();
        assert_eq!(error, "22012: division by zero");

        let mut clear = Client::connect(&address, Transport::Plain).await.unwrap();
        let error = clear.login("clear", "postgres", "wrong").await.unwrap_err().to_string();
        assert!(error.starts_with("28P01"), "{error}");
        let mut clear = Client::connect(&address, Transport::Plain).await.unwrap();
        clear.login("clear", "postgres", "secret").await.unwrap();
        let key = clear.cancel_key.clone().unwrap();
        clear.send(&query("select pg_sleep(30)")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel(&address, Transport::Plain, &key).await.unwrap();
        let answer = clear.until_ready().await.unwrap();
        assert_eq!(answer.iter().find_map(|message| message.field(b'C')).unwrap(), "57014");
        clear.send(&terminate()).await.unwrap();
        assert!(clear.until_closed().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn logs_in_by_md5() {
        let cluster = Cluster::start(Options::default().auth(Auth::Md5)).unwrap();
        let mut client = Client::connect(&format!("127.0.0.1:{}", cluster.port()), Transport::Plain).await.unwrap();
        client.login(SUPERUSER, "postgres", cluster.password()).await.unwrap();
        assert_eq!(client.rows("select 2").await.unwrap(), ["2"]);
    }
}
