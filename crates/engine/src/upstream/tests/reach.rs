//! Hosts that are not there, or there and silent; and that no byte is lost between log-in and session.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::upstream::stream::Transport;
use crate::upstream::{Credential, OpenLimits, Target, UpstreamError, UpstreamStream, open};

#[tokio::test]
async fn bytes_read_too_early_come_first_and_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let mut stream = UpstreamStream::new(Transport::Plain(client), BytesMut::from(&b"cdef"[..]));
    stream.unread(BytesMut::from(&b"ab"[..]));
    stream.unread(BytesMut::new());
    server.write_all(b"gh").await.unwrap();
    drop(server);
    let mut first = [0; 3];
    stream.read_exact(&mut first).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!((&first, &rest[..]), (b"abc", &b"defgh"[..]));
    assert!(!stream.is_tls());
}

fn target(uri: &str, timeout: Duration) -> Target {
    Target { connect_timeout: timeout, ..Target::parse(&format!("{uri}?sslmode=disable")).unwrap() }
}

async fn outcome(target: &Target, limits: OpenLimits) -> UpstreamError {
    let credential = Credential { user: "app".into(), password: None };
    open(target, &credential, &[], &limits).await.unwrap_err()
}

#[tokio::test]
async fn nobody_there() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let target = target(&format!("postgres://127.0.0.1:{free}/d"), Duration::from_secs(5));
    let error = outcome(&target, OpenLimits::default()).await;
    assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
    assert!(!error.to_string().contains("127.0.0.1") && !error.to_string().contains(&free.to_string()));
}

#[tokio::test]
async fn no_such_name() {
    let target = target("postgres://no-such-host.invalid/d", Duration::from_secs(5));
    let error = outcome(&target, OpenLimits::default()).await;
    assert!(matches!(error, UpstreamError::Resolve(_)), "{error:?}");
    assert!(!error.to_string().contains("invalid"));
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_time_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
        }
    });
    let two = format!("postgres://127.0.0.1:{port},127.0.0.1:{port}/d");
    let start = Instant::now();
    let error = outcome(&target(&two, Duration::from_millis(100)), OpenLimits::default()).await;
    assert!(matches!(error, UpstreamError::TimedOut), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(200), "both hosts have their time");
    assert!(start.elapsed() < Duration::from_secs(5));
    let start = Instant::now();
    let limits = OpenLimits { total: Duration::from_millis(100), ..OpenLimits::default() };
    let error = outcome(&target(&two, Duration::from_secs(60)), limits).await;
    assert!(matches!(error, UpstreamError::TimedOut), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    server.abort();
}
