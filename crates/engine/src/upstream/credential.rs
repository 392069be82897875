//! Who we are to the database: by reference, read again at each log-in, so that it may be rotated.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio::fs::File;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

/// More than any credential.
const MAX_FILE: u64 = 64 * 1024;

/// A password: shown to nobody, wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What a server keeps to check a log-in with it by SCRAM-SHA-256 (RFC 7677): not the password, nor of use as one.
    pub(crate) fn scram_verifier(&self) -> String {
        postgres_protocol::password::scram_sha_256(self.expose())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A role of the database and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The role.
    pub user: String,
    /// Its password; none where the server asks for none.
    pub password: Option<Secret>,
}

/// Where a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// A file of two lines: the role, then its password. A file of one line is a role without a password.
    File(PathBuf),
    /// An environment variable: `role:password`, or just `role`. The first colon separates.
    Env(String),
    /// A role given in the configuration, its password alone in a file (one line); none for no password.
    Role {
        /// The role.
        user: String,
        /// The file with the password.
        password_file: Option<PathBuf>,
    },
}

/// Why a credential cannot be had. Names the place, never what is there.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read credential file `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than any credential, not UTF-8, or has more lines than it should.
    #[error("credential file `{}` is not a role and a password on a line each", path.display())]
    Format {
        /// Which.
        path: PathBuf,
    },
    /// The variable is not set, or not UTF-8.
    #[error("environment variable `{0}` is not set or not UTF-8")]
    Env(String),
    /// There is no role, or it holds a NUL.
    #[error("the credential names no role")]
    NoRole,
}

impl CredentialSource {
    /// Reads it.
    ///
    /// # Errors
    /// See [`CredentialError`].
    pub async fn resolve(&self) -> Result<Credential, CredentialError> {
        let (user, password) = match self {
            CredentialSource::File(path) => {
                let text = read(path).await?;
                let mut lines = text.lines();
                let (user, password) = (lines.next().unwrap_or_default().to_owned(), lines.next().map(Secret::new));
                if lines.next().is_some() {
                    return Err(CredentialError::Format { path: path.clone() });
                }
                (user, password)
            }
            CredentialSource::Env(name) => {
                let text = std::env::var(name).map_err(|_| CredentialError::Env(name.clone()))?;
                let text = Zeroizing::new(text);
                match text.split_once(':') {
                    Some((user, password)) => (user.to_owned(), Some(Secret::new(password))),
                    None => (text.to_string(), None),
                }
            }
            CredentialSource::Role { user, password_file: None } => (user.clone(), None),
            CredentialSource::Role { user, password_file: Some(path) } => {
                let text = read(path).await?;
                let mut lines = text.lines();
                let password = lines.next().map(Secret::new);
                if lines.next().is_some() {
                    return Err(CredentialError::Format { path: path.clone() });
                }
                (user.clone(), password)
            }
        };
        if user.is_empty() || user.contains('\0') {
            return Err(CredentialError::NoRole);
        }
        Ok(Credential { user, password: password.filter(|secret| !secret.0.is_empty()) })
    }
}

async fn read(path: &PathBuf) -> Result<Zeroizing<String>, CredentialError> {
    let failed = |source| CredentialError::File { path: path.clone(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).await.map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE) => {
            Ok(Zeroizing::new(text.to_owned()))
        }
        _ => Err(CredentialError::Format { path: path.clone() }),
    }
}
