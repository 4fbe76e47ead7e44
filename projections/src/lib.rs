//! Read models: pure functions from event to changes, and the runner that applies them.
//!
//! A [`View`](change::View) is tables and one pure function. [`Views`] keeps all of them current, in a file of
//! SQLite or a database of PostgreSQL, and answers queries.

pub mod change;
mod dialect;
mod digest;
mod engine;
pub mod error;
mod feed;
mod live;
#[cfg(feature = "postgres")]
mod postgres;
pub mod queries;
mod rebuild;
mod row;
mod runner;
mod sqlite;
pub mod views;

pub use self::{
    live::{ViewParts, ViewStatus, Views},
    rebuild::{OnProgress, RebuildProgress, RebuildReport, RebuiltView},
};
