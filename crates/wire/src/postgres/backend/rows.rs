//! Rows and what they are made of.

use std::fmt;

use crate::postgres::WireError;
use crate::postgres::reader::Reader;

/// The columns of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDescription<'a> {
    /// From left to right; there may be none.
    pub columns: Vec<Column<'a>>,
}

/// One column of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Column<'a> {
    /// As the statement calls it.
    pub name: &'a [u8],
    /// OID of the table that it is a plain column of; else 0.
    pub table_oid: u32,
    /// Its number in that table; else 0.
    pub attnum: i16,
    /// OID of its type.
    pub type_oid: u32,
    /// Bytes of the type; negative for a variable length.
    pub typlen: i16,
    /// The type's modifier; -1 for none.
    pub typmod: i32,
    /// 0 text, 1 binary; always 0 when a statement is described.
    pub format: i16,
}

impl<'a> RowDescription<'a> {
    /// Reads the body of a `RowDescription`.
    ///
    /// # Errors
    /// Fields cut short or left over.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("RowDescription", body);
        let columns = reader.items(19, |reader| {
            Ok(Column {
                name: reader.string()?,
                table_oid: reader.u32()?,
                attnum: reader.i16()?,
                type_oid: reader.u32()?,
                typlen: reader.i16()?,
                typmod: reader.i32()?,
                format: reader.i16()?,
            })
        })?;
        reader.end()?;
        Ok(RowDescription { columns })
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column")
            .field("name", &format_args!("\"{}\"", self.name.escape_ascii()))
            .field("table_oid", &self.table_oid)
            .field("attnum", &self.attnum)
            .field("type_oid", &self.type_oid)
            .field("typlen", &self.typlen)
            .field("typmod", &self.typmod)
            .field("format", &self.format)
            .finish()
    }
}

/// One row.
#[derive(Clone, PartialEq, Eq)]
pub struct DataRow<'a> {
    /// From left to right; `None` is NULL.
    pub values: Vec<Option<&'a [u8]>>,
}

impl<'a> DataRow<'a> {
    /// Reads the body of a `DataRow`.
    ///
    /// # Errors
    /// Fields cut short or left over, a negative length that is not -1.
    pub fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("DataRow", body);
        let values = reader.items(4, Reader::value)?;
        reader.end()?;
        Ok(DataRow { values })
    }
}

impl fmt::Debug for DataRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataRow({} values)", self.values.len())
    }
}
