//! The first byte of a client's message.

use crate::postgres::frame::Extent;

/// Every message that a client may send after its startup packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tag {
    /// `B`
    Bind = b'B',
    /// `C`
    Close = b'C',
    /// `d`
    CopyData = b'd',
    /// `c`
    CopyDone = b'c',
    /// `f`
    CopyFail = b'f',
    /// `D`
    Describe = b'D',
    /// `E`
    Execute = b'E',
    /// `H`
    Flush = b'H',
    /// `F`
    FunctionCall = b'F',
    /// `P`
    Parse = b'P',
    /// `p`: `PasswordMessage`, `SASLInitialResponse`, `SASLResponse` or `GSSResponse`, by what was asked.
    Password = b'p',
    /// `Q`
    Query = b'Q',
    /// `S`
    Sync = b'S',
    /// `X`
    Terminate = b'X',
}

impl Tag {
    /// The tag of a byte, if a client has such a message.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'B' => Tag::Bind,
            b'C' => Tag::Close,
            b'd' => Tag::CopyData,
            b'c' => Tag::CopyDone,
            b'f' => Tag::CopyFail,
            b'D' => Tag::Describe,
            b'E' => Tag::Execute,
            b'H' => Tag::Flush,
            b'F' => Tag::FunctionCall,
            b'P' => Tag::Parse,
            b'p' => Tag::Password,
            b'Q' => Tag::Query,
            b'S' => Tag::Sync,
            b'X' => Tag::Terminate,
            _ => return None,
        })
    }

    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The small limits are the server's own (`PQ_SMALL_MESSAGE_LIMIT`, `PG_MAX_AUTH_TOKEN_LENGTH`).
    pub(in crate::postgres) const fn extent(self) -> Extent {
        match self {
            Tag::CopyData => Extent::Streamed,
            Tag::Bind | Tag::FunctionCall | Tag::Parse | Tag::Query => Extent::Whole,
            Tag::Password => Extent::Small(65_535),
            Tag::Close
            | Tag::CopyDone
            | Tag::CopyFail
            | Tag::Describe
            | Tag::Execute
            | Tag::Flush
            | Tag::Sync
            | Tag::Terminate => Extent::Small(10_000),
        }
    }
}
