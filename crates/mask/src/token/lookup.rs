//! From a token to the value behind it, as SQL: so that a condition on a token finds its rows through an index.
//!
//! The value never stands in a statement's text, nor in a parameter: the database itself inverts the token, under the
//! key of the session's setting, once for a statement. So neither the record of what ran, nor the database's log, nor a
//! plan shows it.

use chaperone_model::Class;

use super::feistel::{self, Block};
use super::keys::TokenKeys;
use super::{FITS, TokenForm, feistel_setting, key, marker};

/// Hex digits of text in UTF-8 (RFC 3629, section 4) without the character that PostgreSQL has not, U+0000.
const UTF8: &str = "^(0[1-9a-f]|[1-7][0-9a-f]|(c[2-9a-f]|d[0-9a-f])[89ab][0-9a-f]|e0[ab][0-9a-f][89ab][0-9a-f]|\
    (e[1-9abcef])([89ab][0-9a-f]){2}|ed[89][0-9a-f][89ab][0-9a-f]|f0[9ab][0-9a-f]([89ab][0-9a-f]){2}|\
    f[123]([89ab][0-9a-f]){3}|f48[0-9a-f]([89ab][0-9a-f]){2})*$";

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

    /// SQL of a condition on `column` (text, as it stands in SQL) that holds for the rows whose token is the parameter
    /// `$number`, and for more where it is no token that can be inverted. In a database in UTF-8; `None` where tokens
    /// cannot be inverted at all.
    ///
    /// The parameter's value is not known when the condition is made. What has not the form of such a token makes the
    /// condition true as soon as the planner has the value; for what has, the inverse is the only value of that token,
    /// or, where it is no text, there is none. Nothing in it raises, whatever the parameter holds.
    pub fn lookup_parameter(&self, class: Class, column: &str, number: i32) -> Option<String> {
        if self.form() != TokenForm::Invertible || !class.may_be_token() {
            return None;
        }
        let marker = marker(class, TokenForm::Invertible, true);
        let parameter = format!("${number}::pg_catalog.text");
        let form = format!("'^{marker}[0-9a-f]{{32}}$'");
        let digits = format!(
            "CASE WHEN {parameter} OPERATOR(pg_catalog.~) {form} THEN pg_catalog.substr({parameter}, {}) END",
            marker.len() + 1
        );
        let block = feistel::inverse_of_sql(&key(&feistel_setting(class), 64, "chaperone_z.k"), Block::Text, &digits);
        // a byte for the length, the value, zeros; what is cut off by `substr` is compared by `encode` below
        let value = "pg_catalog.substr(chaperone_b.b, 2, pg_catalog.get_byte(chaperone_b.b, 0))";
        let is_block = format!(
            "pg_catalog.get_byte(chaperone_b.b, 0) OPERATOR(pg_catalog.<=) {FITS} AND \
             pg_catalog.encode(pg_catalog.substr(chaperone_b.b, pg_catalog.get_byte(chaperone_b.b, 0) \
             OPERATOR(pg_catalog.+) 2), 'hex') OPERATOR(pg_catalog.~) '^0*$' AND \
             pg_catalog.encode({value}, 'hex') OPERATOR(pg_catalog.~) '{UTF8}'"
        );
        // the name of an encoding has a collation, which would be the text's, and not the index's
        Some(format!(
            "({column} OPERATOR(pg_catalog.=) (SELECT CASE WHEN {is_block} THEN pg_catalog.convert_from({value}, 'UTF8') COLLATE pg_catalog.\"default\" END \
             FROM (SELECT {block} AS b OFFSET 0) chaperone_b) OR {parameter} OPERATOR(pg_catalog.!~) {form})"
        ))
    }
}
