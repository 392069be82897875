//! Log-in to servers that lie, flood, stall or vanish, over streams in memory.

use bytes::BytesMut;
use chaperone_wire::postgres::backend::{Authentication, Report, TransactionStatus, encode};
use chaperone_wire::postgres::startup::Version;
use chaperone_wire::postgres::{WireError, frontend};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::upstream::authenticate::Binding;
use crate::upstream::connect::encrypt;
use crate::upstream::login::{Ask, Welcome, login};
use crate::upstream::{Credential, Secret, TlsMode, UpstreamError};

fn credential() -> Credential {
    Credential { user: "app".into(), password: Some(Secret::new("secret")) }
}

/// A log-in against a server that is `serve`.
async fn against<F>(binding: Binding, serve: impl FnOnce(DuplexStream) -> F) -> Result<Welcome, UpstreamError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (ours, theirs) = duplex(1 << 16);
    let server = tokio::spawn(serve(theirs));
    let (credential, parameters) = (credential(), [("application_name".to_owned(), "test".to_owned())]);
    let ask = Ask {
        credential: &credential,
        database: "clinic",
        parameters: &parameters,
        protocol: Version::V3_2,
        most: 100_000,
    };
    let result = login(ours, binding, &ask).await;
    server.abort();
    result
}

/// A log-in against a server that says all this whatever it hears, and closes.
async fn told(binding: Binding, script: impl AsRef<[u8]>) -> Result<Welcome, UpstreamError> {
    let script = script.as_ref().to_vec();
    against(binding, move |mut stream| async move {
        let _ = stream.write_all(&script).await;
        let _ = stream.shutdown().await;
        // hold our end until the client has read it all
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

fn request(authentication: &Authentication<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    encode::authentication(&mut out, authentication).unwrap();
    out
}

/// What follows a proven password.
fn settled(secret: &[u8]) -> BytesMut {
    let mut out = request(&Authentication::Ok);
    encode::parameter_status(&mut out, b"server_version", b"15.0").unwrap();
    encode::parameter_status(&mut out, b"TimeZone", b"UTC").unwrap();
    encode::parameter_status(&mut out, b"TimeZone", b"CET").unwrap();
    encode::backend_key_data(&mut out, 42, secret).unwrap();
    Report::new(chaperone_wire::postgres::backend::Severity::Warning, "01000", "old").encode(&mut out);
    encode::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

#[tokio::test]
async fn a_welcome_is_taken_apart() {
    let mut script = settled(&[7; 32]);
    let mut late = BytesMut::new();
    encode::parameter_status(&mut late, b"late", b"1").unwrap();
    script.extend_from_slice(&late);
    let welcome = told(Binding::Plain, &script).await.unwrap();
    assert_eq!(welcome.version, Version::V3_2);
    let parameters: Vec<_> = welcome.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(parameters, ["server_version=15.0", "TimeZone=CET"]);
    assert_eq!((welcome.key.pid, &welcome.key.secret[..]), (42, &[7; 32][..]));
    let tags: Vec<_> = chaperone_wire::postgres::scan(
        &welcome.messages,
        &chaperone_wire::postgres::Limits::new(chaperone_wire::postgres::Side::Backend),
    )
    .map(|found| char::from(found.unwrap().0))
    .collect();
    assert_eq!(tags, ['S', 'S', 'S', 'N']);
    // what was read past the end must be there for the session
    assert_eq!(welcome.unread, late);
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked_for() {
    let (ours, mut theirs) = duplex(1 << 16);
    let parameters = ["user", "database", "_pq_.x", "options"].map(|name| (name.to_owned(), "x".to_owned()));
    let credential = credential();
    let ask = Ask {
        credential: &credential,
        database: "clinic",
        parameters: &parameters,
        protocol: Version::V3_2,
        most: 100_000,
    };
    theirs.write_all(&settled(&[7; 4])).await.unwrap();
    login(ours, Binding::Plain, &ask).await.unwrap();
    let mut sent = Vec::new();
    theirs.read_to_end(&mut sent).await.unwrap();
    let mut expected = BytesMut::new();
    let pairs = [("user", "app"), ("database", "clinic"), ("options", "x")];
    frontend::encode::startup(&mut expected, Version::V3_2, pairs).unwrap();
    assert_eq!(sent, expected);

    let parameters = [("replication".to_owned(), "database".to_owned())];
    let ask = Ask { parameters: &parameters, ..ask };
    let refused = login(duplex(1).0, Binding::Plain, &ask).await;
    assert!(matches!(refused, Err(UpstreamError::Parameter(name)) if name == "replication"));
}

#[tokio::test]
async fn every_cut_of_a_log_in_is_an_error_and_none_hangs() {
    let script = settled(&[7; 32]);
    for end in 0..script.len() {
        let result = told(Binding::Plain, &script[..end]).await;
        assert!(matches!(result, Err(UpstreamError::Closed)), "cut at {end}: {result:?}");
    }
    assert!(told(Binding::Plain, &script).await.is_ok());
}

#[tokio::test]
async fn floods_are_stopped() {
    let mut notice = BytesMut::new();
    Report::new(chaperone_wire::postgres::backend::Severity::Notice, "00000", "x".repeat(1000)).encode(&mut notice);
    let flood = notice.repeat(200);
    let before = told(Binding::Plain, &flood).await;
    assert!(matches!(before, Err(UpstreamError::TooMuch { limit: 100_000 })), "{before:?}");
    let after = told(Binding::Plain, [&request(&Authentication::Ok)[..], &flood].concat()).await;
    assert!(matches!(after, Err(UpstreamError::TooMuch { .. })), "{after:?}");
    let huge = told(Binding::Plain, b"N\x7f\xff\xff\xff").await;
    assert!(matches!(huge, Err(UpstreamError::Wire(WireError::TooLong { .. }))), "{huge:?}");
    let row = told(Binding::Plain, b"D\x7f\xff\xff\xff").await;
    assert!(matches!(row, Err(UpstreamError::Wire(WireError::TooLong { .. }))), "{row:?}");
}

#[tokio::test]
async fn garbage_is_refused() {
    for script in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"R\0\0\0\x03",
        b"R\0\0\0\x08\0\0\0\x63",
        b"\x15\x03\x01\0\x02\x02\x28",
    ] {
        let result = told(Binding::Plain, script).await;
        assert!(matches!(result, Err(UpstreamError::Wire(_))), "{result:?}");
    }
    for script in [&b"Z\0\0\0\x05I"[..], b"1\0\0\0\x04", b"S\0\0\0\x08a\0b\0"] {
        let result = told(Binding::Plain, script).await;
        assert!(matches!(result, Err(UpstreamError::Unexpected(_))), "{result:?}");
    }
    for script in [&b"D\0\0\0\x06\0\0"[..], b"Z\0\0\0\x05T", b"R\0\0\0\x08\0\0\0\0"] {
        let result = told(Binding::Plain, [&request(&Authentication::Ok)[..], script].concat()).await;
        assert!(matches!(result, Err(UpstreamError::Unexpected(_))), "{result:?}");
    }
}

#[tokio::test]
async fn weak_and_unknown_methods_are_refused() {
    let clear = request(&Authentication::CleartextPassword);
    assert!(matches!(told(Binding::Plain, &clear).await, Err(UpstreamError::Cleartext)));
    for (asked, name) in [
        (Authentication::Gss, "GSSAPI"),
        (Authentication::Sspi, "SSPI"),
        (Authentication::KerberosV5, "Kerberos V5"),
        (Authentication::Sasl { mechanisms: vec![b"OAUTHBEARER"] }, "an unknown SASL mechanism's"),
        // an offer of channel binding alone cannot be met without TLS
        (Authentication::Sasl { mechanisms: vec![b"SCRAM-SHA-256-PLUS"] }, "an unknown SASL mechanism's"),
    ] {
        let result = told(Binding::Plain, request(&asked)).await;
        assert!(matches!(result, Err(UpstreamError::Method(method)) if method == name), "{result:?}");
    }
}

#[tokio::test]
async fn a_second_question_is_refused() {
    let md5 = request(&Authentication::Md5Password { salt: *b"salt" });
    let tls = || Binding::Tls(None);
    let clear = request(&Authentication::CleartextPassword);
    for script in [[&md5[..], &md5].concat(), [&md5[..], &clear].concat(), [&clear[..], &md5].concat()] {
        let result = told(tls(), script).await;
        assert!(matches!(result, Err(UpstreamError::Unexpected(_))), "{result:?}");
    }
}

#[tokio::test]
async fn the_servers_own_refusal_is_kept_whole() {
    let mut script = BytesMut::new();
    Report::fatal("28P01", "password authentication failed for user \"app\"").encode(&mut script);
    let error = told(Binding::Plain, &script).await.unwrap_err();
    assert_eq!(error.server_message().unwrap(), &script);
    assert_eq!(error.to_string(), "the database refused: SQLSTATE 28P01");
    assert!(!error.is_of_this_host());
    script.clear();
    Report::fatal("57P03", "the database system is starting up").encode(&mut script);
    assert!(told(Binding::Plain, &script).await.unwrap_err().is_of_this_host());
}

#[tokio::test]
async fn versions_that_nobody_asked_for_are_refused() {
    let negotiate = |version: Version, options: &[&str], secret: &[u8]| {
        let mut out = BytesMut::new();
        encode::negotiate_protocol_version(&mut out, version, options.iter().copied()).unwrap();
        out.unsplit(settled(secret));
        out
    };
    let v = |major, minor| Version { major, minor };
    for (version, options) in
        [(v(3, 1), &[][..]), (v(3, 3), &[]), (v(4, 0), &[]), (v(2, 0), &[]), (v(3, 0), &["_pq_.x"])]
    {
        let result = told(Binding::Plain, negotiate(version, options, &[7; 4])).await;
        assert!(matches!(result, Err(UpstreamError::Version)), "{version}: {result:?}");
    }
    let old = told(Binding::Plain, negotiate(Version::V3_0, &[], &[7; 4])).await.unwrap();
    assert_eq!((old.version, old.key.secret.len()), (Version::V3_0, 4));
    let long = told(Binding::Plain, negotiate(Version::V3_0, &[], &[7; 32])).await;
    assert!(matches!(long, Err(UpstreamError::Unexpected(_))));
}

/// Takes a startup packet or a message: all that there is to read.
async fn hear(stream: &mut DuplexStream) -> Vec<u8> {
    let mut heard = vec![0; 4096];
    let count = stream.read(&mut heard).await.unwrap_or(0);
    heard.truncate(count);
    heard
}

/// How a server with SCRAM goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    WrongProof,
    NoProof,
    OtherNonce,
    TooManyRounds,
    AnotherMethod,
    ProofFirst,
}

async fn scram_server(mut stream: DuplexStream, fault: Fault) {
    hear(&mut stream).await;
    let offer = Authentication::Sasl { mechanisms: vec![b"SCRAM-SHA-256"] };
    let _ = stream.write_all(&request(&offer)).await;
    let first = hear(&mut stream).await;
    let nonce = String::from_utf8_lossy(&first).rsplit("r=").next().unwrap_or_default().to_owned();
    let first = match fault {
        Fault::OtherNonce => "r=mine,s=c2FsdA==,i=1".to_owned(),
        Fault::TooManyRounds => format!("r={nonce}x,s=c2FsdA==,i=2000000000"),
        _ => format!("r={nonce}x,s=c2FsdA==,i=1"),
    };
    if matches!(fault, Fault::ProofFirst) {
        let _ = stream.write_all(&request(&Authentication::SaslFinal(b"v=AAAA"))).await;
    }
    let _ = stream.write_all(&request(&Authentication::SaslContinue(first.as_bytes()))).await;
    hear(&mut stream).await;
    match fault {
        Fault::NoProof => {}
        Fault::AnotherMethod => {
            let _ = stream.write_all(&request(&Authentication::CleartextPassword)).await;
        }
        _ => {
            let wrong = Authentication::SaslFinal(b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
            let _ = stream.write_all(&request(&wrong)).await;
        }
    }
    let _ = stream.write_all(&settled(&[7; 4])).await;
    hear(&mut stream).await;
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_found_out() {
    for fault in [Fault::WrongProof, Fault::NoProof, Fault::OtherNonce, Fault::TooManyRounds] {
        for binding in [Binding::Plain, Binding::Tls(Some(vec![1; 32]))] {
            let result = against(binding, |stream| scram_server(stream, fault)).await;
            assert!(matches!(result, Err(UpstreamError::Proof(_))), "{fault:?}: {result:?}");
        }
    }
    for fault in [Fault::AnotherMethod, Fault::ProofFirst] {
        let result = against(Binding::Tls(None), |stream| scram_server(stream, fault)).await;
        assert!(matches!(result, Err(UpstreamError::Unexpected(_))), "{fault:?}: {result:?}");
    }
}

#[tokio::test]
async fn channel_binding_is_taken_whenever_it_is_offered() {
    async fn chosen(mechanisms: &'static [&'static [u8]], binding: Binding) -> Result<Vec<u8>, UpstreamError> {
        let (report, heard) = tokio::sync::oneshot::channel();
        let result = against(binding, move |mut stream| async move {
            hear(&mut stream).await;
            let _ = stream.write_all(&request(&Authentication::Sasl { mechanisms: mechanisms.to_vec() })).await;
            let _ = report.send(hear(&mut stream).await);
        })
        .await;
        let Err(UpstreamError::Closed) = result else { return Err(result.unwrap_err()) };
        Ok(heard.await.unwrap())
    }
    let tls = || Binding::Tls(Some(vec![1; 32]));
    const ORDERS: [&[&[u8]]; 2] =
        [&[b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"], &[b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"]];
    for mechanisms in ORDERS {
        let initial = chosen(mechanisms, tls()).await.unwrap();
        assert!(initial[5..].starts_with(b"SCRAM-SHA-256-PLUS\0"), "{}", initial.escape_ascii());
        assert!(initial.windows(26).any(|part| part == b"p=tls-server-end-point,,n="));
        // there is nothing to bind to: not a reason to go on without
        assert!(matches!(chosen(mechanisms, Binding::Tls(None)).await, Err(UpstreamError::ChannelBinding)));
    }
    let initial = chosen(&[b"SCRAM-SHA-256"], tls()).await.unwrap();
    assert!(initial.windows(5).any(|part| part == b"y,,n="), "{}", initial.escape_ascii());
    let initial = chosen(&[b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"], Binding::Plain).await.unwrap();
    assert!(initial.windows(5).any(|part| part == b"n,,n="), "{}", initial.escape_ascii());
}

/// What comes of an answer to `SSLRequest`.
async fn ssl(answer: &'static [u8]) -> UpstreamError {
    let TlsMode::VerifyFull(config) = super::real::trusting_nobody() else { unreachable!() };
    let (ours, mut theirs) = duplex(1 << 16);
    let server = tokio::spawn(async move {
        assert_eq!(hear(&mut theirs).await, b"\0\0\0\x08\x04\xd2\x16\x2f");
        let _ = theirs.write_all(answer).await;
    });
    let result = encrypt(ours, "localhost", &config).await;
    server.await.unwrap();
    result.map(drop).unwrap_err()
}

#[tokio::test]
async fn answers_to_ssl_request() {
    assert!(matches!(ssl(b"N").await, UpstreamError::TlsRefused));
    assert!(matches!(ssl(b"NSomething").await, UpstreamError::TlsRefused));
    assert!(matches!(ssl(b"E\0\0\0\x10Mtrust me\0\0").await, UpstreamError::TlsRefused));
    assert!(matches!(ssl(b"SR\0\0\0\x08\0\0\0\0").await, UpstreamError::EarlyData));
    assert!(matches!(ssl(b"x").await, UpstreamError::Unexpected(_)));
    assert!(matches!(ssl(b"").await, UpstreamError::Closed));
    assert!(matches!(ssl(b"S").await, UpstreamError::Tls(_)));
}
