//! Phrases of the lexicon in a list of words.

use std::collections::HashMap;
use std::sync::OnceLock;

use chaperone_model::Class;

use super::Confidence;
use super::lexicon::{HARMLESS_PHRASES, PROTECTED};

/// A phrase that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    /// What it speaks of; `None` for a phrase that only looks as if it did.
    pub(super) class: Class,
    pub(super) confidence: Confidence,
    pub(super) phrase: &'static str,
    pub(super) start: usize,
    /// The place after its last word.
    pub(super) end: usize,
}

impl Hit {
    /// Whether it says that the values identify something, by its last word.
    pub(super) fn ends_in_id(&self) -> bool {
        self.phrase == "id" || self.phrase.ends_with(" id")
    }
}

type Entry = (Vec<&'static str>, Hit);

/// The phrases in `words`, from left to right, at each place the longest one, none over another.
pub(super) fn find(words: &[&'static str]) -> Vec<Hit> {
    let known = known();
    let mut hits = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let longest = known.get(word).and_then(|entries| {
            entries.iter().find(|(phrase, _)| words.get(at..).is_some_and(|rest| rest.starts_with(phrase)))
        });
        at = match longest {
            Some((phrase, hit)) => {
                hits.push(Hit { start: at, end: at + phrase.len(), ..*hit });
                at + phrase.len()
            }
            None => at + 1,
        };
    }
    hits
}

/// By first word, the longest first.
fn known() -> &'static HashMap<&'static str, Vec<Entry>> {
    static KNOWN: OnceLock<HashMap<&'static str, Vec<Entry>>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let harmless = HARMLESS_PHRASES.iter().map(|phrase| (*phrase, Class::None, Confidence::Medium));
        let mut known: HashMap<&'static str, Vec<Entry>> = HashMap::new();
        for (phrase, class, confidence) in PROTECTED.iter().copied().chain(harmless) {
            let words: Vec<&'static str> = phrase.split(' ').collect();
            if let Some(first) = words.first().copied() {
                let hit = Hit { class, confidence, phrase, start: 0, end: 0 };
                known.entry(first).or_default().push((words, hit));
            }
        }
        for entries in known.values_mut() {
            entries.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        known
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::words;

    #[test]
    fn the_longest_phrase_wins() {
        for (name, phrases) in [
            ("ip_address", vec!["ip address"]),
            ("emailAddress", vec!["email address"]),
            ("mailing_address", vec!["mailing address"]),
            ("license_plate", vec!["license plate"]),
            ("drivers_license_no", vec!["driver license"]),
            ("note_date", vec!["note", "date"]),
            ("seq_num", vec!["sequence number"]),
            ("dosage", vec![]),
        ] {
            let found: Vec<&str> = find(&words::of_name(name)).iter().map(|hit| hit.phrase).collect();
            assert_eq!(found, phrases, "{name}");
        }
    }

    #[test]
    fn every_phrase_is_found_in_itself() {
        for (phrase, class, _) in PROTECTED {
            let words: Vec<&'static str> = phrase.split(' ').collect();
            assert_eq!(find(&words).iter().map(|hit| hit.class).collect::<Vec<_>>(), [*class], "{phrase}");
        }
    }
}
