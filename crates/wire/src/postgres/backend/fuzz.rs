//! Body of the fuzz target.

use bytes::BytesMut;

use super::{DataRow, Message, RowDescription, Tag, description_without, encode, row_without};
use crate::postgres::{HEADER, Limits, Side, scan};

/// Whatever the bytes, parsing ends, and what was understood encodes to what was read.
#[doc(hidden)]
pub fn fuzz_backend(data: &[u8]) {
    for found in scan(data, &Limits::new(Side::Backend)) {
        let Ok((byte, range)) = found else { return };
        let Some(tag) = Tag::from_byte(byte) else { return };
        let body = data.get(range).and_then(|message| message.get(HEADER..)).unwrap_or_default();
        let Ok(message) = Message::parse(tag, body) else { continue };
        let mut again = BytesMut::new();
        let encoded = match &message {
            Message::Authentication(authentication) => encode::authentication(&mut again, authentication),
            Message::BackendKeyData(key) => encode::backend_key_data(&mut again, key.pid, key.secret),
            Message::CommandComplete(complete) => {
                let _ = complete.rows();
                assert!(complete.tag.starts_with(complete.verb()));
                encode::command_complete(&mut again, complete.tag)
            }
            Message::CopyInResponse(copy) | Message::CopyOutResponse(copy) | Message::CopyBothResponse(copy) => {
                encode::copy_response(&mut again, tag, copy.format, &copy.columns)
            }
            Message::DataRow(row) => encode::data_row(&mut again, &row.values),
            Message::NotificationResponse(said) => {
                encode::notification(&mut again, said.pid, said.channel, said.payload)
            }
            Message::ParameterDescription(types) => encode::parameter_description(&mut again, types),
            Message::ParameterStatus(status) => encode::parameter_status(&mut again, status.name, status.value),
            Message::RowDescription(rows) => encode::row_description(&mut again, &rows.columns),
            Message::ReadyForQuery(status) => {
                encode::ready_for_query(&mut again, *status);
                Ok(())
            }
            Message::BindComplete
            | Message::CloseComplete
            | Message::CopyDone
            | Message::EmptyQueryResponse
            | Message::NoData
            | Message::ParseComplete
            | Message::PortalSuspended => {
                encode::empty(&mut again, tag);
                Ok(())
            }
            Message::ErrorResponse(fields) | Message::NoticeResponse(fields) => {
                assert_eq!(fields.code().len(), 5);
                let _ = fields.severity();
                continue;
            }
            // a bare minor number is read but never written
            Message::NegotiateProtocolVersion(_) | Message::CopyData(_) | Message::FunctionCallResponse(_) => continue,
        };
        assert_eq!(encoded, Ok(()));
        assert_eq!(again.get(HEADER..), Some(body), "{message:?}");
        let columns = u16::from(byte_at(data) % 4);
        match &message {
            Message::DataRow(row) => without(&again, columns, row),
            Message::RowDescription(rows) => described_without(&again, columns, rows),
            _ => {}
        }
    }
}

fn byte_at(data: &[u8]) -> u8 {
    data.last().copied().unwrap_or_default()
}

/// What is left of a row is a row with the other values, however much of it has come.
fn without(message: &[u8], columns: u16, row: &DataRow<'_>) {
    let taken = usize::from(columns);
    let mut given = Vec::new();
    match row_without(message, columns, |_, value| given.push(value)) {
        Ok(cut) => {
            assert_eq!(row.values.get(..taken), Some(&*given));
            let left = [&cut.head, message.get(cut.rest..).unwrap_or_default()].concat();
            let body = left.get(HEADER..).unwrap_or_default();
            assert_eq!(
                DataRow::parse(body).map(|left| left.values),
                Ok(row.values.get(taken..).unwrap_or_default().into())
            );
            // the values at the front are all that must have come
            let early = row_without(message.get(..cut.rest).unwrap_or_default(), columns, |_, _| {});
            assert_eq!(early, Ok(cut));
            let one_less = cut.rest.saturating_sub(1);
            assert!(row_without(message.get(..one_less).unwrap_or_default(), columns, |_, _| {}).is_err());
        }
        Err(_) => assert!(row.values.len() < taken),
    }
}

fn described_without(message: &[u8], columns: u16, rows: &RowDescription<'_>) {
    let taken = usize::from(columns);
    match description_without(message, columns) {
        Ok(cut) => {
            let left = [&cut.head, message.get(cut.rest..).unwrap_or_default()].concat();
            let body = left.get(HEADER..).unwrap_or_default();
            let expected = rows.columns.get(taken..).unwrap_or_default().to_vec();
            assert_eq!(RowDescription::parse(body).map(|left| left.columns), Ok(expected));
        }
        Err(_) => assert!(rows.columns.len() < taken),
    }
}
