//! What a column says of itself.

mod plain;

use chaperone_model::Class;

use super::family::{self, Family};
use super::lexicon::{DEMOGRAPHIC, FLAGGED, LISTED, PATIENTS, PEOPLE, WARNINGS};
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
        if [PATIENTS, PEOPLE].iter().any(|list| self.ends_in(list)) {
            return undecided(format!("name says `{}`, and the listed values may be theirs", self.head()));
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
            About::NoPerson => harmless(Medium, "a date of a table about no person"),
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

    /// What its definer wrote about it confirms, warns, or tells what nothing else does. Of the comment itself only the
    /// phrase is repeated.
    fn with_comment(&self, opinion: Opinion) -> Opinion {
        let Some(comment) = self.column.comment.as_deref() else { return opinion };
        let words = words::of_text(comment);
        let hits: Vec<Hit> = phrases::find(&words).into_iter().filter(|hit| hit.class != Class::None).collect();
        match opinion {
            // row numbers are called identifiers by everybody; one that is a person's number has that number's name
            Opinion::Harmless { made_here: true, .. } => {
                match hits.iter().find(|hit| hit.confidence == High && hit.class.may_be_token()) {
                    Some(hit) => protected(hit.class, Medium, format!("comment says `{}`", hit.phrase)),
                    None => opinion,
                }
            }
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
