//! From a token to the value behind it, as SQL: so that a condition on a token finds its rows through an index.
//!
//! The value never stands in a statement's text, nor in a parameter: the database itself inverts the token, under the
//! key of the session's setting, once for a statement. So neither the record of what ran, nor the database's log, nor a
//! plan shows it.

use chaperone_model::Class;

use super::feistel::{self, Block};
use super::keys::TokenKeys;
use super::{TokenForm, feistel_setting, key, marker};

impl TokenKeys {
    /// SQL of the one `text` whose token this is: a scalar subquery that depends on no row. `None` where there is no
    /// such value, or none that can be spelt with certainty in every encoding of a database (ASCII without backslash
    /// and control characters).
    ///
    /// Whoever adds `column = <this>` to a condition `<mask of column> = token` removes no row: the mask is injective,
    /// so only this value has that token.
    pub fn lookup(&self, class: Class, token: &str) -> Option<String> {
        let value = self.invert(class, token)?;
        if !value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
            return None;
        }
        let digits = token.strip_prefix(&marker(class, TokenForm::Invertible, true))?;
        let block = feistel::inverse_sql(&key(&feistel_setting(class), 64, "chaperone_z.k"), Block::Text, digits)?;
        // `escape` writes such bytes as themselves
        Some(format!(
            "(SELECT pg_catalog.encode(pg_catalog.substr(chaperone_b.b, 2, pg_catalog.get_byte(chaperone_b.b, 0)), \
             'escape') FROM (SELECT {block} AS b OFFSET 0) chaperone_b)"
        ))
    }
}
