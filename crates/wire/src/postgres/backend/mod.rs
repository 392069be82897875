//! Messages of a server (manual 55.7, those marked B).
//!
//! [`Message::parse`] reads them all; each kind can also be read alone. Encoders are in [`encode`]; an error or notice
//! of our own is a [`Report`].

mod authentication;
pub mod encode;
mod fuzz;
mod leading;
mod parse;
mod report;
mod rows;
mod tag;

pub use authentication::Authentication;
#[doc(hidden)]
pub use fuzz::fuzz_backend;
pub use leading::{Cut, description_without, row_without};
pub use parse::{
    BackendKeyData, CommandComplete, CopyResponse, Message, NegotiateProtocolVersion, Notification, ParameterStatus,
    TransactionStatus, parameter_description,
};
pub use report::{Fields, Report, Severity, field};
pub use rows::{Column, DataRow, RowDescription};
pub use tag::Tag;
