//! An OpenID issuer on loopback, in this process: discovery, keys that rotate, a token endpoint, and a mint that also
//! makes every kind of token a gateway must refuse.
//!
//! It serves plain HTTP on 127.0.0.1 from a thread of its own, so that it can be used with any runtime or none.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData as _};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

/// How long a token of this issuer is valid, in seconds, unless its claims say otherwise.
pub const LIFETIME: i64 = 300;

/// A running issuer; dropping it closes its port.
pub struct Issuer {
    url: String,
    state: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is wrong with a token of [`Issuer::mint_bad`]; all else about it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// `exp` passed an hour ago.
    Expired,
    /// `nbf` is an hour ahead.
    NotYetValid,
    /// There is no `exp`.
    WithoutExpiry,
    /// `aud` is somebody else's.
    WrongAudience,
    /// There is no `aud`.
    WithoutAudience,
    /// `iss` is another address; the signature is of our key.
    WrongIssuer,
    /// `alg` is `none` and the signature empty.
    Unsigned,
    /// HS256 with the published key as the secret, the classic confusion of algorithms.
    HmacWithPublicKey,
    /// Signed by a key that was never published, under a published key's id.
    ForeignKey,
    /// One claim changed after the signature.
    Tampered,
    /// A key id that was never published.
    UnknownKeyId,
    /// A critical header extension that nobody knows (RFC 7515, 4.1.11).
    UnknownCritical,
    /// Not a token at all.
    Garbage,
}

impl Bad {
    /// Each of them.
    pub const ALL: [Bad; 13] = [
        Bad::Expired,
        Bad::NotYetValid,
        Bad::WithoutExpiry,
        Bad::WrongAudience,
        Bad::WithoutAudience,
        Bad::WrongIssuer,
        Bad::Unsigned,
        Bad::HmacWithPublicKey,
        Bad::ForeignKey,
        Bad::Tampered,
        Bad::UnknownKeyId,
        Bad::UnknownCritical,
        Bad::Garbage,
    ];
}

struct Shared {
    url: String,
    audience: String,
    keys: Mutex<Keys>,
    clients: Mutex<HashMap<String, (String, Value)>>,
    discovery_requests: AtomicUsize,
    jwks_requests: AtomicUsize,
    down: AtomicBool,
}

struct Keys {
    rsa: Key,
    ec: Key,
    generation: usize,
}

struct Key {
    algorithm: Algorithm,
    id: String,
    signer: EncodingKey,
    public: Jwk,
    public_der: Vec<u8>,
}

impl Key {
    fn new(algorithm: Algorithm, id: String) -> Result<Self> {
        let (kind, rsa) = match algorithm {
            Algorithm::RS256 => (&PKCS_RSA_SHA256, true),
            Algorithm::ES256 => (&PKCS_ECDSA_P256_SHA256, false),
            other => anyhow::bail!("no key for `{other:?}`"),
        };
        let pair = KeyPair::generate_for(kind)?;
        let pem = pair.serialize_pem();
        let signer =
            if rsa { EncodingKey::from_rsa_pem(pem.as_bytes())? } else { EncodingKey::from_ec_pem(pem.as_bytes())? };
        let mut public = Jwk::from_encoding_key(&signer, algorithm)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Signature);
        Ok(Key { algorithm, id, signer, public, public_der: pair.subject_public_key_info() })
    }
}

impl Keys {
    fn new(generation: usize) -> Result<Self> {
        Ok(Keys {
            rsa: Key::new(Algorithm::RS256, format!("rsa-{generation}"))?,
            ec: Key::new(Algorithm::ES256, format!("ec-{generation}"))?,
            generation,
        })
    }
}

impl Issuer {
    /// Starts an issuer whose tokens are for this audience.
    ///
    /// # Errors
    /// No free port, or the random source failed.
    pub fn start(audience: &str) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        listener.set_nonblocking(true)?;
        let address: SocketAddr = listener.local_addr()?;
        let url = format!("http://{address}");
        let state = Arc::new(Shared {
            url: url.clone(),
            audience: audience.to_owned(),
            keys: Mutex::new(Keys::new(1)?),
            clients: Mutex::default(),
            discovery_requests: AtomicUsize::new(0),
            jwks_requests: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        });
        let (stop, stopped) = oneshot::channel();
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(Arc::clone(&state));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("issuer".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let serve = axum::serve(listener, routes).into_future();
                // Whichever ends first: open connections of clients do not hold us up.
                tokio::select! { _ = serve => {}, _ = stopped => {} }
            });
        })?;
        Ok(Issuer { url, state, stop: Some(stop), thread: Some(thread) })
    }

    /// The issuer's identifier: what tokens carry as `iss`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The audience of its tokens.
    pub fn audience(&self) -> &str {
        &self.state.audience
    }

    /// A good token, RS256, with these claims over the usual ones (`iss`, `aud`, `iat`, `nbf`, `exp`, `jti`). A claim of
    /// `null` takes the usual one away.
    ///
    /// # Errors
    /// The claims are not an object.
    pub fn mint(&self, claims: Value) -> Result<String> {
        let claims = self.claims(claims)?;
        let keys = self.state.keys();
        sign(&keys.rsa, &keys.rsa.id, &claims)
    }

    /// As [`Issuer::mint`], signed with ES256.
    ///
    /// # Errors
    /// As [`Issuer::mint`].
    pub fn mint_es256(&self, claims: Value) -> Result<String> {
        let claims = self.claims(claims)?;
        let keys = self.state.keys();
        sign(&keys.ec, &keys.ec.id, &claims)
    }

    /// A token with exactly one fault.
    ///
    /// # Errors
    /// As [`Issuer::mint`].
    pub fn mint_bad(&self, bad: Bad, claims: Value) -> Result<String> {
        let mut claims = self.claims(claims)?;
        let now = now();
        let keys = self.state.keys();
        let key = &keys.rsa;
        match bad {
            Bad::Expired => {
                claims.insert("iat".into(), json!(now - 7200));
                claims.insert("nbf".into(), json!(now - 7200));
                claims.insert("exp".into(), json!(now - 3600));
                sign(key, &key.id, &claims)
            }
            Bad::NotYetValid => {
                claims.insert("nbf".into(), json!(now + 3600));
                claims.insert("exp".into(), json!(now + 7200));
                sign(key, &key.id, &claims)
            }
            Bad::WithoutExpiry => {
                claims.remove("exp");
                sign(key, &key.id, &claims)
            }
            Bad::WrongAudience => {
                claims.insert("aud".into(), json!("somebody-else"));
                sign(key, &key.id, &claims)
            }
            Bad::WithoutAudience => {
                claims.remove("aud");
                sign(key, &key.id, &claims)
            }
            Bad::WrongIssuer => {
                claims.insert("iss".into(), json!("http://127.0.0.1:1"));
                sign(key, &key.id, &claims)
            }
            Bad::Unsigned => Ok(format!(
                "{}.{}.",
                encode(&json!({"alg": "none", "typ": "JWT", "kid": key.id})),
                encode(&Value::Object(claims))
            )),
            Bad::HmacWithPublicKey => {
                let mut header = Header::new(Algorithm::HS256);
                header.kid = Some(key.id.clone());
                let pem = pem("PUBLIC KEY", &key.public_der);
                Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(pem.as_bytes()))?)
            }
            Bad::ForeignKey => sign(&Key::new(Algorithm::RS256, "foreign".into())?, &key.id, &claims),
            Bad::Tampered => {
                let good = sign(key, &key.id, &claims)?;
                claims.insert("sub".into(), json!("root"));
                let mut parts: Vec<&str> = good.split('.').collect();
                let changed = encode(&Value::Object(claims));
                if let Some(payload) = parts.get_mut(1) {
                    *payload = &changed;
                }
                Ok(parts.join("."))
            }
            Bad::UnknownKeyId => sign(key, "never-published", &claims),
            Bad::UnknownCritical => {
                let mut header = Header::new(Algorithm::RS256);
                header.kid = Some(key.id.clone());
                let mut header = serde_json::to_value(header)?;
                header["crit"] = json!(["no-such-extension"]);
                header["no-such-extension"] = json!(true);
                let message = format!("{}.{}", encode(&header), encode(&Value::Object(claims)));
                let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key.signer, Algorithm::RS256)?;
                Ok(format!("{message}.{signature}"))
            }
            Bad::Garbage => Ok("not-a-token".to_owned()),
        }
    }

    /// Publishes new keys instead of the old ones; tokens minted before no longer verify.
    ///
    /// # Errors
    /// The random source failed.
    pub fn rotate(&self) -> Result<()> {
        let next = self.state.keys().generation + 1;
        let keys = Keys::new(next)?;
        *self.state.keys() = keys;
        Ok(())
    }

    /// Whether the issuer answers every request with 503 from now on.
    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// How often the keys were asked for: shows that misses are rate-limited.
    pub fn jwks_requests(&self) -> usize {
        self.state.jwks_requests.load(Ordering::SeqCst)
    }

    /// How often the discovery document was asked for.
    pub fn discovery_requests(&self) -> usize {
        self.state.discovery_requests.load(Ordering::SeqCst)
    }

    /// Registers a client of the token endpoint: `curl -u ID:SECRET -d grant_type=client_credentials URL/token` answers a
    /// fresh token with these claims.
    pub fn add_client(&self, id: &str, secret: &str, claims: Value) {
        self.state.clients().insert(id.to_owned(), (secret.to_owned(), claims));
    }

    fn claims(&self, over: Value) -> Result<Map<String, Value>> {
        self.state.claims(over)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, (String, Value)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self, over: Value) -> Result<Map<String, Value>> {
        let Value::Object(over) = over else { anyhow::bail!("claims are an object") };
        let now = now();
        let usual = json!({
            "iss": self.url, "aud": self.audience, "iat": now, "nbf": now, "exp": now + LIFETIME,
            "jti": format!("{:032x}", rand::random::<u128>()),
        });
        let Value::Object(mut claims) = usual else { anyhow::bail!("claims are an object") };
        claims.extend(over);
        claims.retain(|_, value| !value.is_null());
        Ok(claims)
    }
}

fn sign(key: &Key, id: &str, claims: &Map<String, Value>) -> Result<String> {
    let mut header = Header::new(key.algorithm);
    header.kid = Some(id.to_owned());
    Ok(jsonwebtoken::encode(&header, claims, &key.signer)?)
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

async fn discovery(State(state): State<Arc<Shared>>) -> Response {
    state.discovery_requests.fetch_add(1, Ordering::SeqCst);
    if state.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let url = &state.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks"),
        "token_endpoint": format!("{url}/token"),
        "authorization_endpoint": format!("{url}/authorize"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "grant_types_supported": ["client_credentials"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }))
    .into_response()
}

async fn jwks(State(state): State<Arc<Shared>>) -> Response {
    state.jwks_requests.fetch_add(1, Ordering::SeqCst);
    if state.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let keys = state.keys();
    Json(json!({ "keys": [&keys.rsa.public, &keys.ec.public] })).into_response()
}

/// RFC 6749, 4.4: the client credentials grant, with the client's name and secret by HTTP Basic.
async fn token(
    State(state): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return refuse("unsupported_grant_type");
    }
    let Ok((id, secret)) = basic(&headers) else { return refuse("invalid_client") };
    let claims = match state.clients().get(&id) {
        Some((known, claims)) if *known == secret => claims.clone(),
        Some(_) | None => return refuse("invalid_client"),
    };
    let minted = state.claims(claims).and_then(|claims| {
        let keys = state.keys();
        sign(&keys.rsa, &keys.rsa.id, &claims)
    });
    match minted {
        Ok(token) => {
            Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": LIFETIME })).into_response()
        }
        Err(_) => refuse("server_error"),
    }
}

fn basic(headers: &HeaderMap) -> Result<(String, String)> {
    let value = headers.get(AUTHORIZATION).context("no credentials")?.to_str()?;
    let encoded = value.strip_prefix("Basic ").context("not basic")?;
    let text = String::from_utf8(STANDARD.decode(encoded)?)?;
    let (id, secret) = text.split_once(':').context("no colon")?;
    ensure!(!id.is_empty(), "no name");
    Ok((id.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn http(issuer: &Issuer, request: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(issuer.url().strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn fetch(issuer: &Issuer, path: &str) -> (u16, String) {
        http(issuer, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    /// A verifier of the library's own, strict as a gateway should be.
    fn verify(issuer: &Issuer, token: &str) -> Result<Value> {
        let keys: JwkSet = serde_json::from_str(&fetch(issuer, "/jwks").1)?;
        let header = jsonwebtoken::decode_header(token)?;
        let key = keys.find(header.kid.as_deref().context("no key id")?).context("unknown key id")?;
        let algorithm = match key.algorithm {
            jsonwebtoken::jwk::AlgorithmParameters::RSA(_) => Algorithm::RS256,
            _ => Algorithm::ES256,
        };
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&[issuer.audience()]);
        rules.set_issuer(&[issuer.url()]);
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        rules.validate_nbf = true;
        Ok(jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key)?, &rules)?.claims)
    }

    #[test]
    fn good_tokens_verify_and_each_bad_one_fails() {
        let issuer = Issuer::start("chaperone").unwrap();
        let claims = json!({ "sub": "agent-1", "groups": ["care-agents"] });
        assert_eq!(verify(&issuer, &issuer.mint(claims.clone()).unwrap()).unwrap()["groups"][0], "care-agents");
        assert_eq!(verify(&issuer, &issuer.mint_es256(claims.clone()).unwrap()).unwrap()["sub"], "agent-1");
        for bad in Bad::ALL {
            // This library does not read `crit`; a gateway has to.
            if bad != Bad::UnknownCritical {
                let token = issuer.mint_bad(bad, claims.clone()).unwrap();
                assert!(verify(&issuer, &token).is_err(), "{bad:?} was accepted");
            }
        }
    }

    #[test]
    fn rotation_and_outage_are_seen_from_outside() {
        let issuer = Issuer::start("chaperone").unwrap();
        let old = issuer.mint(json!({ "sub": "a" })).unwrap();
        issuer.rotate().unwrap();
        assert!(verify(&issuer, &old).is_err());
        assert!(verify(&issuer, &issuer.mint(json!({ "sub": "a" })).unwrap()).is_ok());
        let before = issuer.jwks_requests();
        issuer.set_down(true);
        assert_eq!(fetch(&issuer, "/jwks").0, 503);
        assert_eq!(issuer.jwks_requests(), before + 1);
        issuer.set_down(false);
        let document: Value = serde_json::from_str(&fetch(&issuer, "/.well-known/openid-configuration").1).unwrap();
        assert_eq!(document["issuer"], issuer.url());
    }

    #[test]
    fn the_token_endpoint_knows_its_clients() {
        let issuer = Issuer::start("chaperone").unwrap();
        issuer.add_client("agent-1", "s", json!({ "sub": "agent-1" }));
        let ask = |secret: &str| {
            let basic = STANDARD.encode(format!("agent-1:{secret}"));
            let body = "grant_type=client_credentials";
            http(
                &issuer,
                &format!(
                    "POST /token HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Basic {basic}\r\n\
                     content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ),
            )
        };
        let (status, body) = ask("s");
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(verify(&issuer, body["access_token"].as_str().unwrap()).is_ok());
        assert_eq!(ask("wrong").0, 400);
    }
}
