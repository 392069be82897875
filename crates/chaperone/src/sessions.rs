//! `chaperone sessions ls` and `show`: what the log says of sessions.

use std::path::Path;

use anyhow::{Context, Result, bail};
use chaperone_evidence::read::{self, DecodedRecord, Payload, SessionSummary};
use chaperone_evidence::record::{Body, Subjects};
use chaperone_model::{Enumerated, Masks, Rung};
use serde_json::{Value, json};

use crate::cli::{Format, ListArguments, LogArguments, ShowArguments};
use crate::transcript;

/// Lists sessions.
pub fn list(arguments: &ListArguments) -> Result<()> {
    match &arguments.subject {
        Some(file) => list_of_subject(&arguments.log, file),
        None => list_all(&arguments.log),
    }
}

/// Who saw rows of somebody. The identifiers come from a file: process arguments are for all to read.
fn list_of_subject(arguments: &LogArguments, file: &Path) -> Result<()> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?
    };
    let identifiers: Vec<Vec<u8>> =
        text.lines().filter(|line| !line.is_empty()).map(|line| line.as_bytes().to_vec()).collect();
    if identifiers.is_empty() {
        bail!("there is no identifier in `{}`: one a line", file.display());
    }
    let dir = &arguments.dir;
    let key = read::payload_key(dir).context("there is no payload key in the log's folder")?;
    let sessions = read::sessions(dir).context("the evidence log cannot be read")?;
    let found = read::sightings(dir, &key, &identifiers).context("the evidence log cannot be read")?;
    for sighting in &found.seen {
        let Some(session) = sessions.iter().find(|session| session.id == sighting.session) else { continue };
        let who = &session.opened.principal;
        match arguments.format {
            Format::Json => {
                let mut json = summary(session);
                if let Some(object) = json.as_object_mut() {
                    object.insert("seen".to_owned(), sighting.time.to_string().into());
                    object.insert("statement".to_owned(), sighting.statement.into());
                    object.insert("column".to_owned(), sighting.column.clone().into());
                    object.insert("line".to_owned(), (sighting.identifier + 1).into());
                }
                println!("{json}");
            }
            Format::Text => {
                let person = who.acts_for.as_ref().map(|person| format!(" for {person}")).unwrap_or_default();
                println!(
                    "{}  {}  #{:<4}  {} of {}{person}  by {}",
                    sighting.time.to_string().get(..19).unwrap_or_default(),
                    sighting.session,
                    sighting.statement,
                    who.agent,
                    who.issuer,
                    sighting.column,
                );
            }
        }
    }
    let (statements, of) = (found.untold.values().sum::<u64>(), found.untold.len());
    match arguments.format {
        Format::Json => println!("{}", json!({ "not_enumerated": { "statements": statements, "sessions": of } })),
        Format::Text => println!(
            "{} statements; {statements} more in {of} sessions read about persons and do not say about whom, or not about all",
            found.seen.len(),
        ),
    }
    if found.sealed > 0 {
        bail!("{} answers do not open with the payload key, and may hold more", found.sealed);
    }
    Ok(())
}

fn list_all(arguments: &LogArguments) -> Result<()> {
    let sessions = read::sessions(&arguments.dir).context("the evidence log cannot be read")?;
    match arguments.format {
        Format::Json => {
            for session in &sessions {
                println!("{}", summary(session));
            }
        }
        Format::Text => {
            println!(
                "{:36}  {:20}  {:10}  {:24}  {:>10}  {:>6}  {:>10}  ended",
                "session", "began", "connection", "agent", "statements", "denied", "bytes out"
            );
            for session in &sessions {
                println!(
                    "{:36}  {:20}  {:10}  {:24}  {:>10}  {:>6}  {:>10}  {}",
                    session.id,
                    session.began.to_string().get(..19).unwrap_or_default(),
                    session.opened.connection,
                    session.opened.principal.agent,
                    session.statements,
                    session.denied,
                    session.output,
                    session.closed.map_or_else(|| "open".to_owned(), |reason| reason.to_string()),
                );
            }
        }
    }
    Ok(())
}

fn summary(session: &SessionSummary) -> Value {
    json!({
        "session": session.id,
        "began": session.began.to_string(),
        "last": session.last.to_string(),
        "connection": session.opened.connection,
        "agent": session.opened.principal.agent,
        "acts_for": session.opened.principal.acts_for,
        "issuer": session.opened.principal.issuer,
        "statements": session.statements,
        "denied": session.denied,
        "bytes_in": session.input,
        "bytes_out": session.output,
        "closed": session.closed.map(|reason| reason.to_string()),
    })
}

/// Shows one session.
pub fn show(arguments: &ShowArguments) -> Result<()> {
    let dir = &arguments.log.dir;
    let sessions = read::sessions(dir).context("the evidence log cannot be read")?;
    let mut matching = sessions.iter().filter(|session| session.id.starts_with(&arguments.session));
    let session = match (matching.next(), matching.next()) {
        (Some(session), None) => session,
        (None, _) => bail!("there is no session `{}`: `chaperone sessions ls` lists them", arguments.session),
        (Some(_), Some(_)) => bail!("several sessions begin with `{}`: give more of the id", arguments.session),
    };
    let key = match arguments.payloads {
        true => Some(read::payload_key(dir).context("there is no payload key in the log's folder")?),
        false => None,
    };
    let records = read::session(dir, &session.id, key.as_ref()).context("the evidence log cannot be read")?;
    match arguments.log.format {
        Format::Json => records.into_iter().try_for_each(|record| as_json(record, arguments.payloads)),
        Format::Text => {
            for record in &records {
                as_text(record);
            }
            Ok(())
        }
    }
}

fn as_json(mut decoded: DecodedRecord, payloads: bool) -> Result<()> {
    let bytes = decoded.record.to_bytes();
    let mut json: Value = serde_json::from_slice(&bytes).context("a record is no JSON")?;
    if let Some(object) = json.as_object_mut() {
        object.insert("index".to_owned(), decoded.index.into());
        if payloads && let Payload::Opened(opened) = &decoded.payload {
            object.insert(
                "opened".to_owned(),
                json!({ "run": opened.note.run, "text": transcript::lines(&opened.bytes, &decoded.record.body) }),
            );
        }
    }
    println!("{json}");
    Ok(())
}

/// How many persons' rows an answer has.
fn whose(subjects: &Subjects) -> String {
    match subjects.enumerated {
        Enumerated::All => format!(" of {} subjects", subjects.count),
        Enumerated::Part => format!(" of {} subjects and others", subjects.count),
        Enumerated::Nothing => " of subjects not enumerated".to_owned(),
    }
}

/// The columns that are not shown as stored.
fn masked(masks: Option<&Masks>) {
    let Some(masks) = masks else { return };
    for (table, column, rung) in masks.iter().filter(|(.., rung)| *rung != Rung::Raw) {
        let filters = if masks.may_filter(table, column) { ", but may decide which rows are seen" } else { "" };
        println!("                       {} {table}.{column}{filters}", rung.name());
    }
}

fn as_text(decoded: &DecodedRecord) {
    let time = decoded.record.time.to_string();
    let time = time.get(11..23).unwrap_or(&time);
    match &decoded.record.body {
        Body::SessionOpened(opened) => {
            let who = &opened.principal;
            println!("{time}  opened   {} by {} of {} from {}", opened.connection, who.agent, who.issuer, opened.peer);
            if let Some(person) = &who.acts_for {
                println!("                       for {person}");
            }
            println!("                       groups {}, policy {}", who.groups.join(", "), opened.policy);
            masked(opened.masks.as_ref());
        }
        Body::AuthorityChanged(changed) => {
            println!("{time}  decided  by policy {} from here on", changed.policy);
            masked(changed.masks.as_ref());
        }
        Body::Received(received) => {
            println!("{time}  asked    {} bytes", received.input.to - received.input.from);
            for line in &received.statements {
                let what = line.normalized.as_deref().unwrap_or_default();
                let refers = line.refers_to.map(|id| format!(" of #{id}")).unwrap_or_default();
                println!("               #{} {:?}{refers}: {what}", line.id, line.op);
                let ruling = &line.decision;
                let by = if ruling.policies.is_empty() {
                    String::new()
                } else {
                    format!(" by {}", ruling.policies.join(", "))
                };
                let rule = ruling.rule.as_deref().map(|rule| format!(" rule {rule}")).unwrap_or_default();
                println!(
                    "                       {:?}{by}{rule}{}",
                    ruling.verdict,
                    if line.rewritten { ", masked" } else { "" }
                );
            }
        }
        Body::Answered(answered) => {
            println!("{time}  answered {} bytes", answered.output.to - answered.output.from);
            for line in &answered.finished {
                let rows = line.rows.map(|rows| format!(", {rows} rows")).unwrap_or_default();
                let code = line.code.as_deref().map(|code| format!(", {code}")).unwrap_or_default();
                let whose = line.subjects.as_ref().map(whose).unwrap_or_default();
                println!("               #{} {:?}{rows}{whose}{code}, {} µs", line.id, line.outcome, line.micros);
            }
        }
        Body::CancelRequested(_) => println!("{time}  cancel requested"),
        Body::Alert(alert) => println!("{time}  alert    {}", alert.rule),
        Body::SessionClosed(closed) => println!("{time}  closed   {}, {} records", closed.reason, closed.records),
        // these belong to no session
        Body::ServiceStarted(_)
        | Body::ServiceStopped(_)
        | Body::Heartbeat(_)
        | Body::LoginRefused(_)
        | Body::PolicyChanged(_)
        | Body::ClassificationChanged(_)
        | Body::CredentialMinted(_)
        | Body::CredentialDropped(_) => {}
    }
    match &decoded.payload {
        Payload::Opened(opened) => {
            if let Some(run) = &opened.note.run {
                println!("                       ran: {run}");
            }
            for line in transcript::lines(&opened.bytes, &decoded.record.body) {
                println!("                       | {line}");
            }
        }
        Payload::Failed(error) => println!("                       {error}"),
        Payload::None | Payload::Sealed => {}
    }
}
