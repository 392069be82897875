//! URIs and credentials.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chaperone_testkit::pki::Authority;
use chaperone_wire::postgres::startup::Version;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use crate::upstream::{CredentialError, CredentialSource, SessionAttrs, Target, TargetError, TlsMode, tls};

fn parse(uri: &str) -> Result<Target, TargetError> {
    Target::parse(&format!("{uri}{}sslmode=disable", if uri.contains('?') { "&" } else { "?" }))
}

#[test]
fn a_plain_uri() {
    let target = parse("postgres://db.example/clinic").unwrap();
    assert_eq!(target.hosts, [("db.example".to_owned(), 5432)]);
    assert_eq!(target.database, "clinic");
    assert_eq!(target.session, SessionAttrs::Any);
    assert_eq!(target.connect_timeout, Duration::from_secs(10));
    assert_eq!(target.protocol, Version::V3_2);
    assert!(matches!(target.tls, TlsMode::Disable));
}

#[test]
fn several_hosts_and_parameters() {
    let target = parse(
        "postgresql://a:1,b,[::1]:3,[fe80::1]/cl%69nic?target_session_attrs=read-write&connect_timeout=3&max_protocol_version=3.0",
    )
    .unwrap();
    let expected = [("a", 1), ("b", 5432), ("::1", 3), ("fe80::1", 5432)].map(|(host, port)| (host.to_owned(), port));
    assert_eq!(target.hosts, expected);
    assert_eq!(target.database, "clinic");
    assert_eq!(target.session, SessionAttrs::ReadWrite);
    assert_eq!(target.connect_timeout, Duration::from_secs(3));
    assert_eq!(target.protocol, Version::V3_0);
}

#[test]
fn tls_is_on_and_verified_unless_told_otherwise() {
    let files = Authority::new("test").unwrap().leaf(&["localhost"]).unwrap().write().unwrap();
    let roots = files.ca.display();
    let target = Target::parse(&format!("postgres://h/d?sslrootcert={roots}")).unwrap();
    assert!(matches!(target.tls, TlsMode::VerifyFull(_)));
    let empty = tempfile::NamedTempFile::new().unwrap();
    let refused = Target::parse(&format!("postgres://h/d?sslrootcert={}", empty.path().display()));
    assert!(matches!(refused, Err(TargetError::Roots { .. })));
}

#[test]
fn secrets_in_a_uri_are_refused_and_not_repeated() {
    for uri in [
        "postgres://ann:hunter2@h/d",
        "postgres://ann@h/d",
        "postgres://ann:hunter2/@h/d",
        "postgres://h/d?password=hunter2",
        "postgres://h/d?user=hunter2",
    ] {
        let error = parse(uri).unwrap_err();
        assert!(matches!(error, TargetError::Credential), "{uri}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let shown = format!("{:?}", parse("postgres://h/d?Hunter2%40x=y").unwrap_err());
    assert!(!shown.contains("unter2"), "{shown}");
}

#[test]
fn what_else_is_refused() {
    for (uri, expected) in [
        ("mysql://h/d", "a database URI starts with `postgres://` or `postgresql://`"),
        ("postgres://h", "a database URI needs the database's name: `postgres://host/name`"),
        ("postgres://h/d?sslmode=prefer", "database URI parameter `sslmode` must be `verify-full` or `disable`"),
        (
            "postgres://h/d?target_session_attrs=standby",
            "database URI parameter `target_session_attrs` must be `any` or `read-write`",
        ),
        (
            "postgres://h/d?connect_timeout=0",
            "database URI parameter `connect_timeout` must be a number of seconds from 1 to 3600",
        ),
        (
            "postgres://h/d?max_protocol_version=2.0",
            "database URI parameter `max_protocol_version` must be `3.0`, `3.2` or `latest`",
        ),
        ("postgres://h/d?gssencmode=prefer", "database URI parameter `gssencmode` is not supported"),
        ("postgres://%2Fvar%2Frun/d", "a database behind a Unix socket is not supported"),
        ("postgres://h/%zz", "a database URI has a malformed `%` escape"),
        ("postgres://h/a%00b", "a database URI has a malformed `%` escape"),
    ] {
        assert_eq!(parse(uri).unwrap_err().to_string(), expected, "{uri}");
    }
    for uri in [
        "postgres:///d",
        "postgres://h:x/d",
        "postgres://h:0/d",
        "postgres://h:99999/d",
        "postgres://[::1/d",
        "postgres://h,,i/d",
    ] {
        assert!(matches!(parse(uri), Err(TargetError::Host)), "{uri}");
    }
}

async fn of_file(path: &Path, text: &[u8]) -> Result<(String, Option<Vec<u8>>), CredentialError> {
    fs::write(path, text).unwrap();
    let credential = CredentialSource::File(path.to_owned()).resolve().await?;
    Ok((credential.user, credential.password.map(|secret| secret.expose().to_vec())))
}

#[tokio::test]
async fn a_credential_file_is_two_lines_and_is_read_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credential");
    let password = |text: &[u8]| Some(text.to_vec());
    assert_eq!(of_file(&path, b"app\nse:cret\n").await.unwrap(), ("app".into(), password(b"se:cret")));
    assert_eq!(of_file(&path, b"app\r\nrotated").await.unwrap(), ("app".into(), password(b"rotated")));
    assert_eq!(of_file(&path, b"app").await.unwrap(), ("app".into(), None));
    assert!(matches!(of_file(&path, b"").await, Err(CredentialError::NoRole)));
    assert!(matches!(of_file(&path, b"app\nsecret\nmore").await, Err(CredentialError::Format { .. })));
    assert!(matches!(of_file(&path, b"app\n\xff\xfe").await, Err(CredentialError::Format { .. })));
    assert!(matches!(of_file(&path, &[b'a'; 70_000]).await, Err(CredentialError::Format { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(CredentialSource::File(path).resolve().await, Err(CredentialError::File { .. })));
}

#[tokio::test]
async fn a_role_may_have_its_password_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    fs::write(&path, "secret\n").unwrap();
    let source = CredentialSource::Role { user: "app".into(), password_file: Some(path) };
    let credential = source.resolve().await.unwrap();
    assert_eq!(credential.password.as_ref().unwrap().expose(), b"secret");
    assert!(!format!("{credential:?}").contains("secret"));
    let missing = CredentialSource::Env("CHAPERONE_TEST_NOT_SET".into()).resolve().await;
    assert!(matches!(missing, Err(CredentialError::Env(name)) if name == "CHAPERONE_TEST_NOT_SET"));
}

#[test]
fn the_binding_is_the_hash_of_the_certificates_own_signature() {
    for (algorithm, length) in
        [(&PKCS_ECDSA_P256_SHA256, Some(32)), (&PKCS_ECDSA_P384_SHA384, Some(48)), (&PKCS_ED25519, None)]
    {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert_eq!(tls::server_end_point(certificate.der()).map(|hash| hash.len()), length);
    }
    assert_eq!(tls::server_end_point(b"not a certificate"), None);
}
