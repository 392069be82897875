//! The engine: where a statement meets policy.
//!
//! # The life of a session
//!
//! | step | file | what |
//! | --- | --- | --- |
//! | open | [`open`] | policy says whether the principal may be here; the database is reached with a credential the agent never sees; the catalog is read and the session's masks are decided; the record of it all is durable |
//! | receive | `receive` | the agent's bytes become messages |
//! | analyse | `analyse` | a text becomes statements with facts |
//! | decide | `decide` | facts meet policy: a `Permit` or a refusal |
//! | rewrite | [`rewrite`] | a permit becomes a [`Runnable`]: the statement with its sources masked |
//! | record | `record` | what was asked becomes a record, what is answered becomes segments |
//! | execute | [`execute`] | a runnable goes to the database, behind its durable record |
//! | check | `check` | what the database says is held against what the rewriting predicts |
//! | confirm | `confirm` | the catalog, looked at since, is still the one by which the statement was masked |
//! | release | [`release`] | a durable segment goes to the agent |
//!
//! Where a connection has a [`minter`] the session logs in as a role of its own, and `follow` has that role do what the masks
//! need, no more.
//!
//! [`explain`] tells what these steps would come to, for operators.
//!
//! `dispatch` says which step each message of the protocol takes, and `wait` what it waits for before: a name that is not
//! known yet, a number of rows that a policy asks for (`estimate`), the description of a query inside another statement
//! (`inside`). [`session`] is the loop that turns the steps, `clock`
//! says when it must end, `end` lists every way out of it, and `farewell` is what is said and recorded then.
//!
//! # An example
//!
//! An agent sends `SELECT last_name FROM clinic.patient`. It is parsed; policy permits `select` on the table, and says
//! that the session sees `last_name` redacted; the rewritten text reads a subquery that gives `NULL` for the column.
//! The request goes into the journal; since nothing in it has effects, the database gets it at the same time. The
//! database describes one column: the check sees that it does not come from the table's own `last_name`. The rows
//! become a segment, the segment becomes durable, and comes out of the journal as the proof that it may be sent.
//!
//! A refused statement is not simply dropped: a text that no PostgreSQL accepts goes in its place, so that the
//! transaction fails at the database too, and the agent's driver sees the true state. The agent gets our words for it.
//!
//! # What cannot be skipped
//!
//! [`Runnable`] cannot be made without a permit, [`ToServer::execute`] wants the proof that the request was recorded,
//! [`ToAgent::release`] wants the proof that the answer was. None of them can be copied or made up:
//! their documentation shows what the compiler says to those who try, and `cargo test` holds it to that.

mod analyse;
mod answer;
mod bind;
mod catalogs;
mod check;
mod clock;
mod confirm;
mod connection;
mod cursors;
mod decide;
mod dispatch;
mod end;
mod estimate;
pub mod execute;
pub mod explain;
mod farewell;
mod fingerprint;
mod follow;
mod inside;
mod lasting;
mod made;
mod masking;
pub mod minter;
mod named;
pub mod open;
mod own;
mod prepared;
mod queue;
mod receive;
mod record;
mod registry;
pub mod release;
mod replies;
pub mod rewrite;
mod running;
pub mod session;
mod shield;
mod subjects;
pub mod upstream;
mod wait;

pub use catalogs::CatalogError;
pub use connection::{Classified, Connection, Limits, OldServer, OtherKind};
pub use execute::ToServer;
pub use masking::Masking;
pub use open::{Engine, OpenError, Opened, Visit};
pub use registry::Sessions;
pub use release::ToAgent;
pub use rewrite::{Batch, ReadBatch, Runnable};
