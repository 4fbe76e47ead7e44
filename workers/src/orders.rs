//! Which events order a message, and what they order. Pure.

use domain::{
    events::Event,
    personal::Personal,
    values::{Actor, FactorKind, FreeText},
};
use messages::{Hand, Notice};
use schemas::envelope::Metadata;

/// Stored types of the events that order a code.
pub const CODE_ORDERS: [&str; 2] = ["CodeIssued", "CodeResent"];

/// Stored types of the events that may order a notice; [`noticed`] says which of them do.
pub const NOTICE_ORDERS: [&str; 23] = [
    "PasswordSet",
    "SignedIn",
    "SignInUnfinished",
    "SessionsEnded",
    "AccessTokenIssued",
    "CodeRejected",
    "MethodLocked",
    "MethodUnlocked",
    "MethodEnabled",
    "MethodRelabelled",
    "PrimaryMethodChanged",
    "MethodDisabled",
    "TwoFactorEnabled",
    "TwoFactorDisabled",
    "RecoveryCodesGenerated",
    "RecoveryCodeUsed",
    "TwoFactorResetRequested",
    "TwoFactorReset",
    "EmailChanged",
    "EmailChangeUndone",
    "ChangesFrozen",
    "ChangesUnfrozen",
    "FarewellOrdered",
];

/// The notice that an event orders. The match names every event, so that a new one has to say.
///
/// What always comes with another noticed event stays silent: the first set of recovery codes with
/// `TwoFactorEnabled`, revoked codes with `TwoFactorDisabled` or `TwoFactorReset`, ended sessions with what
/// ended them. The cap is noticed where it is reached: wrong codes that count toward nothing (recovery codes,
/// enrollments) carry the flag too, and do not repeat it. An erasure is noticed by its farewell: the account's own
/// stream has no address left.
pub fn noticed(event: &Event, metadata: &Metadata) -> Option<Notice> {
    let said = |reason: &Personal<FreeText>| reason.known().map(|reason| reason.as_str().to_owned());
    Some(match event {
        Event::PasswordSet(e) if e.verification_id.is_some() => Notice::PasswordReset,
        Event::PasswordSet(_) => Notice::PasswordChanged,
        Event::SignedIn(e) if e.is_new_place => {
            let source = metadata.end_user_ip.as_ref().or(metadata.ip.as_ref());
            Notice::NewPlace { from: source.and_then(Personal::known).map(ToString::to_string) }
        }
        Event::SignInUnfinished(_) => Notice::SignInUnfinished,
        Event::SessionsEnded(e) => Notice::SessionsEnded { reason: said(&e.reason) },
        Event::AccessTokenIssued(e) => Notice::AccessTokenIssued { expires_at: e.expires_at },
        Event::CodeRejected(e) if e.account_locked && e.kind_failures > 0 && e.kind != FactorKind::RecoveryCode => {
            Notice::AccountLocked
        }
        Event::CodeRejected(e) if e.tell_owner && e.kind == FactorKind::RecoveryCode => Notice::WrongRecoveryCodes,
        Event::CodeRejected(e) if e.tell_owner => Notice::WrongCodes,
        Event::MethodLocked(e) => Notice::MethodLocked { kind: e.kind, locked_until: e.locked_until },
        Event::MethodUnlocked(e) => Notice::Unlocked { reason: said(&e.reason) },
        Event::MethodEnabled(e) => Notice::MethodEnabled { kind: e.kind, by: hand(&metadata.actor) },
        Event::MethodRelabelled(_) => Notice::MethodRelabelled,
        Event::PrimaryMethodChanged(_) => Notice::PrimaryMethodChanged,
        Event::MethodDisabled(e) => Notice::MethodDisabled { kind: e.kind },
        Event::TwoFactorEnabled(_) => Notice::TwoFactorEnabled,
        Event::TwoFactorDisabled(_) => Notice::TwoFactorDisabled,
        Event::RecoveryCodesGenerated(e) if e.verification_id.is_some() => Notice::RecoveryCodesRegenerated,
        Event::RecoveryCodeUsed(e) => Notice::RecoveryCodeUsed { remaining: e.remaining },
        Event::TwoFactorResetRequested(e) => {
            Notice::ResetRequested { reason: said(&e.reason), expires_at: e.expires_at }
        }
        Event::TwoFactorReset(e) => Notice::TwoFactorReset { reason: said(&e.reason) },
        Event::EmailChanged(_) => Notice::EmailChangedTo,
        Event::EmailChangeUndone(_) => Notice::EmailChangeUndone,
        Event::ChangesFrozen(e) => Notice::ChangesFrozen { until: e.until },
        Event::ChangesUnfrozen(_) => Notice::ChangesUnfrozen,
        Event::FarewellOrdered(_) => Notice::AccountErased,
        Event::AccountRegistered(_)
        | Event::EmailVerified(_)
        | Event::PasswordRejected(_)
        | Event::SignedIn(_)
        | Event::SignedOut(_)
        | Event::SessionRevoked(_)
        | Event::AccessTokenRevoked(_)
        | Event::VerificationStarted(_)
        | Event::CodeIssued(_)
        | Event::CodeResent(_)
        | Event::CodeRejected(_)
        | Event::SendStarted(_)
        | Event::CodeDispatched(_)
        | Event::CodeDelivered(_)
        | Event::CodeDeliveryFailed(_)
        | Event::SendOutcomeUnknown(_)
        | Event::VerificationSucceeded(_)
        | Event::TotpEnrollmentStarted(_)
        | Event::SmsEnrollmentStarted(_)
        | Event::RecoveryCodesGenerated(_)
        | Event::RecoveryCodesRevoked(_)
        | Event::AccountImported(_)
        | Event::AccountErased(_)
        | Event::RetentionApplied(_)
        | Event::EmailClaimed(_)
        | Event::EmailReleased(_)
        | Event::NumbersReserved(_)
        | Event::ApiKeyIssued(_)
        | Event::ApiKeyRevoked(_)
        | Event::HistoryAccessed(_)
        | Event::SessionRenewed(_)
        | Event::DeviceRemembered(_)
        | Event::DeviceForgotten(_)
        | Event::SessionsCutOff(_) => return None,
    })
}

/// What somebody acted with.
const fn hand(actor: &Actor) -> Hand {
    match actor {
        Actor::AccessToken { .. } => Hand::AccessToken,
        Actor::ApiClient { .. } => Hand::Application,
        Actor::Anonymous | Actor::Session { .. } | Actor::Verification { .. } | Actor::Worker | Actor::Operator => {
            Hand::Session
        }
    }
}
