//! Appends one message: the header, the body, and at the end the length.

use bytes::{BufMut, BytesMut};

use super::WireError;

/// The body being written. Whatever fails, the buffer is left as it was.
pub(super) struct Writer<'b> {
    buffer: &'b mut BytesMut,
    message: &'static str,
}

/// Appends a message with a tag.
pub(super) fn message(
    buffer: &mut BytesMut,
    tag: u8,
    name: &'static str,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let start = buffer.len();
    buffer.put_u8(tag);
    finish(buffer, start, name, body)
}

/// Appends a packet as they are before log-in: a length and no tag.
pub(super) fn packet(
    buffer: &mut BytesMut,
    name: &'static str,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let start = buffer.len();
    finish(buffer, start, name, body)
}

/// Appends a message that is nothing but a header.
pub(super) fn bare(buffer: &mut BytesMut, tag: u8) {
    buffer.put_u8(tag);
    buffer.put_i32(4);
}

fn finish(
    buffer: &mut BytesMut,
    start: usize,
    name: &'static str,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let length_at = buffer.len();
    buffer.put_i32(0);
    let written = body(&mut Writer { buffer, message: name }).and_then(|()| {
        let length = i32::try_from(buffer.len() - length_at).map_err(|_| WireError::TooLarge { message: name })?;
        let place = buffer.get_mut(length_at..length_at + 4).ok_or(WireError::TooLarge { message: name })?;
        place.copy_from_slice(&length.to_be_bytes());
        Ok(())
    });
    if written.is_err() {
        buffer.truncate(start);
    }
    written
}

impl Writer<'_> {
    pub(super) fn u8(&mut self, value: u8) {
        self.buffer.put_u8(value);
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.buffer.put_slice(value);
    }

    /// A string and its NUL.
    pub(super) fn string(&mut self, value: &[u8]) -> Result<(), WireError> {
        if value.contains(&0) {
            return Err(WireError::EmbeddedNul { message: self.message });
        }
        self.buffer.put_slice(value);
        self.buffer.put_u8(0);
        Ok(())
    }

    /// A string and its NUL, without the NULs inside: for our own words, which must not fail.
    pub(super) fn words(&mut self, value: &str) {
        self.buffer.extend(value.bytes().filter(|byte| *byte != 0));
        self.buffer.put_u8(0);
    }

    /// A value after its length; -1 for NULL.
    pub(super) fn value(&mut self, value: Option<&[u8]>) -> Result<(), WireError> {
        match value {
            None => self.buffer.put_i32(-1),
            Some(value) => {
                let length = i32::try_from(value.len()).map_err(|_| WireError::TooLarge { message: self.message })?;
                self.buffer.put_i32(length);
                self.buffer.put_slice(value);
            }
        }
        Ok(())
    }

    /// A two-byte count.
    pub(super) fn count(&mut self, count: usize) -> Result<(), WireError> {
        let count = u16::try_from(count).map_err(|_| WireError::TooLarge { message: self.message })?;
        self.buffer.put_u16(count);
        Ok(())
    }
}
