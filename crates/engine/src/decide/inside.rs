//! What of a text must be described before it can run.

use std::sync::Arc;

use chaperone_model::StatementId;
use chaperone_policy::Decision;

use super::{Judge, now};
use crate::inside::{Wanted, to_describe};

impl Judge {
    /// The queries inside the statements of a text that would be permitted; none where something in it would be refused,
    /// which [`Judge::text`] will say. With how many statements the text has.
    pub(crate) fn queries_inside(&mut self, text: &str) -> (Vec<Wanted>, usize) {
        self.wanted(text).unwrap_or_default()
    }

    fn wanted(&mut self, text: &str) -> Option<(Vec<Wanted>, usize)> {
        // most have none, and are not parsed twice
        (self.is_shielded() && mentions(text)).then_some(())?;
        let statements = self.parsed(text).ok()?;
        (0..statements.len()).any(|i| statements.has_inside(i)).then_some(())?;
        self.refresh().ok()?;
        let shield = self.shield.as_ref()?;
        // each may read what those before it make
        let mut temporaries = self.own.temporaries.clone();
        let mut outputs = Vec::with_capacity(statements.len());
        let mut permits = Vec::with_capacity(statements.len());
        for i in 0..statements.len() {
            let estimates = self.estimated.as_ref().filter(|estimated| estimated.text == text);
            let estimate = estimates.and_then(|estimated| estimated.rows.get(i).copied().flatten());
            let facts = self.lasting.facts(self.facts_within(&statements, i, &temporaries), true).into_owned();
            let id = StatementId { session: self.session, ordinal: self.next_ordinal };
            let Decision::Allow(permit) = self.authority.decide_estimated(id, &facts, now(), estimate) else {
                return None;
            };
            if temporaries.note(&statements, i, &facts) {
                shield.forget();
            }
            let rewritten = shield.rewrite(&statements, i, permit.masks(), &temporaries).ok()?;
            if temporaries.filled(&rewritten.filled, permit.masks(), shield.cutoff_year) {
                shield.forget();
            }
            outputs.push(Arc::new(rewritten.output));
            permits.push(Some(permit));
        }
        let wanted = to_describe(&outputs)
            .filter_map(|statement| {
                let (permit, output) = (permits[statement].take()?, outputs[statement].clone());
                Some(Wanted { permit, statement, output, types: Vec::new() })
            })
            .collect();
        Some((wanted, statements.len()))
    }
}

/// Whether a text may have a statement with a query inside.
fn mentions(text: &str) -> bool {
    const WORDS: [&[u8]; 5] = [b"copy", b"create", b"declare", b"into", b"prepare"];
    let text = text.as_bytes();
    let ends = |text: &[u8], word: &[u8]| {
        text.len()
            .checked_sub(word.len())
            .and_then(|from| text.get(from..))
            .is_some_and(|end| end.eq_ignore_ascii_case(word))
    };
    let stands = |i: usize, word: &[u8]| {
        text.get(i..i + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
            // what is written somewhere is another matter
            && !(word == b"into" && [b"insert".as_slice(), b"merge"].iter().any(|verb| ends(text[..i].trim_ascii_end(), verb)))
    };
    text.iter()
        .enumerate()
        .filter(|(_, byte)| matches!(byte.to_ascii_lowercase(), b'c' | b'd' | b'i' | b'p'))
        .any(|(i, _)| WORDS.iter().any(|word| stands(i, word)))
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_word_is_found_wherever_it_stands() {
        for text in [
            "COPY t TO STDOUT",
            "begin;declare c cursor for select 1",
            "/**/PrePare",
            "select 1;\u{a0}copy",
            "select a InTo t from b",
            "insert into a values (1); select 1 into b",
            "CREATE TEMP TABLE t AS TABLE u",
        ] {
            assert!(mentions(text), "{text}");
        }
        for text in
            ["", "select 1", "cop", "prepar", "declar e", "select code, place from c", "INSERT\n INTO t", "merge into"]
        {
            assert!(!mentions(text), "{text}");
        }
    }
}
