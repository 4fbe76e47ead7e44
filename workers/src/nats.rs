//! NATS `JetStream` between the log and the workers.
//!
//! The log stays the truth. The [`relay`] publishes every event that the world may know under
//! `countersign.events.<Type>`; a role's durable consumer takes from there what is its own and reads the
//! order's event back from the log ([`JetStreamJobs`]). So nothing personal travels, several processes share a
//! role's work, and a broker that lost everything is filled again from the log. What cannot be carried out goes
//! to `countersign.dead.<role>` ([`DeadLetters`]).
//!
//! Why it is done this way: `docs/adr/0016-events-on-jetstream.md`.

mod broker;
mod dead;
mod declare;
mod error;
mod hand;
mod jobs;
mod letter;
mod options;
mod pull;
mod read_back;
pub mod relay;

pub use broker::{Broker, BrokerState};
pub use dead::{DeadLetter, DeadLetterError, DeadLetters, Redriven};
pub use error::BrokerError;
pub use jobs::JetStreamJobs;
pub use options::{Auth, NatsOptions};

/// The stream of everything that the relay publishes.
pub const EVENTS_STREAM: &str = "COUNTERSIGN_EVENTS";
/// Its subjects.
pub const EVENTS_SUBJECTS: &str = "countersign.events.>";
/// The stream of what could not be carried out.
pub const DEAD_STREAM: &str = "COUNTERSIGN_DEAD";
/// Its subjects.
pub const DEAD_SUBJECTS: &str = "countersign.dead.>";
