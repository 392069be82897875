//! Settings that a session on protected data may have.
//!
//! Masks depend on none of them (rule R7), so what ordinary drivers send is allowed. Refused is what changes how text
//! is read, what names mean, who one is, or in which order rows come (rule R9).

use chaperone_model::{Refusal, SqlState};

/// Settings with any value.
const FREE: [&str; 25] = [
    "application_name",
    "bytea_output",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "statement_timeout",
    "tcp_keepalives_count",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_user_timeout",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
];

/// Settings that may be read but not changed.
const READABLE: [&str; 23] = [
    "client_min_messages",
    "client_encoding",
    "default_tablespace",
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "max_identifier_length",
    "max_index_keys",
    "role",
    "search_path",
    "server_encoding",
    "server_version",
    "server_version_num",
    "session_authorization",
    "standard_conforming_strings",
    "transaction_timeout",
    "backslash_quote",
    "default_table_access_method",
    "escape_string_warning",
    "array_nulls",
    "quote_all_identifiers",
    "row_security",
    "xmlbinary",
];

/// Whether a session on protected data may have this setting (rule `masking.setting`).
///
/// # Errors
/// The setting is not on the list, or not with this value.
pub fn setting_allowed(name: &str, value: Option<&str>) -> Result<(), Refusal> {
    let lower = name.to_ascii_lowercase();
    let value = value.map(|value| value.trim().to_ascii_lowercase());
    if !FREE.contains(&&*lower) {
        let fixed: &[&str] = match &*lower {
            // below `notice` come the server's own notes on how it runs a statement, one for each that it makes
            "client_min_messages" => &["notice", "warning", "error"],
            "client_encoding" => &["utf8", "utf-8", "unicode", "'utf-8'", "'utf8'"],
            "standard_conforming_strings" => &["on", "true", "yes", "1"],
            "row_security" => &["on", "true", "yes", "1"],
            _ => return Err(refused(&lower)),
        };
        return match value {
            Some(value) if fixed.contains(&&*value) => Ok(()),
            _ => Err(refused(&lower)),
        };
    }
    Ok(())
}

/// Whether `SHOW` may name this setting.
///
/// # Errors
/// It is not on either list (rule `masking.setting`).
pub(crate) fn readable(name: &str) -> Result<(), Refusal> {
    let lower = name.to_ascii_lowercase();
    if FREE.contains(&&*lower) || READABLE.contains(&&*lower) { Ok(()) } else { Err(refused(&lower)) }
}

/// Whether a setting may have any value.
pub(crate) fn any_value(name: &str) -> bool {
    FREE.contains(&&*name.to_ascii_lowercase())
}

/// The settings that may be read, in lower case.
pub(crate) fn all_readable() -> impl Iterator<Item = &'static str> {
    FREE.into_iter().chain(READABLE)
}

fn refused(name: &str) -> Refusal {
    // a name of two parts is the agent's own invention, and could hold anything
    let shown = if name.len() <= 63 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') { name } else { "…" };
    Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE,
        rule: "masking.setting",
        message: format!("setting `{shown}` cannot be read or changed in this way"),
        detail: "on a connection that holds protected data, settings that change how statements are read, what names \
                 mean, who one is or how rows are ordered are fixed"
            .into(),
        hint: "leave it out; qualify names with their schema instead of changing search_path".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_send_is_allowed() {
        for (name, value) in [
            ("application_name", "psql"),
            ("client_encoding", "UTF8"),
            ("client_encoding", "'utf-8'"),
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "Europe/Berlin"),
            ("extra_float_digits", "3"),
            ("statement_timeout", "0"),
            ("standard_conforming_strings", "on"),
            ("client_min_messages", "warning"),
        ] {
            assert!(setting_allowed(name, Some(value)).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_changes_meaning_is_not() {
        for (name, value) in [
            ("search_path", "evil"),
            ("role", "postgres"),
            ("session_authorization", "postgres"),
            ("standard_conforming_strings", "off"),
            ("client_encoding", "SJIS"),
            ("row_security", "off"),
            ("client_min_messages", "debug1"),
            ("client_min_messages", "log"),
            ("enable_seqscan", "off"),
            ("geqo", "off"),
            ("random_page_cost", "100"),
            ("plan_cache_mode", "force_generic_plan"),
            ("session_preload_libraries", "x"),
            ("chaperone.k", "1"),
        ] {
            assert_eq!(setting_allowed(name, Some(value)).unwrap_err().rule, "masking.setting", "{name}");
        }
    }
}
