//! Which column of which table holds which class.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Class;

/// A table by its schema and name, exactly as the catalog spells them (no quoting, no case folding).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TableName {
    /// `pg_namespace.nspname`.
    pub schema: String,
    /// `pg_class.relname`.
    pub name: String,
}

impl TableName {
    /// `schema` and `name` as in the catalog.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        TableName { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl<'de> Deserialize<'de> for TableName {
    /// Reads `schema.table`; a name with a dot of its own cannot be written this way and is refused.
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match text.split('.').collect::<Vec<_>>()[..] {
            [schema, name] if !schema.is_empty() && !name.is_empty() => Ok(TableName::new(schema, name)),
            _ => Err(serde::de::Error::custom(format!("`{text}` is not `schema.table`"))),
        }
    }
}

/// The classes of one table's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableClasses {
    /// Class by column name. A column of the live table that is missing here is [`Class::Unknown`].
    pub columns: BTreeMap<String, Class>,
    /// Whose rows they are: for accounting of disclosures (45 CFR 164.528). Where nothing is said, they are of somebody
    /// who cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
}

/// Whose rows a table has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// This column says whose: `subject: patient_id`.
    Column(String),
    /// None of them is about a person whose data is accounted for: `subject: false`.
    Nobody,
}

impl Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Subject::Column(column) => s.serialize_str(column),
            Subject::Nobody => s.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Subject;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or `false` where the rows are about nobody")
            }
            fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<Subject, E> {
                Ok(Subject::Column(column.to_owned()))
            }
            fn visit_bool<E: serde::de::Error>(self, about: bool) -> Result<Subject, E> {
                match about {
                    false => Ok(Subject::Nobody),
                    true => Err(E::invalid_value(serde::de::Unexpected::Bool(true), &self)),
                }
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl TableClasses {
    /// The column that says whose rows they are, if one does.
    pub fn subject_column(&self) -> Option<&str> {
        match &self.subject {
            Some(Subject::Column(column)) => Some(column),
            Some(Subject::Nobody) | None => None,
        }
    }

    /// The class of `column`; [`Class::Unknown`] where nobody said.
    pub fn class(&self, column: &str) -> Class {
        self.columns.get(column).copied().unwrap_or(Class::Unknown)
    }
}

/// What a connection's owner declares about protected data in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classification {
    /// The database holds none: answers are forwarded byte for byte.
    NoPhi,
    /// Only these tables may be read, each column by its class.
    Tables(Arc<BTreeMap<TableName, TableClasses>>),
}
