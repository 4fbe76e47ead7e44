//! The event log: its port, its adapters, and what is kept beside it.

pub mod codec;
#[cfg(feature = "contract")]
pub mod contract;
pub mod keys;
#[cfg(feature = "kurrentdb")]
pub mod kurrentdb;
pub mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod private_file;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod subscription;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
