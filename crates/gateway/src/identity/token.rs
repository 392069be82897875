//! What may be read of a token before it is verified: how it is signed, and who is to judge it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::refused::LoginRefused;

/// The longest token that is looked at. Kubernetes' and most providers' are under 2 KiB; those with hundreds of groups
/// reach 8.
const MAX_TOKEN: usize = 16 * 1024;
const MAX_KEY_ID: usize = 256;

/// Nothing here is to be believed: it only chooses what to verify with.
pub(super) struct Unverified {
    pub(super) issuer: String,
    pub(super) key_id: Option<String>,
    pub(super) algorithm: jsonwebtoken::Algorithm,
}

impl Unverified {
    pub(super) fn read(token: &str) -> Result<Unverified, LoginRefused> {
        if token.len() > MAX_TOKEN {
            return Err(LoginRefused::new("token.too_large", format!("the token is over {MAX_TOKEN} bytes")));
        }
        if token.is_empty() {
            return Err(LoginRefused::malformed("there is no token: send one as the password"));
        }
        if token.split('.').count() != 3 || token.bytes().any(|b| !is_base64url(b) && b != b'.') {
            return Err(LoginRefused::malformed("the token is not a signed JWT in compact form"));
        }
        let header = match jsonwebtoken::decode_header(token) {
            Ok(header) => header,
            Err(_) => return Err(without_header(token)),
        };
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(LoginRefused::malformed("the token's header asks for an extension that is not known here"));
        }
        // RFC 9068 `at+jwt`; `JWT` and nothing are what most issuers say. Other types are not for opening sessions:
        // a log-out token, a proof of possession, a security event (RFC 8725, section 3.11)
        let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(kind.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt" | "application/jwt")) {
            return Err(LoginRefused::new("token.type", "the token is of a type that does not give access"));
        }
        if header.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID || kid.chars().any(char::is_control)) {
            return Err(LoginRefused::malformed("the token's key id is not one"));
        }
        #[derive(Deserialize)]
        struct Addressed {
            iss: String,
        }
        let addressed: Addressed = jsonwebtoken::dangerous::insecure_decode_claims(token)
            .map_err(|_| LoginRefused::malformed("the token does not say who issued it"))?;
        Ok(Unverified { issuer: addressed.iss, key_id: header.kid, algorithm: header.alg })
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// A header that `jsonwebtoken` does not read: it knows no `none`, and that deserves its own rule.
fn without_header(token: &str) -> LoginRefused {
    #[derive(Deserialize)]
    struct Signed {
        #[serde(rename = "alg")]
        _algorithm: String,
    }
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    match header.map(|bytes| serde_json::from_slice::<Signed>(&bytes)) {
        Some(Ok(_)) => algorithm(),
        _ => LoginRefused::malformed("the token's header is not one"),
    }
}

pub(super) fn algorithm() -> LoginRefused {
    LoginRefused::new("token.algorithm", "the token is signed with an algorithm that is not accepted here")
}
