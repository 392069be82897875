//! The PostgreSQL protocol: golden bytes, round trips, every split and every cut, limits, another implementation's
//! opinion, and the fuzz targets' corpus.

mod backend;
mod corpus;
mod frame;
mod frontend;
mod golden;
mod sasl;
mod startup;
