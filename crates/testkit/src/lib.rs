//! Real parts for tests and for the demo: nothing here pretends.
//!
//! | module | gives |
//! | --- | --- |
//! | [`postgres`] | a private PostgreSQL cluster of the machine's own binaries, gone when it is dropped |
//! | [`pki`] | a certificate authority and leaves for loopback |
//! | [`issuer`] | an OpenID issuer in this process, which can also mint every kind of bad token |
//! | [`raw`] | a protocol client that keeps every byte the server sent |
//! | [`folder`] | a temporary folder that goes even when its owner is killed |
//! | [`clinic`] | a synthetic clinic, its classification, and a database that holds no protected data |
//! | [`twins`] | attacks and random statements, and whether two databases answer them alike |
//!
//! Everything listens on 127.0.0.1 and on a port the kernel chose; nothing outlives its owner.

pub mod clinic;
pub mod folder;
pub mod issuer;
pub mod pki;
pub mod postgres;
pub mod raw;
pub mod twins;
