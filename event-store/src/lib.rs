//! The event log: its port, its adapters, and the one path by which a command becomes events.

pub mod codec;
#[cfg(feature = "contract")]
pub mod contract;
pub mod engine;
pub mod keys;
#[cfg(feature = "kurrentdb")]
pub mod kurrentdb;
pub mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod subscription;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
