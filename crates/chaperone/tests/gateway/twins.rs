//! Twins through the gateway: two databases that differ in nothing but what is masked. Whatever an agent sends, every byte
//! that comes back from the one must come back from the other; and no byte may be a masked value.
//!
//! | driver | what it sends |
//! | --- | --- |
//! | [`red_team`] | a list of attacks, statements and sequences |
//! | [`generated`] | random statements |
//! | [`regress`] | PostgreSQL's own regression suite, over tables declared to hold protected data |
//! | [`moving`] | statements while somebody else changes the tables, between any two messages |
//! | [`path`] | statements after somebody changed the search path, and what is filled while somebody changes code |
//! | [`tokens`] | whatever could change a token or lose its key |
//!
//! `make twins` runs them at length. Known to differ, and not promised: the shape of a plan (`EXPLAIN`) and the order in
//! which rows lie in a table, which both follow from how long hidden values are. So statements here sort, or read tables
//! whose rows lie alike.

#[path = "../../../analysis/tests/analysis/rows.rs"]
mod rows;
#[path = "../../../analysis/tests/analysis/statements.rs"]
mod statements;

mod generated;
mod moving;
mod path;
mod red_team;
mod regress;
mod setting;
mod tokens;
