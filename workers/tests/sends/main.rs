//! The workers as a whole: a log, an engine, fake gateways.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod codes;
mod failover;
mod http_gateways;
mod notices;
mod smtp;
mod support;
