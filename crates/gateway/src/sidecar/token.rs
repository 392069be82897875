//! The token, from its file.

use std::path::Path;
use std::time::Duration;

use chaperone_model::{Refusal, SqlState};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

/// The gateway looks at no longer one.
const MAX_TOKEN: u64 = 16 * 1024;
/// A file system that hangs must not hang sessions for good.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the token; white space around it is dropped.
///
/// # Errors
/// A file that is missing, cannot be read, is too large, or holds no token. The text names the file, never its content.
pub(super) async fn read(path: &Path) -> Result<Zeroizing<String>, Refusal> {
    let refused = |why: &str| Refusal {
        code: SqlState::INVALID_AUTHORIZATION,
        rule: "sidecar.token",
        message: format!("the sidecar has no token: its file {why}"),
        detail: format!("the file is `{}`", path.display()),
        hint: "check that the token is projected to this file and that the sidecar may read it".to_owned(),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let read = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(MAX_TOKEN + 1).read_to_end(&mut bytes).await
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Err(refused("does not exist")),
        Ok(Err(error)) => return Err(refused(&format!("cannot be read ({})", error.kind()))),
        Err(_) => return Err(refused("cannot be read in time")),
    }
    if bytes.len() as u64 > MAX_TOKEN {
        return Err(refused("is larger than any token"));
    }
    let token = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if token.is_empty() {
        return Err(refused(if bytes.is_empty() { "is empty" } else { "holds no token" }));
    }
    if token.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refused("holds more than a token"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}
