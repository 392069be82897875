//! Whole messages over a stream, few and bounded: for log-in and the catalog, not for a session's answers.

use std::io::ErrorKind;

use bytes::{Bytes, BytesMut};
use chaperone_wire::postgres::{Frame, Limits, Side, backend, next_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::UpstreamError;

/// Read from the socket at once, at least.
const READ: usize = 8 * 1024;

pub(super) struct Messages<S> {
    stream: S,
    unread: BytesMut,
    limits: Limits,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    /// `longest`: of a message, in bytes.
    pub(super) fn new(stream: S, longest: u32) -> Self {
        Messages { stream, unread: BytesMut::new(), limits: Limits::new(Side::Backend).whole(longest) }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), UpstreamError> {
        self.stream.write_all(bytes).await.map_err(UpstreamError::Io)?;
        self.stream.flush().await.map_err(UpstreamError::Io)
    }

    pub(super) async fn next(&mut self) -> Result<(backend::Tag, Frame), UpstreamError> {
        loop {
            if let Some(frame) = next_frame(&mut self.unread, &self.limits)? {
                let tag = backend::Tag::from_byte(frame.tag).ok_or(UpstreamError::Unexpected("an unknown one"))?;
                return Ok((tag, frame));
            }
            self.unread.reserve(READ);
            match self.stream.read_buf(&mut self.unread).await {
                Ok(0) => return Err(UpstreamError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(UpstreamError::Closed),
                Err(error) => return Err(UpstreamError::Io(error)),
            }
        }
    }

    /// What was read and not yet taken.
    pub(super) fn into_unread(self) -> BytesMut {
        self.unread
    }
}

/// The server's own refusal.
pub(super) fn refusal(frame: &Frame) -> Result<UpstreamError, UpstreamError> {
    let code = backend::Fields::parse(frame.body())?.code().to_owned();
    Ok(UpstreamError::Server { code, message: Bytes::copy_from_slice(&frame.bytes) })
}
