//! What evidence looks like on disk: layout, framing, hashing and the schema of records. Pure: no I/O, no clock.
//!
//! The writer (`chaperone-evidence`) and the offline verifier (`chaperone-verify`) share this crate and nothing else.
//!
//! | module | what |
//! | --- | --- |
//! | [`layout`] | names of the files below the evidence folder |
//! | [`segment`] | a journal segment: its header and its frames |
//! | [`record`] | a record: one line of canonical JSON, no value of the data in it |
//! | [`payload`] | what holds values: sealed under a key of its own, bound to its record by a commitment |
//! | [`tree`] | the Merkle tree over the records (RFC 6962) and its tiles (C2SP `tlog-tiles`) |
//! | [`checkpoint`] | a signed size and root (C2SP `tlog-checkpoint`, `signed-note`), and the history of them |
//! | [`jcs`] | what makes plain `serde_json` write RFC 8785 |

pub mod checkpoint;
#[doc(hidden)]
pub mod fuzz;
pub mod jcs;
pub mod layout;
pub mod payload;
pub mod record;
pub mod segment;
pub mod subject;
pub mod tree;
