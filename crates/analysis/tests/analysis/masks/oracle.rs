//! What a mask must be, computed from the stored value by other means than SQL: calendar arithmetic, characters, and
//! the cryptography of a library. Values are in PostgreSQL's binary format.

use chaperone_mask::{TokenKeys, ZipTable};
use chaperone_model::{Class, Rung};

/// The first birth year that is shown.
pub const CUTOFF: i64 = 1937;

/// The mask of `value`, of a column of type `ty`; `None` is `NULL`.
pub fn mask(class: Class, rung: Rung, ty: &str, value: &[u8], keys: &TokenKeys) -> Option<Vec<u8>> {
    match (rung, class) {
        (Rung::Raw, _) => Some(value.to_vec()),
        (Rung::Redacted, _) => None,
        (Rung::Token, _) => token(class, ty, value, keys),
        (Rung::Partial, Class::Zip) => Some(zip(text(ty, value)?).as_bytes().to_vec()),
        (Rung::Partial, Class::Email) => domain(text(ty, value)?).map(String::into_bytes),
        (Rung::Partial, Class::Date) => year(ty, value, i64::MIN),
        (Rung::Partial, Class::BirthDate) => year(ty, value, CUTOFF),
        (Rung::Partial, Class::Age) => age(ty, value),
        (Rung::Partial, _) => None,
    }
}

/// A text without the padding of its type.
fn text<'a>(ty: &str, value: &'a [u8]) -> Option<&'a str> {
    let value = || std::str::from_utf8(value).unwrap();
    match ty {
        "bpchar" => Some(value().trim_end_matches(' ')),
        "text" | "varchar" | "citext" | "name" => Some(value()),
        _ => None,
    }
}

fn zip(value: &str) -> &str {
    let digits: Vec<char> = value.chars().filter(|c| *c != '-').collect();
    let well_formed = digits.iter().all(char::is_ascii_digit)
        && (value.len() == 5 || value.len() == 9 || (value.len() == 10 && value.find('-') == Some(5)))
        && value.matches('-').count() == usize::from(value.len() == 10);
    match value.get(..3) {
        Some(prefix) if well_formed && !ZipTable::committed().is_sparse(prefix) => prefix,
        _ => "000",
    }
}

fn domain(value: &str) -> Option<String> {
    let (_, domain) = value.rsplit_once('@')?;
    let labels: Vec<&str> = domain.split('.').collect();
    let (top, others) = labels.split_last()?;
    let label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let top_is_letters = !top.is_empty() && top.chars().all(|c| c.is_ascii_alphabetic());
    (!others.is_empty() && others.iter().all(label) && top_is_letters).then(|| domain.to_ascii_lowercase())
}

fn token(class: Class, ty: &str, value: &[u8], keys: &TokenKeys) -> Option<Vec<u8>> {
    match ty {
        "uuid" => keys.uuid_token(class, value.try_into().unwrap()).map(|token| token.to_vec()),
        "bytea" => keys.bytes_token(class, value).map(|token| token.to_vec()),
        // in the locale C, which test clusters have, only these have a lower case
        "citext" => keys.token(class, text(ty, value)?.to_ascii_lowercase().as_bytes()).map(String::into_bytes),
        _ => keys.token(class, text(ty, value)?.as_bytes()).map(String::into_bytes),
    }
}

/// Days from 1 January 2000 to 1 January of the year in which day `days` is, and that year; years before 1 are 0, -1, …
fn year_of(days: i64) -> (i64, i64) {
    let leap = |year: i64| year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    // 400 years have 146,097 days; then year by year
    let mut year = 2000 + 400 * days.div_euclid(146_097);
    let mut left = days.rem_euclid(146_097);
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    (days - left, year)
}

const MICROSECONDS: i64 = 86_400_000_000;

fn year(ty: &str, value: &[u8], first: i64) -> Option<Vec<u8>> {
    // what a timestamp can hold: from 4713 BC on, which is the year -4712
    let shown = |year: i64| year >= first && year >= -4712;
    let infinite = |negative: bool| (!negative || first == i64::MIN).then(|| value.to_vec());
    let whole_year = |year: i64| (first.max(1800)..=2299).contains(&year).then_some(year);
    match ty {
        "date" => {
            let days = i32::from_be_bytes(value.try_into().unwrap());
            if days == i32::MAX || days == i32::MIN {
                return infinite(days < 0);
            }
            let (start, year) = year_of(days.into());
            (shown(year) && year < 294_000).then(|| i32::try_from(start).unwrap().to_be_bytes().to_vec())
        }
        "timestamp" | "timestamptz" => {
            let instant = i64::from_be_bytes(value.try_into().unwrap());
            if instant == i64::MAX || instant == i64::MIN {
                return infinite(instant < 0);
            }
            let (start, year) = year_of(instant.div_euclid(MICROSECONDS));
            shown(year).then(|| (start * MICROSECONDS).to_be_bytes().to_vec())
        }
        "int2" | "int4" | "int8" => whole_year(integer(value)).map(|_| value.to_vec()),
        "numeric" => {
            let number = decimal(value)?;
            let year = number.strip_suffix(".")?.parse().ok().and_then(whole_year)?;
            Some(numeric(year))
        }
        _ => None,
    }
}

fn age(ty: &str, value: &[u8]) -> Option<Vec<u8>> {
    match ty {
        "int2" | "int4" | "int8" => match integer(value) {
            ..0 => None,
            0..90 => Some(value.to_vec()),
            // big-endian, so the last byte
            _ => {
                let mut ninety = vec![0; value.len()];
                *ninety.last_mut().unwrap() = 90;
                Some(ninety)
            }
        },
        "float4" => {
            let age = f32::from_be_bytes(value.try_into().unwrap());
            (age >= 0.0).then(|| if age >= 90.0 { 90.0 } else { age.trunc() }.to_be_bytes().to_vec())
        }
        "float8" => {
            let age = f64::from_be_bytes(value.try_into().unwrap());
            (age >= 0.0).then(|| if age >= 90.0 { 90.0 } else { age.trunc() }.to_be_bytes().to_vec())
        }
        "numeric" => match value.get(4..6).unwrap() {
            // the sign: positive, infinity
            [0x00, 0x00] => {
                let number = decimal(value)?;
                let whole = number.split('.').next().unwrap();
                Some(numeric(if whole.len() > 2 { 90 } else { whole.parse::<i64>().unwrap().min(90) }))
            }
            [0xd0, 0x00] => Some(numeric(90)),
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: &[u8]) -> i64 {
    match *value {
        [a, b] => i16::from_be_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_be_bytes([a, b, c, d]).into(),
        _ => i64::from_be_bytes(value.try_into().unwrap()),
    }
}

/// A positive finite `numeric`, as digits, a point, and the digits after it without zeros at their end.
fn decimal(value: &[u8]) -> Option<String> {
    let words: Vec<i16> = value.chunks(2).map(|word| i16::from_be_bytes([word[0], word[1]])).collect();
    let [_, weight, sign, _, digits @ ..] = &*words else { panic!("no numeric") };
    if *sign != 0 {
        return None;
    }
    let (mut whole, mut fraction) = (String::new(), String::new());
    for position in 0..=i32::from(*weight) {
        whole += &format!("{:04}", digits.get(usize::try_from(position).unwrap()).unwrap_or(&0));
    }
    for (position, digit) in (0..).zip(digits) {
        if position > i32::from(*weight) {
            // zeros between the point and the first digit that is stored
            if fraction.is_empty() {
                fraction = "0000".repeat(usize::try_from(position - 1 - i32::from(*weight)).unwrap());
            }
            fraction += &format!("{digit:04}");
        }
    }
    let whole = whole.trim_start_matches('0');
    Some(format!("{}.{}", if whole.is_empty() { "0" } else { whole }, fraction.trim_end_matches('0')))
}

/// A `numeric` of up to four digits.
fn numeric(value: i64) -> Vec<u8> {
    let value = i16::try_from(value).unwrap();
    let words = if value == 0 { vec![0, 0, 0, 0] } else { vec![1, 0, 0, 0, value] };
    words.into_iter().flat_map(i16::to_be_bytes).collect()
}
