//! Named profiles: what may be claimed of a column that is shown on a rung.
//!
//! A profile speaks of columns. Whether a *data set* is de-identified is more: every column of an answer must keep the
//! profile, and for Safe Harbor nobody may have actual knowledge that the rest could identify someone
//! (45 CFR 164.514(b)(2)(ii)). That a person has to say.

use std::fmt;

use chaperone_model::{Class, Rung};

/// A set of rules that a column's mask may keep.
///
/// ```
/// use chaperone_mask::Profile;
/// use chaperone_model::{Class, Rung};
///
/// assert!(Profile::SafeHarbor.attest(Class::Zip, Rung::Partial).is_ok());
/// let violation = Profile::SafeHarbor.attest(Class::Mrn, Rung::Token).unwrap_err();
/// assert_eq!(violation.paragraph, "45 CFR 164.514(c)(1)");
/// assert!(Profile::LimitedDataSet.attest(Class::BirthDate, Rung::Raw).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// De-identified by removal of the identifiers of 45 CFR 164.514(b)(2)(i).
    SafeHarbor,
    /// Without the direct identifiers of 45 CFR 164.514(e)(2); still protected health information, for research, public
    /// health or health care operations, under a data use agreement.
    LimitedDataSet,
}

/// Why a column on a rung does not keep a profile. Names classes and rules, never data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The profile that is not kept.
    pub profile: Profile,
    /// The column's class.
    pub class: Class,
    /// The rung that it is shown on.
    pub rung: Rung,
    /// The paragraph that says so.
    pub paragraph: &'static str,
    /// What it says.
    pub why: &'static str,
}

impl std::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { profile, class, rung, paragraph, why } = self;
        let (profile, class, rung) = (profile.name(), class.name(), rung.name());
        write!(f, "`{class}` on the rung `{rung}` does not keep `{profile}`: {why} ({paragraph})")
    }
}

impl Profile {
    /// Both profiles.
    pub const ALL: [Profile; 2] = [Profile::SafeHarbor, Profile::LimitedDataSet];

    /// The name used in configuration and attestations.
    pub fn name(self) -> &'static str {
        match self {
            Profile::SafeHarbor => "safe_harbor",
            Profile::LimitedDataSet => "limited_data_set",
        }
    }

    /// The profile of a name.
    pub fn from_name(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Whether a column of `class` may be shown on `rung`, whatever its type.
    ///
    /// # Errors
    /// The rule that it would break.
    pub fn attest(self, class: Class, rung: Rung) -> Result<(), Violation> {
        let broken = match self {
            Profile::SafeHarbor => safe_harbor(class, rung),
            Profile::LimitedDataSet => limited_data_set(class, rung),
        };
        match broken {
            None => Ok(()),
            Some((paragraph, why)) => Err(Violation { profile: self, class, rung, paragraph, why }),
        }
    }
}

/// The paragraph that is broken, and what it says.
type Broken = Option<(&'static str, &'static str)>;

/// Rungs that show nothing: redacted, and those that a class does not have.
fn shows_nothing(class: Class, rung: Rung) -> bool {
    match rung {
        Rung::Redacted => true,
        Rung::Token => !class.may_be_token(),
        Rung::Partial => !matches!(class, Class::Zip | Class::BirthDate | Class::Date | Class::Age | Class::Email),
        Rung::Raw => false,
    }
}

/// What holds under every profile.
fn never_raw(class: Class) -> Broken {
    match class {
        Class::Unknown => Some(("45 CFR 164.514(b)(2)(i)(R)", "nobody has said what it holds")),
        Class::ClinicalText => Some(("45 CFR 164.514(b)(2)(i)", "free text may hold any of the identifiers")),
        _ => None,
    }
}

fn safe_harbor(class: Class, rung: Rung) -> Broken {
    if class == Class::None || shows_nothing(class, rung) {
        return None;
    }
    match rung {
        Rung::Redacted => return None,
        Rung::Token => {
            return Some((
                "45 CFR 164.514(c)(1)",
                "a token is a code that is derived from information about the individual",
            ));
        }
        // exactly what (B) and (C) except; (F) excepts nothing
        Rung::Partial if class != Class::Email => return None,
        Rung::Partial | Rung::Raw => {}
    }
    if let Some(never) = never_raw(class) {
        return Some(never);
    }
    Some(match class {
        Class::Name => ("45 CFR 164.514(b)(2)(i)(A)", "names are removed"),
        Class::Address => ("45 CFR 164.514(b)(2)(i)(B)", "geographic subdivisions smaller than a state are removed"),
        Class::Zip => ("45 CFR 164.514(b)(2)(i)(B)", "of a ZIP code, three digits may stay at most"),
        Class::BirthDate | Class::Date => ("45 CFR 164.514(b)(2)(i)(C)", "of a date, the year may stay at most"),
        Class::Age => ("45 CFR 164.514(b)(2)(i)(C)", "ages over 89 are one category"),
        Class::Phone => ("45 CFR 164.514(b)(2)(i)(D)", "telephone numbers are removed"),
        Class::Fax => ("45 CFR 164.514(b)(2)(i)(E)", "fax numbers are removed"),
        Class::Email => ("45 CFR 164.514(b)(2)(i)(F)", "electronic mail addresses are removed, the domain too"),
        Class::Ssn => ("45 CFR 164.514(b)(2)(i)(G)", "social security numbers are removed"),
        Class::Mrn => ("45 CFR 164.514(b)(2)(i)(H)", "medical record numbers are removed"),
        Class::InsuranceId => ("45 CFR 164.514(b)(2)(i)(I)", "health plan beneficiary numbers are removed"),
        Class::Account => ("45 CFR 164.514(b)(2)(i)(J)", "account numbers are removed"),
        Class::License => ("45 CFR 164.514(b)(2)(i)(K)", "certificate and license numbers are removed"),
        Class::Vehicle => ("45 CFR 164.514(b)(2)(i)(L)", "vehicle identifiers are removed"),
        Class::Device => ("45 CFR 164.514(b)(2)(i)(M)", "device identifiers are removed"),
        Class::Url => ("45 CFR 164.514(b)(2)(i)(N)", "web addresses are removed"),
        Class::Ip => ("45 CFR 164.514(b)(2)(i)(O)", "internet addresses are removed"),
        Class::Biometric => ("45 CFR 164.514(b)(2)(i)(P)", "biometric identifiers are removed"),
        Class::Photo => ("45 CFR 164.514(b)(2)(i)(Q)", "full-face photographs are removed"),
        Class::UniqueId => ("45 CFR 164.514(b)(2)(i)(R)", "any other unique identifying number is removed"),
        Class::Unknown | Class::ClinicalText | Class::None => return never_raw(class),
    })
}

/// The list of (e)(2) has sixteen items: it leaves out dates and ages (C), and "any other unique identifying number,
/// characteristic, or code" (R). A token is of that last kind, and its key stays with the covered entity.
fn limited_data_set(class: Class, rung: Rung) -> Broken {
    if shows_nothing(class, rung) || rung == Rung::Token {
        return None;
    }
    if let Some(never) = never_raw(class) {
        return Some(never);
    }
    Some(match class {
        Class::None | Class::Zip | Class::BirthDate | Class::Date | Class::Age | Class::UniqueId => return None,
        Class::Name => ("45 CFR 164.514(e)(2)(i)", "names are excluded"),
        Class::Address => {
            let why = "postal addresses are excluded, other than town or city, state and ZIP code, and the class may \
                       hold a street";
            ("45 CFR 164.514(e)(2)(ii)", why)
        }
        Class::Phone => ("45 CFR 164.514(e)(2)(iii)", "telephone numbers are excluded"),
        Class::Fax => ("45 CFR 164.514(e)(2)(iv)", "fax numbers are excluded"),
        Class::Email => {
            ("45 CFR 164.514(e)(2)(v)", "electronic mail addresses are excluded, and a domain may be a person's own")
        }
        Class::Ssn => ("45 CFR 164.514(e)(2)(vi)", "social security numbers are excluded"),
        Class::Mrn => ("45 CFR 164.514(e)(2)(vii)", "medical record numbers are excluded"),
        Class::InsuranceId => ("45 CFR 164.514(e)(2)(viii)", "health plan beneficiary numbers are excluded"),
        Class::Account => ("45 CFR 164.514(e)(2)(ix)", "account numbers are excluded"),
        Class::License => ("45 CFR 164.514(e)(2)(x)", "certificate and license numbers are excluded"),
        Class::Vehicle => ("45 CFR 164.514(e)(2)(xi)", "vehicle identifiers are excluded"),
        Class::Device => ("45 CFR 164.514(e)(2)(xii)", "device identifiers are excluded"),
        Class::Url => ("45 CFR 164.514(e)(2)(xiii)", "web addresses are excluded"),
        Class::Ip => ("45 CFR 164.514(e)(2)(xiv)", "internet addresses are excluded"),
        Class::Biometric => ("45 CFR 164.514(e)(2)(xv)", "biometric identifiers are excluded"),
        Class::Photo => ("45 CFR 164.514(e)(2)(xvi)", "full-face photographs are excluded"),
        Class::Unknown | Class::ClinicalText => return never_raw(class),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each profile lets be shown, written down by hand.
    #[test]
    fn what_may_be_shown() {
        for class in Class::ALL {
            for rung in Rung::ALL {
                let safe = match rung {
                    Rung::Redacted => true,
                    // an e-mail's domain is shown, of all others nothing or what (B) and (C) except
                    Rung::Partial => class != Class::Email,
                    Rung::Token => !class.may_be_token(),
                    Rung::Raw => class == Class::None,
                };
                assert_eq!(Profile::SafeHarbor.attest(class, rung).is_ok(), safe, "{class:?} {rung:?}");
                let limited = match rung {
                    Rung::Redacted | Rung::Token => true,
                    Rung::Partial => class != Class::Email,
                    Rung::Raw => ["none", "zip", "birth_date", "date", "age", "unique_id"].contains(&class.name()),
                };
                assert_eq!(Profile::LimitedDataSet.attest(class, rung).is_ok(), limited, "{class:?} {rung:?}");
            }
        }
    }

    /// The letters of (b)(2)(i) and the numbers of (e)(2) follow the order of the classes.
    #[test]
    fn each_class_has_its_paragraph() {
        let paragraph = |profile: Profile, class| profile.attest(class, Rung::Raw).unwrap_err().paragraph;
        let mut letters = Vec::new();
        let mut numbers = Vec::new();
        for class in Class::ALL.into_iter().filter(|class| *class != Class::None) {
            letters.push(paragraph(Profile::SafeHarbor, class).trim_start_matches("45 CFR 164.514(b)(2)(i)"));
            if let Err(violation) = Profile::LimitedDataSet.attest(class, Rung::Raw) {
                numbers.push(violation.paragraph.trim_start_matches("45 CFR 164.514"));
            }
        }
        let expected = "(A) (B) (B) (C) (C) (C) (D) (E) (F) (G) (H) (I) (J) (K) (L) (M) (N) (O) (P) (Q) (R)  (R)";
        assert_eq!(letters.join(" "), expected);
        let expected = "(e)(2)(i) (e)(2)(ii) (e)(2)(iii) (e)(2)(iv) (e)(2)(v) (e)(2)(vi) (e)(2)(vii) (e)(2)(viii) \
                        (e)(2)(ix) (e)(2)(x) (e)(2)(xi) (e)(2)(xii) (e)(2)(xiii) (e)(2)(xiv) (e)(2)(xv) (e)(2)(xvi) \
                        (b)(2)(i) (b)(2)(i)(R)";
        assert_eq!(numbers.join(" "), expected);
    }

    #[test]
    fn names_and_words() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_name(profile.name()), Some(profile));
        }
        assert_eq!(Profile::from_name("custom"), None);
        let violation = Profile::SafeHarbor.attest(Class::Email, Rung::Partial).unwrap_err();
        assert_eq!(
            violation.to_string(),
            "`email` on the rung `partial` does not keep `safe_harbor`: electronic mail addresses are removed, the \
             domain too (45 CFR 164.514(b)(2)(i)(F))"
        );
    }
}
