//! Read models: pure functions from event to changes, and the runner that applies them.
//!
//! A [`View`](change::View) is tables and one pure function. [`SqliteViews`](sqlite::SqliteViews) keeps all of
//! them current in a file of its own and answers queries. [`Operations`](operations::Operations) keeps what is
//! neither history nor derived from it.

pub mod change;
pub mod error;
mod feed;
pub mod operations;
mod private_file;
pub mod queries;
pub mod sqlite;
pub mod views;
