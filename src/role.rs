//! What a process does: all of it, or its part.

use serde::Deserialize;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Keeps the read models.
    Projections,
    /// Publishes events to NATS.
    Relay,
    /// Sends codes by SMS.
    Sms,
    /// Sends codes by email.
    Email,
    /// Sends notices.
    Notices,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Api, Self::Projections, Self::Relay, Self::Sms, Self::Email, Self::Notices];
}
