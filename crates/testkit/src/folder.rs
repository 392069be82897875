//! A temporary folder that goes with its owner, however the owner ends.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result};

/// `read` ends when the owner's end of the pipe is closed: by its drop, at its process's exit, or when that is killed.
const KEEPER: &str = r#"read -r _; cd / && rm -rf "$1""#;

/// A folder that nobody else can read, removed with all that is in it when this is dropped. Unlike a folder of `tempfile`
/// it also goes when it was kept in a `static`, or when the process is killed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl Folder {
    /// A new folder among the system's temporary ones; its name begins with `prefix`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(prefix: &str) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let dir = tempfile::Builder::new().prefix(prefix).tempdir().context("cannot make a folder")?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(dir.path())
            // Ctrl-C is for the owner.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the folder's keeper")?;
        let pipe = keeper.stdin.take();
        Ok(Folder { path: dir.keep(), keeper, pipe })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.keeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_with_its_content_on_drop() {
        let folder = Folder::new("chaperone-folder-").unwrap();
        let path = folder.path().to_owned();
        std::fs::create_dir(path.join("deep")).unwrap();
        std::fs::write(path.join("deep/file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn goes_when_the_owner_never_drops_it() {
        let mut folder = Folder::new("chaperone-folder-").unwrap();
        let path = folder.path().to_owned();
        // What is left of an owner that was killed: the kernel closes its end of the pipe.
        drop(folder.pipe.take());
        folder.keeper.wait().unwrap();
        std::mem::forget(folder);
        assert!(!path.exists());
    }
}
