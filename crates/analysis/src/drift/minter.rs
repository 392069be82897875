//! Where each session has a role of its own: what the role that makes them can do, and what every role can.

use chaperone_model::{TableClasses, TableName};

use super::{Findings, Severity};
use crate::catalog::Relation;

/// As [`super::QUERIES`], asked as the role that makes those of sessions: 0 the role · 1 predicates of partial indexes ·
/// 2 columns that it cannot let others read · 3 columns that every role may read.
pub const QUERIES: [&str; 4] = [
    super::QUERIES[0],
    super::QUERIES[1],
    "SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
     AND a.attnum > 0 AND NOT a.attisdropped \
     AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') \
     AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT WITH GRANT OPTION'))",
    "SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
     AND a.attnum > 0 AND NOT a.attisdropped \
     AND pg_catalog.has_column_privilege('public', a.attrelid, a.attnum, 'SELECT')",
];

impl Findings {
    pub(super) fn minter(&mut self, name: &str, superuser: bool, bypasses: bool, creates: bool) {
        if !creates && !superuser {
            let text = format!(
                "the minter `{name}` cannot create roles: no session opens; `chaperone credentials script` says what it needs"
            );
            self.add(Severity::Error, "drift.role", None, text);
        }
        let more = [(superuser, "is a superuser"), (bypasses, "bypasses row security")];
        let more: Vec<&str> = more.into_iter().filter(|(can, _)| *can).map(|(_, what)| what).collect();
        if !more.is_empty() {
            let text = format!("the minter `{name}` {}, which it need not", more.join(" and "));
            self.add(Severity::Warning, "drift.role", None, text);
        }
    }

    /// A column that every role may read: whose masks hide it gets no session.
    pub(super) fn public(&mut self, name: &TableName, relation: &Relation, classes: &TableClasses, number: i16) {
        let column = relation.columns.iter().find(|column| column.number == number);
        if let Some(column) = column.filter(|column| classes.class(&column.name).is_protected()) {
            let text =
                "every role may read it, by a grant to `PUBLIC`: no session opens whose masks hide it; revoke that";
            self.add(Severity::Error, "drift.public", Some(format!("{name}.{}", column.name)), text.to_owned());
        }
    }
}
