//! What stands on a dead letter. Pure.
//!
//! The payload is the message as it was; everything that is known of its end is in headers. Reasons are words
//! of ours: no text of a gateway or of an event, which might repeat a number, is one.

use async_nats::{HeaderMap, HeaderName, HeaderValue, jetstream::Message};
use domain::ids::EventId;

use super::broker::header;

/// The role that gave up.
pub(super) const ROLE: &str = "Countersign-Role";
/// Why, in a word.
pub(super) const REASON: &str = "Countersign-Reason";
/// The subject that the message came under.
pub(super) const SUBJECT: &str = "Countersign-Subject";
/// The event's id, where the message had one.
pub(super) const EVENT: &str = "Countersign-Event";
/// How often it was handed out.
pub(super) const DELIVERIES: &str = "Countersign-Deliveries";
/// Its place in the events' stream.
pub(super) const SEQUENCE: &str = "Countersign-Sequence";
/// On a message that came back from the dead letters: which one it was.
pub(super) const REDRIVEN: &str = "Countersign-Redriven";
/// Before the names of the headers that the message had.
pub(super) const ORIGINAL: &str = "Original-";

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is no message of the relay.
    Unreadable,
    /// Its event is of a type that the role does not know.
    UnknownType,
    /// Its event is not in the log.
    MissingEvent,
    /// The log has another event in its place.
    OtherEvent,
    /// The worker said that it can never be carried out; its log says why.
    GivenUp,
    /// It was handed out too often.
    TooManyDeliveries,
    /// The relay met an event that this version cannot read.
    UnreadableEvent,
}

impl Reason {
    /// The word for it, in headers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable_message",
            Self::UnknownType => "unknown_type",
            Self::MissingEvent => "event_not_in_log",
            Self::OtherEvent => "other_event_in_log",
            Self::GivenUp => "given_up",
            Self::TooManyDeliveries => "too_many_deliveries",
            Self::UnreadableEvent => "unreadable_event",
        }
    }
}

/// The subject of a role's dead letters.
pub(super) fn subject(role: &str) -> String {
    format!("countersign.dead.{role}")
}

/// The headers of a dead letter, and the id that makes moving it twice harmless.
pub(super) fn headers(role: &str, reason: Reason, message: &Message, event: Option<EventId>) -> HeaderMap {
    let (deliveries, sequence) = message.info().map_or((0, 0), |info| (info.delivered, info.stream_sequence));
    let original = message.headers.as_ref();
    let mut headers = common(role, reason, &message.subject, event);
    headers.insert(DELIVERIES, deliveries.to_string());
    headers.insert(SEQUENCE, sequence.to_string());
    // The relay's id makes it unique over a stream that was lost and filled again.
    let id = header(original, async_nats::header::NATS_MESSAGE_ID.as_ref());
    if let Ok(id) = format!("dead.{role}.{sequence}.{id}").parse::<HeaderValue>() {
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
    }
    for (name, values) in original.into_iter().flat_map(HeaderMap::iter) {
        // Whoever sent it may have sent anything: what is no name stays behind.
        let Ok(name) = format!("{ORIGINAL}{name}").parse::<HeaderName>() else { continue };
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// What every dead letter says.
pub(super) fn common(role: &str, reason: Reason, subject: &str, event: Option<EventId>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ROLE, role);
    headers.insert(REASON, reason.name());
    if let Ok(subject) = subject.parse::<HeaderValue>() {
        headers.insert(SUBJECT, subject);
    }
    if let Some(event) = event {
        headers.insert(EVENT, event.to_string());
    }
    headers
}
