//! One issuer: a token of its, verified.

use std::sync::Arc;

use chaperone_model::{Principal, TokenFacts};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, get_current_timestamp};

use super::claims::Claims;
use super::config::{IdentityError, IssuerConfig};
use super::fetch::Fetcher;
use super::keys::{Keys, Timing};
use super::refused::LoginRefused;
use super::token::{self, Unverified};

pub(super) struct Issuer {
    config: IssuerConfig,
    keys: Arc<Keys>,
}

impl Issuer {
    pub(super) fn new(config: IssuerConfig, timing: Timing) -> Result<Issuer, IdentityError> {
        let source = config.check()?;
        let fetcher = Fetcher::new(config.ca_file.as_deref())
            .map_err(|why| IdentityError::Issuer { name: config.name.clone(), why })?;
        let keys = Arc::new(Keys::new(&config, source, fetcher, timing));
        Ok(Issuer { config, keys })
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) fn discovery(&self) -> String {
        self.config.discovery()
    }

    pub(super) async fn verify(&self, token: &str, unverified: &Unverified) -> Result<Principal, LoginRefused> {
        let algorithm = unverified.algorithm;
        if !self.config.algorithms.iter().any(|pinned| pinned.jose() == algorithm) {
            return Err(token::algorithm());
        }
        let key = self.keys.find(unverified.key_id.as_deref(), algorithm).await?;

        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.config.audience]);
        validation.set_issuer(&[&self.config.url]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = self.config.leeway.as_secs();
        let claims = decode::<Claims>(token, &key, &validation).map_err(|error| refused(error.kind()))?.claims;

        self.check_age(&claims)?;
        let facts = TokenFacts {
            id: claims.id()?,
            key_id: unverified.key_id.clone(),
            algorithm: format!("{algorithm:?}"),
            issued_at: claims.issued_at()?,
            expires_at: claims.expires_at()?,
        };
        claims.principal(&self.config, facts)
    }

    /// Who a token with these claims would be for, were it valid.
    pub(super) fn imagine(&self, claims: &Claims) -> Result<Principal, LoginRefused> {
        let facts = TokenFacts {
            id: claims.id()?,
            key_id: None,
            algorithm: "none".to_owned(),
            issued_at: claims.issued_at()?,
            expires_at: claims.expires_at().unwrap_or(i64::MAX),
        };
        claims.principal(&self.config, facts)
    }

    /// `iat` against our clock, and the longest life that the configuration allows.
    fn check_age(&self, claims: &Claims) -> Result<(), LoginRefused> {
        let now = i64::try_from(get_current_timestamp()).unwrap_or(i64::MAX);
        let leeway = i64::try_from(self.config.leeway.as_secs()).unwrap_or(0);
        let issued_at = claims.issued_at()?;
        if issued_at.is_some_and(|at| at > now.saturating_add(leeway)) {
            return Err(LoginRefused::new("token.not_yet_valid", "the token is issued in the future"));
        }
        let Some(longest) = self.config.max_token_age else { return Ok(()) };
        let longest = i64::try_from(longest.as_secs()).unwrap_or(i64::MAX).saturating_add(leeway);
        let Some(issued_at) = issued_at else {
            return Err(LoginRefused::claim("iat", "is missing, and its age is limited here"));
        };
        let age = now.saturating_sub(issued_at).max(claims.expires_at()?.saturating_sub(issued_at));
        if age > longest {
            return Err(LoginRefused::new(
                "token.too_old",
                "the token is older, or made to live longer, than allowed here",
            ));
        }
        Ok(())
    }
}

/// What `jsonwebtoken` says, without the texts of its errors, which may quote a claim.
fn refused(kind: &ErrorKind) -> LoginRefused {
    match kind {
        ErrorKind::ExpiredSignature => LoginRefused::new("token.expired", "the token has expired; get a new one"),
        ErrorKind::ImmatureSignature => LoginRefused::new("token.not_yet_valid", "the token is not valid yet"),
        ErrorKind::InvalidAudience => LoginRefused::new("token.audience", "the token is made for another audience"),
        ErrorKind::InvalidIssuer => LoginRefused::unknown_issuer(),
        ErrorKind::InvalidSignature => LoginRefused::new("token.signature", "the token's signature is wrong"),
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm | ErrorKind::MissingAlgorithm => {
            token::algorithm()
        }
        // the names of claims are among those that we required
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => {
            LoginRefused::new("token.audience", "the token does not say whom it is made for")
        }
        ErrorKind::MissingRequiredClaim(claim) => LoginRefused::claim(claim, "is missing"),
        ErrorKind::InvalidClaimFormat(claim) => LoginRefused::claim(claim, "is not what it must be"),
        // keys were checked when they were fetched, and the rest is a matter of shape
        _ => LoginRefused::malformed("the token is not a JWT that can be verified"),
    }
}
