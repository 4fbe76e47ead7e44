//! The engine over `SQLite`: what any decider can rely on, and the accounts' own journeys through it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod clock;
mod deciding;
mod erasing;
mod faults;
mod importing;
mod loading;
mod numbers;
mod password_resets;
mod signing_in;
mod tally;
