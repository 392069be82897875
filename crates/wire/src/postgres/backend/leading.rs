//! Rows without their first columns.
//!
//! A relay that adds columns of its own at the front of a query takes them out of the answer again. Values at the front
//! come with the first bytes of a row, however long the rest of it is.

use crate::postgres::reader::Reader;
use crate::postgres::{HEADER, WireError};

/// What stands in a message for its header and count of columns, and where the rest of it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Tag, length and count of columns of the message that is left.
    pub head: [u8; HEADER + 2],
    /// Where what is left goes on, counted from the tag.
    pub rest: usize,
}

/// A `RowDescription` (from its tag on, whole) without its first `columns` columns.
///
/// # Errors
/// It has not as many, or is cut short.
pub fn description_without(message: &[u8], columns: u16) -> Result<Cut, WireError> {
    cut("RowDescription", message, columns, |reader| {
        reader.string()?;
        reader.take(18)?;
        Ok(())
    })
}

/// A `DataRow` (from its tag on; it need not be whole) without its first `columns` values, each of which is given to
/// `value`; `None` is NULL.
///
/// # Errors
/// It has not as many; [`WireError::Truncated`] also when their bytes have not all come: then some of them may have been
/// given already.
pub fn row_without<'a>(
    message: &'a [u8],
    columns: u16,
    mut value: impl FnMut(u16, Option<&'a [u8]>),
) -> Result<Cut, WireError> {
    let mut column = 0;
    cut("DataRow", message, columns, |reader| {
        value(column, reader.value()?);
        column += 1;
        Ok(())
    })
}

fn cut<'a>(
    name: &'static str,
    message: &'a [u8],
    columns: u16,
    mut skip: impl FnMut(&mut Reader<'a>) -> Result<(), WireError>,
) -> Result<Cut, WireError> {
    let truncated = WireError::Truncated { message: name };
    let Some((header, body)) = message.split_first_chunk::<HEADER>() else { return Err(truncated) };
    let [tag, l0, l1, l2, l3] = *header;
    let mut reader = Reader::new(name, body);
    let count = reader.u16()?.checked_sub(columns).ok_or(truncated)?;
    let counted = reader.position();
    for _ in 0..columns {
        skip(&mut reader)?;
    }
    let gone = u32::try_from(reader.position() - counted).map_err(|_| truncated)?;
    let length = u32::from_be_bytes([l0, l1, l2, l3]).checked_sub(gone).filter(|length| *length >= 6);
    let [l0, l1, l2, l3] = length.ok_or(truncated)?.to_be_bytes();
    let [c0, c1] = count.to_be_bytes();
    Ok(Cut { head: [tag, l0, l1, l2, l3, c0, c1], rest: HEADER + reader.position() })
}
