//! Classes of protected data and the ladder of masks.

use serde::{Deserialize, Serialize};

/// What a column holds: one of the identifiers of 45 CFR 164.514(b)(2)(i), free clinical text, or nothing that
/// needs protection.
///
/// A column of a listed table that nobody classified is [`Class::Unknown`] and is treated as the most protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// (A) names of the individual, relatives, employers, household members.
    Name,
    /// (B) street address, city, county, precinct and equivalent geocodes.
    Address,
    /// (B) ZIP code; its `partial` rung is the first three digits, or `000` for sparsely populated areas.
    Zip,
    /// (C) a date of birth: its `partial` rung also hides years that reveal an age over 89.
    BirthDate,
    /// (C) any other date directly related to the individual: admission, discharge, death, visit.
    Date,
    /// (C) an age in years: its `partial` rung makes all ages over 89 one category, 90.
    Age,
    /// (D) telephone numbers.
    Phone,
    /// (E) fax numbers.
    Fax,
    /// (F) electronic mail addresses.
    Email,
    /// (G) social security numbers.
    Ssn,
    /// (H) medical record numbers.
    Mrn,
    /// (I) health plan beneficiary numbers.
    InsuranceId,
    /// (J) account numbers.
    Account,
    /// (K) certificate and licence numbers.
    License,
    /// (L) vehicle identifiers, serial numbers and plates.
    Vehicle,
    /// (M) device identifiers and serial numbers.
    Device,
    /// (N) web addresses.
    Url,
    /// (O) internet addresses.
    Ip,
    /// (P) biometric identifiers.
    Biometric,
    /// (Q) full-face photographs and comparable images.
    Photo,
    /// (R) any other unique identifying number, characteristic or code.
    UniqueId,
    /// Free text written by clinicians: may hold any of the above.
    ClinicalText,
    /// Nobody has said yet. Redacted.
    Unknown,
    /// Holds no protected data.
    None,
}

impl Class {
    /// Every class, in the order of the regulation.
    pub const ALL: [Class; 24] = [
        Class::Name,
        Class::Address,
        Class::Zip,
        Class::BirthDate,
        Class::Date,
        Class::Age,
        Class::Phone,
        Class::Fax,
        Class::Email,
        Class::Ssn,
        Class::Mrn,
        Class::InsuranceId,
        Class::Account,
        Class::License,
        Class::Vehicle,
        Class::Device,
        Class::Url,
        Class::Ip,
        Class::Biometric,
        Class::Photo,
        Class::UniqueId,
        Class::ClinicalText,
        Class::Unknown,
        Class::None,
    ];

    /// The name used in classification files, policies and records (`birth_date`, `insurance_id`, …).
    pub fn name(self) -> &'static str {
        match self {
            Class::Name => "name",
            Class::Address => "address",
            Class::Zip => "zip",
            Class::BirthDate => "birth_date",
            Class::Date => "date",
            Class::Age => "age",
            Class::Phone => "phone",
            Class::Fax => "fax",
            Class::Email => "email",
            Class::Ssn => "ssn",
            Class::Mrn => "mrn",
            Class::InsuranceId => "insurance_id",
            Class::Account => "account",
            Class::License => "license",
            Class::Vehicle => "vehicle",
            Class::Device => "device",
            Class::Url => "url",
            Class::Ip => "ip",
            Class::Biometric => "biometric",
            Class::Photo => "photo",
            Class::UniqueId => "unique_id",
            Class::ClinicalText => "clinical_text",
            Class::Unknown => "unknown",
            Class::None => "none",
        }
    }

    /// Whether the class has a rung `token`: identifiers of which every person has another one, so that how often a
    /// token occurs tells nothing. Names, places, dates and the like are read off their frequencies.
    pub fn may_be_token(self) -> bool {
        matches!(
            self,
            Class::Ssn
                | Class::Mrn
                | Class::InsuranceId
                | Class::Account
                | Class::License
                | Class::Vehicle
                | Class::Device
                | Class::UniqueId
        )
    }

    /// Whether a column of this class needs a mask at all.
    pub fn is_protected(self) -> bool {
        self != Class::None
    }
}

/// A rung of the mask ladder; a greater rung shows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// `NULL` of the column's type: the default.
    Redacted,
    /// A pseudonym: equal values have equal tokens, and nothing else of the value is in it. For identifiers of high
    /// entropy only; see [`Class::may_be_token`]. Not Safe Harbor (45 CFR 164.514(c)).
    Token,
    /// Coarsened by the rules of Safe Harbor: a date to its year, a ZIP code to three digits.
    Partial,
    /// As stored.
    Raw,
}

impl Rung {
    /// Every rung, from the one that shows least.
    pub const ALL: [Rung; 4] = [Rung::Redacted, Rung::Token, Rung::Partial, Rung::Raw];

    /// The name used in policies and records.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Redacted => "redacted",
            Rung::Token => "token",
            Rung::Partial => "partial",
            Rung::Raw => "raw",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_serde_writes() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.name()));
        }
    }

    #[test]
    fn the_ladder_is_ordered() {
        assert!(Rung::ALL.is_sorted());
    }
}
