//! An event as KurrentDB keeps it, and back.
//!
//! The server keeps data and custom metadata byte by byte. It has no column for the version of a shape, so
//! the custom metadata is a frame with ours in it, verbatim: `{"schema_version":1,"metadata":…}`. The frame
//! is taken off by its ends and never parsed, so the bytes that the ledger hashes come back as written; and
//! where they are JSON, the whole is JSON too, and readable in the server's own pages.

use domain::ids::{EventId, StreamId};
use eventstore::{EventData, ResolvedEvent};
use schemas::envelope::{NewEvent, Position, StoredEvent, Version};
use serde_json::value::RawValue;

use crate::port::LogError;

const HEAD: &[u8] = b"{\"schema_version\":";
const MIDDLE: &[u8] = b",\"metadata\":";
const END: &[u8] = b"}";

/// How the names of our streams begin: what the server filters `$all` by.
pub(super) const PREFIXES: [&str; 8] =
    ["account-", "email-", "delivery-", "api-key-", "audit-access-", "numbers", "installation", "farewell-"];

/// An event on its way out.
pub(super) fn outgoing(event: &NewEvent) -> EventData {
    // The content type changes no byte. It says whether the server's pages and projections may read the data.
    let json =
        serde_json::from_slice::<&RawValue>(&event.data).ok().filter(|json| json.get().len() == event.data.len());
    let data = json
        .and_then(|json| EventData::json(&event.event_type, &json).ok())
        .unwrap_or_else(|| EventData::binary(&event.event_type, event.data.clone().into()));
    data.id(event.id.0).metadata(framed(event.schema_version, &event.metadata).into())
}

fn framed(schema_version: u16, metadata: &[u8]) -> Vec<u8> {
    [HEAD, schema_version.to_string().as_bytes(), MIDDLE, metadata, END].concat()
}

fn unframed(custom: &[u8]) -> Option<(u16, &[u8])> {
    let rest = custom.strip_prefix(HEAD)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (version, rest) = rest.split_at(digits);
    let metadata = rest.strip_prefix(MIDDLE)?.strip_suffix(END)?;
    Some((std::str::from_utf8(version).ok()?.parse().ok()?, metadata))
}

/// What was read, as far as it is ours.
pub(super) enum Incoming {
    /// One of our events.
    Ours(StoredEvent),
    /// The stream only begins like one of ours: it belongs to someone else, who may have it.
    Foreign(u64),
    /// It stands in one of our streams and nobody here wrote it.
    Unreadable(u64, LogError),
}

impl Incoming {
    /// Where it stands.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Ours(event) => event.position.0,
            Self::Foreign(position) | Self::Unreadable(position, _) => *position,
        }
    }
}

/// An event that was read from the server.
pub(super) fn incoming(resolved: ResolvedEvent) -> Incoming {
    let Some(event) = resolved.event else {
        // Links are not resolved, so there is none without an event.
        return Incoming::Foreign(resolved.commit_position.unwrap_or_default());
    };
    let position = event.position.commit;
    if event.stream_id().parse::<StreamId>().is_err() {
        return Incoming::Foreign(position);
    }
    let unreadable = |why: &str| {
        let place = format!("event {} of stream {} (position {position})", event.revision, event.stream_id());
        Incoming::Unreadable(position, LogError::Unreadable(format!("{place} {why}")))
    };
    if event.position.prepare != position {
        // Ours never are, and the events of one share their position (ADR 0014).
        return unreadable("was written in a transaction, so not by Countersign");
    }
    let Some((schema_version, metadata)) = unframed(&event.custom_metadata) else {
        return unreadable("was not written by Countersign: give it a server of its own");
    };
    Incoming::Ours(StoredEvent {
        position: Position(position),
        stream: event.stream_id().into(),
        version: Version(event.revision.saturating_add(1)),
        id: EventId(event.id),
        event_type: event.event_type.as_str().into(),
        schema_version,
        metadata: metadata.to_vec(),
        data: event.data.to_vec(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use domain::ids::{AccountId, AddressHash, ApiKeyId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_frame_gives_the_metadata_back_as_it_was() {
        for metadata in [&b"{ \"b\" : 1,\n\"a\":2 }"[..], b"", b"}", b",\"metadata\":}", &[0, 255, 125]] {
            for version in [0, 1, 65_535] {
                assert_eq!(unframed(&framed(version, metadata)), Some((version, metadata)));
            }
        }
    }

    #[test]
    fn what_is_framed_is_json_when_the_metadata_is() {
        let framed: serde_json::Value = serde_json::from_slice(&framed(7, b"{\"at\": 1}")).unwrap();
        assert_eq!(framed["schema_version"], 7);
        assert_eq!(framed["metadata"]["at"], 1);
    }

    #[test]
    fn metadata_of_others_has_no_frame() {
        for foreign in [&b""[..], b"{}", b"{\"schema_version\":", b"{\"schema_version\":1}", b"\xff\xfe"] {
            assert_eq!(unframed(foreign), None);
        }
        assert_eq!(unframed(b"{\"schema_version\":70000,\"metadata\":{}}"), None);
    }

    #[test]
    fn every_stream_of_ours_passes_the_filter() {
        let id = Uuid::from_bytes([1; 16]);
        for stream in [
            StreamId::Account(AccountId(id)),
            StreamId::Email(AddressHash("ab".to_owned())),
            StreamId::Delivery(EventId(id)),
            StreamId::ApiKey(ApiKeyId(id)),
            StreamId::AuditAccess("reader".to_owned()),
            StreamId::AccountNumbers,
            StreamId::Installation,
            StreamId::Farewell(AccountId(id)),
        ] {
            let name = stream.to_string();
            assert_eq!(PREFIXES.iter().filter(|prefix| name.starts_with(**prefix)).count(), 1, "{name}");
        }
    }
}
