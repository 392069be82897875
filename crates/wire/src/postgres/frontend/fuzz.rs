//! Body of the fuzz target.

use bytes::BytesMut;

use super::{Message, SaslInitial, Tag, encode, password};
use crate::postgres::{HEADER, Limits, Side, scan};

/// Whatever the bytes, parsing ends, and what was understood encodes to what parses the same.
#[doc(hidden)]
pub fn fuzz_frontend(data: &[u8]) {
    for found in scan(data, &Limits::new(Side::Frontend)) {
        let Ok((tag, range)) = found else { return };
        let Some(tag) = Tag::from_byte(tag) else { return };
        let body = data.get(range).and_then(|message| message.get(HEADER..)).unwrap_or_default();
        if tag == Tag::Password {
            let _ = (password(body), SaslInitial::parse(body));
        }
        let Ok(message) = Message::parse(tag, body) else { continue };
        let mut again = BytesMut::new();
        let encoded = match &message {
            Message::Bind(bind) => {
                let params: Vec<_> = bind.params.iter().map(|p| p.clone().and_then(|range| body.get(range))).collect();
                let parts = encode::Bound { formats: &bind.formats, params: &params, results: &bind.result_formats };
                encode::bind(&mut again, bind.portal, bind.statement, &parts)
            }
            Message::Close(close) => encode::close(&mut again, close.object, close.name),
            Message::Describe(describe) => encode::describe(&mut again, describe.object, describe.name),
            Message::Execute(execute) => encode::execute(&mut again, execute.portal, execute.max_rows),
            Message::Parse(parse) => encode::parse(&mut again, parse.name, parse.text, &parse.types),
            Message::Query(query) => encode::query(&mut again, query.text),
            Message::CopyData(_)
            | Message::CopyDone
            | Message::CopyFail
            | Message::Flush
            | Message::FunctionCall(_)
            | Message::Password
            | Message::Sync
            | Message::Terminate => continue,
        };
        assert_eq!(encoded, Ok(()));
        assert_eq!(again.get(HEADER..), Some(body), "{message:?}");
    }
}
