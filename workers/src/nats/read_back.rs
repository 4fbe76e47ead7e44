//! From a message to the event that it tells of. The message only points: what is carried out is what stands
//! in the log.

use std::{sync::Arc, time::Duration};

use domain::ids::{EventId, StreamId};
use event_store::port::{EventLog, LogError};
use runtime::Runtime;
use schemas::{
    envelope::{StoredEvent, Version},
    public::{self, CloudEvent},
};

use super::letter::Reason;
use crate::backoff::Backoff;

/// The log of this process may be a moment behind the one that the relay read.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is asked meanwhile, and how often while it cannot be reached.
const LOOK_AGAIN: Backoff = Backoff { first: Duration::from_millis(5), most: Duration::from_millis(500) };
const REACH_AGAIN: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(2) };

/// Where an event stands in the log, by what a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    pub id: EventId,
    pub event_type: String,
    stream: StreamId,
    version: Version,
}

impl Pointer {
    /// Reads a message.
    pub fn parse(subject: &str, payload: &[u8]) -> Result<Self, Reason> {
        let unreadable = Reason::Unreadable;
        let told: CloudEvent = serde_json::from_slice(payload).map_err(|_| unreadable)?;
        let prefix = public::subject("");
        let event_type = told.event_type.strip_prefix(&prefix).filter(|_| told.event_type == subject);
        let version = told.streamversion.parse().ok().filter(|version| *version > 0);
        Ok(Self {
            id: EventId(told.id.parse().map_err(|_| unreadable)?),
            event_type: event_type.ok_or(unreadable)?.to_owned(),
            stream: told.subject.parse().map_err(|_| unreadable)?,
            version: Version(version.ok_or(unreadable)?),
        })
    }

    fn is(&self, event: &StoredEvent) -> bool {
        event.id == self.id && *event.event_type == *self.event_type
    }
}

/// What stands in the log where a message points to.
#[derive(Debug)]
pub(super) enum Found {
    /// The event.
    Event(Arc<StoredEvent>),
    /// Not that event: nothing (yet), another, or something that cannot be read.
    Not(Reason),
}

/// Reads the event. A log that cannot be reached is waited for as long as it takes: meanwhile the broker is
/// told that the message is in hand, and hands out no more than there is room for.
pub(super) async fn read_back(runtime: &Runtime, log: &dyn EventLog, pointer: &Pointer) -> Found {
    let before = Version(pointer.version.0.saturating_sub(1));
    let (mut looks, mut failures, mut waited) = (0, 0, Duration::ZERO);
    loop {
        match log.read_stream(&pointer.stream, before, 1).await {
            Ok(events) => match events.into_iter().find(|event| event.version == pointer.version) {
                Some(event) if pointer.is(&event) => return Found::Event(Arc::new(event)),
                Some(_) => return Found::Not(Reason::OtherEvent),
                None if waited >= PATIENCE => return Found::Not(Reason::MissingEvent),
                None => {
                    looks += 1;
                    let wait = LOOK_AGAIN.after(looks, pointer.id.0);
                    runtime.sleep(wait).await;
                    waited += wait;
                }
            },
            Err(LogError::Unreadable(_)) => return Found::Not(Reason::UnreadableEvent),
            Err(error @ LogError::Unavailable(_)) => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(%error, event = %pointer.id, "an order waits for the log");
                }
                runtime.sleep(REACH_AGAIN.after(failures, pointer.id.0)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::*;

    fn told() -> Value {
        json!({
            "specversion": "1.0",
            "id": "0197a0b1-c2d3-7e4f-8a9b-000000000090",
            "source": "urn:example",
            "type": "countersign.events.MethodLocked",
            "subject": "account-0197a0b1-c2d3-7e4f-8a9b-000000000001",
            "time": "2026-09-21T14:13:20.000Z",
            "datacontenttype": "application/json",
            "dataschema": "urn:countersign:event:MethodLocked:1",
            "position": "42",
            "streamversion": "7",
            "correlationid": "0197a0b1-c2d3-7e4f-8a9b-000000000092",
            "data": {},
        })
    }

    fn parse(told: &Value) -> Result<Pointer, Reason> {
        Pointer::parse("countersign.events.MethodLocked", told.to_string().as_bytes())
    }

    #[test]
    fn a_message_of_the_relay_points_to_its_event() {
        let pointer = parse(&told()).unwrap();
        assert_eq!((pointer.event_type.as_str(), pointer.version), ("MethodLocked", Version(7)));
        assert_eq!(pointer.id.to_string(), "0197a0b1-c2d3-7e4f-8a9b-000000000090");
    }

    #[test]
    fn what_points_nowhere_is_unreadable() {
        assert_eq!(Pointer::parse("countersign.events.MethodLocked", b"{").unwrap_err(), Reason::Unreadable);
        for (field, value) in [
            ("id", json!("one")),
            ("type", json!("countersign.events.CodeIssued")),
            ("type", json!("MethodLocked")),
            ("subject", json!("elsewhere-1")),
            ("streamversion", json!("0")),
            ("streamversion", json!("-1")),
            ("streamversion", json!(7)),
        ] {
            let mut altered = told();
            altered[field] = value;
            assert_eq!(parse(&altered).unwrap_err(), Reason::Unreadable, "{field}");
        }
    }
}
