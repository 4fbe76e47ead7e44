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
    // What is proved, and what it is good for (ADR 0024): further purposes and reasons, sides, undo, resets.
    Upcaster { event_type: "VerificationStarted", from: 2, upcast: of_a_new_address },
    Upcaster { event_type: "CodeIssued", from: 2, upcast: of_a_new_address },
    Upcaster { event_type: "CodeResent", from: 2, upcast: of_a_new_address },
    Upcaster { event_type: "CodeRejected", from: 2, upcast: rejected_elsewhere },
    Upcaster { event_type: "VerificationSucceeded", from: 2, upcast: succeeded_elsewhere },
    Upcaster { event_type: "MethodLocked", from: 1, upcast: elsewhere },
    Upcaster { event_type: "MethodUnlocked", from: 1, upcast: by_nobody_named },
    Upcaster { event_type: "PasswordSet", from: 1, upcast: without_a_wait },
    Upcaster { event_type: "SignedIn", from: 1, upcast: signed_in_plainly },
    Upcaster { event_type: "AccessTokenIssued", from: 1, upcast: without_a_verification },
    Upcaster { event_type: "SessionRevoked", from: 1, upcast: unchanged },
    Upcaster { event_type: "AccessTokenRevoked", from: 1, upcast: unchanged },
    Upcaster { event_type: "RecoveryCodesRevoked", from: 1, upcast: unchanged },
    Upcaster { event_type: "EmailReleased", from: 1, upcast: unchanged },
    Upcaster { event_type: "TwoFactorReset", from: 1, upcast: reset_without_a_code },
    Upcaster { event_type: "EmailChanged", from: 1, upcast: changed_for_good },
    // What strangers may ask for (ADR 0027): long codes, and sign-ins that give way to each other.
    Upcaster { event_type: "VerificationStarted", from: 3, upcast: from_nowhere },
    Upcaster { event_type: "CodeIssued", from: 3, upcast: in_digits },
    Upcaster { event_type: "CodeResent", from: 3, upcast: elsewhere },
]);

/// Accounts of before have no number.
fn without_a_number(data: Value) -> Value {
    with_null(data, "number")
}

/// Verifications of before were started by no kind.
fn asked_with_nothing(data: Value) -> Value {
    with_null(data, "asked")
}

/// The purpose of checking a new address was called `change_email`, which is its authorization now.
fn of_a_new_address(mut data: Value) -> Value {
    if let Some(purpose) = data.get_mut("purpose").filter(|purpose| *purpose == "change_email") {
        *purpose = "confirm_new_email".into();
    }
    data
}

/// No device was known: whatever was counted, was counted for everybody.
fn elsewhere(data: Value) -> Value {
    with(data, "side", "others".into())
}

fn rejected_elsewhere(data: Value) -> Value {
    with(elsewhere(of_a_new_address(data)), "tell_owner", false.into())
}

fn succeeded_elsewhere(data: Value) -> Value {
    with_null(elsewhere(of_a_new_address(data)), "good_from")
}

fn by_nobody_named(data: Value) -> Value {
    with_null(data, "by")
}

fn without_a_wait(data: Value) -> Value {
    with_null(data, "changes_wait_until")
}

fn without_a_verification(data: Value) -> Value {
    with_null(data, "verification_id")
}

fn signed_in_plainly(data: Value) -> Value {
    let data = with_null(data, "access_token_id");
    with(with(data, "is_limited", false.into()), "is_new_place", false.into())
}

fn reset_without_a_code(data: Value) -> Value {
    let data = ["code", "code_expires_at", "by"].into_iter().fold(data, with_null);
    with(data, "phone_numbers", Value::Array(Vec::new()))
}

fn changed_for_good(data: Value) -> Value {
    let data = ["old_email", "quiet_until", "undo_until"].into_iter().fold(data, with_null);
    with(data, "phone_numbers", Value::Array(Vec::new()))
}

/// No source was remembered, and nothing gave way.
fn from_nowhere(data: Value) -> Value {
    with_null(with_null(data, "source"), "replaces")
}

fn in_digits(data: Value) -> Value {
    with(elsewhere(data), "form", "digits".into())
}

fn with_null(data: Value, field: &str) -> Value {
    with(data, field, Value::Null)
}

fn with(mut data: Value, field: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.insert(field.to_owned(), value);
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
    PasswordSet => "PasswordSet", 2;
    PasswordRejected => "PasswordRejected", 1;
    SignedIn => "SignedIn", 2;
    SessionRenewed => "SessionRenewed", 1;
    DeviceRemembered => "DeviceRemembered", 1;
    DeviceForgotten => "DeviceForgotten", 1;
    SignInUnfinished => "SignInUnfinished", 1;
    SessionsCutOff => "SessionsCutOff", 1;
    SessionsEnded => "SessionsEnded", 1;
    SignedOut => "SignedOut", 1;
    SessionRevoked => "SessionRevoked", 2;
    AccessTokenIssued => "AccessTokenIssued", 2;
    AccessTokenRevoked => "AccessTokenRevoked", 2;
    VerificationStarted => "VerificationStarted", 4;
    CodeIssued => "CodeIssued", 4;
    CodeResent => "CodeResent", 4;
    CodeRejected => "CodeRejected", 3;
    MethodLocked => "MethodLocked", 2;
    MethodUnlocked => "MethodUnlocked", 2;
    SendStarted => "SendStarted", 1;
    CodeDispatched => "CodeDispatched", 1;
    CodeDelivered => "CodeDelivered", 1;
    CodeDeliveryFailed => "CodeDeliveryFailed", 1;
    SendOutcomeUnknown => "SendOutcomeUnknown", 1;
    VerificationSucceeded => "VerificationSucceeded", 3;
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
    RecoveryCodesRevoked => "RecoveryCodesRevoked", 2;
    TwoFactorResetRequested => "TwoFactorResetRequested", 1;
    TwoFactorReset => "TwoFactorReset", 2;
    EmailChanged => "EmailChanged", 2;
    EmailChangeUndone => "EmailChangeUndone", 1;
    ChangesFrozen => "ChangesFrozen", 1;
    ChangesUnfrozen => "ChangesUnfrozen", 1;
    AccountImported => "AccountImported", 2;
    AccountErased => "AccountErased", 1;
    FarewellOrdered => "FarewellOrdered", 1;
    RetentionApplied => "RetentionApplied", 1;
    EmailClaimed => "EmailClaimed", 1;
    EmailReleased => "EmailReleased", 2;
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
