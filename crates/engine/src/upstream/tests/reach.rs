//! Hosts that are not there, or there and silent.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::upstream::{Credential, OpenLimits, Target, UpstreamError, open};

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
