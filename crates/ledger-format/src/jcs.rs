//! What makes plain `serde_json` write the JSON Canonicalization Scheme (RFC 8785).
//!
//! Structs declare their fields in the scheme's order (UTF-16 code units of the name), strings are escaped alike by
//! both, and no floating-point number is ever written. What is left is here: integers beyond 2^53 − 1, which JSON
//! readers round, are written as strings; and maps with arbitrary keys are put in order.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The greatest integer that every JSON reader keeps: 2^53 − 1.
pub const MAX_SAFE: u64 = (1 << 53) - 1;

/// An unsigned integer, as a string where it is beyond [`MAX_SAFE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Int(pub u64);

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 <= MAX_SAFE { s.serialize_u64(self.0) } else { s.collect_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct IntVisitor;
        impl Visitor<'_> for IntVisitor {
            type Value = Int;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an unsigned integer")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Int, E> {
                Ok(Int(v))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Int, E> {
                v.parse().map(Int).map_err(|_| E::custom("not an unsigned integer"))
            }
        }
        d.deserialize_any(IntVisitor)
    }
}

/// For `#[serde(with = "jcs::int")]` on a `u64`.
pub mod int {
    use super::{Deserialize, Deserializer, Int, Serialize, Serializer};

    /// As [`Int`].
    pub fn serialize<S: Serializer>(v: &u64, s: S) -> Result<S::Ok, S::Error> {
        Int(*v).serialize(s)
    }

    /// As [`Int`].
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        Int::deserialize(d).map(|v| v.0)
    }
}

/// For `#[serde(with = "jcs::opt_int")]` on an `Option<u64>`.
pub mod opt_int {
    use super::{Deserialize, Deserializer, Int, Serialize, Serializer};

    /// As [`Int`].
    pub fn serialize<S: Serializer>(v: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
        v.map(Int).serialize(s)
    }

    /// As [`Int`].
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Int>::deserialize(d)?.map(|v| v.0))
    }
}

/// A time in seconds, which is never near the limits but could be claimed to be: brought into the range of safe
/// integers.
pub(crate) fn clamp(seconds: i64) -> i64 {
    let max = i64::try_from(MAX_SAFE).unwrap_or(i64::MAX);
    seconds.clamp(-max, max)
}

/// The order of names in canonical JSON.
pub fn order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_change_to_strings_at_the_limit() {
        assert_eq!(serde_json::to_string(&Int(MAX_SAFE)).unwrap(), "9007199254740991");
        assert_eq!(serde_json::to_string(&Int(MAX_SAFE + 1)).unwrap(), "\"9007199254740992\"");
        assert_eq!(serde_json::from_str::<Int>("\"18446744073709551615\"").unwrap(), Int(u64::MAX));
        assert!(serde_json::from_str::<Int>("-1").is_err());
    }

    #[test]
    fn names_are_ordered_by_utf_16() {
        // U+1F600 is D83D DE00 in UTF-16, before U+FB33; in UTF-8 it is after
        assert_eq!(order("\u{1F600}", "\u{FB33}"), Ordering::Less);
    }
}
