//! How an event looks at rest and on the wire.

pub mod envelope;
pub mod registry;
pub mod upcast;
