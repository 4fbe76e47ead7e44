//! One filled sample of every event, and of the metadata around it: what the golden files under
//! `schemas/` are made from, and what codecs and views of other rooms are tried with.
//!
//! Every optional field is present. The people and numbers are made up.

mod account;
mod methods;
mod streams;

use domain::{
    events::Event,
    ids::{AccountId, CommandId, EventId, StreamId},
    personal::Personal,
    secret::TokenHash,
    time::Timestamp,
    values::{Actor, EmailAddress, FreeText, InvalidValue, Label, PasswordHash, PhoneNumber},
};
use uuid::Uuid;

use crate::envelope::{Metadata, Position, RecordedEvent, Version};

/// One event of every type, in the order of the registry.
pub fn events() -> Result<Vec<Event>, InvalidValue> {
    let mut events = account::events()?;
    events.extend(methods::events()?);
    events.extend(streams::events()?);
    let place = |event: &Event| crate::registry::event_types().position(|name| name == event.name());
    events.sort_by_key(place);
    Ok(events)
}

/// Metadata with every field present.
pub fn metadata() -> Metadata {
    Metadata {
        at: at(0),
        actor: Actor::Session { session_id: domain::ids::SessionId(uuid(0x20)) },
        command_id: CommandId(uuid(0x91)),
        correlation_id: uuid(0x92),
        causation_id: Some(EventId(uuid(0x93))),
        ip: Some(Personal::Known([203, 0, 113, 7].into())),
        end_user_ip: Some(Personal::Known([198, 51, 100, 9].into())),
        user_agent: Some(Personal::Known("Example/1.0".to_owned())),
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

/// The event as it would be read from the sample account's stream.
pub fn recorded(event: Event) -> RecordedEvent {
    RecordedEvent {
        position: Position(42),
        stream: StreamId::Account(AccountId(uuid(0x01))),
        version: Version(7),
        id: EventId(uuid(0x90)),
        metadata: metadata(),
        event,
    }
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x0197_a0b1_c2d3_7e4f_8a9b_0000_0000_0000 + number)
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + 60 * minutes)
}

fn hash(byte: u8) -> TokenHash {
    TokenHash([byte; 32])
}

fn email() -> Result<Personal<EmailAddress>, InvalidValue> {
    EmailAddress::parse("Ada.Sample@example.com").map(Personal::Known)
}

fn phone() -> Result<PhoneNumber, InvalidValue> {
    Ok(PhoneNumber::parse("+436601234567")?)
}

fn label(text: &str) -> Result<Personal<Label>, InvalidValue> {
    Label::parse(text).map(Personal::Known)
}

fn free(text: &str) -> Result<Personal<FreeText>, InvalidValue> {
    FreeText::parse(text).map(Personal::Known)
}

fn password() -> Personal<PasswordHash> {
    Personal::Known(PasswordHash(
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$5/W87cqWDElP2gtnTIq/qDSP1zopANxZLonkobS2XWw".to_owned(),
    ))
}
