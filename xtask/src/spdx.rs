//! Licence expressions (SPDX specification, annex "SPDX license expressions"): may this be used under allowed terms only?

/// Whether some choice that the expression offers needs only allowed licences. `allowed` sees one licence at a time, with
/// its exception as in `Apache-2.0 WITH LLVM-exception`. An expression that cannot be read is not satisfied.
pub(crate) fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    // Older manifests write `MIT/Apache-2.0` for a choice.
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let answer = reader.any();
    reader.words.is_empty() && answer == Some(true)
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Option<bool> {
        let mut answer = self.all()?;
        while self.take("OR") {
            answer |= self.all()?;
        }
        Some(answer)
    }

    fn all(&mut self) -> Option<bool> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Some(answer)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let answer = self.any()?;
            return self.take(")").then_some(answer);
        }
        let name = self.next()?;
        if matches!(name, ")" | "OR" | "AND" | "WITH") {
            return None;
        }
        if self.take("WITH") {
            let exception = self.next()?;
            return Some((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Some((self.allowed)(name))
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    #[test]
    fn choices_and_conjunctions() {
        let allowed = |name: &str| matches!(name, "MIT" | "ISC" | "Apache-2.0 WITH LLVM-exception");
        let is = |expression: &str| satisfied(expression, &allowed);
        assert!(is("MIT"));
        assert!(is("GPL-3.0 OR MIT"));
        assert!(is("GPL-3.0/MIT"));
        assert!(!is("GPL-3.0 AND MIT"));
        assert!(is("(GPL-3.0 OR MIT) AND ISC"));
        assert!(is("ISC AND (GPL-3.0 OR MIT)"));
        assert!(is("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
        // AND binds more tightly than OR.
        assert!(is("MIT OR GPL-2.0 AND GPL-3.0"));
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND MIT", "Apache-2.0 WITH"] {
            assert!(!is(broken), "{broken}");
        }
    }
}
