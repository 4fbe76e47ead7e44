//! Which events there are at rest: stored type names, current versions, and the way between bytes and events.

use domain::events::{self, Event};
use schemars::{Schema, schema_for};
use serde_json::Value;

use crate::upcast::{Chain, UpcastError, Upcaster};

/// An event as it is written, before the codec seals what is marked as personal.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Stored type name.
    pub event_type: &'static str,
    /// Version of the type's shape.
    pub schema_version: u16,
    /// The data; personal values stand in it as `{"$personal": …}`.
    pub data: Value,
}

/// Why stored data is not an event that this version of the program knows.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer program, or by something else.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// Its version is not one that this program can read.
    #[error(transparent)]
    Version(#[from] UpcastError),
    /// The data does not have the shape of its version.
    #[error("{event_type} v{schema_version} does not have its shape: {reason}")]
    Shape {
        /// Stored type name.
        event_type: &'static str,
        /// Stored version.
        schema_version: u16,
        /// What is wrong, in words that repeat nothing of the data.
        reason: &'static str,
    },
}

/// The upcasters of all old versions.
const CHAIN: Chain<'static> = Chain::new(&[
    Upcaster { event_type: "AccountRegistered", from: 1, upcast: without_a_number },
    Upcaster { event_type: "AccountImported", from: 1, upcast: without_a_number },
    // The purposes got the word `open`.
    Upcaster { event_type: "VerificationStarted", from: 1, upcast: asked_with_nothing },
    Upcaster { event_type: "CodeIssued", from: 1, upcast: unchanged },
    Upcaster { event_type: "CodeResent", from: 1, upcast: unchanged },
    Upcaster { event_type: "CodeRejected", from: 1, upcast: unchanged },
    Upcaster { event_type: "VerificationSucceeded", from: 1, upcast: unchanged },
]);

/// Accounts of before have no number.
fn without_a_number(data: Value) -> Value {
    with_null(data, "number")
}

/// Verifications of before were started by no kind.
fn asked_with_nothing(data: Value) -> Value {
    with_null(data, "asked")
}

fn with_null(mut data: Value, field: &str) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.insert(field.to_owned(), Value::Null);
    }
    data
}

/// Only an enum got another word.
const fn unchanged(data: Value) -> Value {
    data
}

macro_rules! stored {
    ($($event:ident => $name:literal, $version:literal;)+) => {
        const TYPES: &[(&str, u16)] = &[$(($name, $version)),+];

        /// An event as it is written.
        pub fn encode(event: &Event) -> Result<Encoded, serde_json::Error> {
            // Exhaustive: an event without a row in the table below does not compile.
            Ok(match event {
                $(Event::$event(event) => Encoded {
                    event_type: $name,
                    schema_version: $version,
                    data: serde_json::to_value(event)?,
                },)+
            })
        }

        /// The stored type name of an event.
        pub const fn stored_name(event: &Event) -> &'static str {
            match event {
                $(Event::$event(_) => $name,)+
            }
        }

        fn decode_current(event_type: &'static str, data: Value) -> Option<Result<Event, serde_json::Error>> {
            match event_type {
                $($name => Some(serde_json::from_value::<events::$event>(data).map(Event::from)),)+
                _ => None,
            }
        }

        /// JSON Schema of the current version of a type, as it is at rest.
        pub fn schema(event_type: &str) -> Option<Schema> {
            match event_type {
                $($name => Some(schema_for!(events::$event)),)+
                _ => None,
            }
        }
    };
}

// Stored names and current versions. A name never changes, whatever becomes of the Rust name before it;
// a version grows by one with every change of the shape, together with an upcaster
// (docs/how-to/add-an-event-version.md).
stored! {
    AccountRegistered => "AccountRegistered", 2;
    EmailVerified => "EmailVerified", 1;
    PasswordSet => "PasswordSet", 1;
    PasswordRejected => "PasswordRejected", 1;
    SignedIn => "SignedIn", 1;
    SignedOut => "SignedOut", 1;
    SessionRevoked => "SessionRevoked", 1;
    AccessTokenIssued => "AccessTokenIssued", 1;
    AccessTokenRevoked => "AccessTokenRevoked", 1;
    VerificationStarted => "VerificationStarted", 2;
    CodeIssued => "CodeIssued", 2;
    CodeResent => "CodeResent", 2;
    CodeRejected => "CodeRejected", 2;
    MethodLocked => "MethodLocked", 1;
    MethodUnlocked => "MethodUnlocked", 1;
    SendStarted => "SendStarted", 1;
    CodeDispatched => "CodeDispatched", 1;
    CodeDelivered => "CodeDelivered", 1;
    CodeDeliveryFailed => "CodeDeliveryFailed", 1;
    SendOutcomeUnknown => "SendOutcomeUnknown", 1;
    VerificationSucceeded => "VerificationSucceeded", 2;
    TotpEnrollmentStarted => "TotpEnrollmentStarted", 1;
    SmsEnrollmentStarted => "SmsEnrollmentStarted", 1;
    MethodEnabled => "MethodEnabled", 1;
    MethodRelabelled => "MethodRelabelled", 1;
    PrimaryMethodChanged => "PrimaryMethodChanged", 1;
    MethodDisabled => "MethodDisabled", 1;
    TwoFactorEnabled => "TwoFactorEnabled", 1;
    TwoFactorDisabled => "TwoFactorDisabled", 1;
    RecoveryCodesGenerated => "RecoveryCodesGenerated", 1;
    RecoveryCodeUsed => "RecoveryCodeUsed", 1;
    RecoveryCodesRevoked => "RecoveryCodesRevoked", 1;
    TwoFactorReset => "TwoFactorReset", 1;
    EmailChanged => "EmailChanged", 1;
    AccountImported => "AccountImported", 2;
    AccountErased => "AccountErased", 1;
    RetentionApplied => "RetentionApplied", 1;
    EmailClaimed => "EmailClaimed", 1;
    EmailReleased => "EmailReleased", 1;
    NumbersReserved => "NumbersReserved", 1;
    ApiKeyIssued => "ApiKeyIssued", 1;
    ApiKeyRevoked => "ApiKeyRevoked", 1;
    HistoryAccessed => "HistoryAccessed", 1;
}

/// The event that stored data says, whatever version it was written in.
///
/// Upcasts first; sealed values are moved unopened, and read as erased unless the codec opened them before.
pub fn decode(event_type: &str, schema_version: u16, data: Value) -> Result<Event, DecodeError> {
    let unknown = || DecodeError::UnknownType(event_type.to_owned());
    let &(event_type, current) = TYPES.iter().find(|(name, _)| *name == event_type).ok_or_else(unknown)?;
    let data = CHAIN.upcast(event_type, schema_version, current, data)?;
    decode_current(event_type, data).ok_or_else(unknown)?.map_err(|error| DecodeError::Shape {
        event_type,
        schema_version,
        reason: reason(&error),
    })
}

/// The parser's message may quote a value, and a value may be personal.
fn reason(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    [
        ("missing field", "a field is missing"),
        ("unknown field", "it has an unknown field"),
        ("invalid type", "a field has another type"),
    ]
    .into_iter()
    .find(|(begins, _)| text.starts_with(begins))
    .map_or("a value is not allowed in its field", |(_, says)| says)
}

/// All stored type names.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(name, _)| *name)
}

/// The version in which a type is written now.
pub fn current_version(event_type: &str) -> Option<u16> {
    TYPES.iter().find(|(name, _)| *name == event_type).map(|(_, version)| *version)
}

#[cfg(test)]
mod tests;
