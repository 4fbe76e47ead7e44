//! What is kept beside the log, on each engine.
#![expect(clippy::unwrap_used, reason = "tests")]

mod operations;
