//! The evidence folder: its lock, its keys, and writing small files whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use chaperone_ledger_format::checkpoint::{Signer, Verifier, key_pair};
use chaperone_ledger_format::layout;
use chaperone_ledger_format::payload::PayloadKey;
use rustix::fs::{FlockOperation, flock};

use crate::LedgerError;

/// The folder, held by this process until it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// What the folder's keys do.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) signer: Signer,
    pub(crate) verifier: Verifier,
    pub(crate) payload: PayloadKey,
}

impl Folder {
    /// Makes what is missing and takes the lock.
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        for part in ["", layout::KEYS, layout::JOURNAL, layout::LOG, layout::CHECKPOINTS, layout::VERSIONS] {
            let path = path.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(LedgerError::io("create", &path))?;
        }
        let lock_path = path.join(layout::LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(LedgerError::io("open", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Folder { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked),
            Err(errno) => Err(LedgerError::io("lock", &lock_path)(errno.into())),
        }
    }

    /// A file or folder below it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Names of what is in a folder below it, in order.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, LedgerError> {
        let path = self.at(folder);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(LedgerError::io("list", &path))? {
            let entry = entry.map_err(LedgerError::io("list", &path))?;
            names.extend(entry.file_name().to_str().map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Reads the keys; makes those that are missing. Keys are made in an empty folder only: a log whose key is gone
    /// cannot be continued as if nothing had happened.
    pub(crate) fn keys(&self, origin: &str) -> Result<Keys, LedgerError> {
        let fresh = self.list(layout::JOURNAL)?.is_empty();
        let log_key = self.key(layout::LOG_KEY, fresh, || {
            let mut seed = [0; 32];
            rand::fill(&mut seed).map_err(|_| LedgerError::Key("no random numbers".to_owned()))?;
            let (secret, _) =
                key_pair(origin, &seed).map_err(|error| LedgerError::Key(format!("origin `{origin}`: {error}")))?;
            Ok(secret + "\n")
        })?;
        let payload_key = self.key(layout::PAYLOAD_KEY, fresh, || {
            let mut key = [0; 32];
            rand::fill(&mut key).map_err(|_| LedgerError::Key("no random numbers".to_owned()))?;
            Ok(PayloadKey::new(key).to_text())
        })?;
        let bad = |file: &str| LedgerError::Key(format!("`{file}` is not a key"));
        let signer = Signer::new(&log_key).map_err(|_| bad(layout::LOG_KEY))?;
        let vkey = signer.vkey().to_owned();
        let verifier = Verifier::new(&vkey).map_err(|_| bad(layout::LOG_KEY))?;
        let vkey_path = self.at(layout::LOG_VKEY);
        if fs::read_to_string(&vkey_path).ok().as_deref().map(str::trim) != Some(&vkey) {
            write_whole(&vkey_path, format!("{vkey}\n").as_bytes(), 0o644, true)?;
        }
        let payload = PayloadKey::from_text(&payload_key).ok_or_else(|| bad(layout::PAYLOAD_KEY))?;
        Ok(Keys { signer, verifier, payload })
    }

    fn key(
        &self,
        name: &str,
        fresh: bool,
        make: impl FnOnce() -> Result<String, LedgerError>,
    ) -> Result<String, LedgerError> {
        let path = self.at(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && fresh => {
                let text = make()?;
                write_whole(&path, text.as_bytes(), 0o600, true)?;
                Ok(text)
            }
            Err(error) => Err(LedgerError::io("read", &path)(error)),
        }
    }
}

/// Writes a file so that readers, and we after a crash, find it whole or as it was. With `sync` it is durable, name
/// included, when this returns.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> Result<(), LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(layout::UNFINISHED);
    let unfinished = PathBuf::from(name);
    let open = || OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&unfinished);
    let mut file = match open() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path);
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(LedgerError::io("create", parent))?;
            open()
        }
        other => other,
    }
    .map_err(LedgerError::io("create", &unfinished))?;
    file.write_all(bytes).map_err(LedgerError::io("write", &unfinished))?;
    if sync {
        file.sync_all().map_err(LedgerError::io("sync", &unfinished))?;
    }
    fs::rename(&unfinished, path).map_err(LedgerError::io("rename", &unfinished))?;
    if sync {
        sync_folder(path.parent().unwrap_or(path))?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), LedgerError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(LedgerError::io("sync", path))
}
