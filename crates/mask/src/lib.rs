//! The mask of a class on a rung, as SQL of the column's own type; what a mask may be claimed to be. Pure.
//!
//! A mask is a function of the value alone (rule R7 of the review of masking at the source): no clock, no other row, no
//! setting but the key of tokens. So the same value is masked alike at any time, for any session, whatever the agent
//! sets. Every function in it is immutable (but for the look-up of that key) and named with its schema. It never raises,
//! whatever value is stored: an error would tell that there is such a value. The result has the type of the column,
//! without its length, so that parameters and drivers see the type they expect; and it is never a domain, whose checks
//! would raise for a mask.
//!
//! ```
//! use chaperone_mask::{Masker, Type};
//! use chaperone_model::{Class, Rung};
//!
//! let masker = Masker::new(1937);
//! let text = Type::builtin("text");
//! assert_eq!(masker.mask(Class::Ssn, Rung::Partial, "ssn", &text), r#"NULL::"pg_catalog"."text""#);
//! assert_eq!(masker.mask(Class::Name, Rung::Raw, "last_name", &text), r#""last_name""#);
//! ```
//!
//! [`Profile`] says which masks keep Safe Harbor or make a limited data set, [`ZipTable`] which ZIP codes are sparse,
//! [`TokenKeys`] makes tokens outside the database and takes them back.

mod column;
mod partial;
mod profile;
mod token;
mod zip;

use chaperone_model::{Class, Rung};

pub use column::{Type, quoted};
pub use profile::{Profile, Violation};
pub use token::{KeyError, TokenForm, TokenKeys, looks_like_token};
pub use zip::{ZipTable, ZipTableError};

/// What masks depend on, besides the column: constants of a policy's snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Masker<'a> {
    /// Births before this year are `NULL`; this year and later ones show their year (45 CFR 164.514(b)(2)(i)(C): all
    /// ages over 89 are one category). The current year less 89 hides everybody who can be 90 at any time of the
    /// current year: somebody born in `year - 90` turns 90 in it.
    ///
    /// A constant, moved at New Year: with `age()` and the current date the mask would flip on the birthday, and an
    /// agent that looks each day would read the full date.
    pub cutoff_year: i32,
    /// Which ZIP codes are shown as `000`.
    pub zips: &'a ZipTable,
    /// How tokens are made; the sessions must have the settings of [`TokenKeys`] of the same form.
    pub tokens: TokenForm,
    /// The keys of the tokens, where a condition on a token is to find its rows through an index.
    pub keys: Option<&'a TokenKeys>,
    /// For statements that are only planned: what is redacted is `NULL` in a form that the planner cannot foresee. Else it
    /// expects no rows wherever a condition on a redacted column is never met, and who sees the column gets them all.
    pub unforeseen: bool,
}

impl Masker<'static> {
    /// Masks with the table of ZIP codes that comes with Chaperone, and tokens that nobody can invert.
    pub fn new(cutoff_year: i32) -> Self {
        Masker { cutoff_year, zips: ZipTable::committed(), tokens: TokenForm::Hmac, keys: None, unforeseen: false }
    }
}

impl Masker<'_> {
    /// SQL text of the expression that stands for `column` on `rung`: of the column's type, without length or domain.
    ///
    /// A class or type without a form for the rung is redacted: down the ladder, never up. Only [`Rung::Raw`] is the
    /// column itself, whatever its class: a policy may hide what needs no protection, too.
    pub fn mask(&self, class: Class, rung: Rung, column: &str, ty: &Type) -> String {
        self.mask_of(class, rung, &quoted(column), ty)
    }

    /// The same of a value that is given as SQL text: a column with its table's name before it.
    pub fn mask_of(&self, class: Class, rung: Rung, column: &str, ty: &Type) -> String {
        let mask = match (rung, class) {
            (Rung::Raw, _) => return column.to_owned(),
            (Rung::Redacted, _) => None,
            (Rung::Token, _) => token::sql(class, self.tokens, column, ty),
            (Rung::Partial, Class::Zip) => partial::zip(column, ty, self.zips),
            (Rung::Partial, Class::Date) => partial::date(column, ty),
            (Rung::Partial, Class::BirthDate) => partial::birth(column, ty, self.cutoff_year),
            (Rung::Partial, Class::Age) => partial::age(column, ty),
            (Rung::Partial, Class::Email) => partial::email(column, ty),
            (Rung::Partial, _) => None,
        };
        match mask {
            Some(mask) => mask,
            None if self.unforeseen => {
                format!("CASE WHEN tableoid OPERATOR(pg_catalog.=) '0'::pg_catalog.oid THEN {} END", redacted(ty))
            }
            None => redacted(ty),
        }
    }
}

/// Whether [`Masker::mask`] shows the column as stored.
pub fn shows_as_stored(rung: Rung) -> bool {
    rung == Rung::Raw
}

/// `NULL` of a type: of the type's own, so that expressions over it mean what they would mean over the column. Not a
/// constant: joins over it would be cross products (rule R17).
fn redacted(ty: &Type) -> String {
    format!("NULL::{}", ty.sql())
}
