//! What the world outside is told: `CloudEvents` 1.0, without a single personal value.
//!
//! Stored events are private and change with the domain; these messages are a promise of their own. A field
//! may be added to one; anything else is a new `dataschema`. They carry no address, no number, no free text
//! and no token hash, so a broker needs no more trust than a log file does: a worker that has to know where
//! a code goes reads the event itself and opens it with the account's key.

mod facts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{envelope::RecordedEvent, registry};

/// A message in the JSON format of `CloudEvents` 1.0.
///
/// Integers among the extension attributes are 32 bits wide in `CloudEvents`, so positions and versions
/// travel as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// The event's id: a message that comes twice has the same.
    pub id: String,
    /// The installation that sends it, as configured.
    pub source: String,
    /// `countersign.events.` and the stored type name; also the subject it is published under.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The stream.
    pub subject: String,
    /// When it was decided.
    pub time: String,
    /// `application/json`.
    pub datacontenttype: String,
    /// Which shape the data has.
    pub dataschema: String,
    /// The place in the order of all events; comparable, never counted.
    pub position: String,
    /// The event's number in its stream.
    pub streamversion: String,
    /// Ties together everything that one request led to.
    pub correlationid: String,
    /// The event that caused it, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The facts.
    pub data: Value,
}

/// The version of the public shapes, named by `dataschema`: all are at their first.
pub const PUBLIC_VERSION: u16 = 1;

/// The message that the world is told an event by; `None` when it is nobody's business outside.
pub fn message(recorded: &RecordedEvent, source: &str) -> Option<CloudEvent> {
    let data = facts::of(&recorded.event)?;
    let name = registry::stored_name(&recorded.event);
    let metadata = &recorded.metadata;
    Some(CloudEvent {
        specversion: "1.0".to_owned(),
        id: recorded.id.to_string(),
        source: source.to_owned(),
        event_type: subject(name),
        subject: recorded.stream.to_string(),
        time: metadata.at.to_string(),
        datacontenttype: "application/json".to_owned(),
        dataschema: format!("urn:countersign:event:{name}:{PUBLIC_VERSION}"),
        position: recorded.position.to_string(),
        streamversion: recorded.version.0.to_string(),
        correlationid: metadata.correlation_id.to_string(),
        causationid: metadata.causation_id.map(|id| id.to_string()),
        traceparent: metadata.trace_parent.clone(),
        data,
    })
}

/// The subject under which messages of a type are published.
pub fn subject(event_type: &str) -> String {
    format!("countersign.events.{event_type}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use domain::personal::PERSONAL_MARK;

    use super::*;
    use crate::{registry::encode, samples};

    /// Everything that must not get out: what is marked as personal, and hashes of tokens.
    fn private(value: &Value, within: bool, found: &mut BTreeSet<String>) {
        match value {
            Value::String(text) if within => {
                found.insert(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| private(item, within, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    private(value, within || name == PERSONAL_MARK || name == "token_hash", found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn no_message_tells_anything_private() {
        let mut checked = 0;
        for event in samples::events().unwrap() {
            let mut secrets = BTreeSet::new();
            private(&encode(&event).unwrap().data, false, &mut secrets);
            let metadata = serde_json::to_value(samples::metadata()).unwrap();
            private(&metadata, false, &mut secrets);
            let recorded = samples::recorded(event);
            let Some(message) = message(&recorded, "urn:example") else { continue };
            let told = serde_json::to_string(&message).unwrap();
            for secret in &secrets {
                assert!(!told.contains(secret.as_str()), "{} tells what is private", message.event_type);
                checked += 1;
            }
            assert!(!told.contains('$'));
        }
        assert!(checked > 80, "the samples hold private values to look for");
    }

    #[test]
    fn bookkeeping_is_silent_and_the_rest_is_told() {
        let silent: Vec<&str> = samples::events()
            .unwrap()
            .into_iter()
            .map(samples::recorded)
            .filter(|recorded| message(recorded, "urn:example").is_none())
            .map(|recorded| registry::stored_name(&recorded.event))
            .collect();
        assert_eq!(silent, ["RetentionApplied", "EmailClaimed", "EmailReleased", "NumbersReserved"]);
    }

    #[test]
    fn a_message_has_the_attributes_of_cloudevents() {
        let event = samples::events().unwrap().into_iter().find(|event| event.name() == "MethodLocked").unwrap();
        let told = serde_json::to_value(message(&samples::recorded(event), "urn:example").unwrap()).unwrap();
        assert_eq!(
            told,
            serde_json::json!({
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
                "causationid": "0197a0b1-c2d3-7e4f-8a9b-000000000093",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "data": {"kind": "totp", "locked_until": "2026-09-21T14:28:20.000Z", "side": "others"},
            })
        );
        // Names of extension attributes: lower-case letters and digits alone, at most 20.
        for name in told.as_object().unwrap().keys() {
            assert!(name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
        }
        let read: CloudEvent = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), told);
    }
}
