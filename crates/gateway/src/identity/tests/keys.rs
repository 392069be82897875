//! Keys that come, go, do not come, or come from elsewhere.

use std::sync::Arc;

use jsonwebtoken::Header;

use super::*;

#[tokio::test]
async fn fetched_once() {
    let setting = Setting::new().await;
    for _ in 0..20 {
        setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    }
    assert_eq!(setting.issuer.fetches(), 1);
}

#[tokio::test]
async fn fetched_once_for_all_who_wait() {
    let setting = Setting::new().await;
    setting.issuer.behave(|b| b.delay = Duration::from_millis(200));
    let token = setting.token(json!({}));
    let identity = Arc::new(setting.identity);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (identity, token) = (identity.clone(), token.clone());
        all.spawn(async move { identity.verify(&token).await.map(drop) });
    }
    while let Some(verified) = all.join_next().await {
        verified.unwrap().unwrap();
    }
    assert_eq!(setting.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_storm_of_key_ids_costs_the_issuer_little() {
    let timing = Timing { again: Duration::from_secs(600), ..TIMING };
    let setting = Setting::timed(timing, |_| {}).await;
    for n in 0..200 {
        let header = Header { kid: Some(format!("made-up-{n}")), ..setting.signer.header.clone() };
        let token = setting.signer.sign_as(&header, &setting.claims(json!({})));
        assert_eq!(refused(&setting.identity, &token).await, "token.key");
    }
    assert_eq!(setting.issuer.fetches(), 1);
    // and those with a good key do not notice
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    assert_eq!(setting.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_rotated_key_is_found() {
    let setting = Setting::new().await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    let next = Signer::es256("key-2");
    setting.issuer.behave(|b| b.keys = vec![next.jwk.clone()]);
    let token = next.sign(&setting.claims(json!({})));
    // too soon after the last fetch: refused, without asking
    assert_eq!(refused(&setting.identity, &token).await, "token.key");
    assert_eq!(setting.issuer.fetches(), 1);
    tokio::time::sleep(TIMING.again).await;
    setting.identity.verify(&token).await.unwrap();
    assert_eq!(setting.issuer.fetches(), 2);
    // the old one is gone with the old set
    tokio::time::sleep(TIMING.again).await;
    assert_eq!(setting.rule(json!({})).await, "token.key");
}

#[tokio::test]
async fn a_withdrawn_key_stops_when_the_set_is_no_longer_fresh() {
    let timing = Timing { fresh: Duration::from_millis(100), again: Duration::from_millis(50), ..TIMING };
    let setting = Setting::timed(timing, |_| {}).await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    setting.issuer.behave(|b| b.keys = vec![Signer::es256("key-2").jwk]);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(setting.rule(json!({})).await, "token.key");
}

#[tokio::test]
async fn a_set_is_used_for_a_while_when_the_issuer_is_down() {
    let timing = Timing {
        fresh: Duration::from_millis(100),
        stale: Duration::from_millis(1500),
        again: Duration::from_millis(50),
    };
    let setting = Setting::timed(timing, |_| {}).await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    setting.issuer.behave(|b| b.down = true);
    tokio::time::sleep(Duration::from_millis(150)).await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
    setting.issuer.behave(|b| b.down = false);
    tokio::time::sleep(Duration::from_millis(100)).await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_fetch() {
    let timing = Timing { again: Duration::from_secs(600), ..TIMING };
    let setting = Setting::timed(timing, |_| {}).await;
    setting.issuer.behave(|b| b.delay = Duration::from_millis(200));
    let token = setting.token(json!({}));
    let impatient = tokio::time::timeout(Duration::from_millis(50), setting.identity.verify(&token)).await;
    assert!(impatient.is_err());
    setting.identity.verify(&token).await.unwrap();
    assert_eq!(setting.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_document_of_another_issuer() {
    let setting = Setting::new().await;
    for lie in ["https://elsewhere.example".to_owned(), format!("{}/", setting.issuer.url)] {
        setting.issuer.behave(|b| b.claims_to_be = Some(lie));
        tokio::time::sleep(TIMING.again).await;
        assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
    }
    assert_eq!(setting.issuer.fetches(), 0);
}

#[tokio::test]
async fn keys_elsewhere() {
    let setting = Setting::new().await;
    for uri in ["http://login.example/keys", "file:///etc/passwd", "ftp://127.0.0.1/keys", "keys"] {
        setting.issuer.behave(|b| b.jwks_uri = Some(uri.into()));
        tokio::time::sleep(TIMING.again).await;
        assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
    }
}

#[tokio::test]
async fn redirects_stay_at_home() {
    let setting = Setting::new().await;
    setting.issuer.behave(|b| b.redirect = Some("/moved".into()));
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();

    let setting = Setting::new().await;
    let elsewhere = TestIssuer::start(&[&setting.signer]).await;
    setting.issuer.behave(|b| b.redirect = Some(format!("{}/moved", elsewhere.url)));
    assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
    assert_eq!(elsewhere.fetches(), 0);

    let setting = Setting::new().await;
    setting.issuer.behave(|b| b.redirect = Some("/keys".into()));
    assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
}

#[tokio::test]
async fn too_much() {
    let setting = Setting::new().await;
    setting.issuer.behave(|b| b.padding = 300 * 1024);
    assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
    let key = setting.signer.jwk.clone();
    setting.issuer.behave(|b| {
        b.padding = 0;
        b.keys = vec![key; 101];
    });
    tokio::time::sleep(TIMING.again).await;
    assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
}

#[tokio::test]
async fn too_slow() {
    let setting = Setting::new().await;
    setting.issuer.behave(|b| b.delay = Duration::from_secs(60));
    let start = std::time::Instant::now();
    assert_eq!(setting.rule(json!({})).await, "token.unreachable_issuer");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn nobody_there() {
    let setting = Setting::with(|c| c.url = "http://127.0.0.1:1".into()).await;
    assert_eq!(setting.rule(json!({ "iss": "http://127.0.0.1:1" })).await, "token.unreachable_issuer");
}

#[tokio::test]
async fn keys_that_are_not_for_this() {
    let setting = Setting::new().await;
    let good = setting.signer.jwk.clone();
    let with = |change: (&str, Value)| {
        let mut key = good.clone();
        key[change.0] = change.1;
        key
    };
    let bad = [
        with(("use", json!("enc"))),
        with(("alg", json!("ES384"))),
        with(("key_ops", json!(["encrypt"]))),
        with(("kty", json!("oct"))),
        with(("crv", json!("P-384"))),
        with(("x", json!("!"))),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "key-1" }),
        json!({ "kty": "NEW", "kid": "key-1" }),
        json!(5),
    ];
    for key in bad {
        setting.issuer.behave(|b| b.keys = vec![key.clone()]);
        tokio::time::sleep(TIMING.again).await;
        let rule = setting.rule(json!({})).await;
        assert_eq!(rule, "token.key", "{key}");
    }
    // two keys of one id are no key
    setting.issuer.behave(|b| b.keys = vec![Signer::es256("key-1").jwk, good.clone()]);
    tokio::time::sleep(TIMING.again).await;
    assert_eq!(setting.rule(json!({})).await, "token.key");
    // but one that we do not understand does not spoil the others
    setting.issuer.behave(|b| b.keys = vec![json!({ "kty": "NEW" }), json!("?"), good.clone()]);
    tokio::time::sleep(TIMING.again).await;
    setting.identity.verify(&setting.token(json!({}))).await.unwrap();
}
