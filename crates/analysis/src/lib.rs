//! A statement's facts, and the statement with its sources masked. Pure: text, a catalog snapshot and a mask vector in,
//! text out.
//!
//! # The idea
//! **Every relation that a query reads is replaced by its masked self before anything else can see it.** With `ssn`
//! redacted, `dob` shown by its year and the rest as stored,
//! ```sql
//! SELECT ssn, count(*) FROM clinic.patient p WHERE dob < '1950-01-01' GROUP BY 1
//! -- becomes
//! SELECT ssn, pg_catalog.count(*)
//! FROM (SELECT id, NULL::pg_catalog.text AS ssn, CASE WHEN … date_trunc('year', dob::timestamp) … END AS dob, sex
//!       FROM clinic.patient) p
//! WHERE dob < '1950-01-01' GROUP BY 1
//! ```
//! Predicates, joins, casts that raise and functions of whole rows all compute on masked values, in the database, so
//! nothing needs to be followed through the statement. What could get *around* the subquery is named and refused; it is
//! the subject of a review by experiment, whose rules R1 to R18 the comments refer to.
//!
//! # The steps
//! 1. [`parse()`]: the server's own grammar, bounded in depth beforehand (`depth`). Statements can be shared and kept.
//! 2. [`Statements::facts`]: what a policy must permit, read off a walk over the *whole* tree (`visit`, `facts`).
//! 3. [`rewrite()`]: names resolved against a [`Catalog`], every function, operator, type and node on an allow-list
//!    (`allow`), relations replaced, the text proved by reading it again.
//! 4. [`Output::check`]: the server's description of the answer must agree before a row is let through, and where an answer
//!    has none, that of the query inside ([`Inside::check`]) before the statement runs; and [`scrubbed_message`] is all that
//!    is left of its errors.
//!
//! A connection that declares no protected data needs only the first two; its text is never changed.
//!
//! The target of a write cannot give way to a subquery: there, expressions come to stand over the masked row
//! (`rewrite::target`), and what a write would tell by succeeding needs a permission (`rewrite::probe`). A view is its text.
//! What a session makes for itself ([`Temporaries`]) holds what was masked when it was put in, and stays as it is.
//!
//! # Refused for now
//! DDL other than of `rewrite::define`, `TABLESAMPLE`, XML and SQL/JSON constructors, a CTE with a table's name, row-level
//! security, functions and types outside `pg_catalog` (enumerations excepted, and what is known of common extensions).

mod allow;
pub mod catalog;
mod depth;
pub mod discover;
pub mod drift;
mod facts;
mod fuzz;
mod kind;
mod messages;
mod minors;
mod normal;
mod output;
mod parse;
mod rewrite;
mod settings;
mod temporary;
mod visit;

pub use catalog::Catalog;
#[doc(hidden)]
pub use fuzz::fuzz_parse;
pub use messages::scrubbed_message;
pub use minors::{old_server, server_version_num};
pub use output::{Cursor, Described, Expected, Inside, Named, Output, Returns, Subjects, Written};
pub use parse::{CopyDirection, Prepares, Setting, Statements, Transaction, UNTERMINATED, parse, parse_escaped};
pub use rewrite::{INSIDE, Need, Protection, Rewritten, SUBJECT, needs, rewrite, rewrite_within};
pub use settings::setting_allowed;
pub use temporary::{Filled, Temporaries};
