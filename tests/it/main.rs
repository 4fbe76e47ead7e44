//! Tests of the whole: the rule of the rooms, and journeys over the real binary.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod account_life;
mod architecture;
#[path = "../attacks/mod.rs"]
mod attacks;
mod bad_input;
mod command_line;
mod documents;
mod drop_in;
mod edge;
mod faults;
mod guesses;
mod import;
mod journeys;
mod ports;
mod production;
mod quickstart;
mod support;
mod telemetry;
mod told;
