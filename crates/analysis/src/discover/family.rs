//! Types, as far as they tell what a value can be.

use super::load::Column;

/// A family of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Boolean,
    Integer,
    /// With digits after the point.
    Number,
    Text,
    /// A day, with or without a time.
    Date,
    /// A time of day.
    Time,
    Interval,
    DateRange,
    Binary,
    /// JSON, XML, rows, key and value: anything can be in it.
    Document,
    Uuid,
    Network,
    Mac,
    Place,
    Money,
    Enumeration,
    Array,
    Other,
}

/// The family of a column's type, under any domain.
pub(super) fn of(column: &Column) -> Family {
    if column.element.is_some() {
        return Family::Array;
    }
    match of_type(&column.base, column.kind) {
        Family::Number if column.whole => Family::Integer,
        family => family,
    }
}

/// The family of a type by its `typname` and `typtype`.
pub(super) fn of_type(name: &str, kind: char) -> Family {
    match (kind, name) {
        ('e', _) => Family::Enumeration,
        ('c', _) => Family::Document,
        (_, "bool") => Family::Boolean,
        (_, "int2" | "int4" | "int8" | "oid") => Family::Integer,
        (_, "numeric" | "float4" | "float8") => Family::Number,
        (_, "text" | "varchar" | "bpchar" | "citext" | "name" | "char") => Family::Text,
        (_, "date" | "timestamp" | "timestamptz") => Family::Date,
        (_, "time" | "timetz") => Family::Time,
        (_, "interval") => Family::Interval,
        (_, "daterange" | "tsrange" | "tstzrange" | "datemultirange" | "tsmultirange" | "tstzmultirange") => {
            Family::DateRange
        }
        (_, "bytea") => Family::Binary,
        (_, "json" | "jsonb" | "xml" | "hstore") => Family::Document,
        (_, "uuid") => Family::Uuid,
        (_, "inet" | "cidr") => Family::Network,
        (_, "macaddr" | "macaddr8") => Family::Mac,
        (_, "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" | "geometry" | "geography") => {
            Family::Place
        }
        (_, "money") => Family::Money,
        _ => Family::Other,
    }
}
