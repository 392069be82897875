//! Recorded bytes of a session in words.

use chaperone_evidence::record::Body;
use chaperone_wire::postgres::backend::{CommandComplete, DataRow, Fields, field};
use chaperone_wire::postgres::frontend::{self, Parse, Query};
use chaperone_wire::postgres::{HEADER, Limits, Side, backend, scan};

/// Lines shown of one record; the rest is counted.
const SHOWN: usize = 50;

/// What a record's bytes say. A segment may begin or end within a message; what is not whole is counted as bytes.
pub fn lines(bytes: &[u8], body: &Body) -> Vec<String> {
    let side = match body {
        Body::Received(_) => Side::Frontend,
        _ => Side::Backend,
    };
    let limits = Limits::new(side).whole(u32::MAX);
    let mut messages = scan(bytes, &limits);
    let mut lines = Vec::new();
    let mut hidden = 0_usize;
    for message in messages.by_ref() {
        let Ok((tag, range)) = message else { break };
        let body = bytes.get(range).and_then(|message| message.get(HEADER..)).unwrap_or_default();
        let line = match side {
            Side::Frontend => asked(tag, body),
            Side::Backend => answered(tag, body),
        };
        match line {
            Some(line) if lines.len() < SHOWN => lines.push(line),
            Some(_) => hidden += 1,
            None => {}
        }
    }
    if hidden > 0 {
        lines.push(format!("… and {hidden} more"));
    }
    let rest = bytes.len().saturating_sub(messages.consumed());
    if rest > 0 {
        lines.push(format!("… {rest} bytes of a message that goes on elsewhere"));
    }
    lines
}

fn asked(tag: u8, body: &[u8]) -> Option<String> {
    match frontend::Tag::from_byte(tag)? {
        frontend::Tag::Query => Some(text(Query::parse(body).ok()?.text)),
        frontend::Tag::Parse => Some(format!("prepare: {}", text(Parse::parse(body).ok()?.text))),
        frontend::Tag::Bind => {
            let bind = frontend::Bind::parse(body).ok()?;
            let values = bind.params.iter().map(|range| match range {
                None => "NULL".to_owned(),
                Some(range) => text(body.get(range.clone()).unwrap_or_default()),
            });
            Some(format!("bind: {}", values.collect::<Vec<_>>().join(", ")))
        }
        frontend::Tag::CopyData => Some(format!("copy: {}", text(body).trim_end())),
        frontend::Tag::FunctionCall => Some("function call".to_owned()),
        frontend::Tag::Describe
        | frontend::Tag::Execute
        | frontend::Tag::Close
        | frontend::Tag::Sync
        | frontend::Tag::Flush
        | frontend::Tag::CopyDone
        | frontend::Tag::CopyFail
        | frontend::Tag::Password
        | frontend::Tag::Terminate => None,
    }
}

fn answered(tag: u8, body: &[u8]) -> Option<String> {
    match backend::Tag::from_byte(tag)? {
        backend::Tag::DataRow => {
            let row = DataRow::parse(body).ok()?;
            let values = row.values.iter().map(|value| value.map_or_else(|| "NULL".to_owned(), text));
            Some(values.collect::<Vec<_>>().join(" | "))
        }
        backend::Tag::CommandComplete => Some(text(CommandComplete::parse(body).ok()?.tag)),
        backend::Tag::ErrorResponse | backend::Tag::NoticeResponse => {
            let fields = Fields::parse(body).ok()?;
            Some(format!("{}: {}", fields.code(), text(fields.get(field::MESSAGE).unwrap_or_default())))
        }
        backend::Tag::CopyData => Some(text(body).trim_end().to_owned()),
        _ => None,
    }
}

/// Text with control characters escaped: it goes to a terminal.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
