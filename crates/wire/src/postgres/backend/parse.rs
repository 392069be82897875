//! Reading a server's messages. What may hold data is kept out of `Debug`.

use std::fmt;

use super::{Authentication, DataRow, Fields, RowDescription, Tag};
use crate::postgres::WireError;
use crate::postgres::reader::Reader;
use crate::postgres::startup::Version;

/// Any message of a server, borrowed from its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// `Authentication…`
    Authentication(Authentication<'a>),
    /// `BackendKeyData`
    BackendKeyData(BackendKeyData<'a>),
    /// `BindComplete`
    BindComplete,
    /// `CloseComplete`
    CloseComplete,
    /// `CommandComplete`
    CommandComplete(CommandComplete<'a>),
    /// `CopyData`: so many bytes.
    CopyData(usize),
    /// `CopyDone`
    CopyDone,
    /// `CopyInResponse`
    CopyInResponse(CopyResponse),
    /// `CopyOutResponse`
    CopyOutResponse(CopyResponse),
    /// `CopyBothResponse`
    CopyBothResponse(CopyResponse),
    /// `DataRow`
    DataRow(DataRow<'a>),
    /// `EmptyQueryResponse`
    EmptyQueryResponse,
    /// `ErrorResponse`
    ErrorResponse(Fields<'a>),
    /// `FunctionCallResponse`: the length of the value, `None` for NULL.
    FunctionCallResponse(Option<usize>),
    /// `NegotiateProtocolVersion`
    NegotiateProtocolVersion(NegotiateProtocolVersion<'a>),
    /// `NoData`
    NoData,
    /// `NoticeResponse`
    NoticeResponse(Fields<'a>),
    /// `NotificationResponse`
    NotificationResponse(Notification<'a>),
    /// `ParameterDescription`: OIDs of types.
    ParameterDescription(Vec<u32>),
    /// `ParameterStatus`
    ParameterStatus(ParameterStatus<'a>),
    /// `ParseComplete`
    ParseComplete,
    /// `PortalSuspended`
    PortalSuspended,
    /// `ReadyForQuery`
    ReadyForQuery(TransactionStatus),
    /// `RowDescription`
    RowDescription(RowDescription<'a>),
}

impl<'a> Message<'a> {
    /// Reads the body of a message with this tag.
    ///
    /// # Errors
    /// Fields that are cut short, left over or of a value that does not exist.
    pub fn parse(tag: Tag, body: &'a [u8]) -> Result<Self, WireError> {
        Ok(match tag {
            Tag::Authentication => Message::Authentication(Authentication::parse(body)?),
            Tag::BackendKeyData => Message::BackendKeyData(BackendKeyData::parse(body)?),
            Tag::BindComplete => empty("BindComplete", body, Message::BindComplete)?,
            Tag::CloseComplete => empty("CloseComplete", body, Message::CloseComplete)?,
            Tag::CommandComplete => Message::CommandComplete(CommandComplete::parse(body)?),
            Tag::CopyData => Message::CopyData(body.len()),
            Tag::CopyDone => empty("CopyDone", body, Message::CopyDone)?,
            Tag::CopyInResponse => Message::CopyInResponse(CopyResponse::parse(body)?),
            Tag::CopyOutResponse => Message::CopyOutResponse(CopyResponse::parse(body)?),
            Tag::CopyBothResponse => Message::CopyBothResponse(CopyResponse::parse(body)?),
            Tag::DataRow => Message::DataRow(DataRow::parse(body)?),
            Tag::EmptyQueryResponse => empty("EmptyQueryResponse", body, Message::EmptyQueryResponse)?,
            Tag::ErrorResponse => Message::ErrorResponse(Fields::parse(body)?),
            Tag::FunctionCallResponse => {
                let mut reader = Reader::new("FunctionCallResponse", body);
                let value = reader.value()?;
                reader.end()?;
                Message::FunctionCallResponse(value.map(<[u8]>::len))
            }
            Tag::NegotiateProtocolVersion => Message::NegotiateProtocolVersion(NegotiateProtocolVersion::parse(body)?),
            Tag::NoData => empty("NoData", body, Message::NoData)?,
            Tag::NoticeResponse => Message::NoticeResponse(Fields::parse(body)?),
            Tag::NotificationResponse => Message::NotificationResponse(Notification::parse(body)?),
            Tag::ParameterDescription => Message::ParameterDescription(parameter_description(body)?),
            Tag::ParameterStatus => Message::ParameterStatus(ParameterStatus::parse(body)?),
            Tag::ParseComplete => empty("ParseComplete", body, Message::ParseComplete)?,
            Tag::PortalSuspended => empty("PortalSuspended", body, Message::PortalSuspended)?,
            Tag::ReadyForQuery => Message::ReadyForQuery(TransactionStatus::parse(body)?),
            Tag::RowDescription => Message::RowDescription(RowDescription::parse(body)?),
        })
    }
}

fn empty<'a>(name: &'static str, body: &[u8], message: Message<'a>) -> Result<Message<'a>, WireError> {
    Reader::new(name, body).end().map(|()| message)
}

/// A setting that the server reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// Of the setting.
    pub name: &'a [u8],
    /// Its value now.
    pub value: &'a [u8],
}

impl<'a> ParameterStatus<'a> {
    /// Reads the body of a `ParameterStatus`.
    ///
    /// # Errors
    /// Fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ParameterStatus", body);
        let status = ParameterStatus { name: reader.string()?, value: reader.string()? };
        reader.end()?;
        Ok(status)
    }
}

impl fmt::Debug for ParameterStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParameterStatus({})", self.name.escape_ascii())
    }
}

/// What a `CancelRequest` must quote.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// Process id.
    pub pid: i32,
    /// 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub secret: &'a [u8],
}

impl<'a> BackendKeyData<'a> {
    /// Reads the body of a `BackendKeyData`.
    ///
    /// # Errors
    /// A key of fewer than 4 or more than 256 bytes.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("BackendKeyData", body);
        let key = BackendKeyData { pid: reader.i32()?, secret: reader.rest() };
        if !(4..=256).contains(&key.secret.len()) {
            return Err(WireError::BadField { message: "BackendKeyData", field: "length of the key" });
        }
        Ok(key)
    }
}

impl fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendKeyData(pid {})", self.pid)
    }
}

/// The state of the transaction, in `ReadyForQuery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`: in none.
    Idle,
    /// `T`: in one.
    InTransaction,
    /// `E`: in one that failed.
    Failed,
}

impl TransactionStatus {
    /// Reads the body of a `ReadyForQuery`.
    ///
    /// # Errors
    /// A state that does not exist, a body that is not one byte.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ReadyForQuery", body);
        let status = match reader.u8()? {
            b'I' => TransactionStatus::Idle,
            b'T' => TransactionStatus::InTransaction,
            b'E' => TransactionStatus::Failed,
            _ => return Err(WireError::BadField { message: "ReadyForQuery", field: "transaction status" }),
        };
        reader.end()?;
        Ok(status)
    }

    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        match self {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        }
    }
}

/// A command is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// The command tag: `SELECT 5`, `INSERT 0 1`, `BEGIN` …
    pub tag: &'a [u8],
}

impl<'a> CommandComplete<'a> {
    /// Reads the body of a `CommandComplete`.
    ///
    /// # Errors
    /// No NUL at the end, or something after it.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("CommandComplete", body);
        let tag = reader.string()?;
        reader.end()?;
        Ok(CommandComplete { tag })
    }

    /// Rows selected, moved, copied or changed: the number at the tag's end. `None` for commands that count nothing.
    pub fn rows(&self) -> Option<u64> {
        let last = self.tag.rsplit(|byte| *byte == b' ').next()?;
        if last.len() == self.tag.len() || last.is_empty() {
            return None;
        }
        last.iter().try_fold(0u64, |number, byte| {
            let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
            number.checked_mul(10)?.checked_add(u64::from(digit))
        })
    }

    /// The tag without its numbers: `SELECT`, `INSERT`, `CREATE TABLE` …
    pub fn verb(&self) -> &'a [u8] {
        let mut verb = self.tag;
        while let Some(space) = verb.iter().rposition(|byte| *byte == b' ') {
            let (before, number) = verb.split_at(space);
            if !number.iter().skip(1).all(u8::is_ascii_digit) {
                break;
            }
            verb = before;
        }
        verb
    }
}

impl fmt::Debug for CommandComplete<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandComplete({})", self.verb().escape_ascii())
    }
}

/// The server does not speak all that was asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The newest that it speaks; servers send it whole, though the manual says it is the minor number.
    pub version: Version,
    /// Names of `_pq_.` options that it does not know.
    pub unsupported: Vec<&'a [u8]>,
}

impl<'a> NegotiateProtocolVersion<'a> {
    /// Reads the body of a `NegotiateProtocolVersion`.
    ///
    /// # Errors
    /// Fields cut short or left over, a negative count.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        const MESSAGE: &str = "NegotiateProtocolVersion";
        let mut reader = Reader::new(MESSAGE, body);
        let version = match reader.u32()? {
            minor @ 0..=0xffff => Version::from_code((3 << 16) | minor),
            code => Version::from_code(code),
        };
        let count = usize::try_from(reader.i32()?)
            .map_err(|_| WireError::BadField { message: MESSAGE, field: "number of options" })?;
        let unsupported = reader.repeat(count, 1, Reader::string)?;
        reader.end()?;
        Ok(NegotiateProtocolVersion { version, unsupported })
    }
}

impl fmt::Debug for NegotiateProtocolVersion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NegotiateProtocolVersion({}, {} options)", self.version, self.unsupported.len())
    }
}

/// `COPY` begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyResponse {
    /// 0 text, 1 binary, for the whole copy.
    pub format: u8,
    /// Of each column.
    pub columns: Vec<i16>,
}

impl CopyResponse {
    /// Reads the body of a `CopyInResponse`, `CopyOutResponse` or `CopyBothResponse`.
    ///
    /// # Errors
    /// Fields cut short or left over.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("CopyResponse", body);
        let response = CopyResponse { format: reader.u8()?, columns: reader.items(2, Reader::i16)? };
        reader.end()?;
        Ok(response)
    }
}

/// Somebody said `NOTIFY`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// Process id of who did.
    pub pid: i32,
    /// Where.
    pub channel: &'a [u8],
    /// What.
    pub payload: &'a [u8],
}

impl<'a> Notification<'a> {
    /// Reads the body of a `NotificationResponse`.
    ///
    /// # Errors
    /// Fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("NotificationResponse", body);
        let notification = Notification { pid: reader.i32()?, channel: reader.string()?, payload: reader.string()? };
        reader.end()?;
        Ok(notification)
    }
}

impl fmt::Debug for Notification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notification(\"{}\", {} bytes)", self.channel.escape_ascii(), self.payload.len())
    }
}

/// OIDs of the parameters' types, from the body of a `ParameterDescription`.
///
/// # Errors
/// Fields cut short or left over.
pub fn parameter_description(body: &[u8]) -> Result<Vec<u32>, WireError> {
    let mut reader = Reader::new("ParameterDescription", body);
    let types = reader.items(4, Reader::u32)?;
    reader.end()?;
    Ok(types)
}
