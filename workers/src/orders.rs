//! Which events order a message, and what they order. Pure.

use domain::{
    events::Event,
    personal::Personal,
    values::{FactorKind, FreeText},
};
use messages::Notice;

/// Stored types of the events that order a code.
pub const CODE_ORDERS: [&str; 2] = ["CodeIssued", "CodeResent"];

/// Stored types of the events that may order a notice; [`noticed`] says which of them do.
pub const NOTICE_ORDERS: [&str; 12] = [
    "PasswordSet",
    "CodeRejected",
    "MethodLocked",
    "MethodUnlocked",
    "MethodEnabled",
    "MethodDisabled",
    "TwoFactorEnabled",
    "TwoFactorDisabled",
    "RecoveryCodesGenerated",
    "RecoveryCodeUsed",
    "TwoFactorReset",
    "EmailChanged",
];

/// The notice that an event orders. The match names every event, so that a new one has to say.
///
/// What always comes with another noticed event stays silent: the first set of recovery codes with
/// `TwoFactorEnabled`, revoked codes with `TwoFactorDisabled` or `TwoFactorReset`, ended sessions with what
/// ended them. The cap is noticed where it is reached: wrong codes that count toward nothing (recovery codes,
/// enrollments) carry the flag too, and do not repeat it.
/// A label or the choice of the primary method changes no factor. An erased account has no address left.
pub fn noticed(event: &Event) -> Option<Notice> {
    let said = |reason: &Personal<FreeText>| reason.known().map(|reason| reason.as_str().to_owned());
    Some(match event {
        Event::PasswordSet(e) if e.verification_id.is_some() => Notice::PasswordReset,
        Event::PasswordSet(_) => Notice::PasswordChanged,
        Event::CodeRejected(e) if e.account_locked && e.kind_failures > 0 && e.kind != FactorKind::RecoveryCode => {
            Notice::AccountLocked
        }
        Event::CodeRejected(e) if e.tell_owner && e.kind == FactorKind::RecoveryCode => Notice::WrongRecoveryCodes,
        Event::CodeRejected(e) if e.tell_owner => Notice::WrongCodes,
        Event::MethodLocked(e) => Notice::MethodLocked { kind: e.kind, locked_until: e.locked_until },
        Event::MethodUnlocked(e) => Notice::Unlocked { reason: said(&e.reason) },
        Event::MethodEnabled(e) => Notice::MethodEnabled { kind: e.kind },
        Event::MethodDisabled(e) => Notice::MethodDisabled { kind: e.kind },
        Event::TwoFactorEnabled(_) => Notice::TwoFactorEnabled,
        Event::TwoFactorDisabled(_) => Notice::TwoFactorDisabled,
        Event::RecoveryCodesGenerated(e) if e.verification_id.is_some() => Notice::RecoveryCodesRegenerated,
        Event::RecoveryCodeUsed(e) => Notice::RecoveryCodeUsed { remaining: e.remaining },
        Event::TwoFactorReset(e) => Notice::TwoFactorReset { reason: said(&e.reason) },
        Event::EmailChanged(_) => Notice::EmailChangedTo,
        Event::AccountRegistered(_)
        | Event::EmailVerified(_)
        | Event::PasswordRejected(_)
        | Event::SignedIn(_)
        | Event::SignedOut(_)
        | Event::SessionRevoked(_)
        | Event::AccessTokenIssued(_)
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
        | Event::MethodRelabelled(_)
        | Event::PrimaryMethodChanged(_)
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
        | Event::SignInUnfinished(_)
        | Event::SessionsCutOff(_)
        | Event::SessionsEnded(_)
        | Event::TwoFactorResetRequested(_)
        | Event::EmailChangeUndone(_)
        | Event::ChangesFrozen(_)
        | Event::ChangesUnfrozen(_) => return None,
    })
}
