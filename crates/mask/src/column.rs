//! A column's type, and which masks it can have.

/// A column's type: what is left when domains are taken off and lengths are forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// `pg_namespace.nspname` of the element type, for an array, else of the type.
    pub schema: String,
    /// `pg_type.typname` of the element type, for an array, else of the type.
    pub name: String,
    /// `pg_type.typtype` of the element type, for an array, else of the type: `b` for a base type, which only C code
    /// makes; an enumeration, composite, range or domain that is named like one has nothing of it.
    pub kind: char,
    /// Whether it is an array of it.
    pub array: bool,
}

/// Types that masks treat alike. Whatever is not here has no mask but `NULL`: arrays, ranges, `json`, `inet`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `text` and `varchar`.
    Text,
    /// `char(n)`: blanks at its end are not part of the value.
    Bpchar,
    /// The extension's type, in whatever schema: upper and lower case are the same value.
    Citext,
    /// `name`: at most 63 bytes.
    Name,
    Uuid,
    Bytea,
    Date,
    Timestamp,
    TimestampTz,
    /// `int2`, `int4`, `int8`.
    Integer,
    Numeric,
    /// `float4` and `float8`.
    Float,
}

impl Type {
    /// A type of `pg_catalog`.
    pub fn builtin(name: &str) -> Self {
        Type { schema: "pg_catalog".into(), name: name.into(), kind: 'b', array: false }
    }

    pub(crate) fn family(&self) -> Option<Family> {
        if self.array || self.kind != 'b' {
            return None;
        }
        match (&*self.schema, &*self.name) {
            ("pg_catalog", "text" | "varchar") => Some(Family::Text),
            ("pg_catalog", "bpchar") => Some(Family::Bpchar),
            ("pg_catalog", "name") => Some(Family::Name),
            ("pg_catalog", "uuid") => Some(Family::Uuid),
            ("pg_catalog", "bytea") => Some(Family::Bytea),
            ("pg_catalog", "date") => Some(Family::Date),
            ("pg_catalog", "timestamp") => Some(Family::Timestamp),
            ("pg_catalog", "timestamptz") => Some(Family::TimestampTz),
            ("pg_catalog", "int2" | "int4" | "int8") => Some(Family::Integer),
            ("pg_catalog", "numeric") => Some(Family::Numeric),
            ("pg_catalog", "float4" | "float8") => Some(Family::Float),
            (_, "citext") => Some(Family::Citext),
            _ => None,
        }
    }

    /// The column as `text`, for the types that are text: all of these casts are immutable and run no other code.
    pub(crate) fn text(&self, column: &str) -> Option<String> {
        match self.family()? {
            Family::Text | Family::Bpchar | Family::Citext | Family::Name => Some(format!("{column}::pg_catalog.text")),
            _ => None,
        }
    }

    /// The type without a length. `bpchar` stands without its schema: with it, writers of SQL spell it `char`, which
    /// is `char(1)`.
    pub fn sql(&self) -> String {
        let array = if self.array { "[]" } else { "" };
        if self.schema == "pg_catalog" && self.name == "bpchar" {
            return format!("bpchar{array}");
        }
        format!("{}.{}{array}", quoted(&self.schema), quoted(&self.name))
    }
}

/// An identifier that means itself in SQL text (PostgreSQL manual, 4.1.1).
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
