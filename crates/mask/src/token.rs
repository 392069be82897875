//! The rung `token`: a pseudonym that the database computes, under a key that stays out of the statement's text.
//!
//! Equal values of a class have equal tokens, wherever they stand, so that an agent joins, groups and filters by an
//! identifier that it does not see; `NULL` has the token `NULL`. The construction, what it gives away and its test
//! vectors are in `docs/decisions/006-tokens.md`. It is **not** Safe Harbor (45 CFR 164.514(c)): a token is derived
//! from the value.
//!
//! | type | [`TokenForm::Hmac`] | [`TokenForm::Invertible`] |
//! | --- | --- | --- |
//! | `text`, `varchar`, `char(n)`, `name`, `citext` | `phi_mrn_` and 32 hex digits | the same look up to 15 bytes, `phi_mrn_x` and 32 for longer values |
//! | `uuid` | a `uuid` of 16 bytes of the HMAC | a permutation of all `uuid`s |
//! | `bytea` | 16 bytes of the HMAC | the same |
//!
//! `char(n)` has lost the blanks at its end, `citext` is in lower case, as the default collation sees it, before the
//! token is made. A value of more than 1 MiB is no identifier, and redacted.
//!
//! The bytes of a text are those of the database's encoding: in every database in `UTF8`, those of UTF-8. (`convert_to`
//! would make them so in others; but it raises for what cannot be converted, and an error would tell that there is such
//! a value.)

mod feistel;
mod keys;
mod lookup;

use chaperone_model::Class;

use crate::Type;
use crate::column::Family;

pub use keys::{KeyError, TokenKeys};

/// How tokens are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TokenForm {
    /// The first 16 bytes of HMAC-SHA-256: nobody can go back, whatever key they hold, except by trying values.
    #[default]
    Hmac,
    /// A keyed permutation, which the holder of the key can invert ([`TokenKeys::invert`]): a condition on a token
    /// then finds its rows through an index. Values that do not fit a block are HMACs.
    Invertible,
}

/// Longest value that has a token, in bytes.
pub(crate) const LONGEST: usize = 1 << 20;

/// Longest text that fits a block, in bytes: the block has a byte for the length.
pub(crate) const FITS: usize = 15;

/// What every token of a text begins with, and those of the long values under [`TokenForm::Invertible`].
fn marker(class: Class, form: TokenForm, fits: bool) -> String {
    let long = if form == TokenForm::Invertible && !fits { "x" } else { "" };
    format!("phi_{}_{long}", class.name())
}

/// Whether a text looks like a token of this class, of either form: nobody's identifier does.
pub fn looks_like_token(class: Class, text: &str) -> bool {
    class.may_be_token() && text.trim_start().starts_with(&marker(class, TokenForm::Hmac, true))
}

/// The setting that holds the padded keys of the HMAC: 256 hex digits.
fn hmac_setting(class: Class) -> String {
    format!("chaperone.k_{}", class.name())
}

/// The setting that holds the key of the permutation: 64 hex digits.
fn feistel_setting(class: Class) -> String {
    format!("chaperone.f_{}", class.name())
}

/// The token of a column, of the column's type; `None` for classes and types that have none.
pub(crate) fn sql(class: Class, form: TokenForm, column: &str, ty: &Type) -> Option<String> {
    if !class.may_be_token() {
        return None;
    }
    let own = ty.sql();
    let (bytes, length) = match ty.family()? {
        Family::Text | Family::Bpchar | Family::Name | Family::Citext => {
            let text = ty.text(column)?;
            let text = match ty.family() {
                // as the type itself compares: under the default collation
                Some(Family::Citext) => format!("pg_catalog.lower({text} COLLATE pg_catalog.\"default\")"),
                _ => text,
            };
            // `escape` reads every byte but the backslash as itself. replace() refuses collations that are not
            // deterministic
            let bytes = format!(
                "pg_catalog.decode(pg_catalog.replace({text} COLLATE pg_catalog.\"C\", pg_catalog.chr(92), \
                 pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape')"
            );
            (bytes, format!("pg_catalog.octet_length({text})"))
        }
        Family::Uuid => {
            let bytes = format!("pg_catalog.uuid_send({column})");
            return Some(match form {
                TokenForm::Hmac => format!("pg_catalog.encode({}, 'hex')::{own}", hmac(class, &bytes)),
                TokenForm::Invertible => {
                    let hex = format!("pg_catalog.encode({bytes}, 'hex')");
                    format!("{}::{own}", feistel::sql(class, feistel::Block::Uuid, &hex, ""))
                }
            });
        }
        Family::Bytea => (column.to_owned(), format!("pg_catalog.octet_length({column})")),
        _ => return None,
    };
    let token = match (ty.family()?, form) {
        (Family::Bytea, _) => hmac(class, &bytes),
        (_, TokenForm::Hmac) => format!("{}::{own}", text(class, form, false, &hmac(class, &bytes))),
        (_, TokenForm::Invertible) => {
            let value = "chaperone_v.b";
            let block = format!(
                "pg_catalog.encode(pg_catalog.substr(pg_catalog.substr(pg_catalog.int4send(\
                 pg_catalog.octet_length({value})), 4, 1) OPERATOR(pg_catalog.||) {value} OPERATOR(pg_catalog.||) \
                 pg_catalog.decode('{}', 'hex'), 1, 16), 'hex')",
                "00".repeat(FITS)
            );
            // OFFSET 0 keeps the planner from writing the value's bytes out wherever they are used
            format!(
                "(SELECT CASE WHEN pg_catalog.octet_length({value}) OPERATOR(pg_catalog.<=) {FITS} THEN {} ELSE {} END \
                 FROM (SELECT {bytes} AS b OFFSET 0) chaperone_v)::{own}",
                feistel::sql(class, feistel::Block::Text, &block, &marker(class, form, true)),
                text(class, form, false, &hmac(class, value)),
            )
        }
    };
    Some(format!("CASE WHEN {length} OPERATOR(pg_catalog.<=) {LONGEST} THEN {token} END"))
}

/// The marker and the hex digits of `bytes`.
fn text(class: Class, form: TokenForm, fits: bool, bytes: &str) -> String {
    let marker = marker(class, form, fits);
    format!("('{marker}'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.encode({bytes}, 'hex'))")
}

/// The first 16 bytes of HMAC-SHA-256 (RFC 2104) of `bytes`. The padded keys come from a setting; without it, or with
/// one of another length, they are `NULL`, and so is the token: never a hash without a key, which anybody could make.
fn hmac(class: Class, bytes: &str) -> String {
    let pad = |from: usize| {
        let half = format!("pg_catalog.substr(chaperone_z.k, {from}, 128)");
        key(&hmac_setting(class), 256, &half)
    };
    format!(
        "pg_catalog.substr(pg_catalog.sha256({} OPERATOR(pg_catalog.||) pg_catalog.sha256({} \
         OPERATOR(pg_catalog.||) {bytes})), 1, 16)",
        pad(129),
        pad(1),
    )
}

/// A key from a setting, as `bytea`: `part` of the setting's `digits` hex digits. It depends on no row, so that the
/// server looks it up once for a statement (an `InitPlan`).
fn key(setting: &str, digits: usize, part: &str) -> String {
    format!(
        "(SELECT pg_catalog.decode({part}, 'hex') \
         FROM (SELECT pg_catalog.current_setting('{setting}', true) AS k) chaperone_z \
         WHERE pg_catalog.char_length(chaperone_z.k) OPERATOR(pg_catalog.=) {digits} \
         AND pg_catalog.translate(chaperone_z.k, '0123456789abcdef', '') OPERATOR(pg_catalog.=) '')"
    )
}
