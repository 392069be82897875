//! An issuer's public keys: fetched when they are needed, kept while they are fresh.
//!
//! - A key that is known and fresh is found without waiting.
//! - Otherwise the set is fetched: once for all who wait (single flight), and not again for [`Timing::again`], whatever
//!   tokens say. A storm of made-up key ids costs the issuer one request each ten seconds.
//! - While the issuer cannot be reached, its last set is used up to [`Timing::stale`]. So a key that the issuer withdraws
//!   stops working after [`Timing::fresh`], or after [`Timing::stale`] where the issuer is down as well.
//! - A fetch runs on a task of its own: a client that hangs up cannot keep others from the keys.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::config::{IssuerConfig, address};
use super::fetch::{FetchError, Fetcher};
use super::refused::LoginRefused;

const MAX_KEYS: usize = 100;

/// How long things hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// A set is used without asking again.
    pub(super) fresh: Duration,
    /// A set is used while the issuer cannot be reached.
    pub(super) stale: Duration,
    /// Between two fetches.
    pub(super) again: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            fresh: Duration::from_secs(10 * 60),
            stale: Duration::from_secs(60 * 60),
            again: Duration::from_secs(10),
        }
    }
}

pub(super) struct Keys {
    issuer: String,
    name: String,
    source: Source,
    fetcher: Fetcher,
    timing: Timing,
    known: RwLock<Option<Arc<KeySet>>>,
    /// When the last fetch began; held while one is under way.
    fetching: Arc<Mutex<Option<Instant>>>,
}

/// Where keys come from.
pub(super) enum Source {
    /// A discovery document, which names the set.
    Discovery(Url),
    /// The set itself.
    Set(Url),
}

struct KeySet {
    keys: Vec<Key>,
    at: Instant,
}

struct Key {
    id: Option<String>,
    /// Those that the issuer means it for.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

enum Found {
    Fresh(DecodingKey),
    /// Known, but not lately.
    Stale(DecodingKey),
    No,
}

impl Keys {
    pub(super) fn new(config: &IssuerConfig, source: Source, fetcher: Fetcher, timing: Timing) -> Keys {
        Keys {
            issuer: config.url.clone(),
            name: config.name.clone(),
            source,
            fetcher,
            timing,
            known: RwLock::new(None),
            fetching: Arc::default(),
        }
    }

    /// The key of this id, or without one the only key, that is meant for `algorithm`.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<DecodingKey, LoginRefused> {
        if let Found::Fresh(key) = self.look(id, algorithm) {
            return Ok(key);
        }
        let mut last = Arc::clone(&self.fetching).lock_owned().await;
        // somebody else may have fetched while we waited
        if let Found::Fresh(key) = self.look(id, algorithm) {
            return Ok(key);
        }
        let reached = if last.is_some_and(|at| at.elapsed() < self.timing.again) {
            // the last attempt failed if there is nothing, or nothing from then
            self.newest().is_some_and(|set| last.is_some_and(|began| set >= began))
        } else {
            *last = Some(Instant::now());
            let keys = Arc::clone(self);
            let fetched = tokio::spawn(async move {
                let fetched = keys.fetch().await;
                drop(last);
                fetched
            });
            fetched.await.unwrap_or(false)
        };
        match self.look(id, algorithm) {
            Found::Fresh(key) => Ok(key),
            Found::Stale(key) if !reached => Ok(key),
            Found::Stale(_) | Found::No if reached => Err(LoginRefused::unknown_key()),
            Found::Stale(_) | Found::No => Err(LoginRefused::unreachable()),
        }
    }

    fn look(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let Some(set) = known else { return Found::No };
        let mut candidates = set
            .keys
            .iter()
            .filter(|key| (id.is_none() || key.id.as_deref() == id) && key.algorithms.contains(&algorithm));
        let (Some(only), None) = (candidates.next(), candidates.next()) else { return Found::No };
        match set.at.elapsed() {
            age if age < self.timing.fresh => Found::Fresh(only.key.clone()),
            age if age < self.timing.stale => Found::Stale(only.key.clone()),
            _ => Found::No,
        }
    }

    fn newest(&self) -> Option<Instant> {
        self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner).as_ref().map(|set| set.at)
    }

    /// Whether the issuer could be reached and its keys are known now.
    async fn fetch(&self) -> bool {
        match self.fetch_set().await {
            Ok(keys) => {
                tracing::info!(issuer = self.name, keys = keys.len(), "keys fetched");
                let set = Some(Arc::new(KeySet { keys, at: Instant::now() }));
                *self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner) = set;
                true
            }
            Err(error) => {
                tracing::warn!(issuer = self.name, %error, "keys cannot be fetched");
                false
            }
        }
    }

    async fn fetch_set(&self) -> Result<Vec<Key>, FetchError> {
        #[derive(Deserialize)]
        struct Published {
            keys: Vec<Value>,
        }
        let url = self.address().await?;
        let published: Published = self.fetcher.json(&url).await?;
        if published.keys.len() > MAX_KEYS {
            return Err(FetchError::Malformed { url, why: format!("more than {MAX_KEYS} keys") });
        }
        // a key that is not for us, or of a kind that we do not know, does not spoil the others
        Ok(published.keys.into_iter().filter_map(Key::read).collect())
    }

    /// OpenID Connect Discovery 1.0, section 4: the document must be the configured issuer's own (section 4.3).
    async fn address(&self) -> Result<Url, FetchError> {
        #[derive(Deserialize)]
        struct Discovered {
            issuer: String,
            jwks_uri: String,
        }
        let url = match &self.source {
            Source::Set(url) => return Ok(url.clone()),
            Source::Discovery(url) => url,
        };
        let discovered: Discovered = self.fetcher.json(url).await?;
        let malformed = |why: String| FetchError::Malformed { url: url.clone(), why };
        if discovered.issuer != self.issuer {
            return Err(malformed("it is the document of another issuer".into()));
        }
        address(&discovered.jwks_uri).map_err(|why| malformed(format!("its `jwks_uri` {why}")))
    }
}

impl Key {
    fn read(value: Value) -> Option<Key> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        if common.key_operations.as_ref().is_some_and(|ops| !ops.contains(&KeyOperations::Verify)) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => vec![Algorithm::ES384],
            AlgorithmParameters::OctetKeyPair(ed) if ed.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            // symmetric keys above all: a secret that is published is none
            _ => return None,
        };
        if let Some(meant) = common.key_algorithm {
            algorithms.retain(|algorithm| meant.to_string() == format!("{algorithm:?}"));
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Key { id: jwk.common.key_id, algorithms, key })
    }
}
