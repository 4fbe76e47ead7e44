//! Servers of the tests' own, and places where a test keeps what it writes. Only tests and benchmarks name this room.

pub mod kurrentdb;
pub mod nats;
pub mod place;
pub mod postgres;
