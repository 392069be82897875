//! `chaperone policy restore`: what once decided, out of the evidence log.

use std::fs;
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
            fs::create_dir(out).with_context(|| format!("cannot make `{}`", out.display()))?;
            for (name, text) in &files {
                // a name is that of a file in one folder; whoever wrote another wants to reach out of it
                if Path::new(name).file_name().and_then(|own| own.to_str()) != Some(name) {
                    bail!("a policy file is called `{}`, which is no name of a file", name.escape_debug());
                }
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

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
