//! How an event looks to who reads the history.

use domain::{
    ids::{AccountId, CommandId, EventId, StreamId},
    time::Timestamp,
    values::Actor,
};
use projections::queries::TimelineEntry;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::steps::ChangeShape;

/// An event of the history. Addresses and numbers are masked unless asked for in clear; secrets are shown to
/// nobody; what belonged to someone who was erased reads `[erased]`.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventShape {
    /// Its place in the order of all events; opaque, comparable.
    pub position: u64,
    /// Its id.
    #[schema(value_type = Uuid)]
    id: EventId,
    /// Its stream.
    stream: String,
    /// Its number in the stream.
    pub version: u64,
    /// The account it is about.
    #[schema(value_type = Option<Uuid>)]
    account_id: Option<AccountId>,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who did it: a `kind`, and the id it acted under.
    #[schema(value_type = Object)]
    actor: Actor,
    /// One readable line.
    summary: String,
    /// Its data.
    #[schema(value_type = Object)]
    data: Value,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceShape>,
    /// The command that led to it.
    #[schema(value_type = Option<Uuid>)]
    command_id: Option<CommandId>,
    /// Ties together everything that one request led to.
    correlation_id: Option<uuid::Uuid>,
    /// The event that caused the command, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    causation_id: Option<EventId>,
    /// What it changed in the account's state, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<ChangeShape>>,
}

/// Where a request came from.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
struct SourceShape {
    /// Its address; masked, its network.
    ip: Option<String>,
    /// Whom the API client that sent it says that it asked for: the client's word. Masked as `ip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user_ip: Option<String>,
    /// Its user agent.
    user_agent: Option<String>,
}

impl EventShape {
    /// Whether it is of this stream.
    pub fn is_of(&self, stream: &StreamId) -> bool {
        self.stream == stream.to_string()
    }
}

impl From<TimelineEntry> for EventShape {
    fn from(entry: TimelineEntry) -> Self {
        Self {
            position: entry.position,
            id: entry.id,
            stream: entry.stream,
            version: entry.version,
            account_id: entry.account_id,
            event_type: entry.event_type,
            at: entry.at,
            actor: entry.actor,
            summary: entry.summary,
            data: entry.data,
            source: entry.source.map(|source| SourceShape {
                ip: source.ip,
                end_user_ip: source.end_user_ip,
                user_agent: source.user_agent,
            }),
            command_id: entry.command_id,
            correlation_id: entry.correlation_id,
            causation_id: entry.causation_id,
            changes: None,
        }
    }
}

/// A page of the history.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(crate) struct EventPage {
    /// The events.
    pub events: Vec<EventShape>,
    /// Send it back as `cursor` for the events after these; null at the end.
    pub next_cursor: Option<String>,
}
