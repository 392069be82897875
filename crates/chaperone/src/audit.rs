//! `chaperone audit verify`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chaperone_verify::PayloadKey;

use crate::cli::{Format, VerifyArguments};

/// Verifies a log; the exit code says what was found.
pub fn verify(arguments: &VerifyArguments) -> Result<ExitCode> {
    let key = match &arguments.key {
        Some(key) => key_text(key)?,
        None => {
            let path = arguments.log.dir.join("keys/log.vkey");
            eprintln!("chaperone: no --key given: trusting the one in the folder, `{}`", path.display());
            read(&path)?
        }
    };
    let payload_key = arguments.payload_key.as_deref().map(payload_key).transpose()?;
    let report = chaperone_verify::verify(&arguments.log.dir, key.trim(), payload_key.as_ref());
    match arguments.log.format {
        Format::Text => print!("{report}"),
        Format::Json => {
            let mut json = serde_json::to_value(&report).context("the report cannot be written as JSON")?;
            if let Some(object) = json.as_object_mut() {
                object.insert("verdict".to_owned(), report.verdict().into());
            }
            println!("{json}");
        }
    }
    Ok(ExitCode::from(report.exit_code()))
}

/// A key may be given as itself; it then has the two plus signs of a verifier key (C2SP signed-note).
fn key_text(key: &str) -> Result<String> {
    match key.matches('+').count() >= 2 && !Path::new(key).exists() {
        true => Ok(key.to_owned()),
        false => read(Path::new(key)),
    }
}

fn payload_key(path: &Path) -> Result<PayloadKey> {
    let text = read(path)?;
    PayloadKey::from_text(text.trim()).with_context(|| format!("`{}` is no payload key: 64 hex digits", path.display()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
