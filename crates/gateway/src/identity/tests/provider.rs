//! Against a certified OpenID provider (`tests/issuer`), in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::*;

struct Provider {
    url: String,
    /// Ends when its standard input does, which is when this is dropped.
    _process: Child,
}

/// `tests/issuer` of the repository. Looked for from the package upwards, so that the package may stand elsewhere.
fn recipe() -> PathBuf {
    let up = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    up.map(|dir| dir.join("tests/issuer/run")).find(|path| path.exists()).expect("tests/issuer/run")
}

impl Provider {
    /// `None` only where there is no Node.js: an installation that fails is a failure.
    async fn start(clients: Value) -> Option<Provider> {
        if Command::new("node").arg("--version").stdout(Stdio::null()).status().await.is_err() {
            eprintln!("SKIPPED: no `node`, so nothing was tested against a certified provider");
            return None;
        }
        let mut process = Command::new(recipe())
            .args(["0", &clients.to_string()])
            .env("EXIT_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("ready ") {
                    return url.to_owned();
                }
            }
            panic!("the provider ended before it was ready");
        };
        // the first time it is installed
        let url = tokio::time::timeout(Duration::from_secs(120), ready).await.expect("ready in time");
        Some(Provider { url, _process: process })
    }

    async fn token(&self, client: &str, secret: &str) -> String {
        let body = format!("grant_type=client_credentials&scope=db%3Aread&client_id={client}&client_secret={secret}");
        let response = reqwest::Client::builder()
            .tls_backend_preconfigured(no_tls())
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("{}/token", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap();
        let answer: Value = response.json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }
}

/// Plain HTTP on loopback needs none, but the client wants to be told.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[tokio::test]
async fn a_certified_provider() {
    let clients = json!([
        { "id": "agent-rsa", "secret": "sesame-1", "audience": AUDIENCE, "algorithm": "RS256",
          "claims": { "groups": ["care", "night"], "model": "scribe", "model_version": "4.2", "purpose": "treatment" } },
        { "id": "agent-ec", "secret": "sesame-2", "audience": AUDIENCE, "algorithm": "ES256" },
        { "id": "agent-ed", "secret": "sesame-3", "audience": AUDIENCE, "algorithm": "EdDSA" },
        { "id": "agent-elsewhere", "secret": "sesame-4", "audience": "another-service" },
        { "id": "agent-brief", "secret": "sesame-5", "audience": AUDIENCE, "ttl": 1 },
    ]);
    let Some(provider) = Provider::start(clients).await else { return };
    let mut config = IssuerConfig::new("certified", &provider.url, AUDIENCE);
    config.leeway = Duration::ZERO;
    let identity = Identity::new(vec![config]).unwrap();

    let principal = identity.verify(&provider.token("agent-rsa", "sesame-1").await).await.unwrap();
    assert_eq!((principal.issuer.as_str(), principal.agent.as_str()), ("certified", "agent-rsa"));
    assert_eq!((principal.groups, principal.scopes), (vec!["care".to_owned(), "night".into()], vec!["db:read".into()]));
    let model = principal.model.unwrap();
    assert_eq!((model.name.as_str(), model.version.as_deref()), ("scribe", Some("4.2")));
    assert_eq!(principal.purpose.as_deref(), Some("treatment"));
    assert_eq!(principal.token.algorithm, "RS256");
    assert!(principal.token.id.is_some() && principal.token.key_id.is_some());

    for (client, secret, algorithm) in [("agent-ec", "sesame-2", "ES256"), ("agent-ed", "sesame-3", "EdDSA")] {
        let principal = identity.verify(&provider.token(client, secret).await).await.unwrap();
        assert_eq!((principal.agent.as_str(), principal.token.algorithm.as_str()), (client, algorithm));
    }

    assert_eq!(refused(&identity, &provider.token("agent-elsewhere", "sesame-4").await).await, "token.audience");
    let brief = provider.token("agent-brief", "sesame-5").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(refused(&identity, &brief).await, "token.expired");

    // one letter of a real signature, and of a real claim
    let token = provider.token("agent-rsa", "sesame-1").await;
    for at in [token.len() - 10, token.find('.').unwrap() + 10] {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        identity.verify(&String::from_utf8(bytes).unwrap()).await.unwrap_err();
    }
}
