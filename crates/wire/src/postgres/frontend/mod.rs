//! Messages of a client (manual 55.7, those marked F).
//!
//! [`Message::parse`] reads them all; each kind can also be read alone, which is what a relay does that looks into a
//! few. Encoders are in [`encode`].

pub mod encode;
mod fuzz;
mod parse;
mod tag;

#[doc(hidden)]
pub use fuzz::fuzz_frontend;
pub use parse::{Bind, Close, Describe, Execute, FunctionCall, Message, Object, Parse, Query, SaslInitial};
pub use parse::{bind_names, copy_fail, password};
pub use tag::Tag;
