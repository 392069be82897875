//! A cursor over a message's body that cannot run off its end.

use std::ops::Range;

use super::WireError;

#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    message: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'static str, body: &'a [u8]) -> Self {
        Reader { rest: body, length: body.len(), message }
    }

    pub(super) fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(WireError::Truncated { message: self.message })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated { message: self.message })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn four(&mut self) -> Result<[u8; 4], WireError> {
        self.array()
    }

    /// A string, without the NUL that ends it.
    pub(super) fn string(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(WireError::Truncated { message: self.message })?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    /// A value after its length, or `None` for a length of -1: NULL.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| WireError::BadField { message: self.message, field: "value length" })?;
                self.take(length).map(Some)
            }
        }
    }

    /// As [`Reader::value`], as a place in the body.
    pub(super) fn value_range(&mut self) -> Result<Option<Range<usize>>, WireError> {
        Ok(self.value()?.map(|value| {
            let end = self.position();
            end - value.len()..end
        }))
    }

    /// A two-byte count, then as many items, each of which takes at least `least` bytes (so that a count alone cannot
    /// make us reserve memory).
    pub(super) fn items<T>(
        &mut self,
        least: usize,
        item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = usize::from(self.u16()?);
        self.repeat(count, least, item)
    }

    /// `count` items; see [`Reader::items`].
    pub(super) fn repeat<T>(
        &mut self,
        count: usize,
        least: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        if count.saturating_mul(least) > self.rest.len() {
            return Err(WireError::Truncated { message: self.message });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing { message: self.message }) }
    }
}
