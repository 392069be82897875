//! Cutting a stream into messages.
//!
//! A message is a tag, a length that counts itself but not the tag, and a body (manual 55.1.1). The lengths come from
//! the peer, so each is checked before a byte is waited for: a tag must exist on its side, a message that we keep
//! whole must fit the limit, and one that may be as long as a value of a gigabyte is handed on in pieces.
//!
//! Three ways to walk the same bytes, from fastest to most careful:
//! - [`scan`] over what one read brought, to find the ends of many small messages and send them on as one slice;
//! - [`next_frame`], where every message is wanted whole;
//! - [`Deframer`], where long ones stream.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::{WireError, backend, frontend};

/// Bytes before a message's body: the tag and the length.
pub const HEADER: usize = 5;

/// Who sends: the same tag is another message from the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client.
    Frontend,
    /// A server.
    Backend,
}

/// How long a message of one tag may be, and what becomes of a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// A few fields: `0 ..= n` bytes, always whole.
    Small(u32),
    /// Whole, up to the configured limit.
    Whole,
    /// In pieces when it is long, up to what a length can say.
    Streamed,
}

/// What to accept from a peer. Lengths are as declared on the wire: without the tag, with the length's own 4 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    side: Side,
    whole: u32,
    threshold: u32,
    streamed: u128,
}

impl Limits {
    /// Longest message that [`Limits::new`] keeps whole: 16 MiB.
    pub const WHOLE: u32 = 16 << 20;
    /// From this length on a message that may stream comes in pieces: 64 KiB.
    pub const THRESHOLD: u32 = 64 << 10;

    /// Limits for what `side` sends: `CopyData`, `DataRow` and `FunctionCallResponse` stream, all else is kept whole up
    /// to [`Limits::WHOLE`].
    pub const fn new(side: Side) -> Self {
        Limits { side, whole: Self::WHOLE, threshold: Self::THRESHOLD, streamed: 0 }
    }

    /// Sets the longest message kept whole.
    #[must_use]
    pub const fn whole(mut self, bytes: u32) -> Self {
        self.whole = bytes;
        self
    }

    /// Sets the length above which a message that may stream does.
    #[must_use]
    pub const fn threshold(mut self, bytes: u32) -> Self {
        self.threshold = bytes;
        self
    }

    /// Lets messages of one more tag stream, as `Bind` may where nobody looks into parameters.
    #[must_use]
    pub const fn streaming(mut self, tag: u8) -> Self {
        if tag < 128 {
            self.streamed |= 1 << tag;
        }
        self
    }

    fn extent(&self, tag: u8) -> Option<Extent> {
        let extent = match self.side {
            Side::Frontend => frontend::Tag::from_byte(tag)?.extent(),
            Side::Backend => backend::Tag::from_byte(tag)?.extent(),
        };
        let chosen = tag < 128 && self.streamed & (1 << tag) != 0;
        Some(if chosen { Extent::Streamed } else { extent })
    }

    /// Reads a header at the start of `bytes`. `None` when it is not all there, though a wrong tag is found at once.
    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, WireError> {
        let Some((tag, after)) = bytes.split_first() else { return Ok(None) };
        let extent = self.extent(*tag).ok_or(WireError::UnknownTag { tag: *tag })?;
        let Some(length) = after.first_chunk() else { return Ok(None) };
        let declared = i32::from_be_bytes(*length);
        let length = match u32::try_from(declared) {
            Ok(length) if length >= 4 => length,
            _ => return Err(WireError::BadLength { tag: *tag, length: declared }),
        };
        let (limit, streams) = match extent {
            Extent::Small(limit) => (limit, false),
            Extent::Whole => (self.whole, false),
            Extent::Streamed => (u32::MAX, length > self.threshold),
        };
        if length > limit {
            return Err(WireError::TooLong { tag: *tag, length, limit });
        }
        // 32 bits do not overflow a `usize` on any platform that we build for; saturating keeps it safe on others
        let total = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1);
        Ok(Some(Header { tag: *tag, length, total, streams }))
    }
}

struct Header {
    tag: u8,
    length: u32,
    total: usize,
    streams: bool,
}

/// One whole message.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its tag: see [`frontend::Tag`], [`backend::Tag`].
    pub tag: u8,
    /// All of it, with the header, as received.
    pub bytes: Bytes,
}

impl Frame {
    /// The bytes after the header, for the parsers.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", char::from(self.tag), self.bytes.len())
    }
}

/// A message, or a part of a long one.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// All of a message.
    Whole(Frame),
    /// The first part of a long message: its header and what there is of its body.
    Start {
        /// Its tag.
        tag: u8,
        /// As on the wire: the whole message is one byte longer.
        declared_len: u32,
        /// From the tag on; at least the header.
        bytes: Bytes,
    },
    /// A middle part; never empty.
    More(Bytes),
    /// The last part; never empty. What follows is a new message.
    End(Bytes),
}

impl Piece {
    /// The bytes to send on.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Piece::Whole(frame) => &frame.bytes,
            Piece::Start { bytes, .. } | Piece::More(bytes) | Piece::End(bytes) => bytes,
        }
    }

    /// The bytes to send on.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Piece::Whole(frame) => frame.bytes,
            Piece::Start { bytes, .. } | Piece::More(bytes) | Piece::End(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Whole(frame) => frame.fmt(f),
            Piece::Start { tag, declared_len, bytes } => {
                write!(f, "Start({:?}, {} of {declared_len} bytes)", char::from(*tag), bytes.len())
            }
            Piece::More(bytes) => write!(f, "More({} bytes)", bytes.len()),
            Piece::End(bytes) => write!(f, "End({} bytes)", bytes.len()),
        }
    }
}

/// Takes the next message off the front of `buffer`, whole: nothing streams, so [`Limits::whole`] holds for all.
/// `None` when it is not all there yet.
///
/// # Errors
/// A tag the side does not have, a length below 4 or over the limit; all of them end the connection, since what
/// follows cannot be trusted to be a header.
pub fn next_frame(buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Frame>, WireError> {
    let Some(header) = limits.header(buffer)? else { return Ok(None) };
    if header.length > limits.whole {
        return Err(WireError::TooLong { tag: header.tag, length: header.length, limit: limits.whole });
    }
    if buffer.len() < header.total {
        return Ok(None);
    }
    Ok(Some(Frame { tag: header.tag, bytes: buffer.split_to(header.total).freeze() }))
}

/// Takes messages off a buffer, long ones in pieces.
#[derive(Debug)]
pub struct Deframer {
    limits: Limits,
    /// Bytes of the message in progress that are still to come; 0 between messages.
    remaining: usize,
}

impl Deframer {
    /// At the start of a message.
    pub const fn new(limits: Limits) -> Self {
        Deframer { limits, remaining: 0 }
    }

    /// The limits it keeps.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes still to come of a message whose start was given; 0 between messages.
    pub const fn remaining(&self) -> usize {
        self.remaining
    }

    /// The next message or piece at the front of `buffer`. `None` when more bytes are needed.
    ///
    /// # Errors
    /// As [`next_frame`].
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, WireError> {
        if self.remaining > 0 {
            let available = self.remaining.min(buffer.len());
            if available == 0 {
                return Ok(None);
            }
            self.remaining -= available;
            let bytes = buffer.split_to(available).freeze();
            return Ok(Some(if self.remaining == 0 { Piece::End(bytes) } else { Piece::More(bytes) }));
        }
        let Some(header) = self.limits.header(buffer)? else { return Ok(None) };
        if buffer.len() >= header.total {
            let bytes = buffer.split_to(header.total).freeze();
            return Ok(Some(Piece::Whole(Frame { tag: header.tag, bytes })));
        }
        if !header.streams {
            return Ok(None);
        }
        self.remaining = header.total - buffer.len();
        let bytes = buffer.split().freeze();
        Ok(Some(Piece::Start { tag: header.tag, declared_len: header.length, bytes }))
    }
}

/// Walks the whole messages at the front of `bytes` without taking or allocating anything.
///
/// ```
/// use chaperone_wire::postgres::{Limits, Side, scan};
///
/// let read = b"2\0\0\0\x04Z\0\0\0\x05ID\0\0"; // BindComplete, ReadyForQuery, the start of a DataRow
/// let limits = Limits::new(Side::Backend);
/// let mut messages = scan(read, &limits);
/// assert_eq!(messages.next(), Some(Ok((b'2', 0..5))));
/// assert_eq!(messages.next(), Some(Ok((b'Z', 5..11))));
/// assert_eq!(messages.next(), None);
/// assert_eq!(messages.consumed(), 11); // the rest goes to a `Deframer`, or waits
/// ```
pub fn scan<'a>(bytes: &'a [u8], limits: &'a Limits) -> Scan<'a> {
    Scan { bytes, limits, consumed: 0, failed: false }
}

/// See [`scan`].
#[derive(Clone)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    limits: &'a Limits,
    consumed: usize,
    failed: bool,
}

impl Scan<'_> {
    /// Where the last message given ended.
    pub const fn consumed(&self) -> usize {
        self.consumed
    }
}

impl Iterator for Scan<'_> {
    /// The tag and where the message is, header included.
    type Item = Result<(u8, Range<usize>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let rest = self.bytes.get(self.consumed..).unwrap_or_default();
        match self.limits.header(rest) {
            Ok(Some(header)) if rest.len() >= header.total => {
                let start = self.consumed;
                self.consumed += header.total;
                Some(Ok((header.tag, start..self.consumed)))
            }
            Ok(_) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({} of {} bytes)", self.consumed, self.bytes.len())
    }
}
