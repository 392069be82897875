//! Who is it? A bearer token becomes a [`Principal`], or the log-in is refused.
//!
//! ```text
//! token ─► shape ─► issuer by `iss` ─► key by `kid` ─► signature, times, audience ─► claims ─► Principal
//!          (no network so far)         (JWKS, cached)   (jsonwebtoken)
//! ```
//! - A token chooses *which* configured issuer judges it, by the exact text of its `iss`, and nothing else: neither an
//!   address to fetch (`jku`, `x5u`), nor a key (`jwk`, `x5c`), nor an algorithm that is not pinned. Symmetric algorithms
//!   and `none` cannot even be configured.
//! - Signatures and times are the work of `jsonwebtoken`; ours is to choose the key and to read the claims strictly: a
//!   claim of the wrong shape refuses, it is not skipped.
//! - Nothing of a token is ever in an error, in `Debug` output or in a log.
//!
//! | module | what |
//! | --- | --- |
//! | `config` | what an operator says of an issuer, checked |
//! | `token` | what may be read of a token before it is verified |
//! | `issuer` | one issuer: verification |
//! | `keys` | its keys: cache, rotation, single flight, rate limit |
//! | `fetch` | a small answer over HTTPS, or none |
//! | `claims` | verified claims as a principal |
//! | [`trust`] | the certificates that an issuer's must lead to |
//! | `refused` | a "no" that says which rule, and nothing of the token |

mod claims;
mod config;
mod fetch;
mod fuzz;
mod issuer;
mod keys;
mod refused;
mod token;
pub mod trust;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chaperone_model::Principal;

pub use config::{Algorithm, Delegation, IdentityError, IssuerConfig};
pub use fuzz::fuzz_token;
pub use refused::LoginRefused;

use issuer::Issuer;
use keys::Timing;

/// Verifies tokens of the configured issuers. Cheap to share in an `Arc`; needs a tokio runtime.
pub struct Identity {
    /// By `iss`, exactly.
    issuers: HashMap<String, Issuer>,
}

impl Identity {
    /// Checks the configuration. Nothing is fetched yet: an issuer that is down must not keep the gateway down.
    ///
    /// # Errors
    /// Two issuers of one name or URL, an address that is not `https` (or `http` on loopback), no audience, no
    /// algorithm, a leeway over 120 seconds, a file of certificates that cannot be read.
    pub fn new(issuers: Vec<IssuerConfig>) -> Result<Identity, IdentityError> {
        Identity::with_timing(issuers, Timing::default())
    }

    fn with_timing(configs: Vec<IssuerConfig>, timing: Timing) -> Result<Identity, IdentityError> {
        let mut issuers: HashMap<String, Issuer> = HashMap::new();
        for config in configs {
            if issuers.values().any(|known| known.name() == config.name) {
                return Err(IdentityError::Twice { what: "name", value: config.name });
            }
            if issuers.contains_key(&config.url) {
                return Err(IdentityError::Twice { what: "url", value: config.url });
            }
            issuers.insert(config.url.clone(), Issuer::new(config, timing)?);
        }
        Ok(Identity { issuers })
    }

    /// Where a client that was refused can learn how to get a token: the discovery document of the only issuer. With
    /// several nobody can tell which one the client should ask, so it is told none (RFC 7628, section 3.2.2).
    pub fn discovery(&self) -> String {
        let mut issuers = self.issuers.values();
        match (issuers.next(), issuers.next()) {
            (Some(only), None) => only.discovery(),
            _ => String::new(),
        }
    }

    /// Who holds `token`, which must be valid now.
    ///
    /// Waits for the network only where the issuer's keys are not known or not fresh: at most some ten seconds.
    ///
    /// # Errors
    /// [`LoginRefused`] with the rule that refuses.
    pub async fn verify(&self, token: &str) -> Result<Principal, LoginRefused> {
        let unverified = token::Unverified::read(token)?;
        let issuer = self.issuers.get(&unverified.issuer).ok_or_else(LoginRefused::unknown_issuer)?;
        issuer.verify(token, &unverified).await.map_err(|refused| refused.by(issuer.name()))
    }
}

impl Identity {
    /// Who the holder of a token with these claims (a JSON object) would be. **Nothing is verified**: only for
    /// explanations and tests of policies, which run nothing.
    ///
    /// # Errors
    /// [`LoginRefused`], as for a token with such claims; an issuer (`iss`) that is not configured.
    pub fn imagine(&self, claims: &str) -> Result<Principal, LoginRefused> {
        let claims: claims::Claims =
            serde_json::from_str(claims).map_err(|_| LoginRefused::malformed("the claims are not a JSON object"))?;
        let issuer = claims.issuer()?;
        let issuer = self.issuers.get(&issuer).ok_or_else(LoginRefused::unknown_issuer)?;
        issuer.imagine(&claims).map_err(|refused| refused.by(issuer.name()))
    }
}

/// Names only.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.issuers.values().map(Issuer::name)).finish()
    }
}
