//! Text, numbers and identifiers: values can be anything, so the name has to say what.

use chaperone_model::Class;

use super::super::family::Family;
use super::super::lexicon::{
    CODED, DEMOGRAPHIC, DESCRIBES, FLAGGED, LISTED, LOOKUPS, MEASURED, ORDINAL, PATIENTS, PEOPLE, PLACES, VOCABULARY,
};
use super::super::phrases::{self, Hit};
use super::super::words::{NUMBER, OTHER};
use super::super::{About, Confidence};
use super::{Opinion, View, harmless, named, protected, undecided};
use Confidence::{High, Low, Medium};

/// Longest value of a column that can be called a code or one of a few words.
const SHORT: i32 = 64;
/// The same for marks.
const SHORT_FLAG: i32 = 10;
/// The same for words such as `Native Hawaiian or Other Pacific Islander`.
const SHORT_DEMOGRAPHIC: i32 = 100;

impl View<'_> {
    /// Text and numbers, which can be anything: the name has to say it.
    pub(super) fn plain(&self) -> Opinion {
        let is_id = self.ends_in(&["id", "key"]) && self.words.len() > usize::from(self.head() == "key");
        if self.table.about == About::NoPerson
            && let Some(opinion) = self.describes(is_id)
        {
            return opinion;
        }
        let speaking = |hit: &&Hit| self.plausible(hit) && (!is_id || self.is_identifier(hit));
        if let Some(last) = self.hits.iter().rfind(speaking) {
            // `birth year` is more than a year: it tells who is over 89
            let birth = self.hits.iter().rfind(|hit| hit.class == Class::BirthDate && speaking(hit));
            return self.spoken(if last.class == Class::Date { birth.unwrap_or(last) } else { last }, is_id);
        }
        if let Some(opinion) = self.key(is_id) {
            return opinion;
        }
        match self.family {
            Family::Integer | Family::Number => self.number(),
            Family::Text => self.text(),
            _ => Opinion::Undecided { reason: "an identifier".into(), fallback: Class::UniqueId },
        }
    }

    /// A phrase speaks of an identifier: does the rest of the name agree?
    fn spoken(&self, hit: &Hit, is_id: bool) -> Opinion {
        let after = self.words.get(hit.end..).unwrap_or_default().iter().rfind(|word| **word != NUMBER);
        if let Some(after) = after
            && [LISTED, FLAGGED, ORDINAL, MEASURED, &["code", "format"]].iter().any(|list| list.contains(after))
        {
            return undecided(format!("name says `{}`, and then `{after}`", hit.phrase));
        }
        if self.column.from_sequence && hit.ends_in_id() {
            return self.made("filled by a sequence");
        }
        if hit.phrase == "name" {
            return self.name(hit);
        }
        match named(hit) {
            Opinion::Protected { class, confidence, reason, .. } => {
                Opinion::Protected { class, confidence, reason, is_id: is_id && hit.ends_in_id() }
            }
            other => other,
        }
    }

    /// `name`: of whom, or of what?
    fn name(&self, hit: &Hit) -> Opinion {
        let things = [CODED, VOCABULARY, LOOKUPS, MEASURED, &["result", "field", "order", "site", "facility", "item"]];
        let is_thing = |word: &&str| things.iter().any(|list| list.contains(word));
        match hit.start.checked_sub(1).and_then(|before| self.words.get(before)) {
            Some(before) if is_thing(before) => undecided(format!("a name, of a {before} perhaps")),
            Some(_) => named(hit),
            None if matches!(self.table.about, About::Patient | About::People) => {
                protected(Class::Name, High, "name says `name`, in a table of people")
            }
            None if self.table.words.last().is_some_and(is_thing) => undecided("a name, of a thing perhaps"),
            None => named(hit),
        }
    }

    /// A column of a table about no person that only describes what the table lists.
    fn describes(&self, is_id: bool) -> Option<Opinion> {
        let about_things = |word: &&str| {
            [DESCRIBES, LISTED, CODED, VOCABULARY, LOOKUPS, MEASURED, ORDINAL, &["id", "item", NUMBER, "of", "number"]]
                .iter()
                .any(|list| list.contains(word))
                || self.table.words.contains(word)
        };
        let generic = ["name", "description", "text", "plan"];
        let only_describes = self.words.iter().all(|word| about_things(word) && *word != OTHER);
        (only_describes && self.hits.iter().all(|hit| generic.contains(&hit.phrase))).then(|| {
            if is_id && self.column.from_sequence {
                return self.made("filled by a sequence");
            }
            harmless(Medium, "describes an entry of a table about no person")
        })
    }

    /// A row number of our own making.
    fn key(&self, is_id: bool) -> Option<Opinion> {
        let alone = self.relation.unique.iter().any(|columns| columns[..] == [self.at]);
        let number = matches!(self.family, Family::Integer | Family::Uuid);
        if number && alone && (self.column.from_sequence || self.column.from_random) {
            if is_id || self.words.contains(&"pk") {
                let how = if self.column.from_sequence { "filled by a sequence" } else { "filled at random" };
                return Some(self.made(how));
            }
            // a number that is printed on a card is no longer only ours
            let reason = "a key filled here, and not called an id".to_owned();
            return Some(Opinion::Undecided { reason, fallback: Class::UniqueId });
        }
        if !is_id {
            return None;
        }
        let before = self.words.iter().rev().nth(1).copied().unwrap_or("");
        if VOCABULARY.contains(&before) {
            return Some(harmless(Medium, format!("a number of a vocabulary: `{before}`")));
        }
        let own = match self.words.split_last() {
            Some((_, [])) => true,
            Some((_, rest)) => *rest == self.table.words[..],
            None => false,
        };
        // how many digits a numeric may have was somebody's choice, for numbers of another system
        if number && alone && own && self.column.base != "numeric" {
            return Some(harmless(Medium, "the table's own row number"));
        }
        Some(Opinion::Undecided {
            reason: "an identifier of a kind that is not known".into(),
            fallback: Class::UniqueId,
        })
    }

    fn made(&self, how: &str) -> Opinion {
        Opinion::Harmless { confidence: High, reason: format!("a key {how}"), made_here: true }
    }

    fn number(&self) -> Opinion {
        let head = self.head();
        if self.may_be_place(head) {
            return undecided(format!("in a table with addresses, `{head}` may be part of one"));
        }
        let tail_is_harmless = self.tail_is_harmless();
        if tail_is_harmless || [ORDINAL, FLAGGED, LISTED, DEMOGRAPHIC].iter().any(|list| list.contains(&head)) {
            return harmless(Medium, format!("a number, and name ends in `{head}`"));
        }
        // a whole number must end in what it measures: `paid_by` is a person. One with a fraction counts nobody
        let measured = self.words.iter().rfind(|word| MEASURED.contains(word));
        if let Some(word) = measured.filter(|word| **word == head || self.column.fraction) {
            return harmless(Medium, format!("a number, and name says `{word}`"));
        }
        if ["value", "result", "number"].contains(&head) && self.family == Family::Number && self.beside_units() {
            return harmless(Medium, "a number beside its unit");
        }
        if head == "number" && self.relation.unique.iter().any(|columns| columns[..] == [self.at]) {
            return Opinion::Undecided { reason: "a number that is a key".into(), fallback: Class::UniqueId };
        }
        undecided("a number, and its name does not say of what")
    }

    /// Whether the name ends in a phrase that only looks like an identifier.
    fn tail_is_harmless(&self) -> bool {
        let hits = phrases::find(self.words);
        hits.last().is_some_and(|hit| hit.class == Class::None && hit.end == self.words.len())
    }

    /// Whether the column may be one part of an address that the table has in several.
    fn may_be_place(&self, head: &str) -> bool {
        let mut hits = self.table.columns.iter().flat_map(|(_, hits)| hits);
        PLACES.contains(&head) && hits.any(|hit| matches!(hit.class, Class::Address | Class::Zip))
    }

    /// Whether another column of the table holds a unit or a test's code.
    fn beside_units(&self) -> bool {
        let mut others = self.table.columns.iter().enumerate().filter(|(at, _)| *at != self.at);
        others.any(|(_, (words, _))| words.iter().any(|word| ["unit", "loinc"].contains(word)))
    }

    fn text(&self) -> Opinion {
        let head = self.head();
        let short = |limit: i32| self.column.limit.is_some_and(|length| length <= limit);
        let before = self.words.iter().rev().filter(|word| **word != NUMBER).nth(1).copied().unwrap_or("");
        if self.may_be_place(head) {
            return undecided(format!("in a table with addresses, `{head}` may be part of one"));
        }
        let known = |word: &str| VOCABULARY.contains(&word) && (word != "concept" || short(SHORT));
        if known(head) || head == "code" && known(before) {
            return harmless(
                Medium,
                format!("a code of a vocabulary: `{}`", if head == "code" { before } else { head }),
            );
        }
        let listed = LISTED.contains(&head) && short(SHORT)
            || FLAGGED.contains(&head) && short(SHORT_FLAG)
            || DEMOGRAPHIC.contains(&head) && short(SHORT_DEMOGRAPHIC)
            || DEMOGRAPHIC.contains(&before) && head == "status" && short(SHORT_DEMOGRAPHIC);
        if listed || self.tail_is_harmless() && short(SHORT) {
            return harmless(Medium, format!("short, and name ends in `{head}`"));
        }
        if head == "code" && CODED.contains(&before) && short(SHORT) {
            return harmless(Medium, format!("short, and a code of a {before}"));
        }
        if PEOPLE.contains(&head) {
            return protected(Class::Name, Low, format!("name says `{head}`"));
        }
        if PATIENTS.contains(&head) {
            return undecided(format!("name says `{head}`, not what of it"));
        }
        undecided("nothing in its name says what it holds")
    }

    /// Whether a phrase in the name of an identifier speaks of the identifier itself: `note_id` holds no note, and
    /// `device_type_id` no device's number.
    fn is_identifier(&self, hit: &Hit) -> bool {
        let next_to_it = self.words.iter().rposition(|word| *word != NUMBER).is_some_and(|head| hit.end >= head);
        match hit.class {
            Class::Ssn | Class::Mrn => true,
            Class::InsuranceId | Class::Account | Class::License | Class::Vehicle | Class::Device | Class::UniqueId => {
                next_to_it
            }
            // in some countries an e-mail address is an `email_id`
            Class::Email => self.family == Family::Text,
            _ => false,
        }
    }

    /// Whether a value of the column's type can be what the phrase says.
    pub(super) fn plausible(&self, hit: &Hit) -> bool {
        use Class::{
            Account, Address, Age, Biometric, BirthDate, ClinicalText, Date, Device, Email, Fax, InsuranceId, Ip,
            License, Mrn, Name, None, Phone, Photo, Ssn, UniqueId, Unknown, Url, Vehicle, Zip,
        };
        let of_numbers = match hit.class {
            Zip | Age | BirthDate | Phone | Fax | Ssn | Mrn | InsuranceId | Account | License | Vehicle | Device
            | UniqueId => true,
            // days and seconds since some day, with a fraction too
            Date => self.family == Family::Integer || ["date", "datetime", "timestamp"].contains(&hit.phrase),
            Address => ["latitude", "longitude", "coordinate"].contains(&hit.phrase),
            Name | Email | Url | Ip | Biometric | Photo | ClinicalText | Unknown | None => false,
        };
        match self.family {
            Family::Integer | Family::Number => of_numbers,
            Family::Uuid => matches!(hit.class, Device | UniqueId),
            _ => true,
        }
    }
}
