//! The Cedar schema, and the names by which requests speak of its entities.
//!
//! Ids join names with `/` and `.`, which may occur in names themselves (`"a.b"` is a legal PostgreSQL identifier).
//! Inside a part those characters and `%` are percent-encoded, so that no two things share an id: otherwise whoever
//! may create a schema could make a table that borrows another one's policies.

use std::collections::HashMap;
use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};
use chaperone_model::{Action, Class, Principal, Rung, TableName};

/// The text of the schema that policies are validated against.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

pub(crate) static PARSED: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("the committed schema parses: tested");
    schema
});

/// Everything that a request's context may hold.
pub(crate) const CONTEXT: [&str; 10] =
    ["now", "acts_for", "model", "purpose", "workload", "kind", "has_where", "tables", "classes", "estimated_rows"];

/// Types whose ids are made of names.
pub(crate) const AGENT: &str = "Agent";
pub(crate) const TABLE: &str = "Table";
pub(crate) const COLUMN: &str = "Column";

/// What is asked of the policies: an action of a statement, or what a session may have of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Act(Action),
    /// To see it on a rung of the mask ladder.
    Read(Rung),
    /// That its stored values decide which rows are seen, though it is masked.
    Filter,
    /// That writes are compared with its stored values, though it is masked.
    Probe,
}

impl Ask {
    /// Every one, so that [`Ask::ordinal`] indexes it.
    pub(crate) const ALL: [Ask; 14] = [
        Ask::Act(Action::Connect),
        Ask::Act(Action::Select),
        Ask::Act(Action::Insert),
        Ask::Act(Action::Update),
        Ask::Act(Action::Delete),
        Ask::Act(Action::Call),
        Ask::Act(Action::Ddl),
        Ask::Act(Action::Copy),
        Ask::Read(Rung::Raw),
        Ask::Read(Rung::Partial),
        Ask::Read(Rung::Token),
        Ask::Read(Rung::Redacted),
        Ask::Filter,
        Ask::Probe,
    ];

    /// Its place in [`Ask::ALL`].
    pub(crate) fn ordinal(self) -> usize {
        Ask::ALL.iter().position(|ask| *ask == self).unwrap_or(0)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Ask::Act(action) => action.name(),
            Ask::Read(Rung::Raw) => "read_raw",
            Ask::Read(Rung::Partial) => "read_partial",
            Ask::Read(Rung::Token) => "read_token",
            Ask::Read(Rung::Redacted) => "read_redacted",
            Ask::Filter => "filter",
            Ask::Probe => "probe",
        }
    }

    pub(crate) fn uid(self) -> EntityUid {
        uid("Action", self.name())
    }

    /// The types that its resource can have, and those that its resource can be in, which includes the former.
    pub(crate) fn resources(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Ask::Act(Action::Connect) => (&["Connection"], &["Connection"]),
            Ask::Act(_) => (&["Connection", "Table"], &["Connection", "Table"]),
            Ask::Read(_) | Ask::Filter | Ask::Probe => (&["Column"], &["Column", "Class", "Table", "Connection"]),
        }
    }
}

/// The rule that a refusal of `action` names.
pub(crate) fn rule(action: Action) -> &'static str {
    match action {
        Action::Connect => "policy.connect",
        Action::Select => "policy.select",
        Action::Insert => "policy.insert",
        Action::Update => "policy.update",
        Action::Delete => "policy.delete",
        Action::Call => "policy.call",
        Action::Ddl => "policy.ddl",
        Action::Copy => "policy.copy",
    }
}

/// The types of the schema, parsed once: parsing a name costs as much as a decision.
static TYPES: LazyLock<HashMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    let names = ["Action", "Agent", "Class", "Column", "Connection", "Group", "Table"];
    names.map(|name| (name, name.parse().expect("our own type names are identifiers"))).into()
});

pub(crate) fn uid(type_name: &'static str, id: &str) -> EntityUid {
    let known = TYPES.get(type_name).expect("every type of the schema is listed");
    EntityUid::from_type_name_and_id(known.clone(), EntityId::new(id))
}

/// The agent's subject comes last and is left as it is: the first `/` ends the issuer.
pub(crate) fn agent(principal: &Principal) -> EntityUid {
    uid("Agent", &format!("{}/{}", part(&principal.issuer), principal.agent))
}

pub(crate) fn connection(name: &str) -> EntityUid {
    uid("Connection", name)
}

pub(crate) fn class(class: Class) -> EntityUid {
    uid("Class", class.name())
}

pub(crate) fn table(connection: &str, table: &TableName) -> EntityUid {
    uid("Table", &format!("{}/{}.{}", part(connection), part(&table.schema), part(&table.name)))
}

pub(crate) fn column(connection: &str, table: &TableName, column: &str) -> EntityUid {
    let (schema, name) = (part(&table.schema), part(&table.name));
    uid("Column", &format!("{}/{schema}.{name}.{}", part(connection), part(column)))
}

/// One part of an id, with the separators in it encoded.
pub(crate) fn part(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '%' => encoded.push_str("%25"),
            '.' => encoded.push_str("%2E"),
            '/' => encoded.push_str("%2F"),
            c => encoded.push(c),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_class_and_action() {
        for class in Class::ALL {
            assert!(SCHEMA.contains(&format!("\"{}\"", class.name())), "{} is missing", class.name());
        }
        let mut declared: Vec<String> = PARSED.actions().map(|a| a.id().unescaped().to_owned()).collect();
        let mut asked: Vec<String> = Ask::ALL.iter().map(|a| a.name().to_owned()).collect();
        declared.sort();
        asked.sort();
        assert_eq!(declared, asked);
    }

    #[test]
    fn no_two_tables_share_an_id() {
        let tricky = [
            table("c", &TableName::new("a.b", "c")),
            table("c", &TableName::new("a", "b.c")),
            table("c/a", &TableName::new("b", "c")),
            table("c", &TableName::new("a/b", "c")),
            table("c", &TableName::new("a%2Eb", "c")),
            column("c", &TableName::new("a", "b"), "c"),
        ];
        for (i, one) in tricky.iter().enumerate() {
            assert!(tricky.iter().skip(i + 1).all(|other| other != one), "{one} is not unique");
        }
        assert_eq!(table("clinic", &TableName::new("public", "patient")).id().unescaped(), "clinic/public.patient");
    }
}
