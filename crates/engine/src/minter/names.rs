//! What our roles are called: a name says whose it is, so that nobody sweeps up another gateway's.

use aws_lc_rs::digest::{SHA256, digest};

use super::hex;

/// The names of one connection's roles, for one evidence log: two gateways have two logs.
#[derive(Debug)]
pub(super) struct Names {
    prefix: String,
}

/// Bytes of a digest in a name. A name has at most 63 (PostgreSQL manual, 4.1.1).
const SHORT: usize = 6;

impl Names {
    /// `identity` is the evidence log's.
    pub(super) fn of(identity: &str, connection: &str) -> Self {
        Names { prefix: format!("chaperone_{}", short(&format!("{identity}\n{connection}"))) }
    }

    /// A session's role.
    pub(super) fn session(&self, chance: &[u8]) -> String {
        format!("{}_s_{}", self.prefix, hex(chance))
    }

    /// The profile with these privileges.
    pub(super) fn profile(&self, privileges: &str) -> String {
        format!("{}_p_{}", self.prefix, short(privileges))
    }

    /// Who owns what sessions made to stay.
    pub(super) fn keeper(&self) -> String {
        format!("{}_keeper", self.prefix)
    }

    /// A pattern of `LIKE` for all session roles.
    pub(super) fn sessions(&self) -> String {
        format!(r"{}\_s\_%", self.prefix.replace('_', r"\_"))
    }

    /// A pattern of `LIKE` for all profiles.
    pub(super) fn profiles(&self) -> String {
        format!(r"{}\_p\_%", self.prefix.replace('_', r"\_"))
    }
}

fn short(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref().get(..SHORT).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_that_need_no_quotes_and_fit() {
        let names = Names::of("log.example+1+key", "clinic \"; DROP");
        for name in [names.session(&[0xab; 16]), names.profile("GRANT"), names.keeper()] {
            assert!(name.len() <= 63, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        }
    }

    #[test]
    fn another_log_or_connection_has_other_names() {
        let all = [("a", "b"), ("a", "c"), ("b", "b")].map(|(log, connection)| Names::of(log, connection).sessions());
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    }
}
