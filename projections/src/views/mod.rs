//! The views, one per file.

pub mod account_methods;
pub mod accounts;
pub mod adoption;
pub mod api_keys;
pub mod deliveries;
pub mod recovery_codes;
pub mod sessions;
pub mod timeline;

use domain::{
    events::{Event, VerificationSucceeded},
    ids::{AccountId, StreamId},
    values::{FactorKind, Purpose},
};
use schemas::envelope::RecordedEvent;

use crate::change::View;

/// All views.
pub static VIEWS: [&View; 8] = [
    &account_methods::VIEW,
    &accounts::VIEW,
    &adoption::VIEW,
    &api_keys::VIEW,
    &deliveries::VIEW,
    &recovery_codes::VIEW,
    &sessions::VIEW,
    &timeline::VIEW,
];

/// The account of an event in an account's stream.
fn account_of(event: &RecordedEvent) -> Option<AccountId> {
    match event.stream {
        StreamId::Account(id) => Some(id),
        _ => None,
    }
}

/// Whether a success says something about the account's factors: the mail that a forgotten password begins
/// with proves an address alone.
const fn counts(e: &VerificationSucceeded) -> bool {
    !matches!((e.purpose, e.kind), (Purpose::ResetPassword, FactorKind::Email) | (Purpose::UndoEmailChange, _))
}

/// Whether a view keeps something personal of an event (masked, sealed or hashed), so that it must be opened
/// first. All other events are read without a key.
pub(crate) const fn keeps_personal(event: &Event) -> bool {
    matches!(
        event,
        Event::AccountRegistered(_)
            | Event::AccountImported(_)
            | Event::EmailChanged(_)
            | Event::EmailChangeUndone(_)
            | Event::SmsEnrollmentStarted(_)
            | Event::MethodEnabled(_)
            | Event::MethodRelabelled(_)
            | Event::AccessTokenIssued(_)
            | Event::ApiKeyIssued(_)
    )
}

#[cfg(test)]
mod tests;
