//! Tokens good and bad, against an issuer in this process and a certified one.

mod claims;
mod issuer;
mod keys;
mod provider;
mod tokens;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::keys::Timing;
use super::{Identity, IssuerConfig};
use issuer::{Signer, TestIssuer};

const AUDIENCE: &str = "chaperone-clinic";

/// Quick enough for tests, slow enough for a busy machine.
const TIMING: Timing =
    Timing { fresh: Duration::from_secs(60), stale: Duration::from_secs(120), again: Duration::from_millis(300) };

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An issuer with one key, and an [`Identity`] that trusts it.
struct Setting {
    issuer: TestIssuer,
    signer: Signer,
    identity: Identity,
}

impl Setting {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut IssuerConfig)) -> Self {
        Self::timed(TIMING, adjust).await
    }

    async fn timed(timing: Timing, adjust: impl FnOnce(&mut IssuerConfig)) -> Self {
        let signer = Signer::es256("key-1");
        let issuer = TestIssuer::start(&[&signer]).await;
        let mut config = IssuerConfig::new("corp", &issuer.url, AUDIENCE);
        adjust(&mut config);
        let identity = Identity::with_timing(vec![config], timing).unwrap();
        Setting { issuer, signer, identity }
    }

    /// Good claims, with some replaced; `null` takes one away.
    fn claims(&self, changes: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer.url, "sub": "agent-1", "aud": AUDIENCE, "iat": now(), "exp": now() + 300, "jti": "t-1",
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    fn token(&self, changes: Value) -> String {
        self.signer.sign(&self.claims(changes))
    }

    /// The rule by which a token with these claims is refused.
    #[track_caller]
    fn rule(&self, changes: Value) -> impl Future<Output = &'static str> {
        let token = self.token(changes);
        async move { refused(&self.identity, &token).await }
    }
}

/// The rule by which `token` is refused; nothing of the token is in what is said.
async fn refused(identity: &Identity, token: &str) -> &'static str {
    let refused = match identity.verify(token).await {
        Ok(principal) => panic!("accepted: {principal:?}"),
        Err(refused) => refused,
    };
    let said = format!("{refused} {refused:?}");
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!said.contains(part), "the token is in `{said}`");
    }
    assert!(!said.contains("agent-1") && !said.contains("secret"), "a claim is in `{said}`");
    refused.rule
}
