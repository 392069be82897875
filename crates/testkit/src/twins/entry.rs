//! Attacks as they are written in a file.
//!
//! ```text
//! -- a remark; a line of its own
//! SELECT last_name FROM clinic.patient;
//!
//! -- sequence: a cursor that outlives its transaction
//! BEGIN;
//! DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM clinic.patient; COMMIT;
//! FETCH ALL FROM c;
//! ```
//!
//! A line is an attack, and one message of the simple protocol, however many statements it has. A sequence is one attack of
//! several lines, up to the next empty line. `-- in transactions` at the top of a file: each attack runs in a transaction that
//! is rolled back. At the end of a line, `-- with: x | NULL` gives the values of its parameters, `-- data: 1,x` what `COPY`
//! is fed (`\n` ends a row, `\t` stands between columns).

/// One message, or several of the extended protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// The text.
    pub sql: String,
    /// Its parameters, as text; `None` is NULL. There are none in the simple protocol.
    pub values: Vec<Option<String>>,
    /// What `COPY … FROM STDIN` gets.
    pub data: String,
}

/// An attack: what one session sends, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands: `writes.sql:12`.
    pub place: String,
    /// What is sent.
    pub steps: Vec<Step>,
    /// Whether it is written to be a sequence.
    pub sequence: bool,
    /// Whether it runs in a transaction that is rolled back.
    pub in_transaction: bool,
}

impl Step {
    /// A step without parameters.
    pub fn new(sql: impl Into<String>) -> Self {
        Step { sql: sql.into(), ..Step::default() }
    }

    fn read(line: &str) -> Self {
        let (line, data) = line.rsplit_once(" -- data: ").unwrap_or((line, ""));
        let (sql, values) = line.rsplit_once(" -- with: ").map_or((line, None), |(sql, values)| (sql, Some(values)));
        let value = |text: &str| (text.trim() != "NULL").then(|| text.trim().to_owned());
        Step {
            sql: sql.trim().trim_end_matches(';').to_owned(),
            values: values.map(|values| values.split(" | ").map(value).collect()).unwrap_or_default(),
            data: data.replace("\\n", "\n").replace("\\t", "\t"),
        }
    }
}

impl Entry {
    /// An attack of one step.
    pub fn single(place: impl Into<String>, sql: impl Into<String>) -> Self {
        Entry { place: place.into(), steps: vec![Step::new(sql)], sequence: false, in_transaction: false }
    }

    /// What tells it from others: its text.
    pub fn text(&self) -> String {
        self.steps.iter().map(|step| step.sql.as_str()).collect::<Vec<_>>().join(" ⏎ ")
    }
}

/// The attacks of a file.
pub fn read(name: &str, text: &str) -> Vec<Entry> {
    let in_transaction = text.lines().any(|line| line.trim() == "-- in transactions");
    let mut entries: Vec<Entry> = Vec::new();
    let mut in_sequence = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let place = format!("{name}:{}", at + 1);
        let entry = |sequence, steps| Entry { place, steps, sequence, in_transaction };
        if line.is_empty() {
            in_sequence = false;
        } else if line.starts_with("-- sequence:") {
            in_sequence = true;
            entries.push(entry(true, Vec::new()));
        } else if line.starts_with("-- ") {
        } else if let Some(open) = entries.last_mut().filter(|_| in_sequence) {
            open.steps.push(Step::read(line));
        } else {
            entries.push(entry(false, vec![Step::read(line)]));
        }
    }
    entries
}

/// The statements of a text, as the server would cut it: a semicolon in a string, a name, a comment or a body ends none.
pub fn statements(sql: &str) -> Vec<&str> {
    let (mut found, rest) = cut(sql);
    found.push(rest);
    found.into_iter().map(str::trim).filter(|statement| !statement.is_empty()).collect()
}

/// The statements of a text that a semicolon ends, and what comes after them.
pub(super) fn cut(sql: &str) -> (Vec<&str>, &str) {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        let rest = &sql[at..];
        at += match bytes[at] {
            b';' => {
                found.push(&sql[from..at]);
                from = at + 1;
                1
            }
            b'\'' => {
                let escapes = at > 0 && matches!(bytes[at - 1], b'e' | b'E');
                quoted(rest, b'\'', escapes)
            }
            b'"' => quoted(rest, b'"', false),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'$' => dollar_quoted(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    (found, &sql[from..])
}

/// How long the quoted text is that begins here.
fn quoted(text: &str, quote: u8, escapes: bool) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if escapes => drop(bytes.next()),
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The same of a text between `$tag$`; 1 where none begins.
fn dollar_quoted(text: &str) -> usize {
    let tag = text[1..].find('$').map(|end| &text[..end + 2]);
    let is_tag = |tag: &&str| {
        let inner = &tag[1..tag.len() - 1];
        inner.chars().all(|c| c.is_alphanumeric() || c == '_') && !inner.starts_with(|c: char| c.is_ascii_digit())
    };
    match tag.filter(is_tag) {
        Some(tag) => text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len()),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_lines_and_sequences_paragraphs() {
        let text = "-- in transactions\n-- a remark\nSELECT 1;\nSELECT $1, $2; -- with: x y | NULL\n\n-- sequence: two\nBEGIN; SELECT 2;\n\
                    COPY t FROM STDIN; -- data: 1\\tx\\n\n\nSELECT 3;";
        let entries = read("a.sql", text);
        let texts: Vec<_> = entries.iter().map(Entry::text).collect();
        assert_eq!(texts, ["SELECT 1", "SELECT $1, $2", "BEGIN; SELECT 2 ⏎ COPY t FROM STDIN", "SELECT 3"]);
        assert_eq!(entries[1].steps[0].values, [Some("x y".to_owned()), None]);
        assert_eq!(entries[2].steps[1].data, "1\tx\n");
        assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [false, false, true, false]);
        assert!(entries.iter().all(|entry| entry.in_transaction));
        assert_eq!(entries[2].place, "a.sql:6");
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_where_the_server_says_so() {
        let sql = r#"SELECT ';', E'\';', "a;""b" /* ; */; DO $x$ a; $$ $x$; SELECT $1 -- ;
            , 'it''s;'; "#;
        let found = statements(sql);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[1], "DO $x$ a; $$ $x$");
        assert_eq!(statements("SELECT 'é;ü'; x"), ["SELECT 'é;ü'", "x"]);
        assert_eq!(statements("a $1$2; b"), ["a $1$2", "b"]);
    }
}
