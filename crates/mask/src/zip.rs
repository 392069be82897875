//! ZIP codes of sparsely populated areas.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The three-digit ZIP prefixes that are shown as `000`, with a version for the record.
///
/// The text format has one prefix a line, one line `version: …`, comments after `#`, and empty lines:
///
/// ```
/// let table: chaperone_mask::ZipTable = "version: 2030 census\n036 # White River Junction\n059\n".parse()?;
/// assert_eq!(table.version(), "2030 census");
/// assert!(table.is_sparse("036") && !table.is_sparse("021"));
///
/// let error = "version: 1\n0360".parse::<chaperone_mask::ZipTable>().unwrap_err();
/// assert_eq!(error.to_string(), "line 2: a prefix has three digits");
/// # Ok::<(), chaperone_mask::ZipTableError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipTable {
    version: String,
    sparse: BTreeSet<String>,
}

/// A table of ZIP prefixes that cannot be used; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipTableError {
    /// A line is neither a prefix, nor the version, nor empty.
    #[error("line {line}: a prefix has three digits")]
    Prefix {
        /// Which line.
        line: usize,
    },
    /// A prefix stands there twice, so the file may be two files.
    #[error("line {line}: this prefix was there before")]
    Twice {
        /// Which line.
        line: usize,
    },
    /// The version is empty, longer than 200 bytes, or given again.
    #[error("line {line}: the version is given once, in 1 to 200 bytes")]
    Version {
        /// Which line.
        line: usize,
    },
    /// There is no line `version: …`.
    #[error("no line says `version: …`")]
    NoVersion,
    /// There is no prefix at all: no census of this country has found that, but a file cut short looks like it.
    #[error("there is no prefix")]
    Empty,
}

/// The table that comes with Chaperone.
static COMMITTED: LazyLock<ZipTable> =
    LazyLock::new(|| include_str!("zip3.txt").parse().expect("the committed table is read by a test"));

impl ZipTable {
    /// The table that comes with Chaperone: the HHS guidance on Census 2000, and what a list on Census 2010 adds.
    pub fn committed() -> &'static ZipTable {
        &COMMITTED
    }

    /// Which table it is, for records and attestations.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the area of a three-digit prefix holds 20,000 people or fewer.
    pub fn is_sparse(&self, prefix: &str) -> bool {
        self.sparse.contains(prefix)
    }

    /// The prefixes, in order.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.sparse.iter().map(String::as_str)
    }
}

impl std::str::FromStr for ZipTable {
    type Err = ZipTableError;

    fn from_str(text: &str) -> Result<Self, ZipTableError> {
        let (mut version, mut sparse) = (None, BTreeSet::new());
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split_once('#').map_or(content, |(content, _)| content).trim();
            if content.is_empty() {
                continue;
            }
            if let Some(value) = content.strip_prefix("version:") {
                let value = value.trim();
                if version.is_some() || value.is_empty() || value.len() > 200 {
                    return Err(ZipTableError::Version { line });
                }
                version = Some(value.to_owned());
            } else if content.len() == 3 && content.bytes().all(|byte| byte.is_ascii_digit()) {
                if !sparse.insert(content.to_owned()) {
                    return Err(ZipTableError::Twice { line });
                }
            } else {
                return Err(ZipTableError::Prefix { line });
            }
        }
        let version = version.ok_or(ZipTableError::NoVersion)?;
        if sparse.is_empty() { Err(ZipTableError::Empty) } else { Ok(ZipTable { version, sparse }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_table_is_that_of_the_guidance_and_two_more() {
        let table = ZipTable::committed();
        assert!(table.version().starts_with("2026-11"));
        let guidance = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893";
        let expected: BTreeSet<&str> = guidance.split(' ').chain(["205", "369"]).collect();
        assert_eq!(table.prefixes().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            ("036", ZipTableError::NoVersion),
            ("version: x\n# nothing\n", ZipTableError::Empty),
            ("version:\n036", ZipTableError::Version { line: 1 }),
            ("version: x\n036\nversion: y", ZipTableError::Version { line: 3 }),
            ("version: x\n\n036\n036", ZipTableError::Twice { line: 4 }),
            ("version: x\n36", ZipTableError::Prefix { line: 2 }),
            ("version: x\n03601", ZipTableError::Prefix { line: 2 }),
            ("version: x\n０３６", ZipTableError::Prefix { line: 2 }),
            ("version: x\n036 059", ZipTableError::Prefix { line: 2 }),
            ("version: x\n'36", ZipTableError::Prefix { line: 2 }),
            ("Version: x\n036", ZipTableError::Prefix { line: 1 }),
        ] {
            assert_eq!(text.parse::<ZipTable>(), Err(error), "{text}");
        }
        assert_eq!(ZipTableError::Twice { line: 4 }.to_string(), "line 4: this prefix was there before");
        let long = format!("version: {}\n036", "x".repeat(201));
        assert_eq!(long.parse::<ZipTable>(), Err(ZipTableError::Version { line: 1 }));
    }

    proptest::proptest! {
        /// Any text is refused, or is a table whose prefixes are three digits each and nothing else: they go into SQL.
        #[test]
        fn any_text_is_a_table_or_refused(text in "(version: ?[a-z]{0,3}\n)?([0-9٣'# ]{0,4}\r?\n){0,5}") {
            if let Ok(table) = text.parse::<ZipTable>() {
                let mut prefixes = table.prefixes();
                proptest::prop_assert!(prefixes.all(|prefix| prefix.len() == 3 && prefix.bytes().all(|b| b.is_ascii_digit())));
                proptest::prop_assert!(!table.version().is_empty());
            }
        }
    }

    #[test]
    fn windows_line_ends_and_comments_are_read() {
        let table: ZipTable = "\r\nversion: a: b # c\r\n 036 # d\r\n".parse().unwrap();
        assert_eq!((table.version(), table.is_sparse("036")), ("a: b", true));
    }
}
