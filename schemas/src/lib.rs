//! How an event looks at rest and on the wire.

pub mod envelope;
