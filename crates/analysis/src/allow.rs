//! The allow-lists: what is known to be harmless, by name in `pg_catalog`. What is not on them is refused.

mod expression;
mod extensions;
mod functions;
mod relations;
mod types;

pub(crate) use expression::{known as known_expression, known_bound as known_bound_expression};
pub(crate) use extensions::{INFORMATION_SCHEMA, extension};
pub(crate) use functions::{AGGREGATES, PURE, READS_SETTINGS, RELEASES, SESSION};
pub(crate) use relations::{CatalogRelation, catalog_relation};
pub(crate) use types::{SYSTEM_COLUMNS, TYPES};

/// The schema of what the server brings with it.
pub(crate) const PG_CATALOG: &str = "pg_catalog";

/// Operators of `pg_catalog`, PostgreSQL 14 to 18. All of them compute on their operands and nothing else.
#[rustfmt::skip]
pub(crate) const OPERATORS: [&str; 83] = [
    "!!", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<", "&<|", "&>", "*", "*<",
    "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/", "<", "<->", "<<", "<<=", "<<|", "<=", "<>",
    "<@", "<^", "=", ">", ">=", ">>", ">>=", ">^", "?", "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@", "@>", "@?",
    "@@", "@@@", "^", "^@", "|", "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~", "~<~", "~=", "~>=~", "~>~", "~~",
    "~~*", "!=", "<?>", "&#", "@#", "!~~~", "-~-", "+~+", "~-~", "-+-",
];

/// Whether a name as written is one of `pg_catalog`, and which: unqualified, or qualified with it.
pub(crate) fn builtin(name: &[String]) -> Option<&str> {
    match name {
        [name] => Some(name),
        [schema, name] if schema == PG_CATALOG => Some(name),
        _ => None,
    }
}

/// Whether a function is known to have no effects.
pub(crate) fn function(name: &[String]) -> bool {
    builtin(name).is_some_and(|name| PURE.binary_search(&name).is_ok())
}

/// Whether a function is one of the server's own that reads or changes nothing beyond its session.
pub(crate) fn session_function(name: &[String]) -> bool {
    const PREFIXES: [&str; 8] =
        ["has_", "pg_get_", "pg_stat_get_", "pg_advisory_", "pg_try_advisory_", "to_reg", "txid_", "hash"];
    const SUFFIXES: [&str; 4] = ["_is_visible", "_size", "_privilege", "_extended"];
    builtin(name).is_some_and(|name| {
        PURE.binary_search(&name).is_ok()
            || SESSION.binary_search(&name).is_ok()
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || SUFFIXES.iter().any(|suffix| name.starts_with("pg_") && name.ends_with(suffix))
    })
}

/// Whether an operator is known to have no effects.
pub(crate) fn operator(name: &[String]) -> bool {
    builtin(name).is_some_and(|name| OPERATORS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        assert!(PURE.is_sorted());
        assert!(SESSION.is_sorted());
        assert!(AGGREGATES.is_sorted());
        assert!(TYPES.is_sorted());
    }
}
