//! The broker as a whole: a real server, a relay, workers over fake gateways.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod connect;
mod dead_letters;
mod declare;
mod faults;
mod harness;
mod jobs;
mod relay;
mod secured;
#[path = "../sends/support/mod.rs"]
#[expect(dead_code, reason = "shared with the tests of the sends")]
mod support;
