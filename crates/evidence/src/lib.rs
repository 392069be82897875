//! The writer of evidence.
//!
//! # Durable before it counts
//! [`Ledger`] is one journal for everything: records, and the sealed payloads that they commit to. A caller encodes,
//! compresses and seals on its own thread, puts the frames in a queue and gets a future. One thread takes everything
//! that waits, writes it, calls `fdatasync` once and wakes everybody: while it waits for the disk, the next batch
//! gathers. What a future gives is a proof ([`Received`], [`Answered`]) that cannot be made otherwise; the engine
//! must hand it in to run a statement or to send bytes. A second thread derives the Merkle log from what is durable,
//! and signs its size and root each second or 4096 records, so that nobody waits for hashing or signing.
//!
//! An example. A statement comes in 40 bytes, and its answer has 100:
//! ```text
//! payload  the 40 bytes, sealed          ┐ one write, one fdatasync; then `Received` is given out and the
//! record 7 received  in  0..40           ┘ statement runs
//! payload  the 100 bytes, sealed         ┐
//! record 8 answered  out 0..100          ┘ then `Answered` gives the bytes back, to be sent
//! ```
//!
//! # What is on disk if we stop here
//! - After a part of a write: whole frames, then a torn one. Nobody was told that they are durable. `recover` keeps
//!   the whole ones and zeroes the rest.
//! - Between a write and its tiles or checkpoint: the journal is ahead of the log. `recover` derives the rest, by the
//!   code that derives it always.
//! - With sessions open: `recover` closes them, with the reason `gateway_stopped`.
//!
//! A write that fails, fails everything after it ([`LedgerError`]): nothing is dropped, so nothing may go on.

mod entry;
mod error;
mod flush;
mod folder;
mod journal;
mod ledger;
mod publish;
mod queue;
pub mod read;
mod receipt;
mod recover;
mod seal;
mod session;

pub use chaperone_ledger_format::record;
pub use chaperone_ledger_format::record::{
    AuthorityChanged, CloseReason, Finished, LoginRefused, Op, Outcome, Ruling, SessionOpened, Statement, Subjects,
    Verdict,
};
pub use chaperone_ledger_format::subject::{Seen, SeenDigest};

pub use self::entry::{Entry, SessionEvent};
pub use self::error::LedgerError;
pub use self::ledger::{Ledger, LedgerOptions};
pub use self::queue::Pending;
pub use self::receipt::{Answered, PendingAnswered, PendingReceived, Received};
pub use self::session::{MAX_SEGMENT, SessionLog};
