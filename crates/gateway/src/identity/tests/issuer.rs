//! An issuer in this process that does as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// A key pair.
pub(super) struct Signer {
    pub(super) header: Header,
    key: EncodingKey,
    pub(super) jwk: Value,
}

impl Signer {
    pub(super) fn es256(id: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        Self::new(id, Algorithm::ES256, key, jwk)
    }

    pub(super) fn eddsa(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        Self::new(id, Algorithm::EdDSA, EncodingKey::from_ed_der(pkcs8.as_ref()), jwk)
    }

    fn new(id: &str, algorithm: Algorithm, key: EncodingKey, mut jwk: Value) -> Self {
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        let header = Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
        Signer { header, key, jwk }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header, claims)
    }

    pub(super) fn sign_as(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }
}

/// How the issuer behaves; may be changed while it runs.
pub(super) struct Behaviour {
    pub(super) keys: Vec<Value>,
    /// The discovery document's `issuer`, where it lies.
    pub(super) claims_to_be: Option<String>,
    pub(super) jwks_uri: Option<String>,
    pub(super) redirect: Option<String>,
    pub(super) delay: Duration,
    pub(super) down: bool,
    /// Bytes of white space after the key set.
    pub(super) padding: usize,
}

pub(super) struct TestIssuer {
    pub(super) url: String,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

struct Inner {
    url: String,
    behaviour: Mutex<Behaviour>,
    fetches: AtomicUsize,
}

impl TestIssuer {
    pub(super) async fn start(signers: &[&Signer]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let behaviour = Behaviour {
            keys: signers.iter().map(|s| s.jwk.clone()).collect(),
            claims_to_be: None,
            jwks_uri: None,
            redirect: None,
            delay: Duration::ZERO,
            down: false,
            padding: 0,
        };
        let inner =
            Arc::new(Inner { url: url.clone(), behaviour: Mutex::new(behaviour), fetches: AtomicUsize::new(0) });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/moved", get(keys))
            .with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        TestIssuer { url, inner, task }
    }

    pub(super) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.inner.behaviour.lock().unwrap());
    }

    /// How often the key set was asked for.
    pub(super) fn fetches(&self) -> usize {
        self.inner.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn discovery(State(inner): State<Arc<Inner>>) -> Response {
    let (issuer, jwks_uri, down) = {
        let b = inner.behaviour.lock().unwrap();
        let issuer = b.claims_to_be.clone().unwrap_or_else(|| inner.url.clone());
        (issuer, b.jwks_uri.clone().unwrap_or_else(|| format!("{}/keys", inner.url)), b.down)
    };
    if down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    axum::Json(json!({ "issuer": issuer, "jwks_uri": jwks_uri })).into_response()
}

async fn keys(State(inner): State<Arc<Inner>>, uri: axum::http::Uri) -> Response {
    let (body, delay, redirect) = {
        let b = inner.behaviour.lock().unwrap();
        let mut body = json!({ "keys": b.keys }).to_string();
        body.extend(std::iter::repeat_n(' ', b.padding));
        (body, b.delay, b.redirect.clone())
    };
    if let (Some(to), "/keys") = (redirect, uri.path()) {
        return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    }
    inner.fetches.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(delay).await;
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], body).into_response()
}
