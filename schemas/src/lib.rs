//! How an event looks at rest and on the wire.
//!
//! Domain events are the current shapes; here are their stored names and versions ([`registry`]), the way
//! from old versions to current ones ([`upcast`]), what stands around them ([`envelope`]) and what the world
//! outside is told of them ([`public`]). JSON Schemas and samples of every version are checked in beside
//! this crate's sources, and a test fails when one that was frozen changes.

pub mod envelope;
pub mod public;
pub mod registry;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod upcast;

#[cfg(test)]
mod golden;
