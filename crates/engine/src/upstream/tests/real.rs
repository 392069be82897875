//! PostgreSQL itself.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chaperone_testkit::pki::{Authority, Files};
use chaperone_testkit::postgres::{Cluster, Options};
use chaperone_wire::postgres::startup::Version;
use tokio::net::TcpListener;

use crate::upstream::{
    Control, Credential, OpenLimits, Secret, SessionAttrs, Target, TlsMode, Upstream, UpstreamError, cancel, open,
};

struct Server {
    cluster: Cluster,
    files: Files,
}

/// One server for all tests; a role for each way to log in, on TLS and off.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let files = Authority::new("database").unwrap().leaf(&["127.0.0.1"]).unwrap().write().unwrap();
    let mut options = Options::default().tls(&files);
    for (role, method) in
        [("by_md5", "md5"), ("by_password", "password"), ("by_trust", "trust"), ("by_nothing", "reject")]
    {
        options = options.hba(&format!("host all {role} 127.0.0.1/32 {method}"));
    }
    let cluster = Cluster::start(options).unwrap();
    for role in ["by_scram", "by_password", "by_trust", "by_nothing"] {
        cluster.create_role(role, "secret").unwrap();
    }
    cluster.psql("set password_encryption = 'md5'; create role by_md5 login password 'secret'").unwrap();
    cluster.create_database("readonly", "by_scram").unwrap();
    cluster.psql("alter database readonly set default_transaction_read_only = on").unwrap();
    Server { cluster, files }
});

/// A server without TLS.
static PLAIN: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Options::default()).unwrap());

/// Roots of an authority that signed nothing.
pub(super) fn trusting_nobody() -> TlsMode {
    let files = Authority::new("somebody else").unwrap().leaf(&["127.0.0.1"]).unwrap().write().unwrap();
    TlsMode::with_roots_file(&files.ca).unwrap()
}

fn target(host: &str, tls: TlsMode) -> Target {
    let port = SERVER.cluster.port();
    Target { tls, ..Target::parse(&format!("postgres://{host}:{port}/postgres?sslmode=disable")).unwrap() }
}

fn tls() -> Target {
    target("127.0.0.1", TlsMode::with_roots_file(&SERVER.files.ca).unwrap())
}

fn plain() -> Target {
    target("127.0.0.1", TlsMode::Disable)
}

fn role(user: &str) -> Credential {
    Credential { user: user.to_owned(), password: Some(Secret::new("secret")) }
}

async fn reach(target: &Target, credential: &Credential) -> Result<Upstream, UpstreamError> {
    open(target, credential, &[], &OpenLimits::default()).await
}

async fn control(target: &Target, user: &str) -> Control {
    Control::new(reach(target, &role(user)).await.unwrap(), Duration::from_secs(20))
}

/// The first value of a query's answer.
async fn value(control: &mut Control, sql: &str) -> String {
    control.query(sql).await.unwrap().remove(0).remove(0).unwrap()
}

#[tokio::test]
async fn every_method_over_tls() {
    for user in ["by_scram", "by_md5", "by_password", "by_trust"] {
        let mut control = control(&tls(), user).await;
        assert!(control.upstream().stream.is_tls());
        assert_eq!(value(&mut control, "select current_user").await, user);
        assert_eq!(value(&mut control, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").await, "t");
        control.close().await;
    }
}

#[tokio::test]
async fn every_method_without_tls_but_the_clear_password() {
    for user in ["by_scram", "by_md5", "by_trust"] {
        assert_eq!(value(&mut control(&plain(), user).await, "select current_user").await, user);
    }
    let error = reach(&plain(), &role("by_password")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Cleartext), "{error:?}");
}

#[tokio::test]
async fn refusals_of_the_server() {
    let code = |error: &UpstreamError| match error {
        UpstreamError::Server { code, .. } => code.clone(),
        other => panic!("{other:?}"),
    };
    let wrong = |user: &str| Credential { user: user.to_owned(), password: Some(Secret::new("wrong")) };
    for user in ["by_scram", "by_md5", "by_password", "nobody"] {
        assert_eq!(code(&reach(&tls(), &wrong(user)).await.unwrap_err()), "28P01", "{user}");
    }
    assert_eq!(code(&reach(&tls(), &role("by_nothing")).await.unwrap_err()), "28000");
    let nowhere = Target { database: "nowhere".into(), ..tls() };
    let error = reach(&nowhere, &role("by_scram")).await.unwrap_err();
    assert_eq!(code(&error), "3D000");
    assert!(error.server_message().unwrap().starts_with(b"E"));
    assert!(!error.to_string().contains("nowhere"));
    let none = Credential { user: "by_scram".into(), password: None };
    assert!(matches!(reach(&tls(), &none).await, Err(UpstreamError::NoPassword)));
}

#[tokio::test]
async fn a_certificate_must_be_right_in_both_ways() {
    let stranger = reach(&target("127.0.0.1", trusting_nobody()), &role("by_scram")).await.unwrap_err();
    assert!(matches!(stranger, UpstreamError::Tls(_)), "{stranger:?}");
    let other_name = Target { hosts: vec![("localhost".into(), SERVER.cluster.port())], ..tls() };
    let error = reach(&other_name, &role("by_scram")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Tls(_)), "{error:?}");
    assert!(!error.to_string().contains("localhost"));
}

#[tokio::test]
async fn a_server_without_tls_is_not_good_enough() {
    let target = Target { hosts: vec![("127.0.0.1".into(), PLAIN.port())], ..tls() };
    assert!(matches!(reach(&target, &role("postgres")).await, Err(UpstreamError::TlsRefused)));
}

#[tokio::test]
async fn what_a_log_in_brings() {
    let parameters =
        [("options", "-c geqo=off"), ("application_name", "agent"), ("user", "postgres"), ("database", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let upstream = open(&tls(), &role("by_scram"), &parameters, &OpenLimits::default()).await.unwrap();
    assert_eq!(upstream.version, Version::V3_0, "PostgreSQL before 18 negotiates down");
    assert!(upstream.key.pid > 0 && upstream.key.secret.len() == 4);
    assert_eq!(upstream.parameter("application_name"), Some("agent"));
    assert_eq!(upstream.parameter("client_encoding"), Some("UTF8"));
    let limits = chaperone_wire::postgres::Limits::new(chaperone_wire::postgres::Side::Backend);
    let tags: Vec<_> =
        chaperone_wire::postgres::scan(&upstream.login_messages, &limits).map(|m| m.unwrap().0).collect();
    assert_eq!(tags, vec![b'S'; upstream.parameters.len()]);
    let mut control = Control::new(upstream, Duration::from_secs(20));
    assert_eq!(value(&mut control, "show geqo").await, "off");
    assert_eq!(value(&mut control, "select current_user").await, "by_scram");
}

#[tokio::test]
async fn a_control_client_goes_on_after_an_error() {
    let mut control = control(&tls(), "by_scram").await;
    let rows = control.query("select 1, null, 'a'; select 2, 'b', ''").await.unwrap();
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(rows, [vec![text("1"), None, text("a")], vec![text("2"), text("b"), text("")]]);
    let error = control.query("select 1/0").await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Server { code, .. } if code == "22012"), "{error:?}");
    assert_eq!(control.query("").await.unwrap(), Vec::<Vec<Option<String>>>::new());
    assert!(matches!(control.query("a\0b").await, Err(UpstreamError::Wire(_))));
    assert_eq!(value(&mut control, "select length(repeat('x', 3000000))").await, "3000000");
    assert_eq!(value(&mut control, "select repeat('x', 3000000)").await.len(), 3_000_000);
}

#[tokio::test]
async fn a_query_that_was_given_up_makes_the_client_unusable() {
    let upstream = reach(&tls(), &role("by_scram")).await.unwrap();
    let mut control = Control::new(upstream, Duration::from_millis(100));
    assert!(matches!(control.query("select pg_sleep(2)").await, Err(UpstreamError::TimedOut)));
    assert!(matches!(control.query("select 1").await, Err(UpstreamError::Unusable)));
    assert!(matches!(control.into_upstream(), Err(UpstreamError::Unusable)));
    // given up by the caller, who just stops waiting
    let mut control = self::control(&tls(), "by_scram").await;
    let given_up = tokio::time::timeout(Duration::from_millis(100), control.query("select pg_sleep(2)")).await;
    assert!(given_up.is_err());
    assert!(matches!(control.query("select 1").await, Err(UpstreamError::Unusable)));
    let mut control = self::control(&tls(), "by_scram").await;
    assert!(control.query("copy (select 1) to stdout").await.is_err());
    assert!(matches!(control.query("select 1").await, Err(UpstreamError::Unusable)));
}

#[tokio::test]
async fn cancel_reaches_the_right_backend() {
    for target in [tls(), plain()] {
        let mut control = control(&target, "by_scram").await;
        let (server, key) = (control.upstream().server.clone(), control.upstream().key.clone());
        let start = Instant::now();
        let (result, cancelled) = tokio::join!(control.query("select pg_sleep(15)"), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cancel(&server, &key).await
        });
        cancelled.unwrap();
        assert!(matches!(&result, Err(UpstreamError::Server { code, .. }) if code == "57014"), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(value(&mut control, "select 1").await, "1");
    }
}

#[tokio::test]
async fn hosts_are_tried_in_order() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let port = SERVER.cluster.port();
    let hosts = [("127.0.0.1", dead), ("no-such-host.invalid", port), ("127.0.0.1", port)];
    let target = Target { hosts: hosts.map(|(host, port)| (host.to_owned(), port)).to_vec(), ..tls() };
    let upstream = reach(&target, &role("by_scram")).await.unwrap();
    assert_eq!(upstream.server.address.port(), port);
    // a refused log-in is not tried elsewhere
    let target =
        Target { hosts: [("127.0.0.1", port), ("127.0.0.1", dead)].map(|(h, p)| (h.to_owned(), p)).to_vec(), ..tls() };
    assert!(matches!(reach(&target, &role("by_nothing")).await, Err(UpstreamError::Server { .. })));
}

#[tokio::test]
async fn read_write_means_it() {
    let target = Target { session: SessionAttrs::ReadWrite, ..tls() };
    assert!(reach(&target, &role("by_scram")).await.is_ok());
    let target = Target { database: "readonly".into(), ..target };
    let error = reach(&target, &role("by_scram")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::ReadOnly), "{error:?}");
}

#[tokio::test]
async fn a_database_that_dies_is_an_error_and_no_hang() {
    let cluster = Cluster::start(Options::default()).unwrap();
    let target = Target { hosts: vec![("127.0.0.1".into(), cluster.port())], ..plain() };
    let credential = Credential { user: "postgres".into(), password: Some(Secret::new(cluster.password())) };
    let mut control = Control::new(reach(&target, &credential).await.unwrap(), Duration::from_secs(20));
    let (result, ()) = tokio::join!(control.query("select pg_sleep(15)"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.crash().unwrap();
    });
    assert!(matches!(result, Err(UpstreamError::Closed | UpstreamError::Io(_))), "{result:?}");
    let error = reach(&target, &credential).await.unwrap_err();
    assert!(
        matches!(
            error,
            UpstreamError::Connect(_) | UpstreamError::Closed | UpstreamError::Io(_) | UpstreamError::Server { .. }
        ),
        "{error:?}"
    );
}
