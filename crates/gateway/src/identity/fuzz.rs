//! The body of the fuzz target `token`.

use chaperone_model::{Principal, TokenFacts};

use super::claims::Claims;
use super::token::Unverified;
use super::{Delegation, IssuerConfig};

/// Whatever the bytes, as a token and as claims, reading them ends; and what is accepted of claims fits into records.
#[doc(hidden)]
pub fn fuzz_token(data: &[u8]) {
    let _ = Unverified::read(&String::from_utf8_lossy(data));
    let Ok(claims) = serde_json::from_slice::<Claims>(data) else { return };
    let (Ok(id), Ok(issued_at), Ok(expires_at)) = (claims.id(), claims.issued_at(), claims.expires_at()) else {
        return;
    };
    for delegation in [Delegation::None, Delegation::Rfc8693] {
        let config = IssuerConfig {
            groups_claim: "/realm_access/roles".to_owned(),
            delegation,
            ..IssuerConfig::new("corp", "https://login.example", "chaperone")
        };
        let token = TokenFacts { id: id.clone(), key_id: None, algorithm: "ES256".to_owned(), issued_at, expires_at };
        if let Ok(principal) = claims.principal(&config, token) {
            fits(&principal, delegation);
        }
    }
}

fn fits(principal: &Principal, delegation: Delegation) {
    assert_eq!(principal.acts_for.is_some(), delegation == Delegation::Rfc8693);
    assert!((0..=253_402_300_799).contains(&principal.token.expires_at));
    // an escaped backslash may come before `u00` of a name's own
    let record = serde_json::to_string(principal).expect("a principal is JSON").replace(r"\\", "");
    assert!(!record.contains("\\u00") && !record.contains('\u{202e}'), "a control character is accepted");
    let texts = principal.groups.iter().chain(&principal.scopes).chain([&principal.agent]);
    assert!(texts.into_iter().all(|text| !text.is_empty() && text.len() <= 512));
}
