//! The rung `partial`: coarsened as Safe Harbor allows, the domain of an e-mail address excepted.
//!
//! 45 CFR 164.514(b)(2)(i), of what has to be removed:
//!
//! > (B) All geographic subdivisions smaller than a State, including street address, city, county, precinct, zip code,
//! > and their equivalent geocodes, except for the initial three digits of a zip code if, according to the current
//! > publicly available data from the Bureau of the Census: (1) The geographic unit formed by combining all zip codes
//! > with the same three initial digits contains more than 20,000 people; and (2) The initial three digits of a zip
//! > code for all such geographic units containing 20,000 or fewer people is changed to 000.
//! >
//! > (C) All elements of dates (except year) for dates directly related to an individual, including birth date,
//! > admission date, discharge date, date of death; and all ages over 89 and all elements of dates (including year)
//! > indicative of such age, except that such ages and elements may be aggregated into a single category of age 90 or
//! > older.

use crate::column::Family;
use crate::token::LONGEST;
use crate::{Type, ZipTable};

/// 1 January of the value's year; of a number that is a year, itself. `None` where the type has no year.
///
/// `date_trunc` on a `timestamp`, not on a `timestamptz`, which would go through the session's time zone. What lies
/// outside the range of `timestamp` (dates beyond 294276), or begins in a year whose 1 January does (4714 BC), has no
/// mask that cannot fail, and is `NULL`: an error would tell that there is such a value.
pub(crate) fn date(column: &str, ty: &Type) -> Option<String> {
    Some(match ty.family()? {
        Family::Date => format!(
            "CASE WHEN NOT pg_catalog.isfinite({column}) OR {column} OPERATOR(pg_catalog.>=) \
             '4713-01-01 BC'::pg_catalog.date AND {column} OPERATOR(pg_catalog.<) \
             '294000-01-01'::pg_catalog.date THEN \
             pg_catalog.date(pg_catalog.date_trunc('year', {column}::pg_catalog.timestamp)) END"
        ),
        Family::Timestamp => format!(
            "CASE WHEN NOT pg_catalog.isfinite({column}) OR {column} OPERATOR(pg_catalog.>=) {EARLIEST} THEN \
             pg_catalog.date_trunc('year', {column}) END"
        ),
        Family::TimestampTz => {
            let utc = format!("pg_catalog.timezone('UTC', {column})");
            format!(
                "CASE WHEN NOT pg_catalog.isfinite({column}) OR {utc} OPERATOR(pg_catalog.>=) {EARLIEST} THEN \
                 pg_catalog.timezone('UTC', pg_catalog.date_trunc('year', {utc})) END"
            )
        }
        Family::Integer | Family::Numeric => year(column, ty, FIRST_YEAR),
        _ => return None,
    })
}

/// The first year whose 1 January a `timestamp` can hold.
const EARLIEST: &str = "'4713-01-01 BC'::pg_catalog.timestamp";

/// A number is taken for a year only between these: not a month, `20240131`, seconds or most counts of days. Data sets
/// that are de-identified by shifting dates (MIMIC) have years up to 2210.
const FIRST_YEAR: i32 = 1800;
const LAST_YEAR: i32 = 2299;

/// A number that is a year, from `first` on. A fraction of a year would be a day.
fn year(column: &str, ty: &Type, first: i32) -> String {
    let number = ty.sql();
    let first = first.max(FIRST_YEAR);
    let (whole, shown) = match ty.family() {
        Some(Family::Numeric) => (
            format!(" AND {column} OPERATOR(pg_catalog.=) pg_catalog.trunc({column})"),
            // without the zeros after the point
            format!("pg_catalog.trunc({column})"),
        ),
        _ => (String::new(), column.to_owned()),
    };
    format!(
        "CASE WHEN {column} OPERATOR(pg_catalog.>=) '{first}'::{number} AND {column} OPERATOR(pg_catalog.<=) \
         '{LAST_YEAR}'::{number}{whole} THEN {shown} END"
    )
}

/// The same for a birth, `NULL` before the cutoff year: one category for all ages over 89.
pub(crate) fn birth(column: &str, ty: &Type, cutoff_year: i32) -> Option<String> {
    // a year of more or fewer than four digits is no cutoff for a person
    let cutoff = cutoff_year.clamp(1000, 9999);
    let (value, name) = match ty.family()? {
        Family::Integer | Family::Numeric => return Some(year(column, ty, cutoff)),
        Family::TimestampTz => (format!("pg_catalog.timezone('UTC', {column})"), "timestamp"),
        Family::Timestamp => (column.to_owned(), "timestamp"),
        _ => (column.to_owned(), "date"),
    };
    let year = date(column, ty)?;
    Some(format!("CASE WHEN {value} OPERATOR(pg_catalog.>=) '{cutoff}-01-01'::pg_catalog.{name} THEN {year} END"))
}

/// Completed years, all from 90 on as 90: a fraction of a year would be a birthday. What is no age is `NULL`.
pub(crate) fn age(column: &str, ty: &Type) -> Option<String> {
    let own = ty.sql();
    let (number, whole) = match ty.family()? {
        Family::Integer => (own.clone(), column.to_owned()),
        Family::Numeric => (own.clone(), format!("pg_catalog.floor({column})")),
        // floor() of a float4 is a float8
        Family::Float => (own.clone(), format!("pg_catalog.floor({column}::pg_catalog.float8)::{own}")),
        _ => return None,
    };
    // NaN is greater than all numbers, and equal to itself
    let is_number = match ty.family() {
        Some(Family::Integer) => String::new(),
        _ => format!(" AND {column} OPERATOR(pg_catalog.<>) 'NaN'::{number}"),
    };
    Some(format!(
        "CASE WHEN {column} OPERATOR(pg_catalog.>=) '90'::{number}{is_number} THEN '90'::{number} \
         WHEN {column} OPERATOR(pg_catalog.>=) '0'::{number}{is_number} THEN {whole} END"
    ))
}

/// The first three digits, or `000` where too few people live there or the value is no ZIP code. `None` for numbers:
/// `02139` is stored as 2139 there, and its prefix could only be shown as 21, which reads as another one.
///
/// Conditions compare with the collation `C`: an expression in them may not meet a collation that is not
/// deterministic, which refuses patterns with an error.
pub(crate) fn zip(column: &str, ty: &Type, table: &ZipTable) -> Option<String> {
    let text = ty.text(column)?;
    let sparse: Vec<&str> = table.prefixes().collect();
    let prefix = format!("pg_catalog.\"substring\"({text}, 1, 3)");
    // five digits, or nine with or without the hyphen; a bpchar loses its padding in the cast. The length comes first:
    // a pattern needs four bytes for each character, and raises where that is more than the server gives for one value.
    // Of five characters none is other than a digit: a scan for that takes half the time of a count of digits
    Some(format!(
        "CASE WHEN {column} IS NULL THEN NULL \
         WHEN pg_catalog.octet_length({text}) OPERATOR(pg_catalog.>) 10 THEN '000' \
         WHEN CASE WHEN pg_catalog.octet_length({text}) OPERATOR(pg_catalog.=) 5 \
         THEN ({text} COLLATE pg_catalog.\"C\") OPERATOR(pg_catalog.!~) '[^0-9]' \
         ELSE ({text} COLLATE pg_catalog.\"C\") OPERATOR(pg_catalog.~) '^[0-9]{{5}}-?[0-9]{{4}}$' END \
         AND ({prefix} COLLATE pg_catalog.\"C\") OPERATOR(pg_catalog.<>) ALL ('{{{}}}'::pg_catalog.text[]) \
         THEN {prefix} ELSE '000' END::{}",
        sparse.join(","),
        ty.sql()
    ))
}

/// The domain, in lower case, where what stands behind the last `@` looks like one; else `NULL`. Not Safe Harbor, which
/// wants (F) removed whole; and the domain of a person's own can name that person. A value of more than 1 MiB is no
/// address, and a pattern raises for the longest values.
pub(crate) fn email(column: &str, ty: &Type) -> Option<String> {
    let text = ty.text(column)?;
    Some(format!(
        "CASE WHEN pg_catalog.octet_length({text}) OPERATOR(pg_catalog.<=) {LONGEST} THEN \
         (pg_catalog.lower(pg_catalog.\"substring\"({text} COLLATE pg_catalog.\"C\", \
         '@([A-Za-z0-9-]+([.][A-Za-z0-9-]+)*[.][A-Za-z]+)$'::pg_catalog.text)) COLLATE pg_catalog.\"default\")::{} END",
        ty.sql()
    ))
}
