//! `chaperone policy test`: what a set of policies decides for cases that a person wrote down. Pure: no database, no
//! clock, no token.
//!
//! A statement's facts are read off its text, with names resolved by the classification. Whether a permitted statement
//! can also be *masked* (a function that is not known, a view) takes the live catalog and is not part of this.

mod cases;
mod judge;
mod report;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Format, PolicyTestArguments};
use crate::policy_test::judge::Setting;
use crate::policy_test::report::Report;

/// Runs the cases of all files. Exit 0: all passed; 1: some did not; 3: a file cannot be read, or makes no sense.
pub fn run(arguments: &PolicyTestArguments) -> ExitCode {
    let mut report = Report::default();
    for path in &arguments.files {
        if let Err(error) = file(path, &mut report) {
            eprintln!("chaperone: `{}`: {error:#}", path.display());
            return ExitCode::from(3);
        }
    }
    let mut out = std::io::stdout().lock();
    let told = match arguments.format {
        Format::Text => write!(out, "{report}"),
        Format::Json => writeln!(out, "{}", report.json()),
    };
    // whoever reads may stop early; a report that is lost otherwise must not look like one that was good
    match told.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("chaperone: the report cannot be written: {error}");
            ExitCode::from(3)
        }
        _ if report.failed() == 0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn file(path: &Path, report: &mut Report) -> Result<()> {
    let file = cases::File::read(path)?;
    let setting = Setting::read(&file, path.parent().unwrap_or(Path::new(".")))?;
    let shown = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for (n, case) in file.cases.iter().enumerate() {
        let name = case.name.clone().unwrap_or_else(|| format!("case {}", n.saturating_add(1)));
        let verdict = setting.judge(case).map_err(|error| error.context(format!("case `{name}`")))?;
        report.add(&shown, name, case, verdict);
    }
    Ok(())
}
