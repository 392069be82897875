//! Answers to queries on the catalog: read strictly, never data.

use std::str::FromStr;

/// The rows of one answer, each column as text, `NULL` as `None`.
pub type Rows = Vec<Vec<Option<String>>>;

/// The catalog could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is not one answer for each of [`QUERIES`].
    #[error("{got} answers for {expected} catalog queries")]
    Answers {
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// An answer does not look as its query says.
    #[error("catalog query {query} answered something else in column {column}")]
    Unexpected {
        /// Which of [`QUERIES`], from 0.
        query: usize,
        /// Which column, from 0.
        column: usize,
    },
}

/// A row of one of the answers.
pub(crate) struct Row<'a> {
    query: usize,
    values: &'a [Option<String>],
}

pub(crate) fn rows(query: usize, rows: &Rows) -> impl Iterator<Item = Row<'_>> {
    rows.iter().map(move |values| Row { query, values })
}

impl Row<'_> {
    fn unexpected(&self, column: usize) -> CatalogError {
        CatalogError::Unexpected { query: self.query, column }
    }

    pub(crate) fn optional(&self, column: usize) -> Option<&str> {
        self.values.get(column)?.as_deref()
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str, CatalogError> {
        self.optional(column).ok_or_else(|| self.unexpected(column))
    }

    pub(crate) fn number<T: FromStr>(&self, column: usize) -> Result<T, CatalogError> {
        self.text(column)?.parse().map_err(|_| self.unexpected(column))
    }

    pub(crate) fn char(&self, column: usize) -> Result<char, CatalogError> {
        let mut chars = self.text(column)?.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err(self.unexpected(column)),
        }
    }

    /// A truth value, as `t`/`f` (PostgreSQL's output) or as a cast to text writes it.
    pub(crate) fn flag(&self, column: usize) -> Result<bool, CatalogError> {
        match self.text(column)? {
            "t" | "true" => Ok(true),
            "f" | "false" => Ok(false),
            _ => Err(self.unexpected(column)),
        }
    }

    /// An `int2vector`: numbers with a space between them.
    pub(crate) fn vector(&self, column: usize) -> Result<Vec<i16>, CatalogError> {
        self.text(column)?
            .split_ascii_whitespace()
            .map(|number| number.parse().map_err(|_| self.unexpected(column)))
            .collect()
    }
}
