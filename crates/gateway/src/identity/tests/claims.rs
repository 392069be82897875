//! What a principal is made of.

use chaperone_model::Principal;

use super::*;
use crate::identity::{Delegation, fuzz_token};

async fn principal(setting: &Setting, changes: Value) -> Principal {
    setting.identity.verify(&setting.token(changes)).await.unwrap()
}

#[tokio::test]
async fn groups_and_scopes() {
    let setting = Setting::new().await;
    let p = principal(&setting, json!({ "groups": ["care", "a b"], "scope": "db:read  db:write" })).await;
    assert_eq!(
        (p.groups, p.scopes),
        (vec!["care".to_owned(), "a b".to_owned()], vec!["db:read".into(), "db:write".into()])
    );
    assert_eq!(principal(&setting, json!({ "groups": "care" })).await.groups, ["care"]);
    assert_eq!(principal(&setting, json!({ "scp": ["a", "b"] })).await.scopes, ["a", "b"]);
    assert!(principal(&setting, json!({})).await.groups.is_empty());
    for bad in [json!([1]), json!({ "a": 1 }), json!([["care"]]), json!(7), json!(["a\nb"]), json!([""])] {
        assert_eq!(setting.rule(json!({ "groups": bad })).await, "token.claims");
    }
    let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    assert_eq!(setting.rule(json!({ "groups": many })).await, "token.claims");
}

#[tokio::test]
async fn claims_by_pointer() {
    let setting = Setting::with(|c| {
        c.groups_claim = "/realm_access/roles".into();
        c.purpose_claim = "https://corp.example/purpose".into();
    })
    .await;
    let changes = json!({
        "realm_access": { "roles": ["care"] }, "groups": ["not-these"], "https://corp.example/purpose": "payment",
    });
    let p = principal(&setting, changes).await;
    assert_eq!((p.groups, p.purpose.as_deref()), (vec!["care".to_owned()], Some("payment")));
    assert!(principal(&setting, json!({ "realm_access": 5 })).await.groups.is_empty());
}

#[tokio::test]
async fn models() {
    let setting = Setting::new().await;
    let model = principal(&setting, json!({ "model": "scribe", "model_version": "4.2" })).await.model.unwrap();
    assert_eq!((model.name.as_str(), model.version.as_deref()), ("scribe", Some("4.2")));
    let model = principal(&setting, json!({ "model": { "name": "scribe", "version": "4.3" } })).await.model.unwrap();
    assert_eq!((model.name.as_str(), model.version.as_deref()), ("scribe", Some("4.3")));
    assert!(principal(&setting, json!({ "model_version": "4.2" })).await.model.is_none());
    assert_eq!(setting.rule(json!({ "model": 4 })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "model": { "version": "4" } })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "model": "m", "model_version": 4.2 })).await, "token.claims");
}

#[tokio::test]
async fn subjects() {
    let setting = Setting::new().await;
    for bad in [json!(null), json!(""), json!(7), json!("a\u{0}b"), json!("a\u{202e}b"), json!("x".repeat(513))] {
        assert_eq!(setting.rule(json!({ "sub": bad })).await, "token.claims");
    }
    assert_eq!(principal(&setting, json!({ "sub": "Ägent/7 – ünïcode" })).await.agent, "Ägent/7 – ünïcode");
}

#[tokio::test]
async fn delegation() {
    let act = json!({ "sub": "agent-7", "act": { "sub": "earlier" } });
    let setting = Setting::with(|c| c.delegation = Delegation::Rfc8693).await;
    let p = principal(&setting, json!({ "sub": "ann", "act": act })).await;
    assert_eq!((p.agent.as_str(), p.acts_for.as_deref()), ("agent-7", Some("ann")));
    assert_eq!(setting.rule(json!({ "sub": "ann" })).await, "token.delegation");
    assert_eq!(setting.rule(json!({ "sub": "ann", "act": {} })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "sub": "ann", "act": "agent-7" })).await, "token.claims");
    let elsewhere = json!({ "sub": "agent-7", "iss": "https://elsewhere.example" });
    assert_eq!(setting.rule(json!({ "sub": "ann", "act": elsewhere })).await, "token.delegation");
    // an issuer that does not delegate: its `sub` would be taken for the agent
    let plain = Setting::new().await;
    assert_eq!(plain.rule(json!({ "sub": "ann", "act": act })).await, "token.delegation");
}

#[tokio::test]
async fn workloads() {
    let setting = Setting::new().await;
    let subject = "system:serviceaccount:care:agent";
    let claim = json!({
        "namespace": "care", "serviceaccount": { "name": "agent", "uid": "u-1" },
        "pod": { "name": "agent-7f9", "uid": "p-1" }, "node": { "name": "n1", "uid": "n-1" }, "warnafter": 1,
    });
    let p = principal(&setting, json!({ "sub": subject, "kubernetes.io": claim })).await;
    let workload = p.workload.unwrap();
    assert_eq!((workload.namespace.as_str(), workload.service_account.as_str()), ("care", "agent"));
    assert_eq!(workload.pod.as_deref(), Some("agent-7f9"));
    assert_eq!(workload.pod_uid.as_deref(), Some("p-1"));
    assert_eq!(workload.node.as_deref(), Some("n1"));
    assert_eq!(p.agent, subject);
    // no pod: a token made by hand
    let bare = json!({ "namespace": "care", "serviceaccount": { "name": "agent" } });
    assert!(
        principal(&setting, json!({ "sub": subject, "kubernetes.io": bare })).await.workload.unwrap().pod.is_none()
    );
    assert_eq!(setting.rule(json!({ "sub": "other", "kubernetes.io": bare })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "sub": subject, "kubernetes.io": "care" })).await, "token.claims");
    assert_eq!(setting.rule(json!({ "sub": subject, "kubernetes.io": { "namespace": "care" } })).await, "token.claims");
}

/// The seeds of the fuzz target, whole, cut anywhere, and with every byte replaced.
#[test]
fn the_corpus() {
    let up = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let corpus = up.map(|dir| dir.join("fuzz/corpus/token")).find(|dir| dir.exists()).expect("fuzz/corpus/token");
    let mut seeds = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        for end in 0..=seed.len() {
            fuzz_token(&seed[..end]);
        }
        for at in 0..seed.len() {
            for byte in [0, b'"', b'}', b'.', 0xff] {
                let mut changed = seed.clone();
                changed[at] = byte;
                fuzz_token(&changed);
            }
        }
    }
    assert!(seeds >= 10);
}
