//! The router over the engine, the views and the operations of a test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod audit;
mod authorization;
mod bad_input;
mod document;
mod drop_in;
mod edge;
mod email_undos;
mod end_users;
mod ending_sessions;
mod idempotency;
mod polls;
mod proofs;
mod receipts;
mod security;
mod server;
mod shapes;
