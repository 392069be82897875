//! The gateway as a process, with real parts around it: PostgreSQL, an issuer, drivers, hostile peers.

mod bad_input;
mod clients;
mod clinical;
mod crash;
mod credentials;
mod discover;
mod hostile;
mod inside;
mod looks;
mod old_server;
mod operator;
mod prepared;
mod protocol;
mod second_lock;
mod stage;
mod subjects;
mod temporary;
mod twins;
mod two_readings;
