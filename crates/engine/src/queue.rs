//! Bytes that wait for a socket.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Buffers handed to the kernel in one call.
const SLICES: usize = 8;

/// A queue of buffers, written in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    buffers: VecDeque<Bytes>,
    len: usize,
    unflushed: bool,
}

impl Queue {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.buffers.push_back(bytes);
        }
    }

    /// Bytes not yet handed to the socket.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && !self.unflushed
    }

    /// Writes until everything is flushed (`Ready(Ok)`), the socket is full (`Pending`), or it fails.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.len > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slice, buffer) in slices.iter_mut().zip(&self.buffers) {
                *slice = IoSlice::new(buffer);
                used += 1;
            }
            let written =
                ready!(Pin::new(&mut *socket).poll_write_vectored(cx, slices.get(..used).unwrap_or_default()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(socket).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(front) = self.buffers.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.buffers.pop_front();
        }
    }
}

/// Smallest and largest room made for one read. A buffer starts small, since most sessions idle, and grows while
/// reads fill it.
const READ_MIN: usize = 8 * 1024;
const READ_MAX: usize = 256 * 1024;

/// A read buffer that follows the traffic.
#[derive(Debug)]
pub(crate) struct Intake {
    /// What was read and not yet taken.
    pub(crate) bytes: BytesMut,
    room: usize,
    most: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Intake::of(READ_MAX)
    }
}

impl Intake {
    /// One that reads at most about so many bytes at a time.
    pub(crate) fn of(most: usize) -> Self {
        Intake { bytes: BytesMut::new(), room: READ_MIN, most }
    }

    /// Reads once: `Ready(Ok(0))` is the end of the stream.
    pub(crate) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut R,
    ) -> Poll<io::Result<usize>> {
        self.bytes.reserve(self.room);
        let read = ready!(pin!(socket.read_buf(&mut (&mut self.bytes).limit(self.room))).poll(cx))?;
        if read >= self.room {
            self.room = (self.room * 4).min(self.most);
        } else if read < READ_MIN / 2 {
            self.room = READ_MIN;
        }
        Poll::Ready(Ok(read))
    }

    /// Gives the memory back when nothing is in it.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > READ_MIN {
            *self = Intake::of(self.most);
        }
    }
}
