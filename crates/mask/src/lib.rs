//! The mask of a class on a rung, as SQL of the column's own type. Pure.
//!
//! A mask is a function of the value alone (rule R7 of the review of masking at the source): no setting, no clock, no
//! other row. So the same value is masked alike at any time, for any session, whatever the agent sets. Every function
//! in it is immutable and named with its schema; the result has the type of the column, without its length, so that
//! parameters and drivers see the type they expect; and it is never a domain, whose checks would raise for a mask.
//!
//! ```
//! use chaperone_mask::{Birth, Type, masked};
//! use chaperone_model::{Class, Rung};
//!
//! let birth = Birth { cutoff_year: 1937 };
//! let text = Type::builtin("text");
//! assert_eq!(masked(Class::Ssn, Rung::Partial, "ssn", &text, birth), r#"NULL::"pg_catalog"."text""#);
//! assert_eq!(masked(Class::Name, Rung::Raw, "last_name", &text, birth), r#""last_name""#);
//! ```

mod partial;
mod zip;

use chaperone_model::{Class, Rung};

pub use zip::{SPARSE_ZIP3, ZIP3_VERSION};

/// A column's type: what is left when domains are taken off and lengths are forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// `pg_namespace.nspname` of the element type, for an array, else of the type.
    pub schema: String,
    /// `pg_type.typname` of the element type, for an array, else of the type.
    pub name: String,
    /// Whether it is an array of it.
    pub array: bool,
}

impl Type {
    /// A type of `pg_catalog`.
    pub fn builtin(name: &str) -> Self {
        Type { schema: "pg_catalog".into(), name: name.into(), array: false }
    }

    /// The name of a type of `pg_catalog` that is no array.
    fn scalar(&self) -> Option<&str> {
        (self.schema == "pg_catalog" && !self.array).then_some(&*self.name)
    }

    /// The type without a length. `bpchar` stands without its schema: with it, writers of SQL spell it `char`, which
    /// is `char(1)`.
    pub fn sql(&self) -> String {
        if self.schema == "pg_catalog" && self.name == "bpchar" {
            return format!("bpchar{}", if self.array { "[]" } else { "" });
        }
        format!("{}.{}{}", quoted(&self.schema), quoted(&self.name), if self.array { "[]" } else { "" })
    }
}

/// What the rule for births depends on (45 CFR 164.514(b)(2)(i)(C): all ages over 89 are one category).
///
/// A constant of the policy's snapshot, moved at New Year: with `age()` and the current date the mask would flip on the
/// birthday, and an agent that looks each day would read the full date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// Births before this year are `NULL`; this year and later ones show their year. The current year less 89 hides
    /// everybody who can be 90 at any time of the current year: somebody born in `year - 90` turns 90 in it.
    pub cutoff_year: i32,
}

/// SQL text of the expression that stands for `column` on `rung`: of the column's type, without length or domain.
///
/// A class or type without a partial form is redacted on [`Rung::Partial`]: down the ladder, never up. Only
/// [`Rung::Raw`] is the column itself, whatever its class: a policy may hide what needs no protection, too.
pub fn masked(class: Class, rung: Rung, column: &str, ty: &Type, birth: Birth) -> String {
    let column = quoted(column);
    match (class, rung) {
        (_, Rung::Raw) => column,
        (_, Rung::Redacted | Rung::Token) => redacted(ty),
        (Class::Zip, Rung::Partial) => partial::zip(&column, ty).unwrap_or_else(|| redacted(ty)),
        (Class::Date, Rung::Partial) => partial::date(&column, ty).unwrap_or_else(|| redacted(ty)),
        (Class::BirthDate, Rung::Partial) => partial::birth(&column, ty, birth).unwrap_or_else(|| redacted(ty)),
        (_, Rung::Partial) => redacted(ty),
    }
}

/// Whether [`masked`] shows the column as stored.
pub fn shows_as_stored(rung: Rung) -> bool {
    rung == Rung::Raw
}

/// `NULL` of a type: of the type's own, so that expressions over it mean what they would mean over the column.
fn redacted(ty: &Type) -> String {
    format!("NULL::{}", ty.sql())
}

/// An identifier that means itself in SQL text (PostgreSQL manual, 4.1.1).
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
