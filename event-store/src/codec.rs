//! Sealing on write, opening on read: no personal value leaves the process in clear.
//!
//! A [`Personal`](domain::personal::Personal) value serializes under a mark. On the way into the log each
//! marked value becomes a box under the stream's data key, bound to the stream, the event and a tag (its
//! place in the event on first writing). The tag stays with the box, so a later version of the event may
//! move the value without opening it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    events::Event,
    ids::{EventId, StreamId},
    personal::{ERASED_MARK, PERSONAL_MARK, SEALED_MARK},
};
use schemas::{
    envelope::{Metadata, NewEvent, RecordedEvent, StoredEvent},
    registry,
};
use serde_json::{Map, Value};
use vault::{DataKey, VaultError};

/// Why an event cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It has no JSON.
    #[error("event cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// Its JSON is none, or not that of an event.
    #[error("event {0} cannot be read: {1}")]
    Decode(EventId, String),
    /// A box does not open: another key, another place, or altered.
    #[error("a sealed value of event {0} does not open")]
    Sealed(EventId, #[source] VaultError),
    /// The vault cannot seal.
    #[error("cannot seal")]
    Vault(#[from] VaultError),
    /// Its stream is none of ours.
    #[error("event {0} is in a stream that is none of Countersign's")]
    Stream(EventId),
}

/// An event as JSON, personal values still in clear under their mark.
pub struct Draft {
    id: EventId,
    event_type: &'static str,
    schema_version: u16,
    metadata: Value,
    data: Value,
}

impl Draft {
    /// An event as it will be stored, with its personal values still in clear.
    pub fn new(event: &Event, id: EventId, metadata: &Metadata) -> Result<Self, CodecError> {
        let encoded = registry::encode(event).map_err(CodecError::Encode)?;
        let metadata = serde_json::to_value(metadata).map_err(CodecError::Encode)?;
        Ok(Self {
            id,
            event_type: encoded.event_type,
            schema_version: encoded.schema_version,
            metadata,
            data: encoded.data,
        })
    }

    /// Whether there is anything to seal: a stream without personal values never gets a key.
    pub fn is_personal(&self) -> bool {
        is_personal(&self.metadata) || is_personal(&self.data)
    }

    /// Seals; without a key (it was erased) what is personal is written as erased.
    pub fn seal(mut self, stream: &str, key: Option<&DataKey>) -> Result<NewEvent, CodecError> {
        let sealer = Sealer { stream, id: self.id, key };
        sealer.seal(&mut self.metadata, &mut String::from("meta"))?;
        sealer.seal(&mut self.data, &mut String::new())?;
        Ok(NewEvent {
            id: self.id,
            event_type: Arc::from(self.event_type),
            schema_version: self.schema_version,
            metadata: serde_json::to_vec(&self.metadata).map_err(CodecError::Encode)?,
            data: serde_json::to_vec(&self.data).map_err(CodecError::Encode)?,
        })
    }
}

/// Encodes an event for the log, personal values sealed.
pub fn encode(
    event: &Event,
    id: EventId,
    stream: &StreamId,
    metadata: &Metadata,
    key: &DataKey,
) -> Result<NewEvent, CodecError> {
    Draft::new(event, id, metadata)?.seal(&stream.to_string(), Some(key))
}

/// Decodes an event, opening its personal values; without a key they read as erased, unopened.
pub fn decode(stored: &StoredEvent, key: Option<&DataKey>) -> Result<RecordedEvent, CodecError> {
    let stream = stored.stream.parse().map_err(|_| CodecError::Stream(stored.id))?;
    Ok(RecordedEvent {
        position: stored.position,
        stream,
        version: stored.version,
        id: stored.id,
        metadata: decode_metadata(stored, key)?,
        event: decode_event(stored, key)?,
    })
}

/// What stands beside the data. States need no source addresses: they read it without the key.
pub fn decode_metadata(stored: &StoredEvent, key: Option<&DataKey>) -> Result<Metadata, CodecError> {
    let Some(key) = key else {
        return serde_json::from_slice(&stored.metadata).map_err(|error| unreadable(stored, &error));
    };
    let mut value = serde_json::from_slice(&stored.metadata).map_err(|error| unreadable(stored, &error))?;
    open(&mut value, stored, key)?;
    serde_json::from_value(value).map_err(|error| unreadable(stored, &error))
}

/// The event itself.
pub fn decode_event(stored: &StoredEvent, key: Option<&DataKey>) -> Result<Event, CodecError> {
    let mut value: Value = serde_json::from_slice(&stored.data).map_err(|error| unreadable(stored, &error))?;
    if let Some(key) = key {
        open(&mut value, stored, key)?;
    }
    registry::decode(&stored.event_type, stored.schema_version, value)
        .map_err(|error| CodecError::Decode(stored.id, error.to_string()))
}

/// Whether the event's data holds a sealed value.
pub fn is_sealed(stored: &StoredEvent) -> Result<bool, CodecError> {
    let value = serde_json::from_slice(&stored.data).map_err(|error| unreadable(stored, &error))?;
    Ok(holds(&value, SEALED_MARK))
}

/// The message of a JSON error can repeat a value; its place cannot.
fn unreadable(stored: &StoredEvent, error: &serde_json::Error) -> CodecError {
    CodecError::Decode(stored.id, format!("{:?} error at column {}", error.classify(), error.column()))
}

fn is_personal(value: &Value) -> bool {
    holds(value, PERSONAL_MARK)
}

fn holds(value: &Value, mark: &str) -> bool {
    match value {
        Value::Object(map) => marked(map, mark).is_some() || map.values().any(|field| holds(field, mark)),
        Value::Array(items) => items.iter().any(|item| holds(item, mark)),
        _ => false,
    }
}

fn marked<'a>(map: &'a Map<String, Value>, mark: &str) -> Option<&'a Value> {
    if map.len() == 1 { map.get(mark) } else { None }
}

fn of_one(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

struct Sealer<'a> {
    stream: &'a str,
    id: EventId,
    key: Option<&'a DataKey>,
}

impl Sealer<'_> {
    /// Seals what is marked below `value`; `tag` is its path.
    fn seal(&self, value: &mut Value, tag: &mut String) -> Result<(), CodecError> {
        match value {
            Value::Object(map) => {
                if let Some(clear) = marked(map, PERSONAL_MARK) {
                    *value = self.sealed(clear, tag)?;
                    return Ok(());
                }
                for (name, field) in map {
                    if matches!(field, Value::Object(_) | Value::Array(_)) {
                        within(tag, name, |tag| self.seal(field, tag))?;
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if matches!(item, Value::Object(_) | Value::Array(_)) {
                        within(tag, &index.to_string(), |tag| self.seal(item, tag))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn sealed(&self, clear: &Value, tag: &str) -> Result<Value, CodecError> {
        let Some(key) = self.key else {
            return Ok(of_one(ERASED_MARK, Value::Bool(true)));
        };
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(clear).map_err(CodecError::Encode)?);
        let sealed = key.seal(&[self.stream.as_bytes(), self.id.0.as_bytes(), tag.as_bytes()], &plain)?;
        let mut parts = Map::new();
        parts.insert("tag".to_owned(), Value::String(tag.to_owned()));
        parts.insert("box".to_owned(), Value::String(STANDARD.encode(sealed)));
        Ok(of_one(SEALED_MARK, Value::Object(parts)))
    }
}

fn within<T>(tag: &mut String, part: &str, inner: impl FnOnce(&mut String) -> T) -> T {
    let length = tag.len();
    if length > 0 {
        tag.push('.');
    }
    tag.push_str(part);
    let result = inner(tag);
    tag.truncate(length);
    result
}

/// Opens every box below `value`.
fn open(value: &mut Value, stored: &StoredEvent, key: &DataKey) -> Result<(), CodecError> {
    match value {
        Value::Object(map) => {
            if let Some(sealed) = marked(map, SEALED_MARK) {
                *value = of_one(PERSONAL_MARK, opened(sealed, stored, key)?);
                return Ok(());
            }
            map.values_mut().try_for_each(|field| open(field, stored, key))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| open(item, stored, key)),
        _ => Ok(()),
    }
}

fn opened(sealed: &Value, stored: &StoredEvent, key: &DataKey) -> Result<Value, CodecError> {
    let malformed = || CodecError::Decode(stored.id, "a sealed value without tag or box".to_owned());
    let part = |name| sealed.get(name).and_then(Value::as_str).ok_or_else(malformed);
    let (tag, bytes) = (part("tag")?, STANDARD.decode(part("box")?).map_err(|_| malformed())?);
    let plain = key
        .open(&[stored.stream.as_bytes(), stored.id.0.as_bytes(), tag.as_bytes()], &bytes)
        .map_err(|error| CodecError::Sealed(stored.id, error))?;
    serde_json::from_slice(&plain).map_err(|error| unreadable(stored, &error))
}

#[cfg(test)]
mod tests;
