//! A statement's facts, and the statement with its sources masked. Pure: text, a catalog snapshot and a mask vector in,
//! text out.

mod allow;
pub mod catalog;
mod depth;
mod facts;
mod kind;
mod messages;
mod normal;
mod output;
mod parse;
mod rewrite;
mod settings;
mod visit;

pub use catalog::Catalog;
pub use messages::scrubbed_message;
pub use output::{Expected, Output};
pub use parse::{CopyDirection, Setting, Statements, Transaction, parse, parse_escaped};
pub use rewrite::{Protection, Rewritten, rewrite};
pub use settings::{setting_allowed, startup_option_allowed, startup_options};
