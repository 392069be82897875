//! `chaperone check`: is the configuration good, and does it fit the databases as they are?

use std::process::ExitCode;

use anyhow::Result;
use chaperone_analysis::drift::{self, Finding, Severity, drift};
use chaperone_engine::Connection;
use serde_json::json;

use crate::cli::{CheckArguments, Format};
use crate::config::Config;
use crate::resolve::{self, Resolved};

/// What was found about one connection.
struct Checked<'a> {
    connection: &'a Connection,
    findings: Vec<Finding>,
}

/// Checks, says what was found, and fails (1) where something is wrong; with `--strict` a warning is enough.
pub fn run(arguments: &CheckArguments) -> Result<ExitCode> {
    let (config, text) = Config::read(&arguments.config)?;
    let resolved = resolve::resolve(config, &text)?;
    let mut general = unknown_connections(&resolved);
    general.extend(unlisted_names(&resolved));
    general.sort();
    let checked = crate::serve::runtime()?.block_on(async {
        let mut checked = Vec::with_capacity(resolved.connections.len());
        for connection in &resolved.connections {
            let findings = if arguments.offline { Vec::new() } else { live(connection).await };
            checked.push(Checked { connection, findings });
        }
        checked
    });
    match arguments.format {
        Format::Text => print_text(arguments, &resolved, &general, &checked),
        Format::Json => print_json(&resolved, &general, &checked)?,
    }
    let worst = general.iter().chain(checked.iter().flat_map(|checked| &checked.findings)).map(|f| f.severity).min();
    Ok(match worst {
        Some(Severity::Error) => ExitCode::FAILURE,
        Some(Severity::Warning) if arguments.strict => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// The classification against the live catalog.
async fn live(connection: &Connection) -> Vec<Finding> {
    let classified = connection.classified();
    let queries: &[&str] = match classified.tables() {
        None => &[],
        Some(_) if connection.ephemeral => &drift::MINTER_QUERIES,
        Some(_) => &drift::QUERIES,
    };
    let inspected = match connection.inspect(queries).await {
        Ok(inspected) => inspected,
        Err(error) => {
            let error = anyhow::Error::from(error);
            return vec![unreadable(format!("{error:#}; is it there, and may the gateway's credential log in?"))];
        }
    };
    match classified.tables() {
        None => Vec::new(),
        Some(tables) => drift(&inspected.catalog, tables, &inspected.answers)
            .unwrap_or_else(|error| vec![unreadable(format!("{error}; report this as a fault of the gateway"))]),
    }
}

fn unreadable(text: String) -> Finding {
    Finding { severity: Severity::Error, rule: "drift.catalog", about: None, text }
}

/// Policies that speak of what is not there match nothing.
fn unknown_connections(resolved: &Resolved) -> Vec<Finding> {
    let exists = |name: &String| resolved.connections.iter().any(|connection| connection.name == *name);
    let named = resolved.policies.connections();
    let unknown = named.into_iter().filter(|name| !exists(name)).map(|name| Finding {
        severity: Severity::Warning,
        rule: "policy.connection",
        about: None,
        text: format!("policies name connection `{name}`, which does not exist, so they match nothing there"),
    });
    unknown.collect()
}

/// So do those that name tables or columns which are not classified.
fn unlisted_names(resolved: &Resolved) -> Vec<Finding> {
    let mut found = Vec::new();
    for connection in &resolved.connections {
        let classified = connection.classified();
        let Some(tables) = classified.tables() else { continue };
        for (policy, name) in resolved.policies.unlisted_names(&connection.name, tables) {
            found.push(Finding {
                severity: Severity::Warning,
                rule: "policy.name",
                about: Some(name),
                text: format!("policy `{policy}` names it, but the classification does not list it; correct either"),
            });
        }
    }
    found
}

fn does(connection: &Connection) -> String {
    match connection.classified().tables() {
        None => "no protected data: forwarded byte for byte".to_owned(),
        Some(tables) => format!("{} tables classified: masked at the source", tables.len()),
    }
}

/// One line of text with names of the database in it, for a terminal: whoever may name a table could write to the
/// operator's screen, add a line that nobody said, or turn the direction of the text around.
pub fn shown(text: &str) -> String {
    let acts = |c: char| {
        c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match acts(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

fn print_text(arguments: &CheckArguments, resolved: &Resolved, general: &[Finding], checked: &[Checked<'_>]) {
    println!("configuration {} is good", arguments.config.display());
    println!("  listens on {}{}", resolved.listen, if resolved.tls.is_some() { " with TLS" } else { " in the clear" });
    println!(
        "  policies {} ({} in {} files)",
        resolved.policies.version(),
        resolved.policies.len(),
        resolved.policy_files.len()
    );
    for finding in general {
        println!("  {}", shown(&finding.to_string()));
    }
    for Checked { connection, findings } in checked {
        println!("connection {}: {}", connection.name, does(connection));
        for finding in findings {
            println!("  {}", shown(&finding.to_string()));
        }
        match findings.iter().filter(|finding| finding.severity != Severity::Note).count() {
            _ if arguments.offline => println!("  the database was not looked at (--offline)"),
            0 => println!("  fits the database as it is"),
            _ => {}
        }
    }
}

fn print_json(resolved: &Resolved, general: &[Finding], checked: &[Checked<'_>]) -> Result<()> {
    let finding = |finding: &Finding| {
        json!({
            "severity": finding.severity.to_string(),
            "rule": finding.rule,
            "about": finding.about,
            "text": finding.text,
        })
    };
    let list = |findings: &[Finding]| findings.iter().map(finding).collect::<Vec<_>>();
    let connections: Vec<_> = checked
        .iter()
        .map(|checked| {
            json!({
                "name": checked.connection.name,
                "classification": &*checked.connection.classified().version,
                "does": does(checked.connection),
                "findings": list(&checked.findings),
            })
        })
        .collect();
    let all = json!({
        "policies": { "version": resolved.policies.version(), "count": resolved.policies.len() },
        "findings": list(general),
        "connections": connections,
    });
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_nothing_to_a_terminal() {
        let finding = Finding {
            severity: Severity::Note,
            rule: "drift.unlisted",
            about: Some("clinic.\u{1b}[2Jpatient".to_owned()),
            text: "not classified: `a\r\nerror: b`, `\u{202e}c`, `Müller's \"d\"`".to_owned(),
        };
        assert_eq!(
            shown(&finding.to_string()),
            r#"note: clinic.\u{1b}[2Jpatient: not classified: `a\u{d}\u{a}error: b`, `\u{202e}c`, `Müller's "d"` [drift.unlisted]"#
        );
    }
}
