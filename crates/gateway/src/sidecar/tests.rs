//! An agent, the sidecar, and a gateway that is fake but speaks real TLS.

use std::sync::Mutex;

use bytes::BytesMut;
use chaperone_wire::postgres::backend::{Authentication, Fields, Report, TransactionStatus, encode as backend};
use chaperone_wire::postgres::frontend::encode as frontend;
use chaperone_wire::postgres::startup::{self, Opening, Version};
use chaperone_wire::postgres::{Frame, Limits, Side, next_frame};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::*;

const NAME: &str = "gateway.test";

/// What the gateway does once it knows who connects.
#[derive(Clone, Copy)]
enum Manner {
    /// Takes any token, then sends back what it gets.
    Echo,
    /// Refuses any token.
    Refuse,
    /// Asks again and again.
    AskTwice,
    /// Has no TLS.
    Plain,
    /// Sends what belongs inside TLS right behind its `S`.
    Inject,
    /// Says much, and closes without a goodbye in TLS.
    Vanish,
}

#[derive(Default)]
struct Seen {
    openings: Mutex<Vec<String>>,
    tokens: Mutex<Vec<String>>,
}

struct Setting {
    agent_port: SocketAddr,
    seen: Arc<Seen>,
    folder: tempfile::TempDir,
    stop: tokio::sync::oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

/// A certificate for `name` that is its own authority.
fn certificate(name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    (made.cert.der().clone(), PrivateKeyDer::Pkcs8(key))
}

async fn gateway(manner: Manner, name: &str) -> (SocketAddr, CertificateDer<'static>, Arc<Seen>) {
    let (certificate, key) = certificate(name);
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let seen_by = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // what goes wrong here is what the tests see from the other side
            tokio::spawn(serve(stream, acceptor.clone(), manner, seen_by.clone()));
        }
    });
    (address, certificate, seen)
}

async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, manner: Manner, seen: Arc<Seen>) -> std::io::Result<()> {
    let mut request = [0; 8];
    stream.read_exact(&mut request).await?;
    match manner {
        Manner::Plain => {
            stream.write_all(b"N").await?;
            let mut more = Vec::new();
            stream.read_to_end(&mut more).await?;
            seen.openings.lock().unwrap().push(format!("{} bytes in the clear", more.len()));
            return Ok(());
        }
        Manner::Inject => {
            let mut injected = BytesMut::from(&b"S"[..]);
            backend::authentication(&mut injected, &Authentication::CleartextPassword).unwrap();
            stream.write_all(&injected).await?;
        }
        _ => stream.write_all(b"S").await?,
    }
    let mut tls = acceptor.accept(stream).await?;
    let mut buffer = BytesMut::new();
    let opening = loop {
        if let Some(opening) = startup::next(&mut buffer).unwrap() {
            break opening;
        }
        tls.read_buf(&mut buffer).await?;
    };
    let startup = match opening {
        Opening::Startup(startup) => startup,
        Opening::Cancel(cancel) => {
            seen.openings.lock().unwrap().push(format!("cancel {} {:?}", cancel.pid, cancel.secret));
            return tls.shutdown().await;
        }
        other => panic!("{other:?}"),
    };
    let parameters = startup.parameters.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ");
    seen.openings.lock().unwrap().push(format!("{} {parameters}", startup.version));
    let asks = if matches!(manner, Manner::AskTwice) { 2 } else { 1 };
    for _ in 0..asks {
        let mut ask = BytesMut::new();
        Report::new(chaperone_wire::postgres::backend::Severity::Notice, "00000", "hello").encode(&mut ask);
        backend::authentication(&mut ask, &Authentication::CleartextPassword).unwrap();
        tls.write_all(&ask).await?;
        tls.flush().await?;
        let limits = Limits::new(Side::Frontend);
        let frame = loop {
            if let Some(frame) = next_frame(&mut buffer, &limits).unwrap() {
                break frame;
            }
            if tls.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let token = chaperone_wire::postgres::frontend::password(frame.body()).unwrap();
        seen.tokens.lock().unwrap().push(String::from_utf8(token.to_vec()).unwrap());
    }
    let mut answer = BytesMut::new();
    if matches!(manner, Manner::Refuse) {
        Report::fatal("28P01", "the token has expired").encode(&mut answer);
        tls.write_all(&answer).await?;
        return tls.shutdown().await;
    }
    backend::authentication(&mut answer, &Authentication::Ok).unwrap();
    backend::backend_key_data(&mut answer, 7, &[1, 2, 3, 4]).unwrap();
    backend::ready_for_query(&mut answer, TransactionStatus::Idle);
    tls.write_all(&answer).await?;
    if matches!(manner, Manner::Vanish) {
        tls.write_all(&vec![b'x'; 1 << 20]).await?;
        tls.flush().await?;
        let (mut tcp, _) = tls.into_inner();
        return tcp.shutdown().await;
    }
    tls.write_all(&buffer).await?;
    let (mut from, mut to) = tokio::io::split(tls);
    tokio::io::copy(&mut from, &mut to).await?;
    to.write_all(b"goodbye").await?;
    to.shutdown().await
}

impl Setting {
    async fn new(manner: Manner) -> Self {
        Self::with(manner, NAME, |_| {}).await
    }

    async fn with(manner: Manner, name: &str, adjust: impl FnOnce(&mut SidecarConfig)) -> Self {
        let (address, certificate, seen) = gateway(manner, name).await;
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "token-1\n").unwrap();
        let mut ca = RootCertStore::empty();
        ca.add(certificate).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config =
            SidecarConfig { listen, gateway: address.to_string(), server_name: NAME.to_owned(), ca, token_file };
        adjust(&mut config);
        let sidecar = Sidecar::bind(config).await.unwrap();
        let agent_port = sidecar.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = tokio::spawn(sidecar.serve(async move {
            let _ = stopped.await;
        }));
        Setting { agent_port, seen, folder, stop, served }
    }

    fn write_token(&self, token: &[u8]) {
        std::fs::write(self.folder.path().join("token"), token).unwrap();
    }

    async fn agent(&self) -> Agent {
        Agent { stream: TcpStream::connect(self.agent_port).await.unwrap(), buffer: BytesMut::new() }
    }

    /// Logs in and expects to be refused.
    async fn refused(&self) -> (String, String) {
        let mut agent = self.agent().await;
        agent.start_up().await;
        let frame = agent.frame().await;
        assert_eq!(frame.tag, b'E', "{frame:?}");
        let fields = Fields::parse(frame.body()).unwrap();
        let text = |code| String::from_utf8(fields.get(code).unwrap_or_default().to_vec()).unwrap();
        let said = (fields.code().to_owned(), text(b'M'));
        assert_eq!(text(b'V'), "FATAL");
        assert!(!format!("{}{}{}", said.1, text(b'D'), text(b'H')).contains("token-1"));
        assert_eq!(agent.stream.read(&mut [0]).await.unwrap(), 0, "and then it ends");
        said
    }
}

struct Agent {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Agent {
    async fn start_up(&mut self) {
        let mut message = BytesMut::new();
        let parameters = [("user", "agent"), ("database", "clinic"), ("options", "-c x=1")];
        frontend::startup(&mut message, Version::V3_2, parameters).unwrap();
        self.stream.write_all(&message).await.unwrap();
    }

    async fn frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = next_frame(&mut self.buffer, &Limits::new(Side::Backend)).unwrap() {
                return frame;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "it ended");
        }
    }

    /// Logs in; the tags of what came, and nothing asked for a password.
    async fn log_in(&mut self) {
        self.start_up().await;
        for expected in *b"NRKZ" {
            let frame = self.frame().await;
            assert_eq!(char::from(frame.tag), char::from(expected));
            if expected == b'R' {
                assert_eq!(Authentication::parse(frame.body()).unwrap(), Authentication::Ok);
            }
        }
    }
}

#[tokio::test]
async fn a_session() {
    let setting = Setting::new(Manner::Echo).await;
    let mut agent = setting.agent().await;
    // what a driver with sslmode=prefer and gssencmode=prefer asks first
    for request in [[0, 0, 0, 8, 4, 210, 22, 48], [0, 0, 0, 8, 4, 210, 22, 47]] {
        agent.stream.write_all(&request).await.unwrap();
        assert_eq!(agent.stream.read_u8().await.unwrap(), b'N');
    }
    agent.log_in().await;
    assert_eq!(*setting.seen.openings.lock().unwrap(), ["3.2 user=agent database=clinic options=-c x=1"]);
    assert_eq!(*setting.seen.tokens.lock().unwrap(), ["token-1"]);

    // far more than all buffers, both ways at once
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2]).collect();
    let (mut from, mut to) = agent.stream.into_split();
    let writer = tokio::spawn({
        let sent = sent.clone();
        async move {
            to.write_all(&sent).await.unwrap();
            // the agent stops sending, and is still answered
            to.shutdown().await.unwrap();
            to
        }
    });
    let mut received = agent.buffer.to_vec();
    from.read_to_end(&mut received).await.unwrap();
    let expected = [&sent[..], b"goodbye"].concat();
    assert!(received == expected, "{} bytes instead of {}", received.len(), expected.len());
    writer.await.unwrap();
}

#[tokio::test]
async fn statements_sent_early_arrive() {
    let setting = Setting::new(Manner::Echo).await;
    let mut agent = setting.agent().await;
    let mut early = BytesMut::new();
    frontend::startup(&mut early, Version::V3_0, [("user", "agent")]).unwrap();
    early.extend_from_slice(b"early");
    agent.stream.write_all(&early).await.unwrap();
    agent.stream.shutdown().await.unwrap();
    let mut received = Vec::new();
    agent.stream.read_to_end(&mut received).await.unwrap();
    assert!(received.ends_with(b"earlygoodbye"));
}

#[tokio::test]
async fn the_token_is_read_for_every_session() {
    let setting = Setting::new(Manner::Echo).await;
    setting.agent().await.log_in().await;
    setting.write_token(b"  token-2  \r\n");
    setting.agent().await.log_in().await;
    assert_eq!(*setting.seen.tokens.lock().unwrap(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn without_a_token_the_gateway_is_not_bothered() {
    let setting = Setting::new(Manner::Echo).await;
    let cases: [(&[u8], &str); 5] = [
        (b"", "is empty"),
        (b" \n", "holds no token"),
        (b"token-1\ntoken-1", "holds more than a token"),
        (b"token\0-1", "holds more than a token"),
        (b"\xff\xfe", "holds no token"),
    ];
    for (content, why) in cases {
        setting.write_token(content);
        let said = setting.refused().await;
        assert_eq!(said, ("28000".to_owned(), format!("the sidecar has no token: its file {why}")));
    }
    setting.write_token(&[b'a'; 16 * 1024 + 1]);
    assert!(setting.refused().await.1.ends_with("is larger than any token"));
    std::fs::remove_file(setting.folder.path().join("token")).unwrap();
    assert!(setting.refused().await.1.ends_with("does not exist"));
    std::fs::create_dir(setting.folder.path().join("token")).unwrap();
    assert!(setting.refused().await.1.contains("cannot be read"));
    assert!(setting.seen.openings.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_of_the_gateway_is_passed_on() {
    let setting = Setting::new(Manner::Refuse).await;
    let mut agent = setting.agent().await;
    agent.start_up().await;
    assert_eq!(agent.frame().await.tag, b'N');
    let frame = agent.frame().await;
    let fields = Fields::parse(frame.body()).unwrap();
    assert_eq!((fields.code(), fields.get(b'M').unwrap()), ("28P01", &b"the token has expired"[..]));
    assert_eq!(agent.stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let setting = Setting::with(Manner::Echo, "elsewhere.test", |_| {}).await;
    let (code, message) = setting.refused().await;
    assert!(code == "08001" && message.contains("certificate"), "{code} {message}");
    assert!(setting.seen.openings.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_of_another_authority() {
    let setting = Setting::with(Manner::Echo, NAME, |config| {
        config.ca = RootCertStore::empty();
        config.ca.add(certificate(NAME).0).unwrap();
    })
    .await;
    let (code, message) = setting.refused().await;
    assert!(code == "08001" && message.contains("certificate"), "{code} {message}");
    assert!(setting.seen.openings.lock().unwrap().is_empty() && setting.seen.tokens.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_token_without_tls() {
    let setting = Setting::new(Manner::Plain).await;
    assert!(setting.refused().await.1.contains("offers no TLS"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*setting.seen.openings.lock().unwrap(), ["0 bytes in the clear"]);
    assert!(setting.seen.tokens.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_sent_behind_the_answer_is_not_taken_for_tls() {
    let setting = Setting::new(Manner::Inject).await;
    assert!(setting.refused().await.1.contains("TLS"));
    assert!(setting.seen.tokens.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_token_is_sent_once() {
    let setting = Setting::new(Manner::AskTwice).await;
    let mut agent = setting.agent().await;
    agent.start_up().await;
    assert_eq!((agent.frame().await.tag, agent.frame().await.tag, agent.frame().await.tag), (b'N', b'N', b'E'));
    assert_eq!(setting.seen.tokens.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_gateway_said_before_it_vanished_arrives() {
    let setting = Setting::new(Manner::Vanish).await;
    let mut agent = setting.agent().await;
    agent.log_in().await;
    // slowly, so that buffers are full when the end comes
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut received = agent.buffer.to_vec();
    agent.stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), 1 << 20);
}

#[tokio::test]
async fn nobody_there() {
    let setting = Setting::with(Manner::Echo, NAME, |config| config.gateway = "127.0.0.1:1".to_owned()).await;
    let (code, message) = setting.refused().await;
    assert!(code == "08001" && message.starts_with("the sidecar cannot log in to the gateway"), "{message}");
}

#[tokio::test]
async fn a_cancel_request() {
    let setting = Setting::new(Manner::Echo).await;
    let mut agent = setting.agent().await;
    let mut message = BytesMut::new();
    frontend::cancel_request(&mut message, 7, &[1, 2, 3, 4]).unwrap();
    agent.stream.write_all(&message).await.unwrap();
    assert_eq!(agent.stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(*setting.seen.openings.lock().unwrap(), ["cancel 7 [1, 2, 3, 4]"]);
    assert!(setting.seen.tokens.lock().unwrap().is_empty(), "it needs no token");
}

#[tokio::test]
async fn nonsense() {
    let setting = Setting::new(Manner::Echo).await;
    let cases: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
        &[0, 0, 0, 8, 0, 2, 0, 0],
        &[0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 8, 4, 210, 22, 47],
    ];
    for case in cases {
        let mut agent = setting.agent().await;
        agent.stream.write_all(case).await.unwrap();
        let mut answer = Vec::new();
        agent.stream.read_to_end(&mut answer).await.unwrap();
        let said = String::from_utf8_lossy(&answer);
        assert!(said.contains("08P01"), "{said}");
    }
    // and those who say nothing, or half of it, are no trouble
    for case in [&b""[..], &[0, 0]] {
        let mut agent = setting.agent().await;
        agent.stream.write_all(case).await.unwrap();
        agent.stream.shutdown().await.unwrap();
        assert_eq!(agent.stream.read(&mut [0]).await.unwrap(), 0);
    }
    assert!(setting.seen.openings.lock().unwrap().is_empty());
}

#[tokio::test]
async fn it_stops() {
    let setting = Setting::new(Manner::Echo).await;
    let mut agent = setting.agent().await;
    agent.log_in().await;
    setting.stop.send(()).unwrap();
    // the session goes on for a while
    agent.stream.write_all(b"still").await.unwrap();
    let mut echo = [0; 5];
    agent.stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"still");
    drop(agent);
    tokio::time::timeout(Duration::from_secs(10), setting.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(setting.agent_port).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn configurations_that_cannot_be() {
    let config = |listen: &str, gateway: &str| {
        SidecarConfig::new(listen.parse().unwrap(), gateway.to_owned(), None, "token".into())
    };
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Sidecar::bind(config(listen, "gateway.test:5432").unwrap()).await.err().unwrap();
        assert!(matches!(refused, SidecarError::NotLoopback(_)), "{refused}");
    }
    for gateway in ["gateway.test", ":5432", "gateway.test:port", "gateway.test:99999", ""] {
        assert!(matches!(config("127.0.0.1:0", gateway), Err(SidecarError::Gateway(_))), "{gateway}");
    }
    assert_eq!(config("127.0.0.1:0", "[::1]:5432").unwrap().server_name, "::1");
    let refused = Sidecar::bind(config("127.0.0.1:0", "not a name:5432").unwrap()).await.err().unwrap();
    assert!(matches!(refused, SidecarError::ServerName(_)), "{refused}");
    let missing = Path::new("missing.pem");
    let refused =
        SidecarConfig::new("127.0.0.1:0".parse().unwrap(), "g:1".into(), Some(missing), "token".into()).unwrap_err();
    assert!(matches!(refused, SidecarError::Trust(_)), "{refused}");
}
