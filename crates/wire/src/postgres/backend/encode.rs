//! Writing a server's messages, each appended to a buffer. On an error the buffer is as it was.
//!
//! Errors and notices are written by [`Report::encode`](super::Report::encode).

use bytes::BytesMut;

use super::{Authentication, Column, Tag, TransactionStatus};
use crate::postgres::WireError;
use crate::postgres::startup::Version;
use crate::postgres::writer::{Writer, bare, message};

/// Appends an `Authentication…`.
///
/// # Errors
/// A NUL in a mechanism's name.
pub fn authentication(buffer: &mut BytesMut, authentication: &Authentication<'_>) -> Result<(), WireError> {
    message(buffer, Tag::Authentication.byte(), "Authentication", |body| {
        match authentication {
            Authentication::Ok => body.u32(0),
            Authentication::KerberosV5 => body.u32(2),
            Authentication::CleartextPassword => body.u32(3),
            Authentication::Md5Password { salt } => {
                body.u32(5);
                body.bytes(salt);
            }
            Authentication::Gss => body.u32(7),
            Authentication::GssContinue(data) => {
                body.u32(8);
                body.bytes(data);
            }
            Authentication::Sspi => body.u32(9),
            Authentication::Sasl { mechanisms } => {
                body.u32(10);
                for mechanism in mechanisms {
                    body.string(mechanism)?;
                }
                body.u8(0);
            }
            Authentication::SaslContinue(data) => {
                body.u32(11);
                body.bytes(data);
            }
            Authentication::SaslFinal(data) => {
                body.u32(12);
                body.bytes(data);
            }
        }
        Ok(())
    })
}

/// Appends a `ParameterStatus`.
///
/// # Errors
/// A NUL in the name or value.
pub fn parameter_status(buffer: &mut BytesMut, name: &[u8], value: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::ParameterStatus.byte(), "ParameterStatus", |body| {
        body.string(name)?;
        body.string(value)
    })
}

/// Appends a `BackendKeyData`: 4 bytes of secret in protocol 3.0, up to 256 in 3.2.
///
/// # Errors
/// A key of a length that does not exist.
pub fn backend_key_data(buffer: &mut BytesMut, pid: i32, secret: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::BackendKeyData.byte(), "BackendKeyData", |body| {
        if !(4..=256).contains(&secret.len()) {
            return Err(WireError::BadField { message: "BackendKeyData", field: "length of the key" });
        }
        body.i32(pid);
        body.bytes(secret);
        Ok(())
    })
}

/// Appends a `NegotiateProtocolVersion`.
///
/// # Errors
/// A NUL in an option's name.
pub fn negotiate_protocol_version<'a>(
    buffer: &mut BytesMut,
    version: Version,
    unsupported: impl IntoIterator<Item = &'a str>,
) -> Result<(), WireError> {
    const MESSAGE: &str = "NegotiateProtocolVersion";
    message(buffer, Tag::NegotiateProtocolVersion.byte(), MESSAGE, |body| {
        let names: Vec<_> = unsupported.into_iter().collect();
        body.u32(version.code());
        body.i32(i32::try_from(names.len()).map_err(|_| WireError::TooLarge { message: MESSAGE })?);
        names.iter().try_for_each(|name| body.string(name.as_bytes()))
    })
}

/// Appends a `ReadyForQuery`.
pub fn ready_for_query(buffer: &mut BytesMut, status: TransactionStatus) {
    fixed(buffer, Tag::ReadyForQuery, |body| body.u8(status.byte()));
}

/// Appends a message that is nothing but its tag: `ParseComplete`, `BindComplete`, `CloseComplete`, `NoData`,
/// `PortalSuspended`, `EmptyQueryResponse`, `CopyDone`.
pub fn empty(buffer: &mut BytesMut, tag: Tag) {
    bare(buffer, tag.byte());
}

/// Appends a `CommandComplete`.
///
/// # Errors
/// A NUL in the command tag.
pub fn command_complete(buffer: &mut BytesMut, tag: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::CommandComplete.byte(), "CommandComplete", |body| body.string(tag))
}

/// Appends a `RowDescription`.
///
/// # Errors
/// A NUL in a name, more than 65,535 columns.
pub fn row_description(buffer: &mut BytesMut, columns: &[Column<'_>]) -> Result<(), WireError> {
    message(buffer, Tag::RowDescription.byte(), "RowDescription", |body| {
        body.count(columns.len())?;
        for column in columns {
            body.string(column.name)?;
            body.u32(column.table_oid);
            body.i16(column.attnum);
            body.u32(column.type_oid);
            body.i16(column.typlen);
            body.i32(column.typmod);
            body.i16(column.format);
        }
        Ok(())
    })
}

/// Appends a `DataRow`; `None` is NULL.
///
/// # Errors
/// More than 65,535 values or one over 2 GiB.
pub fn data_row(buffer: &mut BytesMut, values: &[Option<&[u8]>]) -> Result<(), WireError> {
    message(buffer, Tag::DataRow.byte(), "DataRow", |body| {
        body.count(values.len())?;
        values.iter().try_for_each(|value| body.value(*value))
    })
}

/// Appends a `ParameterDescription`.
///
/// # Errors
/// More than 65,535 types.
pub fn parameter_description(buffer: &mut BytesMut, types: &[u32]) -> Result<(), WireError> {
    message(buffer, Tag::ParameterDescription.byte(), "ParameterDescription", |body| {
        body.count(types.len())?;
        types.iter().for_each(|oid| body.u32(*oid));
        Ok(())
    })
}

/// Appends a `CopyInResponse`, `CopyOutResponse` or `CopyBothResponse`, by `tag`.
///
/// # Errors
/// More than 65,535 columns.
pub fn copy_response(buffer: &mut BytesMut, tag: Tag, format: u8, columns: &[i16]) -> Result<(), WireError> {
    message(buffer, tag.byte(), "CopyResponse", |body| {
        body.u8(format);
        body.count(columns.len())?;
        columns.iter().for_each(|format| body.i16(*format));
        Ok(())
    })
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

/// Appends a `NotificationResponse`.
///
/// # Errors
/// A NUL in the channel or payload.
pub fn notification(buffer: &mut BytesMut, pid: i32, channel: &[u8], payload: &[u8]) -> Result<(), WireError> {
    message(buffer, Tag::NotificationResponse.byte(), "NotificationResponse", |body| {
        body.i32(pid);
        body.string(channel)?;
        body.string(payload)
    })
}

/// A message of a few bytes, which cannot be too long.
fn fixed(buffer: &mut BytesMut, tag: Tag, fields: impl FnOnce(&mut Writer<'_>)) {
    let written = message(buffer, tag.byte(), "", |body| {
        fields(body);
        Ok(())
    });
    debug_assert!(written.is_ok());
}
