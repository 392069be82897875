//! The rung `partial`: coarsened as Safe Harbor allows.

use crate::{Birth, SPARSE_ZIP3, Type};

/// 1 January of the value's year. `None` where the type has no year.
///
/// `date_trunc` on a `timestamp`, not on a `timestamptz`, which would go through the session's time zone. What lies
/// outside the range of `timestamp` (dates beyond 294276), or begins in a year whose 1 January does (4714 BC), has no
/// mask that cannot fail, and is `NULL`: an error would tell that there is such a value.
pub(crate) fn date(column: &str, ty: &Type) -> Option<String> {
    Some(match ty.scalar()? {
        "date" => format!(
            "CASE WHEN NOT pg_catalog.isfinite({column}) OR {column} OPERATOR(pg_catalog.>=) \
             '4713-01-01 BC'::pg_catalog.date AND {column} OPERATOR(pg_catalog.<) \
             '294000-01-01'::pg_catalog.date THEN \
             pg_catalog.date(pg_catalog.date_trunc('year', {column}::pg_catalog.timestamp)) END"
        ),
        "timestamp" => format!(
            "CASE WHEN NOT pg_catalog.isfinite({column}) OR {column} OPERATOR(pg_catalog.>=) {EARLIEST} THEN \
             pg_catalog.date_trunc('year', {column}) END"
        ),
        "timestamptz" => {
            let utc = format!("pg_catalog.timezone('UTC', {column})");
            format!(
                "CASE WHEN NOT pg_catalog.isfinite({column}) OR {utc} OPERATOR(pg_catalog.>=) {EARLIEST} THEN \
                 pg_catalog.timezone('UTC', pg_catalog.date_trunc('year', {utc})) END"
            )
        }
        _ => return None,
    })
}

/// The first year whose 1 January a `timestamp` can hold.
const EARLIEST: &str = "'4713-01-01 BC'::pg_catalog.timestamp";

/// The same for a birth, `NULL` before the cutoff year: one category for all ages over 89.
pub(crate) fn birth(column: &str, ty: &Type, birth: Birth) -> Option<String> {
    let year = date(column, ty)?;
    let (value, name) = match ty.scalar()? {
        "timestamptz" => (format!("pg_catalog.timezone('UTC', {column})"), "timestamp"),
        name => (column.to_owned(), name),
    };
    // a year of more or fewer than four digits is no cutoff for a person
    let cutoff = birth.cutoff_year.clamp(1000, 9999);
    Some(format!("CASE WHEN {value} OPERATOR(pg_catalog.>=) '{cutoff}-01-01'::pg_catalog.{name} THEN {year} END"))
}

/// The first three digits, or `000` where too few people live there or the value is no ZIP code.
pub(crate) fn zip(column: &str, ty: &Type) -> Option<String> {
    ty.scalar().filter(|name| matches!(*name, "text" | "varchar" | "bpchar"))?;
    let sparse: Vec<String> = SPARSE_ZIP3.iter().map(|zip3| format!("'{zip3}'")).collect();
    let text = format!("{column}::pg_catalog.text");
    let prefix = format!("pg_catalog.\"substring\"({text}, 1, 3)");
    // five digits, or nine with or without the hyphen; a bpchar loses its padding in the cast
    Some(format!(
        "CASE WHEN {column} IS NULL THEN NULL \
         WHEN {text} OPERATOR(pg_catalog.~) '^[0-9]{{5}}(-?[0-9]{{4}})?$' \
         AND {prefix} OPERATOR(pg_catalog.<>) ALL (ARRAY[{}]::pg_catalog.text[]) \
         THEN {prefix} ELSE '000' END::{}",
        sparse.join(", "),
        ty.sql()
    ))
}
