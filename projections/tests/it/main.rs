//! Views and operations on each engine, over a real log.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
mod postgres;
mod random;
mod store;
mod views;
