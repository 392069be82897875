//! Names as words: `dateOfBirth`, `DATE_OF_BIRTH`, `dateofbirth` and `dob` are to say the same.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::lexicon;

/// Longest name that is cut, in bytes; PostgreSQL's own limit is 63.
const LONGEST: usize = 256;

/// The words of a name: lower case, singular, abbreviations written out.
pub(super) fn of_name(name: &str) -> Vec<&'static str> {
    let known = known();
    let mut words = Vec::new();
    for piece in pieces(name) {
        known.read(&piece, &mut words);
    }
    words
}

/// The words of a comment. Words that are not in the lexicon are kept as [`OTHER`], so that phrases do not reach over
/// them.
pub(super) fn of_text(text: &str) -> Vec<&'static str> {
    let known = known();
    let mut words = Vec::new();
    for piece in text.split(|c: char| !c.is_alphanumeric() && c != '\'').take(400) {
        let piece = piece.to_lowercase();
        match known.whole(&piece) {
            Some(found) => words.extend(found),
            None if piece.is_empty() => {}
            None => words.push(OTHER),
        }
    }
    words
}

/// A word that means nothing to us.
pub(super) const OTHER: &str = "…";
/// A number in a name: `address_2`.
pub(super) const NUMBER: &str = "#";

/// Cuts at anything that is not a letter or digit, between cases, and between letters and digits.
fn pieces(name: &str) -> Vec<String> {
    #[derive(PartialEq, Clone, Copy)]
    enum Sort {
        Upper,
        Lower,
        Digit,
        Break,
    }
    let sort = |c: char| match c {
        c if c.is_uppercase() => Sort::Upper,
        c if c.is_alphabetic() => Sort::Lower,
        c if c.is_ascii_digit() => Sort::Digit,
        _ => Sort::Break,
    };
    let chars: Vec<char> = name.chars().take(LONGEST).collect();
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut before = Sort::Break;
    for (i, c) in chars.iter().enumerate() {
        let now = sort(*c);
        let next = chars.get(i + 1).map_or(Sort::Break, |c| sort(*c));
        let cut = match (before, now) {
            (Sort::Lower, Sort::Upper) => true,
            // the last capital of `IPAddress` belongs to what follows, that of `IDs` does not
            (Sort::Upper, Sort::Upper) => next == Sort::Lower && chars.get(i + 1) != Some(&'s'),
            (Sort::Digit, Sort::Digit) => false,
            (Sort::Digit, _) | (_, Sort::Digit) => true,
            _ => now == Sort::Break,
        };
        if cut && !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
        }
        if now != Sort::Break {
            piece.extend(c.to_lowercase());
        }
        before = now;
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// Every word of the lexicon.
struct Known {
    words: HashSet<&'static str>,
    short: HashMap<&'static str, &'static [&'static str]>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let phrases =
            lexicon::PROTECTED.iter().map(|(phrase, ..)| *phrase).chain(lexicon::HARMLESS_PHRASES.iter().copied());
        let mut words: HashSet<&'static str> = phrases.flat_map(|phrase| phrase.split(' ')).collect();
        words.extend(lexicon::WORD_LISTS.iter().flat_map(|list| list.iter().copied()));
        words.remove(NUMBER);
        Known { words, short: lexicon::SHORT.iter().copied().collect() }
    })
}

impl Known {
    /// A piece that is a word of the lexicon, an abbreviation, or a plural.
    fn whole(&self, piece: &str) -> Option<Vec<&'static str>> {
        if !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit()) {
            return Some(vec![NUMBER]);
        }
        if let Some(written) = self.short.get(piece) {
            return Some(written.to_vec());
        }
        if let Some(word) = self.words.get(piece) {
            return Some(vec![word]);
        }
        let singular = piece.strip_suffix('s')?;
        let candidates = [
            singular.to_owned(),
            singular.strip_suffix("ie").map(|s| format!("{s}y")).unwrap_or_default(),
            singular.strip_suffix('e').unwrap_or("").to_owned(),
        ];
        candidates.iter().find_map(|candidate| self.words.get(candidate.as_str()).map(|word| vec![*word]))
    }

    fn read(&self, piece: &str, words: &mut Vec<&'static str>) {
        match self.whole(piece).or_else(|| self.run_together(piece)) {
            Some(found) => words.extend(found),
            None => words.push(OTHER),
        }
    }

    /// `dateofbirth`: the fewest words that it is made of, whole and without a rest.
    fn run_together(&self, piece: &str) -> Option<Vec<&'static str>> {
        if !(5..=40).contains(&piece.len()) || !piece.is_ascii() {
            return None;
        }
        // best[i]: how the first i letters are cut, in the fewest pieces
        let mut best: Vec<Option<Vec<&str>>> = vec![Some(Vec::new())];
        for end in 1..=piece.len() {
            let mut shortest: Option<Vec<&str>> = None;
            for start in 0..end {
                let Some(part) = piece.get(start..end) else { continue };
                let fits = match part.len() {
                    0 | 1 => false,
                    2 => lexicon::JOINED_SHORT.contains(&part),
                    _ => self.whole(part).is_some(),
                };
                if fits
                    && let Some(Some(before)) = best.get(start)
                    && shortest.as_ref().is_none_or(|s| before.len() + 1 < s.len())
                {
                    let mut cut = before.clone();
                    cut.push(part);
                    shortest = Some(cut);
                }
            }
            best.push(shortest);
        }
        let cut = best.pop()??;
        cut.into_iter().map(|part| self.whole(part)).collect::<Option<Vec<_>>>().map(|words| words.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words() {
        for (name, words) in [
            ("dateOfBirth", "date of birth"),
            ("DATE_OF_BIRTH", "date of birth"),
            ("dateofbirth", "date of birth"),
            ("dob", "dob"),
            ("lastLoginIp", "last login ip"),
            ("MRNNumber", "mrn number"),
            ("patientID", "patient id"),
            ("pt_fname", "patient first name"),
            ("addr2", "address #"),
            ("admittime", "admit time"),
            ("zipcode", "zip code"),
            ("phones", "phone"),
            ("diagnoses", "diagnosis"),
            ("addresses", "address"),
            ("xyzzy_tel", "… phone"),
            ("dosage", "dosage"),
            ("", ""),
        ] {
            assert_eq!(of_name(name).join(" "), words, "{name}");
        }
    }
}
