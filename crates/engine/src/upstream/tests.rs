//! Against real servers, and against servers that mean harm.

mod hostile;
mod reach;
mod real;
mod references;
