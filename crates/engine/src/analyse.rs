//! analyse: a statement's text, parsed once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use chaperone_analysis::Statements;
use chaperone_model::Refusal;

/// Longest text that is kept: long ones are rarely sent twice.
const LONGEST: usize = 16 * 1024;

/// Texts kept in one generation. Their trees take some ten kilobytes each.
const GENERATION: usize = 512;

/// Texts seen once that are remembered as such, so that a text that never comes again costs no tree.
const SEEN: usize = 4096;

/// Parses statements, and remembers by exact text what it parsed.
///
/// Where nothing is masked the text itself is not needed, only facts, and those do not depend on the values of
/// constants: there, texts that differ in nothing but plain numbers and strings are parsed once ([`shape`]).
#[derive(Debug, Default)]
pub struct Analyser {
    generations: Mutex<Generations>,
    hasher: RandomState,
}

/// Two generations instead of an order of use: what is used moves to the young one, and when that is full the old one
/// is dropped whole.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Statements>>,
    old: HashMap<Box<str>, Arc<Statements>>,
    /// Hashes of texts, each in the place that its hash says.
    seen: Vec<u64>,
}

impl Analyser {
    /// The statements of a text, exactly.
    pub fn analyse(&self, text: &str) -> Result<Arc<Statements>, Refusal> {
        if text.len() > LONGEST {
            return chaperone_analysis::parse(text).map(Arc::new);
        }
        let hash = self.hasher.hash_one(text);
        if let Some(known) = self.lock(|generations| generations.get(text)) {
            return Ok(known);
        }
        let statements = Arc::new(chaperone_analysis::parse(text)?);
        self.lock(|generations| {
            if generations.seen_before(hash) {
                generations.insert(text.into(), statements.clone());
            }
        });
        Ok(statements)
    }

    /// Statements of the same shape as those of a text: the same facts, the same normalised text.
    pub fn shape_of(&self, text: &str) -> Result<Arc<Statements>, Refusal> {
        match shape(text) {
            None => self.analyse(text),
            // a shape that does not parse says nothing about the text
            Some(shape) => self.analyse(&shape).or_else(|_| self.analyse(text)),
        }
    }

    fn lock<T>(&self, use_it: impl FnOnce(&mut Generations) -> T) -> T {
        // a panic while it was held can only have left an entry out
        use_it(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn get(&mut self, text: &str) -> Option<Arc<Statements>> {
        if let Some(statements) = self.young.get(text) {
            return Some(statements.clone());
        }
        let (text, statements) = self.old.remove_entry(text)?;
        self.insert(text, statements.clone());
        Some(statements)
    }

    fn insert(&mut self, text: Box<str>, statements: Arc<Statements>) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(text, statements);
    }

    /// Whether this hash was given before, lately; and remembers it.
    fn seen_before(&mut self, hash: u64) -> bool {
        if self.seen.is_empty() {
            self.seen = vec![0; SEEN];
        }
        let place = usize::try_from(hash % SEEN as u64).unwrap_or(0);
        match self.seen.get_mut(place) {
            Some(seen) => mem::replace(seen, hash) == hash,
            None => false,
        }
    }
}

/// The text with each plain integer and string constant replaced by one that is the same for all; `None` where the text
/// has anything in which a constant might not be what it looks like, or is no query or write.
///
/// The grammar works on kinds of tokens. An integer of up to nine digits that touches no letter, digit, dot or underscore
/// is always an `ICONST`; a string without a backslash, begun behind neither letter nor `&`, is always an `SCONST`,
/// whatever the settings. So the shape has the same tree but for the values. Comments, dollar quotes, quoted
/// identifiers and parameters are left alone by not having a shape.
fn shape(text: &str) -> Option<String> {
    let verb = text.trim_start().get(..6)?;
    if !["select", "insert", "update", "delete"].iter().any(|known| verb.eq_ignore_ascii_case(known)) {
        return None;
    }
    let bytes = text.as_bytes();
    let mut shape = String::with_capacity(text.len());
    let mut replaced = false;
    let mut previous = b' ';
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'0'..=b'9' if !is_word(previous) => {
                let digits = bytes.get(i..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let next = bytes.get(i + digits).copied().unwrap_or(b' ');
                if digits > 9 || is_word(next) {
                    return None;
                }
                shape.push('7');
                i += digits;
                previous = b'0';
                replaced = true;
                continue;
            }
            b'\'' => {
                if is_word(previous) || previous == b'&' {
                    return None;
                }
                let mut end = i + 1;
                loop {
                    match bytes.get(end)? {
                        b'\'' if bytes.get(end + 1) == Some(&b'\'') => end += 2,
                        b'\'' => break,
                        b'\\' => return None,
                        _ => end += 1,
                    }
                }
                shape.push_str("'7'");
                i = end + 1;
                previous = b'\'';
                replaced = true;
                continue;
            }
            b'-' if bytes.get(i + 1) == Some(&b'-') => return None,
            b'/' if bytes.get(i + 1) == Some(&b'*') => return None,
            b'"' | b'$' | b'\\' | 0x80.. => return None,
            _ => shape.push(char::from(byte)),
        }
        previous = byte;
        i += 1;
    }
    replaced.then_some(shape)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_shape_have_the_same_facts_and_the_same_normalised_text() {
        for text in [
            "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
            "select 1, 'it''s', -5 from t where a in (1,2,3) and b = 'x' order by 2 limit 10",
            "update t set a = a + 17 where b between 3 and 4",
            "insert into t (a, b) values (1, 'x'), (2, 'y'); delete from t where a = 9",
            "select f(3), interval '1 day', date '2020-01-01', float(5) '7' from t",
            "select nextval('s'), pg_sleep(1), set_config('a', 'b', false)",
        ] {
            let Some(shape) = shape(text) else { continue };
            assert_ne!(shape, text);
            let (Ok(one), Ok(two)) = (chaperone_analysis::parse(text), chaperone_analysis::parse(&shape)) else {
                continue;
            };
            assert_eq!(one.len(), two.len());
            for i in 0..one.len() {
                assert_eq!(one.facts(i), two.facts(i), "{text}");
                assert_eq!(one.normalized(i), two.normalized(i), "{text}");
            }
        }
    }

    #[test]
    fn what_could_be_read_otherwise_has_no_shape() {
        for text in [
            "select E'1'",
            "select U&'1'",
            "select 'a\\' from t where b = 1",
            "select $1 + 1",
            "select $$1$$",
            "select 1 -- '",
            "select 1 /* 2 */",
            "select \"a1\" = 1",
            "select 1.5",
            "select 1e5",
            "select 12345678901",
            "select 0x1F",
            "select 1_000",
            "select 'open",
            "set x = 1",
            "create table t (a float(5))",
            "select a",
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_kept_when_it_comes_again() {
        let analyser = Analyser::default();
        let first = analyser.analyse("select a from t").unwrap();
        let second = analyser.analyse("select a from t").unwrap();
        let third = analyser.analyse("select a from t").unwrap();
        assert!(!Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&second, &third));
        let one = analyser.shape_of("select a from t where b = 1").unwrap();
        let two = analyser.shape_of("select a from t where b = 2").unwrap();
        let three = analyser.shape_of("select a from t where b = 3").unwrap();
        assert!(!Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&two, &three));
    }
}
