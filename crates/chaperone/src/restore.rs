//! `chaperone policy restore`: what once decided, out of the evidence log.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use chaperone_ledger_format::layout;
use chaperone_policy::unbundle;

use crate::cli::RestoreArguments;
use crate::resolve::digest;

/// Writes policies as a folder, anything else as the file that it was.
pub fn run(arguments: &RestoreArguments) -> Result<()> {
    let RestoreArguments { version, dir, out } = arguments;
    let Some(name) = layout::version(version) else {
        bail!("`{version}` is no version: it has {} hexadecimal digits", layout::VERSION);
    };
    let path = dir.join(name);
    let bytes =
        fs::read(&path).with_context(|| format!("the log keeps no version `{version}` (`{}`)", path.display()))?;
    if digest(&bytes) != *version {
        bail!("`{}` is not what was in force: its digest is another", path.display());
    }
    if out.exists() {
        bail!("`{}` exists already", out.display());
    }
    match unbundle(&bytes).filter(|files| !files.is_empty()) {
        Some(files) => {
            // a name is that of a file in one folder; whoever wrote another wants to reach out of it. All or nothing: half
            // a set of policies is another set, perhaps without what forbids
            if let Some((name, _)) = files.iter().find(|(name, _)| !is_file_name(name)) {
                bail!("a policy file is called `{}`, which is no name of a file", name.escape_debug());
            }
            fs::create_dir(out).with_context(|| format!("cannot make `{}`", out.display()))?;
            for (name, text) in &files {
                write(&out.join(name), text.as_bytes())?;
            }
            println!("{} policy files in {}", files.len(), out.display());
        }
        None => {
            write(out, &bytes)?;
            println!("{} bytes in {}", bytes.len(), out.display());
        }
    }
    Ok(())
}

fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name().and_then(|own| own.to_str()) == Some(name) && !name.contains(char::is_control)
}

/// Writes a file that is not there yet, not through a link either.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = fs::File::create_new(path).and_then(|mut file| file.write_all(bytes));
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_only() {
        for name in ["a.cedar", "Ä b.cedar", "..a"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/", "/a", "../a", "a/../b", "a\0b", "a\u{1b}[2J"] {
            assert!(!is_file_name(name), "{}", name.escape_debug());
        }
    }

    /// A version of the log that holds these files, restored.
    fn restored(names: &[&str]) -> (tempfile::TempDir, std::path::PathBuf, Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let mut bundle = Vec::new();
        for part in names.iter().flat_map(|name| [*name, "permit (principal, action, resource);"]) {
            bundle.extend_from_slice(&u64::try_from(part.len()).unwrap().to_be_bytes());
            bundle.extend_from_slice(part.as_bytes());
        }
        let version = digest(&bundle);
        let kept = folder.path().join(layout::version(&version).unwrap());
        fs::create_dir(kept.parent().unwrap()).unwrap();
        fs::write(kept, bundle).unwrap();
        let out = folder.path().join("out");
        let done = run(&RestoreArguments { version, dir: folder.path().to_owned(), out: out.clone() });
        (folder, out, done)
    }

    #[test]
    fn all_files_of_a_set_or_none() {
        let (_folder, out, done) = restored(&["a.cedar", "b.cedar"]);
        done.unwrap();
        assert_eq!(fs::read_dir(out).unwrap().count(), 2);
        let (_folder, out, done) = restored(&["a.cedar", "../b.cedar"]);
        done.unwrap_err();
        assert!(!out.exists());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"x").unwrap_err();
        assert!(!target.exists());
    }
}
