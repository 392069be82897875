//! The first byte of a server's message.

use crate::postgres::frame::Extent;

/// Every message that a server may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tag {
    /// `R`
    Authentication = b'R',
    /// `K`
    BackendKeyData = b'K',
    /// `2`
    BindComplete = b'2',
    /// `3`
    CloseComplete = b'3',
    /// `C`
    CommandComplete = b'C',
    /// `d`
    CopyData = b'd',
    /// `c`
    CopyDone = b'c',
    /// `G`
    CopyInResponse = b'G',
    /// `H`
    CopyOutResponse = b'H',
    /// `W`
    CopyBothResponse = b'W',
    /// `D`
    DataRow = b'D',
    /// `I`
    EmptyQueryResponse = b'I',
    /// `E`
    ErrorResponse = b'E',
    /// `V`
    FunctionCallResponse = b'V',
    /// `v`
    NegotiateProtocolVersion = b'v',
    /// `n`
    NoData = b'n',
    /// `N`
    NoticeResponse = b'N',
    /// `A`
    NotificationResponse = b'A',
    /// `t`
    ParameterDescription = b't',
    /// `S`
    ParameterStatus = b'S',
    /// `1`
    ParseComplete = b'1',
    /// `s`
    PortalSuspended = b's',
    /// `Z`
    ReadyForQuery = b'Z',
    /// `T`
    RowDescription = b'T',
}

impl Tag {
    /// The tag of a byte, if a server has such a message.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'R' => Tag::Authentication,
            b'K' => Tag::BackendKeyData,
            b'2' => Tag::BindComplete,
            b'3' => Tag::CloseComplete,
            b'C' => Tag::CommandComplete,
            b'd' => Tag::CopyData,
            b'c' => Tag::CopyDone,
            b'G' => Tag::CopyInResponse,
            b'H' => Tag::CopyOutResponse,
            b'W' => Tag::CopyBothResponse,
            b'D' => Tag::DataRow,
            b'I' => Tag::EmptyQueryResponse,
            b'E' => Tag::ErrorResponse,
            b'V' => Tag::FunctionCallResponse,
            b'v' => Tag::NegotiateProtocolVersion,
            b'n' => Tag::NoData,
            b'N' => Tag::NoticeResponse,
            b'A' => Tag::NotificationResponse,
            b't' => Tag::ParameterDescription,
            b'S' => Tag::ParameterStatus,
            b'1' => Tag::ParseComplete,
            b's' => Tag::PortalSuspended,
            b'Z' => Tag::ReadyForQuery,
            b'T' => Tag::RowDescription,
            _ => return None,
        })
    }

    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The small limit is libpq's own (`VALID_LONG_MESSAGE_TYPE`).
    pub(in crate::postgres) const fn extent(self) -> Extent {
        match self {
            Tag::CopyData | Tag::DataRow | Tag::FunctionCallResponse => Extent::Streamed,
            Tag::ErrorResponse
            | Tag::NoticeResponse
            | Tag::NotificationResponse
            | Tag::ParameterDescription
            | Tag::ParameterStatus
            | Tag::RowDescription => Extent::Whole,
            Tag::Authentication
            | Tag::BackendKeyData
            | Tag::BindComplete
            | Tag::CloseComplete
            | Tag::CommandComplete
            | Tag::CopyDone
            | Tag::CopyInResponse
            | Tag::CopyOutResponse
            | Tag::CopyBothResponse
            | Tag::EmptyQueryResponse
            | Tag::NegotiateProtocolVersion
            | Tag::NoData
            | Tag::ParseComplete
            | Tag::PortalSuspended
            | Tag::ReadyForQuery => Extent::Small(30_000),
        }
    }
}
