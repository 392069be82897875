//! Statements of every kind against what is known of them: golden files, hostile texts, and two databases that differ
//! in nothing but their protected data.

mod catalogs;
mod clinic;
mod discover;
mod drift;
mod extensions;
mod facts;
mod golden;
mod hostile;
mod lookup;
mod masks;
mod ordering;
mod rows;
mod speed;
mod statements;
mod subjects;
mod temporaries;
mod twins;
mod views;
mod writes;
