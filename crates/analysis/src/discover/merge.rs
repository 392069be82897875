//! Additions to a classification file that a person has worked on: the text is edited, not written anew, so comments,
//! order and decisions stay.
//!
//! Not every layout that YAML allows can be edited this way. What is not understood is refused with its line; nothing
//! is guessed.

use std::collections::{BTreeMap, BTreeSet};

use chaperone_model::{TableClasses, TableName};

use super::write::{block, pending};
use super::{ColumnProposal, Proposal, TableProposal};

/// What a file says, as its reader understands it.
pub type Existing = BTreeMap<TableName, TableClasses>;

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The file's new text.
    pub text: String,
    /// What was added: each table with its new columns.
    pub added: Vec<(TableName, Vec<String>)>,
    /// Tables of the file that the database does not have.
    pub gone_tables: Vec<TableName>,
    /// Columns of the file that their table does not have.
    pub gone_columns: Vec<(TableName, String)>,
    /// Subjects that are proposed for tables of the file that name none.
    pub subjects: Vec<(TableName, String)>,
}

/// A layout that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the classification cannot be edited: {what}")]
pub struct MergeError {
    /// From 1.
    pub line: usize,
    /// What is in the way, and what can be done.
    pub what: &'static str,
}

/// Adds what `proposal` has and the file does not. Entries of the file are never changed or removed.
///
/// `existing` is what the text says, by a YAML reader. The caller reads the new text again and compares: nothing may
/// have changed but what is `added`.
///
/// # Errors
/// The text is laid out in a way that cannot be edited safely.
pub fn merge(text: &str, existing: &Existing, proposal: &Proposal) -> Result<Merged, MergeError> {
    let layout = Layout::read(text)?;
    let mut merged = Merged {
        text: String::new(),
        added: Vec::new(),
        gone_tables: Vec::new(),
        gone_columns: Vec::new(),
        subjects: Vec::new(),
    };
    let live: BTreeMap<&TableName, &TableProposal> =
        proposal.tables.iter().map(|table| (&table.table, table)).collect();
    // what goes in, by the byte that it goes in before
    let mut edits: Vec<(usize, String)> = Vec::new();
    for (name, classes) in existing {
        let Some(table) = live.get(name) else {
            merged.gone_tables.push(name.clone());
            continue;
        };
        let columns: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let gone = classes.columns.keys().filter(|column| !columns.contains(column.as_str()));
        merged.gone_columns.extend(gone.map(|column| (name.clone(), column.clone())));
        if let (None, Some(subject)) = (&classes.subject, &table.subject) {
            merged.subjects.push((name.clone(), subject.clone()));
        }
        let new: Vec<&ColumnProposal> =
            table.columns.iter().filter(|column| !classes.columns.contains_key(&column.name)).collect();
        if !new.is_empty() {
            let place = layout.tables.get(&name.to_string()).ok_or(MergeError {
                line: layout.line,
                what: "a table is written in a way that is not understood; write `schema.table:` on a line of its own",
            })?;
            edits.push(place.insert(text, &new, layout.newline)?);
            merged.added.push((name.clone(), new.iter().map(|column| column.name.clone()).collect()));
        }
    }
    let mut appended = String::new();
    for table in proposal.tables.iter().filter(|table| table.is_writable() && !existing.contains_key(&table.table)) {
        appended.push_str(&block(table, &" ".repeat(layout.indent), "  ", layout.newline, pending));
        let columns = table.columns.iter().map(|column| column.name.clone()).collect();
        merged.added.push((table.table.clone(), columns));
    }
    if !appended.is_empty() {
        edits.push((layout.end, appended));
    }
    merged.text = apply(text, edits, layout.newline);
    Ok(merged)
}

/// Puts each edit in its place; one that begins a line does so even at the end of a text without a last line break.
fn apply(text: &str, mut edits: Vec<(usize, String)>, newline: &str) -> String {
    // stable: of two in one place, the columns come before the tables after them
    edits.sort_by_key(|(at, _)| *at);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, edit) in edits {
        out.push_str(text.get(done..at).unwrap_or_default());
        if edit.ends_with('\n') && !out.ends_with('\n') && !out.is_empty() {
            out.push_str(newline);
        }
        out.push_str(&edit);
        done = at;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Where a table's next column goes.
#[derive(Debug)]
enum Place {
    /// Before this byte, at this indent, each on a line.
    Block { at: usize, indent: usize },
    /// Before the brace at this byte, after this last character that is no space and no comment.
    Flow { brace: usize, indent: usize, last: char },
    /// Nowhere that is understood.
    Closed { line: usize },
}

impl Place {
    fn insert(&self, text: &str, new: &[&ColumnProposal], newline: &str) -> Result<(usize, String), MergeError> {
        match self {
            Place::Block { at, indent } => {
                let pad = " ".repeat(*indent);
                Ok((*at, new.iter().map(|column| format!("{pad}{}{newline}", pending(column, ""))).collect()))
            }
            Place::Flow { brace, indent, last } => {
                let pad = " ".repeat(*indent);
                // the comma stands right after the last value, unless that is on another line, maybe with a comment
                let before = text.get(..*brace).unwrap_or_default();
                let trimmed = before.trim_end_matches(' ');
                let at = if trimmed.ends_with('\n') { *brace } else { trimmed.len() };
                let mut edit = String::new();
                if !matches!(last, '{' | ',') {
                    edit.push(',');
                }
                for column in new {
                    edit.push_str(&format!("{newline}{pad}{}", pending(column, ",")));
                }
                // the spaces that stood before the brace still do
                let kept = brace.saturating_sub(at);
                edit.push_str(&format!("{newline}{}", pad.get(kept..).unwrap_or_default()));
                Ok((at, edit))
            }
            Place::Closed { line } => Err(MergeError {
                line: *line,
                what: "write `columns:` on a line of its own, with the columns below it or in braces behind it",
            }),
        }
    }
}

/// Where things are in a file.
struct Layout {
    /// The line of `tables:`.
    line: usize,
    /// Spaces before a table.
    indent: usize,
    /// Where another table goes.
    end: usize,
    tables: BTreeMap<String, Place>,
    newline: &'static str,
}

/// A line that says something.
struct Line<'a> {
    number: usize,
    /// Its first byte, and the one after its end.
    start: usize,
    end: usize,
    indent: usize,
    content: &'a str,
}

impl Layout {
    fn read(text: &str) -> Result<Layout, MergeError> {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let lines = lines(text)?;
        let head = lines
            .iter()
            .position(|line| line.indent == 0 && name_of(line.content).is_some_and(|(name, _)| name == "tables"));
        let Some(head) = head else {
            return Err(MergeError { line: 1, what: "there is no `tables:` at the start of a line" });
        };
        let Some((line, after)) = lines.get(head).map(|line| (line, line.content)) else {
            return Err(MergeError { line: 1, what: "there is no `tables:`" });
        };
        if name_of(after).is_some_and(|(_, rest)| !is_blank(rest)) {
            return Err(MergeError {
                line: line.number,
                what: "write `tables:` on a line of its own, and the tables below it",
            });
        }
        let inside: Vec<&Line<'_>> =
            lines.get(head + 1..).unwrap_or_default().iter().take_while(|line| line.indent > 0).collect();
        let indent = inside.first().map_or(2, |line| line.indent);
        let end = inside.last().map_or(line.end, |line| line.end);
        let mut layout = Layout { line: line.number, indent, end, tables: BTreeMap::new(), newline };
        let mut at = 0;
        while let Some(line) = inside.get(at) {
            let Some((name, rest)) = name_of(line.content).filter(|_| line.indent == indent) else {
                return Err(MergeError { line: line.number, what: "expected `schema.table:`" });
            };
            let below: Vec<&Line<'_>> = inside
                .get(at + 1..)
                .unwrap_or_default()
                .iter()
                .copied()
                .take_while(|line| line.indent > indent)
                .collect();
            let place = if is_blank(rest) { columns(text, line, &below)? } else { Place::Closed { line: line.number } };
            // what begins in braces on the table's own line may go on below: skipped with it
            at += 1 + below.len();
            layout.tables.insert(name, place);
        }
        Ok(layout)
    }
}

/// The place of a table's columns.
fn columns(text: &str, table: &Line<'_>, below: &[&Line<'_>]) -> Result<Place, MergeError> {
    let Some(indent) = below.first().map(|line| line.indent) else { return Ok(Place::Closed { line: table.number }) };
    for (at, line) in below.iter().enumerate() {
        let Some((name, rest)) = name_of(line.content).filter(|_| line.indent == indent) else { continue };
        if name != "columns" {
            continue;
        }
        if is_blank(rest) {
            let columns: Vec<&&Line<'_>> =
                below.get(at + 1..).unwrap_or_default().iter().take_while(|line| line.indent > indent).collect();
            let (Some(first), Some(last)) = (columns.first(), columns.last()) else {
                return Ok(Place::Closed { line: line.number });
            };
            for column in &columns {
                let plain = name_of(column.content).filter(|_| column.indent == first.indent);
                if plain.is_none_or(|(_, rest)| is_blank(rest)) {
                    return Err(MergeError { line: column.number, what: "expected `column: class`" });
                }
            }
            return Ok(Place::Block { at: last.end, indent: first.indent });
        }
        if rest.trim_start().starts_with('{') {
            let open = line.start + line.indent + (line.content.len() - rest.trim_start().len());
            let Some((brace, last)) = closing(text, open) else {
                return Err(MergeError {
                    line: line.number,
                    what: "the brace is not closed, or there is another in it",
                });
            };
            return Ok(Place::Flow { brace, indent: indent + 2, last });
        }
        return Ok(Place::Closed { line: line.number });
    }
    Ok(Place::Closed { line: table.number })
}

/// The byte of the brace that closes the one at `open`, and the last character before it that says something.
fn closing(text: &str, open: usize) -> Option<(usize, char)> {
    let mut quote = None;
    let mut comment = false;
    let mut before = ' ';
    let mut last = '{';
    let mut chars = text.get(open + 1..)?.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            _ if comment => comment = c != '\n',
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if before.is_whitespace() || matches!(before, '{' | ',' | ':') => {
                quote = Some(c);
                last = c;
            }
            (None, '#') if before.is_whitespace() => comment = true,
            (None, '}') => return Some((open + 1 + at, last)),
            (None, '{' | '[') => return None,
            (None, c) if c.is_whitespace() => {}
            (None, c) => last = c,
        }
        before = c;
    }
    None
}

/// The lines that say something, without blank ones and comments.
fn lines(text: &str) -> Result<Vec<Line<'_>>, MergeError> {
    let mut found: Vec<Line<'_>> = Vec::new();
    let mut start = 0;
    for (n, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.trim_end_matches(['\n', '\r']);
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        let number = n + 1;
        if content.starts_with('\t') {
            return Err(MergeError { line: number, what: "a tab stands where spaces belong" });
        }
        if matches!(content.trim_end(), "---" | "...") && indent == 0 && !found.is_empty() {
            return Err(MergeError { line: number, what: "there is more than one document" });
        }
        let says = !content.trim_end().is_empty() && !content.starts_with('#') && content.trim_end() != "---";
        if says {
            found.push(Line { number, start, end: start + whole.len(), indent, content });
        }
        start += whole.len();
    }
    Ok(found)
}

/// A line `name: rest`, the name plain or quoted.
fn name_of(content: &str) -> Option<(String, &str)> {
    let (name, rest) = match content.chars().next()? {
        '"' => {
            let mut name = String::new();
            let mut chars = content.char_indices().skip(1);
            let end = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next()? {
                        (_, c @ ('"' | '\\')) => name.push(c),
                        (at, 'U') => {
                            let digits = content.get(at + 1..at + 9)?;
                            name.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                            chars.nth(7)?;
                        }
                        // the writer of files makes no others: such a table is not found, and cannot be edited
                        (_, c) => name.extend(['\\', c]),
                    },
                    (_, c) => name.push(c),
                }
            };
            (name, content.get(end + 1..)?.trim_start_matches(' '))
        }
        '\'' => {
            let end = content.get(1..)?.find('\'')? + 1;
            (content.get(1..end)?.to_owned(), content.get(end + 1..)?.trim_start_matches(' '))
        }
        '&' | '*' | '!' | '|' | '>' | '?' | '-' | '{' | '[' | '%' | '@' | '`' => return None,
        _ => {
            let end = content.match_indices(':').find(|(at, _)| {
                content.get(at + 1..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
            })?;
            (content.get(..end.0)?.trim_end().to_owned(), content.get(end.0..)?)
        }
    };
    rest.strip_prefix(':').map(|rest| (name, rest))
}

fn is_blank(rest: &str) -> bool {
    rest.trim().is_empty() || rest.trim_start().starts_with('#') && rest.starts_with([' ', '\t'])
}

#[cfg(test)]
mod tests;
