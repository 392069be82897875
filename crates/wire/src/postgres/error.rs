//! What can be wrong with bytes.

/// Bytes that are not the protocol. Names messages, counts and limits, never contents, so it may be shown to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A tag that this side of the protocol does not have.
    #[error("invalid message type {tag}")]
    UnknownTag {
        /// As received.
        tag: u8,
    },
    /// A length that does not even cover itself.
    #[error("invalid length {length} in message type {tag}")]
    BadLength {
        /// Of the message; 0 for a packet before log-in, which has none.
        tag: u8,
        /// As received.
        length: i32,
    },
    /// Longer than we agree to read.
    #[error("message type {tag} is {length} bytes long, more than the {limit} allowed")]
    TooLong {
        /// Of the message; 0 for a packet before log-in, which has none.
        tag: u8,
        /// Declared, counting the length itself.
        length: u32,
        /// That was exceeded.
        limit: u32,
    },
    /// A field reaches past the end of its message.
    #[error("`{message}` ends before its fields do")]
    Truncated {
        /// The protocol's name of the message.
        message: &'static str,
    },
    /// Bytes are left after the last field.
    #[error("`{message}` goes on after its last field")]
    Trailing {
        /// The protocol's name of the message.
        message: &'static str,
    },
    /// A field has a value that the protocol does not know.
    #[error("`{message}` has an invalid {field}")]
    BadField {
        /// The protocol's name of the message.
        message: &'static str,
        /// In words.
        field: &'static str,
    },
    /// A string that must be UTF-8 is not.
    #[error("`{message}` has a {field} that is not UTF-8")]
    NotUtf8 {
        /// The protocol's name of the message.
        message: &'static str,
        /// In words.
        field: &'static str,
    },
    /// A string to encode holds the NUL that would end it.
    #[error("`{message}` cannot carry a string with a NUL byte")]
    EmbeddedNul {
        /// The protocol's name of the message.
        message: &'static str,
    },
    /// More items than their count can say, or more bytes than a length can.
    #[error("`{message}` would be too large to encode")]
    TooLarge {
        /// The protocol's name of the message.
        message: &'static str,
    },
    /// A protocol version before 3.0 or after 3.x.
    #[error("unsupported frontend protocol {major}.{minor}: Chaperone speaks 3.0 to 3.2")]
    UnsupportedVersion {
        /// As received.
        major: u16,
        /// As received.
        minor: u16,
    },
}
