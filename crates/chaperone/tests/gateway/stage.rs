//! What the tests play on: one PostgreSQL for all of them, an issuer and a gateway for each.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use chaperone_testkit::clinic;
use chaperone_testkit::issuer::Issuer;
use chaperone_testkit::pki::Authority;
use chaperone_testkit::postgres::{Cluster, Options};
use chaperone_testkit::raw::{Client, Transport};
use serde_json::json;
use tempfile::TempDir;

/// The role that the gateway logs in with, and its password.
const ROLE: &str = "gateway";
pub const PASSWORD: &str = "not-a-secret-of-anyone";

/// The role that makes those of sessions; only in clusters where somebody made it.
pub const MINTER: &str = "minter";

/// May do everything on `ops`, and read `clinic` with names in clear.
pub const POLICY: &str = r#"
@id("all-on-ops")
permit (principal in Group::"agents", action, resource in Connection::"ops");
@id("reads-ops")
permit (principal in Group::"readers", action in [Action::"connect", Action::"select"], resource in Connection::"ops");
@id("reads-clinic")
permit (
  principal in Group::"agents",
  action in [Action::"connect", Action::"select", Action::"copy"],
  resource in Connection::"clinic"
);
@id("names")
permit (principal in Group::"agents", action == Action::"read_raw", resource in Class::"name");
"#;

/// The database of all tests of this binary; gone with the last of them.
pub fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return cluster;
    }
    let cluster = Arc::new(fresh_cluster());
    *shared = Arc::downgrade(&cluster);
    cluster
}

/// A database of one's own, for tests that break it.
pub fn fresh_cluster() -> Cluster {
    let cluster = Cluster::start(Options::default().set("max_connections", "300")).unwrap();
    clinic::load(&cluster, ROLE, PASSWORD).unwrap();
    cluster
}

/// A gateway before it starts.
pub struct Setup {
    limits: String,
    gateway_limits: String,
    tls: bool,
    cluster: Option<Arc<Cluster>>,
    database_port: Option<u16>,
    policy: &'static str,
    tokens: bool,
    minted: bool,
}

/// A running gateway.
pub struct Gateway {
    child: Option<Child>,
    pub port: u16,
    pub issuer: Issuer,
    /// Kept for as long as the gateway needs it.
    _cluster: Arc<Cluster>,
    folder: TempDir,
    tls: bool,
}

impl Setup {
    pub fn new() -> Self {
        Setup {
            limits: String::new(),
            gateway_limits: String::new(),
            tls: false,
            cluster: None,
            database_port: None,
            policy: POLICY,
            tokens: false,
            minted: false,
        }
    }

    /// With bounds of a session, as in the configuration file: `idle: 1s`.
    pub fn limits(mut self, yaml: &str) -> Self {
        self.limits = yaml.to_owned();
        self
    }

    /// With bounds of the gateway: `connections: 3`.
    pub fn gateway_limits(mut self, yaml: &str) -> Self {
        self.gateway_limits = yaml.to_owned();
        self
    }

    /// With TLS for agents.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// With a database of one's own.
    pub fn cluster(mut self, cluster: Arc<Cluster>) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// With something between it and the database.
    pub fn database_port(mut self, port: u16) -> Self {
        self.database_port = Some(port);
        self
    }

    /// With another policy than [`POLICY`].
    pub fn policy(mut self, policy: &'static str) -> Self {
        self.policy = policy;
        self
    }

    /// With tokens that can be inverted, always the same, so that statements may name one.
    pub fn tokens(mut self) -> Self {
        self.tokens = true;
        self
    }

    /// With a role for each session, made by [`MINTER`].
    pub fn minted(mut self) -> Self {
        self.minted = true;
        self
    }

    /// Starts it.
    pub fn start(self) -> Gateway {
        let cluster = self.cluster.unwrap_or_else(cluster);
        let folder = tempfile::Builder::new().prefix("chaperone-test-").tempdir().unwrap();
        let base = folder.path();
        let issuer = Issuer::start("chaperone").unwrap();
        fs::write(base.join("database"), format!("{ROLE}\n{PASSWORD}\n")).unwrap();
        fs::write(base.join("minter"), format!("{MINTER}\n{PASSWORD}\n")).unwrap();
        fs::write(base.join("classes.yaml"), clinic::CLASSIFICATION).unwrap();
        fs::create_dir(base.join("policies")).unwrap();
        fs::write(base.join("policies/test.cedar"), self.policy).unwrap();
        fs::write(base.join("tokens"), "5a".repeat(32)).unwrap();
        Authority::new("test CA").unwrap().leaf(&["localhost", "127.0.0.1"]).unwrap().write_to(base).unwrap();
        let connection = |name: &str, what: &str| {
            format!(
                "  {name}: {{ postgres: 'localhost:{}/{name}', tls: disable, credential: {}, {what}, limits: {{ {} }} }}\n",
                self.database_port.unwrap_or(cluster.port()),
                if self.minted { "{ ephemeral: { minter: { file: minter } } }" } else { "{ file: database }" },
                self.limits
            )
        };
        let tokens = if self.tokens { ", tokens: { key: { file: tokens }, form: invertible }" } else { "" };
        let config = format!(
            "listen: {{ postgres: '127.0.0.1:0' }}\n{}issuers: [{{ name: test, url: '{}', audience: chaperone }}]\nconnections:\n{}{}policies: policies\nevidence: {{ dir: evidence, origin: test.example }}\nlimits: {{ {} }}\n",
            if self.tls { "tls: { cert: tls.crt, key: tls.key }\n" } else { "" },
            issuer.url(),
            connection("clinic", &format!("classification: classes.yaml{tokens}")),
            connection("ops", "phi: none"),
            self.gateway_limits,
        );
        fs::write(base.join("chaperone.yaml"), config).unwrap();
        let mut gateway = Gateway { child: None, port: 0, issuer, _cluster: cluster, folder, tls: self.tls };
        gateway.launch();
        gateway
    }
}

impl Gateway {
    /// Starts the process (again).
    pub fn launch(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("gateway.log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_chaperone"))
            .args(["serve", "--config"])
            .arg(self.path("chaperone.yaml"))
            .env("CHAPERONE_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        self.port = address.unwrap_or_else(|| panic!("the gateway did not start: {}", self.log()));
        self.child = Some(child);
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("gateway.log")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// `localhost:port`.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// How a client connects to it.
    pub fn transport(&self) -> Transport {
        match self.tls {
            true => Transport::Tls { ca: self.path("ca.crt"), host: "localhost".to_owned() },
            false => Transport::Plain,
        }
    }

    /// A token of a member of `agents`.
    pub fn token(&self) -> String {
        self.token_of("agents")
    }

    /// A token of a member of a group.
    pub fn token_of(&self, group: &str) -> String {
        self.issuer.mint(json!({"sub": "test-agent", "groups": [group]})).unwrap()
    }

    /// A raw client with a session on a connection.
    pub async fn client(&self, connection: &str) -> Client {
        self.client_of("agents", connection).await
    }

    /// The same for a member of a group.
    pub async fn client_of(&self, group: &str, connection: &str) -> Client {
        let mut client = Client::connect(&self.address(), self.transport()).await.unwrap();
        let opened = client.login("agent", connection, &self.token_of(group)).await;
        opened.unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        client
    }

    /// A raw client that has not said anything.
    pub async fn stranger(&self) -> Client {
        Client::connect(&self.address(), Transport::Plain).await.unwrap()
    }

    /// A driver's connection.
    pub async fn driver(&self, connection: &str) -> tokio_postgres::Client {
        let config = format!(
            "host=localhost port={} dbname={connection} user=agent password={} sslmode=disable",
            self.port,
            self.token()
        );
        let (client, driver) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(driver);
        client
    }

    /// Asks it to stop, without waiting.
    pub fn ask_to_stop(&self) {
        assert!(Command::new("kill").arg(self.pid().to_string()).status().unwrap().success());
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it as an operator does, and verifies its evidence: the exit status of `audit verify`.
    pub fn stop_and_verify(&mut self) -> i32 {
        self.ask_to_stop();
        self.wait();
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        self.verify()
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        let mut child = self.child.take().unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(40), "the gateway does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `chaperone audit verify` over its evidence, payloads opened.
    pub fn verify(&self) -> i32 {
        let dir = self.path("evidence");
        let output = verify(&dir);
        output.status.code().unwrap_or(-1)
    }

    /// The process is alive and has not panicked.
    pub fn assert_well(&mut self) {
        assert!(self.child.as_mut().unwrap().try_wait().unwrap().is_none(), "the gateway died: {}", self.log());
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// `chaperone audit verify` over a folder.
pub fn verify(dir: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .args(["audit", "verify", "--key"])
        .arg(dir.join("keys/log.vkey"))
        .arg("--payload-key")
        .arg(dir.join("keys/payload.key"))
        .arg("--dir")
        .arg(dir)
        .output()
        .unwrap()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
