//! A proposal as a classification file.

use std::fmt::Write as _;

use chaperone_model::Class;

use super::{About, ColumnProposal, Proposal, TableProposal};

/// The head of a new file.
const HEAD: &str = "\
# Proposed by `chaperone discover` from names, types, comments, keys and views. No row of any table was read, so this
# says what columns are called, not what is in them: review every line, `none` above all. `unknown` is redacted.
tables:
";

impl Proposal {
    /// The proposal as a new file, each line with its reason.
    pub fn write(&self) -> String {
        let mut text = HEAD.to_owned();
        for table in self.tables.iter().filter(|table| table.is_writable()) {
            text.push_str(&block(table, "  ", "  ", "\n", entry));
        }
        text
    }
}

impl TableProposal {
    /// Whether a file can name the table: one with a dot in its name or its schema's cannot be written as
    /// `schema.table`.
    pub fn is_writable(&self) -> bool {
        ![&self.table.schema, &self.table.name].iter().any(|name| name.contains('.') || name.is_empty())
            && !self.columns.is_empty()
    }
}

/// A table with its columns, each on a line as `entry` writes it. `indent` stands before the table, `step` more before
/// what is inside.
pub(super) fn block(
    table: &TableProposal,
    indent: &str,
    step: &str,
    newline: &str,
    entry: fn(&ColumnProposal, &str) -> String,
) -> String {
    let mut text = String::new();
    let what = match (table.is_view, table.about) {
        (true, _) => " # a view",
        (false, About::Patient) => " # a row for each patient",
        (false, About::NoPerson) => " # about no person",
        (false, About::Unsure) => " # not linked to patients by any key",
        (false, About::People | About::Linked) => "",
    };
    let name = key(&table.table.to_string());
    // writing to a string does not fail
    let _ = write!(text, "{indent}{name}:{what}{newline}");
    if let Some(subject) = &table.subject {
        let _ = write!(text, "{indent}{step}subject: {}{newline}", key(subject));
    }
    let _ = write!(text, "{indent}{step}columns:{newline}");
    for column in &table.columns {
        let _ = write!(text, "{indent}{step}{step}{}{newline}", entry(column, ""));
    }
    text
}

/// `column: class # proposed: confidence: reason`, with `after` behind the class.
pub(super) fn entry(column: &ColumnProposal, after: &str) -> String {
    let (name, class, confidence) = (key(&column.name), column.class.name(), column.confidence.name());
    format!("{name}: {class}{after} # proposed: {confidence}: {}", printable(&column.reason))
}

/// The same for a file that may be in force already: what nobody has looked at stays `unknown`, which is redacted, and
/// the class that is proposed is in the comment.
pub(super) fn pending(column: &ColumnProposal, after: &str) -> String {
    if column.class == Class::Unknown {
        return entry(column, after);
    }
    let (name, class, confidence) = (key(&column.name), column.class.name(), column.confidence.name());
    let reason = printable(&column.reason);
    format!("{name}: {}{after} # proposed `{class}`: {confidence}: {reason}", Class::Unknown.name())
}

/// A name as a YAML key (YAML 1.2, 7.3): plain where no reader could take it for something else, quoted otherwise.
pub(super) fn key(name: &str) -> String {
    const WORDS: [&str; 12] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let plain = starts && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if plain && !WORDS.contains(&&*name.to_ascii_lowercase()) {
        return name.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if breaks(c) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Text for a comment: one line, and nothing that a terminal would act on.
pub(super) fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if breaks(c) { '?' } else { c }).collect()
}

/// Characters that end a line, are not printable (YAML 1.2, 5.1), or turn the direction of writing.
fn breaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
