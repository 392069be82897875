//! PostgreSQL's frontend/backend protocol (manual chapter 55), versions 3.0 and 3.2, from both sides.
//!
//! ```text
//!  first bytes           then, both ways, messages:  tag (1)  length (4, counts itself)  body
//!  startup::next ──►     frame::Deframer / scan ──►  frontend::Message::parse   what an agent sends
//!                                                    backend::Message::parse    what a database sends
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`startup`] | a connection's first packet: TLS, cancel or log-in, and the version both will speak |
//! | [`options`] | the startup parameter `options` |
//! | [`frame`] | cutting a stream into messages, in constant memory however long they are |
//! | [`frontend`] | messages of a client, parsed and encoded |
//! | [`backend`] | messages of a server, parsed and encoded |
//! | [`sasl`] | the server's side of `OAUTHBEARER` |
//!
//! Parsers take a message's *body* (the bytes after the header, [`Frame::body`]) and borrow from it. Strings are bytes:
//! their encoding is the session's `client_encoding`. Ranges count from the body's first byte.

pub mod backend;
pub mod frame;
pub mod frontend;
pub mod options;
pub mod sasl;
pub mod startup;

mod error;
mod reader;
mod writer;

pub use error::WireError;
pub use frame::{Deframer, Frame, HEADER, Limits, Piece, Scan, Side, next_frame, scan};
