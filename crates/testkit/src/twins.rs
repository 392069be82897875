//! Twins: two databases that differ in nothing but what is masked. An agent that cannot tell them apart, whatever it
//! sends, has learnt nothing of what is masked.
//!
//! | module | gives |
//! | --- | --- |
//! | [`entry`] | attacks as they are written in a file, a statement or a sequence each |
//! | [`session`] | an agent's session: sends an attack in each way of the protocol, keeps every byte of the answer |
//! | [`compare`] | whether two answers are the same |
//! | [`canary`] | whether an answer holds a masked value, in any of the ways to write it |
//! | [`random`] | random statements over the twins' own tables |
//! | [`script`] | statements out of scripts that were written for `psql` |
//! | [`tally`] | what is counted, and the line at the end |
//!
//! Which tables the twins have, and what stands before them, is for the driver to say: the harness knows neither.
//!
//! What may differ and is not looked at: the shape of a plan, and the order of rows where a statement gives none
//! (`docs/limits.md`).

pub mod canary;
pub mod compare;
pub mod entry;
pub mod random;
pub mod script;
pub mod session;
pub mod tally;

pub use canary::Canaries;
pub use compare::{How, differ};
pub use entry::{Entry, Step};
pub use session::{Agent, Answer, Mode};
pub use tally::Tally;
