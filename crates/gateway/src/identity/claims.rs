//! Verified claims, read strictly: what has the wrong shape refuses, since skipping it could only be wrong. A group that
//! is not read is a `forbid` that does not bind.

use chaperone_model::{AiModel, Principal, TokenFacts, Workload};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::config::{Delegation, IssuerConfig};
use super::refused::LoginRefused;

/// OpenID Connect Core, section 2, has a `sub` of at most 255 characters; Kubernetes' can be a little longer.
const MAX_TEXT: usize = 512;
const MAX_MEMBERS: usize = 1000;
/// The last second of the year 9999: later times would not fit everywhere that they are recorded.
const MAX_TIME: i64 = 253_402_300_799;

/// The claims of a token whose signature was verified. No `Debug`: they are the token's.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn issuer(&self) -> Result<String, LoginRefused> {
        self.text("iss")?.ok_or_else(|| LoginRefused::claim("iss", "is missing"))
    }

    pub(super) fn id(&self) -> Result<Option<String>, LoginRefused> {
        self.text("jti")
    }

    pub(super) fn issued_at(&self) -> Result<Option<i64>, LoginRefused> {
        self.time("iat")
    }

    pub(super) fn expires_at(&self) -> Result<i64, LoginRefused> {
        self.time("exp")?.ok_or_else(|| LoginRefused::claim("exp", "is missing"))
    }

    pub(super) fn principal(&self, config: &IssuerConfig, token: TokenFacts) -> Result<Principal, LoginRefused> {
        let subject = self.text("sub")?.ok_or_else(|| LoginRefused::claim("sub", "is missing"))?;
        let workload = self.workload(&subject)?;
        let (agent, acts_for) = match (config.delegation, self.actor(config)?) {
            (Delegation::None, None) => (subject, None),
            (Delegation::Rfc8693, Some(actor)) => (actor, Some(subject)),
            (Delegation::None, Some(_)) => {
                let message = "the token acts for somebody, and its issuer is not configured for delegation";
                return Err(LoginRefused::new("token.delegation", message));
            }
            (Delegation::Rfc8693, None) => {
                let message = "the token names no agent that acts (`act.sub`), as its issuer is configured to";
                return Err(LoginRefused::new("token.delegation", message));
            }
        };
        Ok(Principal {
            issuer: config.name.clone(),
            issuer_url: config.url.clone(),
            agent,
            acts_for,
            groups: self.members(&config.groups_claim)?,
            scopes: self.scopes()?,
            model: self.model(config)?,
            purpose: self.text(&config.purpose_claim)?,
            workload,
            token,
        })
    }

    /// RFC 8693, section 4.1. The outermost `act` is who acts now; an inner one is history.
    fn actor(&self, config: &IssuerConfig) -> Result<Option<String>, LoginRefused> {
        let Some(act) = self.get("act") else { return Ok(None) };
        let act = Object::new("act", act)?;
        if act.text("iss")?.is_some_and(|issuer| issuer != config.url) {
            return Err(LoginRefused::new("token.delegation", "the token's agent is one of another issuer"));
        }
        act.required("sub").map(Some)
    }

    /// RFC 8693, section 4.2, or the `scp` of some issuers.
    fn scopes(&self) -> Result<Vec<String>, LoginRefused> {
        match self.get("scope") {
            Some(Value::String(scopes)) => limited("scope", scopes.split(' ').filter(|s| !s.is_empty())),
            Some(_) => self.members("scope"),
            None => match self.get("scp") {
                Some(Value::String(scopes)) => limited("scp", scopes.split(' ').filter(|s| !s.is_empty())),
                _ => self.members("scp"),
            },
        }
    }

    fn model(&self, config: &IssuerConfig) -> Result<Option<AiModel>, LoginRefused> {
        let version = self.text(&config.model_version_claim)?;
        match self.get(&config.model_claim) {
            Some(value @ Value::Object(_)) => {
                let model = Object::new(&config.model_claim, value)?;
                let version = model.text("version")?.or(version);
                Ok(Some(AiModel { name: model.required("name")?, version }))
            }
            _ => Ok(self.text(&config.model_claim)?.map(|name| AiModel { name, version })),
        }
    }

    /// Projected service-account tokens (Kubernetes, "Managing Service Accounts"): `kubernetes.io` must agree with `sub`.
    fn workload(&self, subject: &str) -> Result<Option<Workload>, LoginRefused> {
        const CLAIM: &str = "kubernetes.io";
        let Some(claim) = self.0.get(CLAIM) else { return Ok(None) };
        let claim = Object::new(CLAIM, claim)?;
        let namespace = claim.required("namespace")?;
        let service_account = claim
            .object("serviceaccount")?
            .ok_or_else(|| LoginRefused::claim(CLAIM, "names no service account"))?
            .required("name")?;
        if subject != format!("system:serviceaccount:{namespace}:{service_account}") {
            return Err(LoginRefused::claim(CLAIM, "is of another subject"));
        }
        let pod = claim.object("pod")?;
        let node = claim.object("node")?;
        Ok(Some(Workload {
            namespace,
            service_account,
            pod: pod.as_ref().map(|pod| pod.required("name")).transpose()?,
            pod_uid: pod.as_ref().map(|pod| pod.text("uid")).transpose()?.flatten(),
            node: node.as_ref().map(|node| node.required("name")).transpose()?,
        }))
    }

    /// A claim by name, or by JSON pointer; `null` is as good as absent.
    fn get(&self, name: &str) -> Option<&Value> {
        let value = match name.strip_prefix('/') {
            None => self.0.get(name),
            Some(path) => {
                // RFC 6901, section 4: `~1` is `/`, then `~0` is `~`
                let mut parts = path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
                let first = parts.next().and_then(|part| self.0.get(&part));
                parts.fold(first, |value, part| value.and_then(|v| v.get(&part)))
            }
        };
        value.filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<String>, LoginRefused> {
        self.get(name).map(|value| text(name, value)).transpose()
    }

    /// An array of strings, or one string that is its only member; absent is empty.
    fn members(&self, name: &str) -> Result<Vec<String>, LoginRefused> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => limited(name, [one.as_str()].into_iter()),
            Some(Value::Array(values)) => {
                let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
                limited(name, texts.ok_or_else(|| LoginRefused::claim(name, "must hold strings"))?.into_iter())
            }
            Some(_) => Err(LoginRefused::claim(name, "must be an array of strings")),
        }
    }

    /// A NumericDate (RFC 7519, section 2): seconds, perhaps with a fraction, which is cut off.
    fn time(&self, name: &str) -> Result<Option<i64>, LoginRefused> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = value.as_i64().or_else(|| {
            // the range is checked first, so the cast keeps the value
            #[allow(clippy::cast_possible_truncation, reason = "in range")]
            value.as_f64().filter(|s| (0.0..=253_402_300_799.0).contains(s)).map(|s| s as i64)
        });
        match whole {
            Some(seconds) if (0..=MAX_TIME).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(LoginRefused::claim(name, "is not a time")),
        }
    }
}

/// A claim that is an object.
struct Object<'a> {
    claim: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn new(claim: &'a str, value: &'a Value) -> Result<Self, LoginRefused> {
        let fields = value.as_object().ok_or_else(|| LoginRefused::claim(claim, "must be an object"))?;
        Ok(Object { claim, fields })
    }

    fn text(&self, name: &str) -> Result<Option<String>, LoginRefused> {
        self.fields.get(name).filter(|v| !v.is_null()).map(|value| text(self.claim, value)).transpose()
    }

    fn required(&self, name: &str) -> Result<String, LoginRefused> {
        self.text(name)?.ok_or_else(|| LoginRefused::claim(self.claim, &format!("lacks `{name}`")))
    }

    fn object(&self, name: &str) -> Result<Option<Object<'a>>, LoginRefused> {
        self.fields.get(name).filter(|v| !v.is_null()).map(|value| Object::new(self.claim, value)).transpose()
    }
}

fn text(name: &str, value: &Value) -> Result<String, LoginRefused> {
    let text = value.as_str().ok_or_else(|| LoginRefused::claim(name, "must be a string"))?;
    fits(name, text).map(str::to_owned)
}

fn limited<'a>(name: &str, members: impl Iterator<Item = &'a str>) -> Result<Vec<String>, LoginRefused> {
    let mut texts = Vec::new();
    for member in members {
        if texts.len() == MAX_MEMBERS {
            return Err(LoginRefused::claim(name, &format!("has more than {MAX_MEMBERS} members")));
        }
        texts.push(fits(name, member)?.to_owned());
    }
    Ok(texts)
}

/// Names go into records and consoles, where a control character or a change of writing direction could make one look
/// like another.
fn fits<'a>(name: &str, text: &'a str) -> Result<&'a str, LoginRefused> {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(LoginRefused::claim(name, &format!("must have 1 to {MAX_TEXT} bytes")));
    }
    if text.chars().any(|c| c.is_control() || turns(c)) {
        return Err(LoginRefused::claim(name, "has a control character"));
    }
    Ok(text)
}
