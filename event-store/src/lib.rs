//! The event log: its port, its adapters, and the one path by which a command becomes events.

pub mod codec;
pub mod engine;
pub mod keys;
pub mod port;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod subscription;
