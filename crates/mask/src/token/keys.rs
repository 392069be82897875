//! The keys of tokens, and tokens outside the database.

use aws_lc_rs::{hkdf, hmac};
use chaperone_model::Class;
use zeroize::Zeroizing;

use super::feistel::{self, Block};
use super::{FITS, TokenForm, feistel_setting, hmac_setting, marker};

/// The keys of all classes, derived from one secret of 32 bytes.
///
/// Each class has a key of its own for each form (HKDF-SHA-256, RFC 5869), so that the tokens of one tell nothing of
/// those of another, and no key in a database's memory is the secret.
///
/// ```
/// use chaperone_mask::{TokenForm, TokenKeys};
/// use chaperone_model::Class;
///
/// let keys = TokenKeys::derive(&[7; 32], TokenForm::Invertible)?;
/// let token = keys.token(Class::Mrn, b"M-4711").unwrap();
/// assert!(token.starts_with("phi_mrn_") && token.len() == 8 + 32);
/// assert_eq!(keys.invert(Class::Mrn, &token).unwrap(), b"M-4711");
/// assert_eq!(keys.invert(Class::Ssn, &token), None);
/// # Ok::<(), chaperone_mask::KeyError>(())
/// ```
pub struct TokenKeys {
    form: TokenForm,
    classes: Vec<ClassKeys>,
}

/// The keys of one class.
struct ClassKeys {
    class: Class,
    hmac: Zeroizing<[u8; 32]>,
    feistel: Zeroizing<[u8; 32]>,
}

/// The keys cannot be derived: the cryptographic library failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys of tokens cannot be derived")]
pub struct KeyError;

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys").field("form", &self.form).finish_non_exhaustive()
    }
}

/// Tells these keys from any others that somebody derives from the same secret.
const SALT: &[u8] = b"chaperone tokens 1";

impl TokenKeys {
    /// Derives the keys from `master`, 32 bytes of a random generator.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn derive(master: &[u8; 32], form: TokenForm) -> Result<Self, KeyError> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(master);
        let expand = |what: &str, class: Class| {
            let mut key = Zeroizing::new([0; 32]);
            let info = [what.as_bytes(), b" ", class.name().as_bytes()];
            let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).map_err(|_| KeyError)?;
            expanded.fill(&mut *key).map_err(|_| KeyError)?;
            Ok(key)
        };
        let classes = Class::ALL.into_iter().filter(|class| class.may_be_token());
        let keys = |class| Ok(ClassKeys { class, hmac: expand("hmac", class)?, feistel: expand("feistel", class)? });
        Ok(TokenKeys { form, classes: classes.map(keys).collect::<Result<_, _>>()? })
    }

    /// How these tokens are made.
    pub fn form(&self) -> TokenForm {
        self.form
    }

    fn keys(&self, class: Class) -> Option<&ClassKeys> {
        self.classes.iter().find(|keys| keys.class == class)
    }

    /// The settings that the masks of a class read, as names and values, for the startup options of a session
    /// (`-c name=value`): there they are the value that `RESET ALL`, `DISCARD ALL` and `ROLLBACK` come back to. They are
    /// secret. The agent may neither read nor change them. Empty for a class without tokens.
    pub fn settings(&self, class: Class) -> Vec<(String, Zeroizing<String>)> {
        let Some(keys) = self.keys(class) else { return Vec::new() };
        let mut settings = vec![(hmac_setting(class), Zeroizing::new(hex::encode(*pads(&keys.hmac))))];
        if self.form == TokenForm::Invertible {
            settings.push((feistel_setting(class), Zeroizing::new(hex::encode(*keys.feistel))));
        }
        settings
    }

    /// The token of a text, as the mask of a column makes it: `value` has the bytes of the database's encoding, of a
    /// `char(n)` without the blanks at its end, of a `citext` in lower case. `None` for a class without tokens, and for
    /// a value of more than 1 MiB.
    pub fn token(&self, class: Class, value: &[u8]) -> Option<String> {
        let keys = self.keys(class)?;
        let fits = value.len() <= FITS;
        let marker = marker(class, self.form, fits);
        let token = match (self.form, block(value)) {
            (TokenForm::Invertible, Some(block)) => feistel::permute(&keys.feistel, Block::Text, block),
            (TokenForm::Invertible | TokenForm::Hmac, _) => self.bytes_token(class, value)?,
        };
        Some(format!("{marker}{}", hex::encode(token)))
    }

    /// The token of a `uuid`.
    pub fn uuid_token(&self, class: Class, value: [u8; 16]) -> Option<[u8; 16]> {
        match self.form {
            TokenForm::Hmac => self.bytes_token(class, &value),
            TokenForm::Invertible => Some(feistel::permute(&self.keys(class)?.feistel, Block::Uuid, value)),
        }
    }

    /// The token of a `bytea`: 16 bytes.
    pub fn bytes_token(&self, class: Class, value: &[u8]) -> Option<[u8; 16]> {
        let keys = self.keys(class)?;
        if value.len() > super::LONGEST {
            return None;
        }
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*keys.hmac), value);
        tag.as_ref().first_chunk().copied()
    }

    /// The one value whose token this is, if there can be one; always `None` for [`TokenForm::Hmac`].
    ///
    /// Strict, since an index look-up is made of it: the token is written as the mask writes it, and its block is one
    /// that a value has. So no other value has this token, and a condition on the value may stand beside the one on the
    /// token. The bytes need not be a text of the database's encoding: then no value has this token either.
    pub fn invert(&self, class: Class, token: &str) -> Option<Vec<u8>> {
        let keys = self.keys(class)?;
        if self.form != TokenForm::Invertible {
            return None;
        }
        let digits = token.strip_prefix(&marker(class, self.form, true))?;
        if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut image = [0; 16];
        hex::decode_to_slice(digits, &mut image).ok()?;
        let found = feistel::invert(&keys.feistel, Block::Text, image);
        let value = found.get(1..=usize::from(found[0]))?.to_vec();
        (block(&value) == Some(found)).then_some(value)
    }

    /// The one `uuid` whose token this is; always `None` for [`TokenForm::Hmac`].
    pub fn invert_uuid(&self, class: Class, token: [u8; 16]) -> Option<[u8; 16]> {
        let keys = self.keys(class)?;
        (self.form == TokenForm::Invertible).then(|| feistel::invert(&keys.feistel, Block::Uuid, token))
    }
}

/// The block of a text; `None` if it does not fit. Of two texts the blocks differ.
fn block(value: &[u8]) -> Option<[u8; 16]> {
    let length = u8::try_from(value.len()).ok().filter(|_| value.len() <= FITS)?;
    let mut block = [0; 16];
    block[0] = length;
    block[1..].iter_mut().zip(value).for_each(|(place, byte)| *place = *byte);
    Some(block)
}

/// The key of an HMAC as SHA-256 takes it: exclusive or of the inner and of the outer padding (RFC 2104, 2).
fn pads(key: &[u8; 32]) -> Zeroizing<[u8; 128]> {
    let mut pads = Zeroizing::new([0; 128]);
    pads[..64].fill(0x36);
    pads[64..].fill(0x5c);
    for from in [0, 64] {
        pads[from..].iter_mut().zip(key).for_each(|(pad, byte)| *pad ^= byte);
    }
    pads
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use proptest::prelude::*;

    use super::*;

    fn keys(form: TokenForm) -> TokenKeys {
        TokenKeys::derive(b"a secret of thirty-two bytes ...", form).unwrap()
    }

    /// Tokens that were given out must not change: they stand in agents' notes. `docs/decisions/006-tokens.md` has
    /// the same ones, made by other means.
    #[test]
    fn vectors() {
        let (hmac, feistel) = (keys(TokenForm::Hmac), keys(TokenForm::Invertible));
        let token = |keys: &TokenKeys, value: &str| keys.token(Class::Mrn, value.as_bytes()).unwrap();
        for (line, found) in VECTORS.trim().lines().zip([
            token(&hmac, ""),
            token(&hmac, "M-4711"),
            token(&feistel, ""),
            token(&feistel, "M-4711"),
            token(&feistel, "123456789012345"),
            token(&feistel, "1234567890123456"),
            hex::encode(feistel.uuid_token(Class::Mrn, [0; 16]).unwrap()),
            hex::encode(hmac.uuid_token(Class::Mrn, [0; 16]).unwrap()),
        ]) {
            assert_eq!(line.trim(), found);
            assert!(DECISION.replace('-', "").contains(&found), "{found}");
        }
        assert_eq!(VECTORS.trim().lines().count(), 8);
    }

    const DECISION: &str = include_str!("../../../../docs/decisions/006-tokens.md");

    const VECTORS: &str = "
        phi_mrn_88301f298efd169045949c2db2838a6f
        phi_mrn_7677bfed727fd2633ed98fad1fad0d04
        phi_mrn_931ace2c88a591243186e6c727e339e4
        phi_mrn_4ca27b1a9e9e93431c7f44bc44f596f2
        phi_mrn_c1669a4e3f80e5ec3593dd06ef6e5623
        phi_mrn_x429b490cd08ec2b9100ee2a4e88bfd72
        6b90435bb4a1cb2f432d662c59be77cc
        5a2f790a5bc192622ff08ad761068efd
    ";

    /// RFC 2104 by hand, from the padded keys as the database gets them.
    #[test]
    fn the_padded_keys_make_the_hmac() {
        let keys = keys(TokenForm::Hmac);
        let settings = keys.settings(Class::Ssn);
        let [(name, value)] = &*settings else { panic!("one setting") };
        assert_eq!((&**name, value.len()), ("chaperone.k_ssn", 256));
        let pads = hex::decode(&**value).unwrap();
        let inner = digest(&SHA256, &[&pads[..64], b"078-05-1120"].concat());
        let outer = digest(&SHA256, &[&pads[64..], inner.as_ref()].concat());
        let token = keys.token(Class::Ssn, b"078-05-1120").unwrap();
        assert_eq!(token, format!("phi_ssn_{}", hex::encode(&outer.as_ref()[..16])));
    }

    #[test]
    fn classes_forms_and_types_have_tokens_of_their_own() {
        let (hmac, feistel) = (keys(TokenForm::Hmac), keys(TokenForm::Invertible));
        let mut seen = std::collections::BTreeSet::new();
        for class in Class::ALL {
            for keys in [&hmac, &feistel] {
                let token = keys.token(class, b"4711");
                assert_eq!(token.is_some(), class.may_be_token());
                assert_eq!(keys.settings(class).is_empty(), !class.may_be_token());
                let Some(token) = token else { continue };
                let digits = token.strip_prefix(&format!("phi_{}_", class.name())).unwrap();
                assert_eq!(digits.len(), 32);
                assert!(seen.insert(digits.to_owned()));
                let mut block = [0; 16];
                block[..5].copy_from_slice(b"\x044711");
                assert!(seen.insert(hex::encode(keys.uuid_token(class, block).unwrap())));
            }
        }
    }

    #[test]
    fn what_is_not_a_token_is_not_inverted() {
        let keys = keys(TokenForm::Invertible);
        let token = keys.token(Class::Mrn, b"M-4711").unwrap();
        assert_eq!(keys.invert(Class::Mrn, &token).unwrap(), b"M-4711");
        assert_eq!(self::keys(TokenForm::Hmac).invert(Class::Mrn, &token), None);
        let long = keys.token(Class::Mrn, b"1234567890123456").unwrap();
        assert!(long.starts_with("phi_mrn_x"));
        for not in [
            &*long,
            "",
            "phi_mrn_",
            &token[1..],
            &token[..token.len() - 1],
            &format!("{token}0"),
            &format!("{token} "),
            &token.to_uppercase(),
            &token.replacen("phi_mrn_", "phi_mrn_x", 1),
            &token.replacen("mrn", "ssn", 1),
            // well written, but of no value
            "phi_mrn_00000000000000000000000000000000",
        ] {
            assert_eq!(keys.invert(Class::Mrn, not), None, "{not}");
        }
        assert_eq!(keys.invert(Class::Name, "phi_name_00000000000000000000000000000000"), None);
        let upper = token[8..].to_uppercase();
        assert!(upper == token[8..] || keys.invert(Class::Mrn, &format!("phi_mrn_{upper}")).is_none());
    }

    #[test]
    fn secrets_are_not_shown() {
        let keys = keys(TokenForm::Invertible);
        assert_eq!(format!("{keys:?}"), "TokenKeys { form: Invertible, .. }");
        assert_eq!(keys.token(Class::Mrn, &vec![0; super::super::LONGEST + 1]), None);
    }

    proptest! {
        #[test]
        fn texts_come_back(value in prop::collection::vec(any::<u8>(), 0..=FITS)) {
            let keys = keys(TokenForm::Invertible);
            let token = keys.token(Class::Account, &value).unwrap();
            prop_assert_eq!(keys.invert(Class::Account, &token), Some(value));
        }

        /// The inverse is the only value of a token: what inverts at all has that very token.
        #[test]
        fn what_inverts_has_that_token(image: [u8; 16]) {
            let keys = keys(TokenForm::Invertible);
            let token = format!("phi_account_{}", hex::encode(image));
            if let Some(value) = keys.invert(Class::Account, &token) {
                prop_assert_eq!(keys.token(Class::Account, &value), Some(token));
            }
        }

        #[test]
        fn uuids_come_back(value: [u8; 16]) {
            let keys = keys(TokenForm::Invertible);
            let token = keys.uuid_token(Class::UniqueId, value).unwrap();
            prop_assert_eq!(keys.invert_uuid(Class::UniqueId, token), Some(value));
        }

        #[test]
        fn any_text_is_no_token_or_one(token in ".{0,50}") {
            let _ = keys(TokenForm::Invertible).invert(Class::Mrn, &token);
        }
    }
}
