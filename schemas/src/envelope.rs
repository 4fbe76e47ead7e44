//! The envelope: what stands around an event's data. Version 1, fixed for good.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use domain::{
    events::Event,
    ids::{CommandId, EventId, StreamId},
    personal::Personal,
    time::Timestamp,
    values::Actor,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place in the order of all events. Comparable, never counted: adapters may leave gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Position {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// An event's number in its stream: 1, 2, 3 …; 0 is the stream without events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The stream without events.
    pub const NONE: Self = Self(0);
    /// `n` events later.
    #[must_use]
    pub const fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
}

/// What is known of an event beside its data, before it is appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// When it was decided.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The command that led to it.
    pub command_id: CommandId,
    /// Ties together everything that one request led to.
    #[schemars(with = "String")]
    pub correlation_id: Uuid,
    /// The event that caused the command, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// Source address of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Personal<IpAddr>>,
    /// Whom the API client that sent it says that it asked for: its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user_ip: Option<Personal<IpAddr>>,
    /// Its `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Personal<String>>,
    /// W3C trace context (`traceparent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
}

/// An event on its way into the log: sealed and encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// Stored type name.
    pub event_type: Arc<str>,
    /// Version of the type's shape.
    pub schema_version: u16,
    /// JSON of [`Metadata`], personal values sealed.
    pub metadata: Vec<u8>,
    /// JSON of the data, personal values sealed.
    pub data: Vec<u8>,
}

/// An event as the log keeps it: the bytes are those of the first writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order of all events.
    pub position: Position,
    /// Name of its stream.
    pub stream: Arc<str>,
    /// Its number in the stream.
    pub version: Version,
    /// Its id.
    pub id: EventId,
    /// Stored type name.
    pub event_type: Arc<str>,
    /// Version of the type's shape.
    pub schema_version: u16,
    /// JSON of [`Metadata`], personal values sealed.
    pub metadata: Vec<u8>,
    /// JSON of the data, personal values sealed.
    pub data: Vec<u8>,
}

/// An event that was read and decoded: personal values opened where asked for, [`Personal::Erased`] elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the order of all events.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub version: Version,
    /// Its id.
    pub id: EventId,
    /// What is known beside the data.
    pub metadata: Metadata,
    /// The event, in its current shape.
    pub event: Event,
}
