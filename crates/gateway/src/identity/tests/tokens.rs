//! Tokens that must not open a session, and what may.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::*;
use crate::identity::{Algorithm as Pinned, IdentityError};

#[tokio::test]
async fn a_good_token() {
    let setting = Setting::new().await;
    let principal = setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    assert_eq!((principal.issuer.as_str(), principal.agent.as_str()), ("corp", "agent-1"));
    assert_eq!(principal.issuer_url, setting.issuer.url);
    assert_eq!(principal.token.key_id.as_deref(), Some("key-1"));
    assert_eq!(principal.token.algorithm, "ES256");
    assert_eq!(principal.token.id.as_deref(), Some("t-1"));
    assert!(principal.token.issued_at.is_some() && principal.token.expires_at > now());
}

#[tokio::test]
async fn an_ed25519_token() {
    let signer = Signer::eddsa("ed");
    let setting = Setting::new().await;
    setting.issuer.behave(|b| b.keys.push(signer.jwk.clone()));
    setting.identity.verify(&signer.sign(&setting.claims(json!({})))).await.unwrap();
}

#[tokio::test]
async fn times() {
    let setting = Setting::new().await;
    let ok = |changes| {
        let token = setting.token(changes);
        let identity = &setting.identity;
        async move { identity.verify(&token).await.map(drop) }
    };
    assert_eq!(setting.rule(json!({ "exp": now() - 3600 })).await, "token.expired");
    assert_eq!(setting.rule(json!({ "exp": now() - 40 })).await, "token.expired");
    ok(json!({ "exp": now() - 10 })).await.unwrap();
    assert_eq!(setting.rule(json!({ "exp": null })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "exp": "tomorrow" })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "exp": u64::MAX })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "exp": 1e300 })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "exp": -1 })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "nbf": now() + 3600 })).await, "token.not_yet_valid");
    assert_eq!(setting.rule(json!({ "nbf": "later" })).await, "token.claims");
    ok(json!({ "nbf": now() + 10 })).await.unwrap();
    assert_eq!(setting.rule(json!({ "iat": now() + 3600 })).await, "token.not_yet_valid");
    ok(json!({ "iat": null })).await.unwrap();
    ok(json!({ "iat": 1_700_000_000.75 })).await.unwrap();
}

#[tokio::test]
async fn age() {
    let setting = Setting::with(|c| c.max_token_age = Some(Duration::from_secs(3600))).await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    assert_eq!(setting.rule(json!({ "iat": now() - 7200 })).await, "token.too_old");
    assert_eq!(setting.rule(json!({ "exp": now() + 86_400 })).await, "token.too_old");
    assert_eq!(setting.rule(json!({ "iat": null })).await, "token.claims");
}

#[tokio::test]
async fn audience() {
    let setting = Setting::new().await;
    setting.identity.verify(&setting.token(json!({ "aud": ["other", AUDIENCE] }))).await.unwrap();
    assert_eq!(setting.rule(json!({ "aud": "other" })).await, "token.audience");
    assert_eq!(setting.rule(json!({ "aud": [] })).await, "token.audience");
    assert_eq!(setting.rule(json!({ "aud": null })).await, "token.audience");
    assert_eq!(setting.rule(json!({ "aud": format!("{AUDIENCE} ") })).await, "token.audience");
    assert_eq!(setting.rule(json!({ "aud": AUDIENCE.to_uppercase() })).await, "token.audience");
    assert_eq!(setting.rule(json!({ "aud": { "a": AUDIENCE } })).await, "token.audience");
}

#[tokio::test]
async fn unknown_issuers_are_not_asked() {
    let setting = Setting::new().await;
    let url = setting.issuer.url.clone();
    for issuer in [json!(format!("{url}/")), json!("https://elsewhere.example"), json!(url.to_uppercase())] {
        assert_eq!(setting.rule(json!({ "iss": issuer })).await, "token.issuer");
    }
    for issuer in [json!(null), json!(5), json!([url])] {
        assert_eq!(setting.rule(json!({ "iss": issuer })).await, "token.malformed");
    }
    assert_eq!(setting.issuer.fetches(), 0);
}

#[tokio::test]
async fn algorithms() {
    let setting = Setting::new().await;
    let claims = setting.claims(json!({}));
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    for algorithm in ["none", "None", "NONE", "HS999", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT", "kid": "key-1" }).to_string());
        for signature in ["", "AAAA"] {
            assert_eq!(refused(&setting.identity, &format!("{header}.{body}.{signature}")).await, "token.algorithm");
        }
    }
    // the public key as a shared secret
    let public = [
        setting.signer.jwk["x"].as_str().unwrap().to_owned(),
        setting.signer.jwk.to_string(),
        serde_json::to_string_pretty(&setting.signer.jwk).unwrap(),
    ];
    for secret in public {
        let header = Header { kid: Some("key-1".into()), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
        assert_eq!(refused(&setting.identity, &token).await, "token.algorithm");
    }
    assert_eq!(setting.issuer.fetches(), 0, "none of these needs a key");
}

#[tokio::test]
async fn only_pinned_algorithms() {
    let setting = Setting::with(|c| c.algorithms = vec![Pinned::RS256]).await;
    assert_eq!(setting.rule(json!({})).await, "token.algorithm");
}

#[tokio::test]
async fn signatures() {
    let setting = Setting::new().await;
    let token = setting.token(json!({}));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = Signer::es256("key-1").sign(&setting.claims(json!({})));
    assert_eq!(refused(&setting.identity, &other).await, "token.signature");
    assert_eq!(refused(&setting.identity, &format!("{message}.")).await, "token.signature");
    let longer = setting.token(json!({ "exp": now() + 900 }));
    let forged = format!("{}.{signature}", longer.rsplit_once('.').unwrap().0);
    assert_eq!(refused(&setting.identity, &forged).await, "token.signature");
    // a key in the header is nobody's key
    let signer = Signer::es256("key-1");
    let jwk = serde_json::from_value(signer.jwk.clone()).unwrap();
    let header = Header { jwk: Some(jwk), jku: Some(format!("{}/keys", setting.issuer.url)), ..signer.header.clone() };
    let token = signer.sign_as(&header, &setting.claims(json!({})));
    assert_eq!(refused(&setting.identity, &token).await, "token.signature");
}

#[tokio::test]
async fn types_and_extensions() {
    let setting = Setting::new().await;
    let sign = |header: Header| setting.signer.sign_as(&header, &setting.claims(json!({})));
    for kind in [None, Some("JWT"), Some("at+jwt"), Some("AT+JWT"), Some("application/at+jwt")] {
        let header = Header { typ: kind.map(str::to_owned), ..setting.signer.header.clone() };
        setting.identity.verify(&sign(header)).await.unwrap();
    }
    for kind in ["dpop+jwt", "logout+jwt", "secevent+jwt", ""] {
        let header = Header { typ: Some(kind.into()), ..setting.signer.header.clone() };
        assert_eq!(refused(&setting.identity, &sign(header)).await, "token.type");
    }
    let header = Header { crit: Some(vec!["b64".into()]), ..setting.signer.header.clone() };
    assert_eq!(refused(&setting.identity, &sign(header)).await, "token.malformed");
}

#[tokio::test]
async fn shapes() {
    let setting = Setting::new().await;
    let good = setting.token(json!({}));
    let long = "a".repeat(16 * 1024 + 1);
    assert_eq!(refused(&setting.identity, &long).await, "token.too_large");
    assert_eq!(refused(&setting.identity, &setting.token(json!({ "x": "y".repeat(20_000) }))).await, "token.too_large");
    let shapes = [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "my password",
        "e30.e30.e30",
        "\u{0}.\u{0}.\u{0}",
        "eyJhbGciOiJFUzI1NiJ9..",
        "W10.W10.W10",
        "bnVsbA.bnVsbA.bnVsbA",
    ];
    for shape in shapes {
        assert_eq!(refused(&setting.identity, shape).await, "token.malformed", "{shape}");
    }
    for extra in
        [format!(" {good}"), format!("{good} "), format!("{good}="), format!("{good}\n"), format!("Bearer {good}")]
    {
        assert_eq!(refused(&setting.identity, &extra).await, "token.malformed");
    }
    // cut anywhere, it is refused and nothing panics
    for end in 0..good.len() {
        setting.identity.verify(&good[..end]).await.unwrap_err();
    }
    // claims given twice cannot mean two things
    let claims = setting.claims(json!({})).to_string().replacen('{', r#"{"iss":"https://elsewhere.example","#, 1);
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "kid": "key-1" }).to_string());
    let twice = format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode(claims));
    assert_eq!(refused(&setting.identity, &twice).await, "token.malformed");
}

#[tokio::test]
async fn key_ids_are_only_names() {
    let setting = Setting::new().await;
    for id in ["../../../dev/null", "key-1/", "' OR 1=1 --", "http://127.0.0.1/keys", "key-1\u{0}", "", "KEY-1"] {
        let header = Header { kid: Some(id.into()), ..setting.signer.header.clone() };
        let token = setting.signer.sign_as(&header, &setting.claims(json!({})));
        let rule = refused(&setting.identity, &token).await;
        assert!(matches!(rule, "token.key" | "token.malformed"), "{rule}");
    }
    // without an id there is no choice while there is one key
    let header = Header { kid: None, ..setting.signer.header.clone() };
    let token = setting.signer.sign_as(&header, &setting.claims(json!({})));
    setting.identity.verify(&token).await.unwrap();
}

#[test]
fn configurations_that_cannot_be() {
    let refused = |adjust: fn(&mut IssuerConfig)| {
        let mut config = IssuerConfig::new("corp", "https://login.example", AUDIENCE);
        adjust(&mut config);
        Identity::new(vec![config]).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|c| c.url = "http://login.example".into()),
        "issuer `corp`: `url` must be https (http only on loopback)"
    );
    assert_eq!(
        refused(|c| c.url = "http://127.0.0.1.example".into()),
        "issuer `corp`: `url` must be https (http only on loopback)"
    );
    assert_eq!(refused(|c| c.url = "login.example".into()), "issuer `corp`: `url` is not a URL");
    assert!(refused(|c| c.url = "https://a:b@login.example".into()).contains("password"));
    assert!(refused(|c| c.jwks_url = Some("file:///etc/passwd".into())).contains("`jwks_url` must be https"));
    assert!(refused(|c| c.audience.clear()).contains("audience"));
    assert!(refused(|c| c.algorithms.clear()).contains("algorithm"));
    assert!(refused(|c| c.leeway = Duration::from_secs(121)).contains("120"));
    assert!(refused(|c| c.ca_file = Some("/nonexistent/ca.pem".into())).contains("cannot be used"));
    let config = || IssuerConfig::new("corp", "https://login.example", AUDIENCE);
    assert!(matches!(Identity::new(vec![config(), config()]), Err(IdentityError::Twice { what: "name", .. })));
    let other = IssuerConfig { name: "lab".into(), ..config() };
    assert!(matches!(Identity::new(vec![config(), other]), Err(IdentityError::Twice { what: "url", .. })));
    for loopback in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
        Identity::new(vec![IssuerConfig { url: loopback.into(), ..config() }]).unwrap();
    }
    // HS256 cannot be said
    assert!(
        serde_json::from_str::<Pinned>("\"HS256\"").is_err() && serde_json::from_str::<Pinned>("\"none\"").is_err()
    );
}
