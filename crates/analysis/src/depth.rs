//! Hostile nesting: a bound on how deep a text's tree can be, taken before anything recurses, and a stack that is
//! large enough for it.
//!
//! The parser's C code, the decoder of its answer, every walk over the tree and even dropping it recurse once per
//! level, on whatever stack they are called. A worker's stack has 2 MiB; a text of 1 MiB can nest 500,000 levels; an
//! overflow aborts the process with every session in it.

use chaperone_model::{Refusal, SqlState};
use pg_query::protobuf::Token;

/// Deepest tree that is parsed at all, in tokens that can each add a level. The server's own limit
/// (`max_stack_depth`, 2 MB by default) is met at about this depth.
const DEEPEST: usize = 20_000;

/// Below this many bytes the length itself is a good enough bound.
const SHORT: usize = 128;

/// Stack for one token's worth of nesting, over all of parse, decode, walk, write and drop: twice what the test
/// `the_stack_is_large_enough` measures.
const PER_LEVEL: usize = 8 * 1024;

/// Stack that any call needs, however flat the tree.
const FLAT: usize = 256 * 1024;

/// Most tokens of a text. Its tree takes some 1.4 KB for each, so this is half a gigabyte.
const MOST_TOKENS: usize = 400_000;

/// How deep the tree of a text can be, and how many tokens it has, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    levels: usize,
    tokens: usize,
}

impl Depth {
    /// The bound for `sql`, from its tokens as the server's own scanner cuts them.
    ///
    /// # Errors
    /// A text whose tree could be deeper than the server itself would take (`54000`), or that has no tokens
    /// (unterminated quotes, `42601`).
    pub(crate) fn of(sql: &str) -> Result<Depth, Refusal> {
        if sql.len() <= SHORT {
            return Ok(Depth { levels: sql.len(), tokens: sql.len() });
        }
        rescanned(sql)?;
        let tokens = pg_query::scan_tokens(sql).map_err(|_| crate::parse::syntax_error())?;
        if tokens.len() > MOST_TOKENS {
            return Err(too_many());
        }
        let levels = deepest(tokens.iter().map(|token| token.token));
        if levels > DEEPEST { Err(too_deep()) } else { Ok(Depth { levels, tokens: tokens.len() }) }
    }

    /// The bound for a text that cannot be cut into tokens: each byte could be one.
    ///
    /// # Errors
    /// As [`Depth::of`].
    pub(crate) fn of_bytes(sql: &str) -> Result<Depth, Refusal> {
        rescanned(sql)?;
        let bound = sql.len();
        if bound > DEEPEST { Err(too_deep()) } else { Ok(Depth { levels: bound, tokens: bound }) }
    }

    /// Room for what rewriting adds to a tree.
    pub(crate) fn and(self, more: usize) -> Depth {
        Depth { levels: self.levels + more, ..self }
    }

    /// The bound itself.
    pub(crate) fn levels(self) -> usize {
        self.levels
    }

    /// How many tokens the text has.
    pub(crate) fn tokens(self) -> usize {
        self.tokens
    }

    /// Runs `f`, which may recurse over a tree of this depth, on a stack that is large enough.
    pub(crate) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        let need = FLAT + self.levels * PER_LEVEL;
        stacker::maybe_grow(need, need, f)
    }
}

/// The scanner takes a whole run of operator characters, gives all but one or two back (`+++`, `/*/*`), and starts
/// again: time that grows with the square of the run. As it does in the server.
fn rescanned(sql: &str) -> Result<(), Refusal> {
    let (mut run, mut steps) = (0_u64, 0_u64);
    for byte in sql.bytes() {
        if b"~!@#^&|`?+-*/%<>=".contains(&byte) {
            run += 1;
            steps += run;
        } else {
            run = 0;
        }
    }
    if steps <= MOST_STEPS {
        return Ok(());
    }
    Err(Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "statement.operators",
        message: "statement has too many operator characters in a row".into(),
        detail: "reading them takes time that grows with the square of their number".into(),
        hint: "pass long values as parameters".into(),
    })
}

/// About a second.
const MOST_STEPS: u64 = 500_000_000;

fn too_many() -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "statement.size",
        message: "statement has too many parts".into(),
        detail: format!("a text may have at most {MOST_TOKENS} words, literals and operators"),
        hint: "pass lists as an array parameter, use COPY for bulk data, or send it in parts".into(),
    }
}

fn too_deep() -> Refusal {
    Refusal {
        code: SqlState::PROGRAM_LIMIT_EXCEEDED,
        rule: "statement.depth",
        message: "statement is nested too deeply".into(),
        detail: "parentheses, chained operators, joins and set operations add up to more levels than the database \
                 itself takes"
            .into(),
        hint: "use IN (…) or = ANY ($1) in place of long chains, or send it in parts".into(),
    }
}

/// One open bracket, or `CASE`.
#[derive(Default)]
struct Level {
    case: bool,
    /// Tokens of an operand: since the last comma, `AND`, `OR`, or arm of a `CASE`, all of which make flat lists.
    operand: usize,
    /// Tokens that add a level across those: `JOIN`, `UNION` and so on, and `BETWEEN` (whose `AND` makes no list).
    chain: usize,
}

/// For the bracket itself, and for the `AND` and `OR` above an operand.
const BRACKET: usize = 3;

/// An upper bound for the depth of the tree of these tokens: each token adds at most one unit, and only a comma,
/// `AND`, `OR` and the arms of a `CASE` start a sibling rather than a child.
fn deepest(tokens: impl Iterator<Item = i32>) -> usize {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    // `depth` is the sum over `outer` and `level`
    let (mut depth, mut deepest) = (BRACKET, BRACKET);
    for token in tokens.filter_map(|token| Token::try_from(token).ok()) {
        match token {
            Token::SqlComment | Token::CComment => {}
            Token::Ascii40 | Token::Ascii91 | Token::Case => {
                depth += BRACKET;
                let case = token == Token::Case;
                outer.push(std::mem::replace(&mut level, Level { case, ..Level::default() }));
            }
            // also closes each `CASE` that was left open inside; the grammar refuses such a text anyway
            Token::Ascii41 | Token::Ascii93 => {
                while let Some(next) = outer.pop() {
                    depth -= BRACKET + level.operand + level.chain;
                    let closed = std::mem::replace(&mut level, next);
                    if !closed.case {
                        break;
                    }
                }
            }
            Token::EndP if level.case => {
                if let Some(next) = outer.pop() {
                    depth -= BRACKET + level.operand + level.chain;
                    level = next;
                }
            }
            // ends a statement; inside the body of a routine the levels that `ATOMIC` added stay
            Token::Ascii59 => {
                depth -= level.operand;
                level.operand = 0;
                if outer.is_empty() {
                    depth -= level.chain;
                    level.chain = 0;
                }
            }
            // a routine may hold another routine; never taken back
            Token::Atomic => depth += 4 * BRACKET,
            Token::Ascii44 | Token::And | Token::Or | Token::When | Token::Then | Token::Else => {
                depth -= level.operand;
                level.operand = 0;
            }
            Token::Join | Token::Union | Token::Intersect | Token::Except | Token::Between => {
                depth += 1;
                level.chain += 1;
            }
            _ => {
                depth += 1;
                level.operand += 1;
            }
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(sql: &str) -> usize {
        deepest(pg_query::scan_tokens(sql).unwrap().iter().map(|token| token.token))
    }

    #[test]
    fn flat_texts_are_flat_however_long() {
        for (text, many) in [
            (format!("SELECT {}", vec!["a"; 10_000].join(", ")), 20),
            (format!("SELECT 1 WHERE {}", vec!["a = 1"; 10_000].join(" OR ")), 20),
            (format!("INSERT INTO t VALUES {}", vec!["(1, 'x', now())"; 10_000].join(", ")), 20),
            (vec!["SELECT 1"; 10_000].join(";"), 20),
            (format!("SELECT CASE {} END", vec!["WHEN a = 1 THEN 2"; 10_000].join(" ")), 20),
        ] {
            assert!(bound(&text) <= many, "{} for {}", bound(&text), &text[..40]);
        }
    }

    #[test]
    fn what_nests_is_seen_to_nest() {
        for text in [
            vec!["1"; 1000].join(" + "),
            format!("{}1{}", "(".repeat(1000), ")".repeat(1000)),
            "CASE WHEN a THEN ".repeat(1000),
            vec!["SELECT 1, 2"; 1000].join(" UNION "),
            format!("a {}", "BETWEEN 1 AND 2 IS NULL ".repeat(1000)),
            format!("a {}", "IS DISTINCT FROM b ".repeat(1000)),
            format!("SELECT * FROM a {}", "JOIN b ON x AND y ".repeat(1000)),
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; ".repeat(1000),
            "NOT ".repeat(1000),
        ] {
            assert!(bound(&text) >= 1000, "{} for {}", bound(&text), &text[..20]);
        }
    }

    #[test]
    fn what_the_server_would_not_take_is_refused_before_it_is_parsed() {
        let text = format!("SELECT {}", vec!["1"; 100_000].join("+"));
        assert_eq!(Depth::of(&text).unwrap_err().code, SqlState::PROGRAM_LIMIT_EXCEEDED);
    }
}
