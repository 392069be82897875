//! Why the log cannot be opened or written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the log cannot be opened or written. Once writing has failed it stays so until the log is opened again: what
/// is on disk after a failed write is known only then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Another process has the folder.
    #[error("another process writes the evidence folder")]
    Locked,
    /// A file could not be read or written.
    #[error("the evidence folder: cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// What is on disk is not what was written. Nothing is changed; `chaperone audit verify` says more.
    #[error("the evidence folder is damaged: {0}")]
    Damaged(String),
    /// A key's file is not a key, or the origin cannot name one.
    #[error("the evidence folder: {0}")]
    Key(String),
    /// The log was shut down.
    #[error("the log is closed")]
    Closed,
    /// The cryptography library failed.
    #[error("a payload could not be sealed")]
    Seal,
}

impl LedgerError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
        move |source| LedgerError::Io { what, path: path.to_owned(), source: Arc::new(source) }
    }
}
