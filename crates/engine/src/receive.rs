//! receive: the agent's bytes become messages.
//!
//! A message that must be looked at whole (`Query`, `Parse`) is collected up to a limit; one that may be of any size
//! (`Bind`, `CopyData`, a function call) comes in parts once it is large, so that memory stays bounded.

use bytes::{Bytes, BytesMut};
use chaperone_wire::postgres::{Deframer, Frame, HEADER, Limits, Piece, Side, WireError};

use crate::queue::Intake;

/// A message longer than this comes in parts, where its kind allows it, in bytes.
const LONG: u32 = 128 * 1024;

/// The names of a `Bind` stand at its start; two names of more than this are no names (PostgreSQL cuts at 63 bytes).
const NAMES: usize = 64 * 1024;

/// What came from the agent.
#[derive(Debug)]
pub(crate) enum Input {
    /// A whole message.
    Message(Frame),
    /// The first part of a long one; of a `Bind`, at least up to the end of its names.
    Start(Frame),
    /// A later part.
    More(Bytes),
    /// The last part.
    End(Bytes),
}

impl Input {
    /// As the agent sent them.
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Input::Message(frame) | Input::Start(frame) => &frame.bytes,
            Input::More(bytes) | Input::End(bytes) => bytes,
        }
    }
}

/// Splits the agent's bytes.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) intake: Intake,
    deframer: Deframer,
    /// The start of a long `Bind` whose names are not all there.
    start: Option<(u8, BytesMut)>,
}

/// Bytes of the agent's that are taken up in one go: to seal them takes a while, in which nothing else of the session
/// moves.
const AT_A_TIME: usize = 32 * 1024;

impl Receiver {
    /// `limit`: the longest statement, in bytes.
    pub(crate) fn new(limit: u32) -> Self {
        let limits = Limits::new(Side::Frontend).whole(limit).threshold(LONG).streaming(b'B').streaming(b'F');
        Receiver { intake: Intake::of(AT_A_TIME), deframer: Deframer::new(limits), start: None }
    }

    /// The next message or part, once there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Input>, WireError> {
        loop {
            let Some(piece) = self.deframer.next(&mut self.intake.bytes)? else { return Ok(None) };
            match (piece, self.start.take()) {
                (Piece::Whole(frame), _) => return Ok(Some(Input::Message(frame))),
                (Piece::Start { tag, bytes, .. }, _) => {
                    if let Some(input) = self.started(tag, bytes.into()) {
                        return Ok(Some(input));
                    }
                }
                (Piece::More(bytes), None) => return Ok(Some(Input::More(bytes))),
                (Piece::End(bytes), None) => return Ok(Some(Input::End(bytes))),
                (Piece::More(more), Some((tag, mut bytes))) => {
                    bytes.extend_from_slice(&more);
                    if let Some(input) = self.started(tag, bytes) {
                        return Ok(Some(input));
                    }
                }
                (Piece::End(more), Some((tag, mut bytes))) => {
                    // it ends without its names: the parser of `Bind` will say so
                    bytes.extend_from_slice(&more);
                    return Ok(Some(Input::Message(Frame { tag, bytes: bytes.freeze() })));
                }
            }
        }
    }

    fn started(&mut self, tag: u8, bytes: BytesMut) -> Option<Input> {
        let names = bytes.get(HEADER..).unwrap_or_default().iter().filter(|byte| **byte == 0).take(2).count();
        if tag == b'B' && names < 2 && bytes.len() < NAMES {
            self.start = Some((tag, bytes));
            return None;
        }
        Some(Input::Start(Frame { tag, bytes: bytes.freeze() }))
    }

    /// Whether the stream may end here without cutting a message.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.deframer.remaining() == 0 && self.intake.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn fed(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut receiver = Receiver::new(1 << 20);
        let mut out: Vec<Vec<u8>> = Vec::new();
        for piece in bytes.chunks(step) {
            receiver.intake.bytes.extend_from_slice(piece);
            while let Some(input) = receiver.next().unwrap() {
                match input {
                    Input::Message(frame) => out.push(frame.bytes.to_vec()),
                    Input::Start(frame) => {
                        assert!(frame.tag != b'B' || frame.body().starts_with(b"portal\0name\0"));
                        out.push(frame.bytes.to_vec());
                    }
                    Input::More(bytes) | Input::End(bytes) => out.last_mut().unwrap().extend(&bytes),
                }
            }
        }
        assert!(receiver.is_between_messages());
        out
    }

    #[test]
    fn however_it_is_cut_the_messages_are_the_same() {
        let long = LONG as usize;
        let mut bind = b"portal\0name\0".to_vec();
        bind.resize(long + 77, 9);
        let stream = [
            message(b'Q', b"select 1\0"),
            message(b'S', b""),
            message(b'd', &vec![7; long * 2 + 3]),
            message(b'B', &bind),
            message(b'X', b""),
        ];
        let joined: Vec<u8> = stream.concat();
        for step in [1, 2, 3, 7, 4096, long - 1, long, long + 1, joined.len()] {
            assert_eq!(fed(&joined, step), stream, "in steps of {step}");
        }
    }
}
