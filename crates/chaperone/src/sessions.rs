//! `chaperone sessions ls` and `show`: what the log says of sessions.

use anyhow::{Context, Result, bail};
use chaperone_evidence::read::{self, DecodedRecord, Payload, SessionSummary};
use chaperone_evidence::record::Body;
use chaperone_model::{Masks, Rung};
use serde_json::{Value, json};

use crate::cli::{Format, LogArguments, ShowArguments};
use crate::transcript;

/// Lists sessions.
pub fn list(arguments: &LogArguments) -> Result<()> {
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
                println!("               #{} {:?}{rows}{code}, {} µs", line.id, line.outcome, line.micros);
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
        | Body::ClassificationChanged(_) => {}
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
