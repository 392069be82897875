//! Bytes to messages and back, without I/O.
//!
//! | module | protocol |
//! | --- | --- |
//! | [`postgres`] | PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2 |
//!
//! Everything here parses what a hostile peer may send: no parser panics, indexes or casts with loss, and no error or
//! `Debug` output holds the bytes of a statement, a row, a password or a token.

pub mod postgres;
