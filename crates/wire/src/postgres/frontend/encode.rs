//! Writing a client's messages, each appended to a buffer. On an error the buffer is as it was.

use bytes::BytesMut;

use super::{Bind, Object, Tag};
use crate::postgres::WireError;
use crate::postgres::startup::{CANCEL_REQUEST, SSL_REQUEST, Version};
use crate::postgres::writer::{bare, message, packet};

/// Appends a `StartupMessage`.
///
/// # Errors
/// A NUL in a name or value.
pub fn startup<'a>(
    buffer: &mut BytesMut,
    version: Version,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), WireError> {
    packet(buffer, "StartupMessage", |body| {
        body.u32(version.code());
        for (name, value) in parameters {
            body.string(name.as_bytes())?;
            body.string(value.as_bytes())?;
        }
        body.u8(0);
        Ok(())
    })
}

/// Appends an `SSLRequest`.
pub fn ssl_request(buffer: &mut BytesMut) {
    // a packet of fixed size cannot fail
    let _ = packet(buffer, "SSLRequest", |body| {
        body.u32(SSL_REQUEST);
        Ok(())
    });
}

/// Appends a `CancelRequest`.
///
/// # Errors
/// A key of a length that does not exist (4 to 256 bytes).
pub fn cancel_request(buffer: &mut BytesMut, pid: i32, secret: &[u8]) -> Result<(), WireError> {
    packet(buffer, "CancelRequest", |body| {
        if !(4..=256).contains(&secret.len()) {
            return Err(WireError::BadField { message: "CancelRequest", field: "length of the key" });
        }
        body.u32(CANCEL_REQUEST);
        body.i32(pid);
        body.bytes(secret);
        Ok(())
    })
}

/// Appends a `Query`.
///
/// # Errors
/// A NUL in the text.
pub fn query(buffer: &mut BytesMut, text: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::Query.byte(), "Query", |body| body.string(text))
}

/// Appends a `Parse`.
///
/// # Errors
/// A NUL in the name or text, more than 65,535 types.
pub fn parse(buffer: &mut BytesMut, name: &[u8], text: &[u8], types: &[u32]) -> Result<(), WireError> {
    message(buffer, Tag::Parse.byte(), "Parse", |body| {
        body.string(name)?;
        body.string(text)?;
        body.count(types.len())?;
        types.iter().for_each(|oid| body.u32(*oid));
        Ok(())
    })
}

/// What a `Bind` carries besides names.
#[derive(Clone, Copy, Default)]
pub struct Bound<'a> {
    /// Format codes of the parameters: none (all text), one for all, or one each.
    pub formats: &'a [i16],
    /// Values of the parameters; `None` is NULL.
    pub params: &'a [Option<&'a [u8]>],
    /// Format codes of the result's columns: none (all text), one for all, or one each.
    pub results: &'a [i16],
}

/// Appends a `Bind`.
///
/// # Errors
/// A NUL in a name, more than 65,535 of anything, a value over 2 GiB.
pub fn bind(buffer: &mut BytesMut, portal: &[u8], statement: &[u8], bound: &Bound<'_>) -> Result<(), WireError> {
    message(buffer, Tag::Bind.byte(), "Bind", |body| {
        body.string(portal)?;
        body.string(statement)?;
        body.count(bound.formats.len())?;
        bound.formats.iter().for_each(|format| body.i16(*format));
        body.count(bound.params.len())?;
        for value in bound.params {
            body.value(*value)?;
        }
        body.count(bound.results.len())?;
        bound.results.iter().for_each(|format| body.i16(*format));
        Ok(())
    })
}

/// Appends the `Bind` that `body` is the body of, with `columns` more text columns before its result's.
///
/// # Errors
/// Not the body of a `Bind`; more than 65,535 columns.
pub fn bind_with_leading(buffer: &mut BytesMut, body: &[u8], columns: usize) -> Result<(), WireError> {
    let bind = Bind::parse(body)?;
    message(buffer, Tag::Bind.byte(), "Bind", |out| {
        let formats = bind.result_formats.len();
        // none is text for all; one is for all, and text is the same bytes in either format
        if formats < 2 {
            out.bytes(body);
            return Ok(());
        }
        let before = body.len().saturating_sub(2 + 2 * formats);
        out.bytes(body.get(..before).unwrap_or_default());
        out.count(columns + formats)?;
        (0..columns).for_each(|_| out.i16(0));
        bind.result_formats.iter().for_each(|format| out.i16(*format));
        Ok(())
    })
}

/// Appends a `Describe`.
///
/// # Errors
/// A NUL in the name.
pub fn describe(buffer: &mut BytesMut, object: Object, name: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::Describe.byte(), "Describe", |body| {
        body.u8(object.byte());
        body.string(name)
    })
}

/// Appends a `Close`.
///
/// # Errors
/// A NUL in the name.
pub fn close(buffer: &mut BytesMut, object: Object, name: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::Close.byte(), "Close", |body| {
        body.u8(object.byte());
        body.string(name)
    })
}

/// Appends an `Execute`; `max_rows` 0 for all.
///
/// # Errors
/// A NUL in the name.
pub fn execute(buffer: &mut BytesMut, portal: &[u8], max_rows: i32) -> Result<(), WireError> {
    message(buffer, Tag::Execute.byte(), "Execute", |body| {
        body.string(portal)?;
        body.i32(max_rows);
        Ok(())
    })
}

/// Appends a `FunctionCall`; `bound.results` holds the one format of the result, text when it is empty.
///
/// # Errors
/// More than 65,535 arguments or one over 2 GiB.
pub fn function_call(buffer: &mut BytesMut, oid: u32, bound: &Bound<'_>) -> Result<(), WireError> {
    message(buffer, Tag::FunctionCall.byte(), "FunctionCall", |body| {
        body.u32(oid);
        body.count(bound.formats.len())?;
        bound.formats.iter().for_each(|format| body.i16(*format));
        body.count(bound.params.len())?;
        for value in bound.params {
            body.value(*value)?;
        }
        body.i16(bound.results.first().copied().unwrap_or(0));
        Ok(())
    })
}

/// Appends a `Sync`.
pub fn sync(buffer: &mut BytesMut) {
    bare(buffer, Tag::Sync.byte());
}

/// Appends a `Flush`.
pub fn flush(buffer: &mut BytesMut) {
    bare(buffer, Tag::Flush.byte());
}

/// Appends a `Terminate`.
pub fn terminate(buffer: &mut BytesMut) {
    bare(buffer, Tag::Terminate.byte());
}

/// Appends a `CopyDone`.
pub fn copy_done(buffer: &mut BytesMut) {
    bare(buffer, Tag::CopyDone.byte());
}

/// Appends a `CopyData`.
///
/// # Errors
/// More than 2 GiB.
pub fn copy_data(buffer: &mut BytesMut, data: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::CopyData.byte(), "CopyData", |body| {
        body.bytes(data);
        Ok(())
    })
}

/// Appends a `CopyFail`.
///
/// # Errors
/// A NUL in the reason.
pub fn copy_fail(buffer: &mut BytesMut, reason: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::CopyFail.byte(), "CopyFail", |body| body.string(reason))
}

/// Appends a `PasswordMessage`.
///
/// # Errors
/// A NUL in the password.
pub fn password(buffer: &mut BytesMut, password: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::Password.byte(), "PasswordMessage", |body| body.string(password))
}

/// Appends a `SASLInitialResponse`.
///
/// # Errors
/// A NUL in the mechanism's name.
pub fn sasl_initial(buffer: &mut BytesMut, mechanism: &[u8], data: Option<&[u8]>) -> Result<(), WireError> {
    message(buffer, Tag::Password.byte(), "SASLInitialResponse", |body| {
        body.string(mechanism)?;
        body.value(data)
    })
}

/// Appends a `SASLResponse`.
///
/// # Errors
/// More than 2 GiB.
pub fn sasl_response(buffer: &mut BytesMut, data: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::Password.byte(), "SASLResponse", |body| {
        body.bytes(data);
        Ok(())
    })
}
