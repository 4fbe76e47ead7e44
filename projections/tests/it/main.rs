//! The views and the file of operations, over a real log.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
mod operations;
mod random;
mod store;
mod views;
