//! What a column says of itself.

use chaperone_model::Class;

use super::family::{self, Family};
use super::lexicon::{
    CODED, DEMOGRAPHIC, DESCRIBES, FLAGGED, HOUSEKEEPING, LISTED, LOOKUPS, MEASURED, ORDINAL, PATIENTS, PEOPLE, PLACES,
    VOCABULARY, WARNINGS,
};
use super::load::{Column, Relation};
use super::phrases::{self, Hit};
use super::tables::Table;
use super::words::{self, NUMBER, OTHER};
use super::{About, Confidence};

/// A judgement that others may yet change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Opinion {
    /// It holds this.
    Protected {
        class: Class,
        confidence: Confidence,
        reason: String,
        /// Called an id of something: gives way to the knowledge that the numbers are our own.
        is_id: bool,
    },
    /// There is evidence that it identifies nobody.
    Harmless {
        confidence: Confidence,
        reason: String,
        /// Made in this database, by a sequence or at random.
        made_here: bool,
    },
    /// Nothing is known; at the end it is called this, if nothing else is.
    Undecided { reason: String, fallback: Class },
}

use Confidence::{High, Low, Medium};

fn protected(class: Class, confidence: Confidence, reason: impl Into<String>) -> Opinion {
    Opinion::Protected { class, confidence, reason: reason.into(), is_id: false }
}

fn harmless(confidence: Confidence, reason: impl Into<String>) -> Opinion {
    Opinion::Harmless { confidence, reason: reason.into(), made_here: false }
}

fn undecided(reason: impl Into<String>) -> Opinion {
    Opinion::Undecided { reason: reason.into(), fallback: Class::Unknown }
}

fn named(hit: &Hit) -> Opinion {
    Opinion::Protected {
        class: hit.class,
        confidence: hit.confidence,
        reason: format!("name says `{}`", hit.phrase),
        is_id: hit.ends_in_id(),
    }
}

/// Longest value of a column that can be called a code or one of a few words.
const SHORT: i32 = 64;
/// The same for words such as `Native Hawaiian or Other Pacific Islander`.
const SHORT_DEMOGRAPHIC: i32 = 100;
/// Most values of a list that can be read by a person.
const LISTABLE: usize = 50;

/// One column in its table.
pub(super) struct View<'a> {
    relation: &'a Relation,
    table: &'a Table,
    at: usize,
    column: &'a Column,
    words: &'a [&'static str],
    hits: Vec<Hit>,
    family: Family,
}

/// Judges a column by its name, type, constraints and comment, in the light of its table.
pub(super) fn judge(relation: &Relation, table: &Table, at: usize) -> Opinion {
    let (Some(column), Some((words, hits))) = (relation.columns.get(at), table.columns.get(at)) else {
        return undecided("not there");
    };
    let hits = hits.iter().copied().filter(|hit| hit.class != Class::None).collect();
    let view = View { relation, table, at, column, words, hits, family: family::of(column) };
    view.with_comment(view.by_type())
}

impl View<'_> {
    fn by_type(&self) -> Opinion {
        if let Some(values) = &self.column.values {
            return self.listed(values);
        }
        if let Some(hit) = self.declared() {
            return Opinion::Protected {
                class: hit.class,
                confidence: High,
                reason: format!("its type's name says `{}`", hit.phrase),
                is_id: false,
            };
        }
        if self.hits.is_empty()
            && let Some((class, what)) = self.column.patterns.iter().find_map(|pattern| pattern_of(pattern))
        {
            return protected(class, Medium, format!("a constraint looks for {what}"));
        }
        match self.family {
            Family::Boolean => harmless(if self.hits.is_empty() { High } else { Medium }, "type boolean"),
            Family::Enumeration => undecided("an enumeration whose values are not known"),
            Family::Date => self.date(),
            Family::DateRange => match self.hit(&[Class::BirthDate]) {
                Some(hit) => named(&hit),
                None => protected(Class::Date, Medium, "a range of dates"),
            },
            Family::Time => protected(Class::Date, Low, "type time"),
            Family::Interval => match self.hit(&[Class::Age]) {
                Some(hit) => named(&hit),
                None if self.hits.is_empty() && self.ends_in(&["duration", "los"]) => harmless(Medium, "a duration"),
                None => undecided("an interval may be an age"),
            },
            Family::Binary => self.binary(),
            Family::Document => match self.hit(&[Class::ClinicalText]) {
                Some(hit) => protected(Class::ClinicalText, Low, format!("name says `{}`", hit.phrase)),
                None => undecided("anything can be inside a document"),
            },
            Family::Network => protected(Class::Ip, High, "type for network addresses"),
            Family::Mac => protected(Class::Device, High, "type for hardware addresses"),
            Family::Place => protected(Class::Address, Medium, "type for places"),
            Family::Money if self.hits.is_empty() => harmless(Medium, "type money"),
            Family::Money | Family::Other => undecided("nothing is known of such types"),
            Family::Array => self.array(),
            Family::Uuid | Family::Integer | Family::Number | Family::Text => self.plain(),
        }
    }

    /// A phrase in the name of a domain.
    fn declared(&self) -> Option<Hit> {
        let name = self.column.own_type.as_deref()?;
        let hits = phrases::find(&words::of_name(name));
        hits.into_iter().rfind(|hit| hit.class != Class::None && self.plausible(hit))
    }

    /// The last phrase that speaks of one of `classes`.
    fn hit(&self, classes: &[Class]) -> Option<Hit> {
        self.hits.iter().rfind(|hit| classes.contains(&hit.class)).copied()
    }

    /// The name's last word, without numbers after it.
    fn head(&self) -> &'static str {
        self.words.iter().rfind(|word| **word != NUMBER).copied().unwrap_or(OTHER)
    }

    fn ends_in(&self, list: &[&str]) -> bool {
        list.contains(&self.head())
    }

    fn listed(&self, values: &[String]) -> Opinion {
        if values.len() > LISTABLE || values.iter().any(|value| is_suspicious(value)) {
            return undecided("its listed values may name somebody");
        }
        let reason = format!("one of {} listed values", values.len());
        let head_is_list = [LISTED, DEMOGRAPHIC, FLAGGED, &["code"]].iter().any(|list| self.ends_in(list));
        // a short list is no free text, and no date
        let contrary = |hit: &Hit| !matches!(hit.class, Class::ClinicalText | Class::Date | Class::None);
        let own = self.column.own_type.as_deref().map(|name| phrases::find(&words::of_name(name))).unwrap_or_default();
        match self.hits.iter().rfind(|hit| contrary(hit)).or(own.iter().rfind(|hit| contrary(hit))) {
            Some(_) if head_is_list => harmless(Medium, reason),
            Some(hit) => protected(hit.class, Medium, format!("name says `{}`", hit.phrase)),
            None => harmless(High, reason),
        }
    }

    fn date(&self) -> Opinion {
        if let Some(hit) = self.hit(&[Class::BirthDate]) {
            let confidence = hit.confidence.max(Medium);
            return protected(Class::BirthDate, confidence, format!("type date and name says `{}`", hit.phrase));
        }
        match self.table.about {
            About::NoPerson if self.words.iter().all(|word| HOUSEKEEPING.contains(word)) => {
                harmless(Medium, "a date of a table about no person")
            }
            About::NoPerson => protected(Class::Date, Low, "type date; its name does not say of what"),
            About::Patient | About::People | About::Linked => protected(Class::Date, High, "type date"),
            About::Unsure => protected(Class::Date, Medium, "type date; the table may be about people"),
        }
    }

    fn binary(&self) -> Opinion {
        if self.words.contains(&"bio") {
            return protected(Class::Biometric, Medium, "binary, and name says `bio`");
        }
        match self.hit(&[Class::Photo, Class::Biometric, Class::ClinicalText]) {
            Some(hit) => protected(hit.class, hit.confidence, format!("binary, and name says `{}`", hit.phrase)),
            None => undecided("binary data may show anything"),
        }
    }

    fn array(&self) -> Opinion {
        let Some((name, kind)) = &self.column.element else { return undecided("an array") };
        match (family::of_type(name, *kind), self.hits.last()) {
            (Family::Date | Family::DateRange, _) => self.date(),
            (Family::Text | Family::Integer, Some(hit)) => named(hit),
            (Family::Network, _) => protected(Class::Ip, High, "type for network addresses"),
            _ => undecided("an array can hold anything"),
        }
    }

    /// Text and numbers, which can be anything: the name has to say it.
    fn plain(&self) -> Opinion {
        let is_id = self.ends_in(&["id", "key"]) && self.words.len() > usize::from(self.head() == "key");
        if self.table.about == About::NoPerson
            && let Some(opinion) = self.describes(is_id)
        {
            return opinion;
        }
        let speaking = |hit: &&Hit| self.plausible(hit) && (!is_id || self.is_identifier(hit));
        if let Some(hit) = self.hits.iter().rfind(speaking) {
            return self.spoken(hit, is_id);
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
        let measured = self.words.iter().find(|word| MEASURED.contains(word));
        let clear = !["number", "id", "code"].contains(&head) && (head != OTHER || self.column.fraction);
        if let Some(word) = measured.filter(|_| clear) {
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
        let listed = [LISTED, FLAGGED].iter().any(|list| list.contains(&head)) && short(SHORT)
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
    fn plausible(&self, hit: &Hit) -> bool {
        use Class::{
            Account, Address, Age, Biometric, BirthDate, ClinicalText, Date, Device, Email, Fax, InsuranceId, Ip,
            License, Mrn, Name, None, Phone, Photo, Ssn, UniqueId, Unknown, Url, Vehicle, Zip,
        };
        let of_numbers = match hit.class {
            Zip | Age | BirthDate | Phone | Fax | Ssn | Mrn | InsuranceId | Account | License | Vehicle | Device
            | UniqueId => true,
            Date => self.family == Family::Integer,
            Address => ["latitude", "longitude", "coordinate"].contains(&hit.phrase),
            Name | Email | Url | Ip | Biometric | Photo | ClinicalText | Unknown | None => false,
        };
        match self.family {
            Family::Integer | Family::Number => of_numbers,
            Family::Uuid => matches!(hit.class, Device | UniqueId),
            _ => true,
        }
    }

    /// What its definer wrote about it confirms, warns, or tells what nothing else does. Of the comment itself only the
    /// phrase is repeated.
    fn with_comment(&self, opinion: Opinion) -> Opinion {
        let Some(comment) = self.column.comment.as_deref() else { return opinion };
        let words = words::of_text(comment);
        let hits: Vec<Hit> = phrases::find(&words).into_iter().filter(|hit| hit.class != Class::None).collect();
        match opinion {
            Opinion::Harmless { made_here: false, .. } if self.family != Family::Boolean => {
                let contrary = hits.iter().find(|hit| hit.class != Class::Date && hit.confidence > Low);
                let warning = words.iter().find(|word| WARNINGS.contains(word)).copied();
                match (contrary, warning) {
                    (Some(hit), _) if hit.confidence == High && self.plausible(hit) => {
                        protected(hit.class, Low, format!("comment says `{}`, though its name does not", hit.phrase))
                    }
                    (Some(hit), _) => undecided(format!("comment says `{}`, though its name does not", hit.phrase)),
                    (None, Some(word)) => undecided(format!("comment says `{word}`")),
                    (None, None) => opinion,
                }
            }
            Opinion::Undecided { .. } => {
                let mut strong = hits.iter().filter(|hit| hit.confidence == High && self.plausible(hit));
                match strong.next() {
                    Some(first) if strong.all(|hit| hit.class == first.class) => {
                        protected(first.class, Medium, format!("comment says `{}`", first.phrase))
                    }
                    _ => opinion,
                }
            }
            Opinion::Protected { class, reason, is_id, .. } if hits.iter().any(|hit| hit.class == class) => {
                Opinion::Protected {
                    class,
                    confidence: High,
                    reason: format!("{reason}, and so does its comment"),
                    is_id,
                }
            }
            other => other,
        }
    }
}

/// A listed value that could be a person's name, number or address.
fn is_suspicious(value: &str) -> bool {
    const TITLES: [&str; 8] = ["dr", "mr", "mrs", "ms", "md", "rn", "prof", "np"];
    let titled = value.split(|c: char| !c.is_alphabetic()).any(|word| TITLES.contains(&&*word.to_lowercase()));
    titled && value.contains([' ', '.', '_'])
        || value.contains('@')
        || value.chars().filter(char::is_ascii_digit).count() >= 5
        || value.len() > 80
}

/// Patterns that constraints look for.
fn pattern_of(pattern: &str) -> Option<(Class, &'static str)> {
    if pattern.contains('@') {
        return Some((Class::Email, "`@`"));
    }
    let digits = pattern.replace("\\d", "9").replace("[0-9]", "9").replace("[[:digit:]]", "9");
    let bare: String = digits.chars().filter(|c| !"-?^$()[]\\ ".contains(*c)).collect();
    if ["9{3}9{2}9{4}", "9{9}", "999999999"].iter().any(|ssn| bare == *ssn) {
        return Some((Class::Ssn, "the pattern of an SSN"));
    }
    (bare.starts_with("9{5}") || bare == "99999").then_some((Class::Zip, "the pattern of a ZIP code"))
}
