//! Names that the server makes up for what comes along with a relation: the sequence of a `serial`, the index of a constraint,
//! the type of its arrays. In the session's own schema they are found before all else (rule R1), so they must not be the name of
//! something that is there.

use chaperone_model::{Refusal, TableName};
use pg_query::NodeEnum;
use pg_query::protobuf::{self as pg, ConstrType};

use super::columns::SERIAL;
use super::refuse::refusal;
use super::{Masker, names};
use crate::allow::TYPES;

/// A longer name is cut, somewhere within its last character (`NAMEDATALEN`).
const LONGEST: usize = 60;

/// What comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Implied<'n> {
    /// `table_column_seq`, of any column if none is named.
    Sequence(Option<&'n str>),
    /// `table_pkey`, `table_column_key`, `table_column_idx`: which columns it is called after is the server's affair.
    Index,
}

impl Implied<'_> {
    /// Whether the server could make up this name; it puts a number behind one that is taken.
    fn may_be(self, table: &str, name: &str) -> bool {
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let endings: &[&str] = match self {
            Implied::Sequence(_) => &["_seq"],
            Implied::Index => &["_pkey", "_key", "_idx", "_excl"],
        };
        let Some(made_of) = endings.iter().find_map(|ending| name.strip_suffix(ending)) else { return false };
        if name.len() + 8 >= LONGEST {
            // of both names the longer one is cut; what they have in common at the beginning decides enough
            return table.bytes().zip(made_of.bytes()).take(LONGEST / 4).all(|(a, b)| a == b);
        }
        let Some(rest) = made_of.strip_prefix(table) else { return false };
        match self {
            Implied::Sequence(Some(column)) => rest.strip_prefix('_') == Some(column),
            Implied::Sequence(None) | Implied::Index => rest.is_empty() || rest.starts_with('_'),
        }
    }
}

impl Masker<'_> {
    /// Whether what comes along with a temporary table would hide something by its name.
    pub(super) fn hides_nothing(&self, table: &str, implied: Implied<'_>) -> Result<(), Refusal> {
        let in_path = |name: &&TableName| self.catalog.search_path.contains(&name.schema);
        match self.catalog.relations.keys().filter(in_path).find(|name| implied.may_be(table, &name.name)) {
            None => Ok(()),
            Some(hidden) => Err(refusal(
                "masking.temporary",
                format!("what comes along with `{table}` would have the name of `{hidden}`"),
                "a sequence or an index has a name that is made of its table's and columns', and would hide it",
                "give the table another name",
            )),
        }
    }

    /// The same of a column of one, and what its constraints bring along.
    pub(super) fn column_hides_nothing(&self, table: &str, column: &pg::ColumnDef) -> Result<(), Refusal> {
        let names = column.type_name.as_ref().map(|ty| names::parts(&ty.names)).transpose()?;
        if matches!(names.as_deref(), Some([name]) if SERIAL.contains(name)) {
            self.hides_nothing(table, Implied::Sequence(Some(&column.colname)))?;
        }
        for constraint in &column.constraints {
            let Some(NodeEnum::Constraint(constraint)) = &constraint.node else { continue };
            match ConstrType::try_from(constraint.contype) {
                Ok(ConstrType::ConstrIdentity) => {
                    self.hides_nothing(table, Implied::Sequence(Some(&column.colname)))?
                }
                _ => self.constraint_hides_nothing(table, constraint)?,
            }
        }
        Ok(())
    }

    /// The same of a constraint.
    pub(super) fn constraint_hides_nothing(&self, table: &str, constraint: &pg::Constraint) -> Result<(), Refusal> {
        let has_index = matches!(
            ConstrType::try_from(constraint.contype),
            Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique)
        );
        // one that has a name gives it to its index
        if has_index && constraint.conname.is_empty() { self.hides_nothing(table, Implied::Index) } else { Ok(()) }
    }

    /// Whether a relation of this name, whose rows have a type of that name, would hide a type.
    pub(super) fn has_type(&self, name: &str) -> bool {
        // its array type comes along, with so many underscores before it that the name is free
        let bare = name.trim_start_matches('_');
        let alike = |known: &str| {
            let known_bare = known.trim_start_matches('_');
            known_bare == bare || (known.len() >= LONGEST && bare.starts_with(known_bare))
        };
        TYPES.binary_search(&name).is_ok()
            || SERIAL.contains(&name)
            || TYPES.binary_search(&bare).is_ok()
            || self.catalog.types.keys().any(|ty| alike(&ty.name) && self.catalog.search_path.contains(&ty.schema))
    }
}

#[cfg(test)]
mod tests {
    use super::Implied;

    #[test]
    fn names_as_the_server_makes_them_up() {
        let long = "a_table_with_quite_a_long_name_for_what_it_is_and_more_of_it";
        for (table, implied, name) in [
            ("kept", Implied::Sequence(Some("id")), "kept_id_seq"),
            ("kept", Implied::Sequence(Some("id")), "kept_id_seq12"),
            ("kept", Implied::Sequence(None), "kept_id_seq"),
            ("kept", Implied::Index, "kept_pkey"),
            ("kept", Implied::Index, "kept_a_b_key1"),
            ("kept", Implied::Index, "kept_expr_idx"),
            (long, Implied::Sequence(Some("id")), "a_table_with_quite_a_long_name_for_what_it_is_and_more_o_id_seq"),
            ("kept", Implied::Sequence(Some(long)), "kept_a_table_with_quite_a_long_name_for_what_it_is_and_more_seq"),
        ] {
            assert!(implied.may_be(table, name), "{name}");
        }
        for (table, implied, name) in [
            ("kept", Implied::Sequence(Some("id")), "kept_no_seq"),
            ("kept", Implied::Sequence(Some("id")), "kept_id"),
            ("kept", Implied::Sequence(Some("id")), "keptid_seq"),
            ("kept", Implied::Index, "kept_id_seq"),
            ("kept", Implied::Index, "keptsake_pkey"),
            (long, Implied::Sequence(Some("id")), "another_table_with_quite_a_long_name_for_what_it_is_and__id_seq"),
        ] {
            assert!(!implied.may_be(table, name), "{name}");
        }
    }
}
