//! The readable line of each event. It names no person, address, number or label: what is personal stands in
//! the event's data, sealed. The match is exhaustive, so a new event cannot be forgotten.

use std::borrow::Cow;

use domain::{
    events::{Event, HistoryAccess, RejectionReason, RevocationReason},
    values::{Aal, Channel, FactorKind, MethodKind, Purpose, Scope},
};

/// The line of an event.
#[expect(clippy::too_many_lines, reason = "one arm per event, so that none can be forgotten")]
pub fn of(event: &Event) -> Cow<'static, str> {
    match event {
        Event::AccountRegistered(e) if e.registered_by.is_some() => "Account registered by an API client".into(),
        Event::AccountRegistered(_) => "Account registered".into(),
        Event::EmailVerified(e) if e.vouched_by.is_some() => "Email address confirmed on an API client's word".into(),
        Event::EmailVerified(_) => "Email address confirmed".into(),
        Event::PasswordSet(e) if e.verification_id.is_some() => "Password reset".into(),
        Event::PasswordSet(_) => "Password set".into(),
        Event::PasswordRejected(e) => format!("Wrong password ({} in the last while)", e.count).into(),
        Event::SignedIn(e) => match e.aal {
            Aal::Aal1 => "Signed in with one factor".into(),
            Aal::Aal2 => "Signed in with two factors".into(),
        },
        Event::SessionRenewed(e) => match e.aal {
            Aal::Aal1 => "Session got another token".into(),
            Aal::Aal2 => "Session got another token, proved by two factors".into(),
        },
        Event::DeviceRemembered(_) => "Device remembered".into(),
        Event::DeviceForgotten(e) => {
            format!("{} forgotten: {}", counted(e.device_ids.len(), "device", "devices"), why(e.reason)).into()
        }
        Event::SignInUnfinished(_) => "Right password without its second factor".into(),
        Event::SessionsCutOff(e) => {
            format!("All sessions and access tokens from before {} ended, of every account", e.before).into()
        }
        Event::SessionsEnded(_) => "All sessions and access tokens ended by support".into(),
        Event::SignedOut(_) => "Signed out".into(),
        Event::SessionRevoked(e) => {
            format!("{} ended: {}", counted(e.session_ids.len(), "session", "sessions"), why(e.reason)).into()
        }
        Event::AccessTokenIssued(_) => "Access token issued".into(),
        Event::AccessTokenRevoked(e) => {
            format!("{} ended: {}", counted(e.access_token_ids.len(), "access token", "access tokens"), why(e.reason))
                .into()
        }
        Event::VerificationStarted(e) => format!("Verification started to {}", purpose(e.purpose)).into(),
        Event::CodeIssued(e) if e.automatic => {
            format!("Code ordered by itself {} to {}", channel(e.channel), purpose(e.purpose)).into()
        }
        Event::CodeIssued(e) => format!("Code ordered {} to {}", channel(e.channel), purpose(e.purpose)).into(),
        Event::CodeResent(e) => format!("Code ordered again {} to {}", channel(e.channel), purpose(e.purpose)).into(),
        Event::CodeRejected(e) => {
            let what = match e.reason {
                RejectionReason::Wrong => "Wrong code",
                RejectionReason::Replayed => "Spent code",
                RejectionReason::AddressHeld => "Code for an address that another account holds",
            };
            let drift = if e.clock_drift_steps.is_some() { "; the device's clock seems to be off" } else { "" };
            let end = match (e.account_locked, e.ended) {
                (true, _) => "; the account's cap is reached",
                (false, true) => "; that ended the attempt",
                (false, false) => "",
            };
            format!("{what} ({}) to {}{drift}{end}", factor(e.kind), purpose(e.purpose)).into()
        }
        Event::MethodLocked(e) => format!("{} locked until {}", capital(factor(e.kind)), e.locked_until).into(),
        Event::MethodUnlocked(e) if e.cap_lifted => "Locks and the account's cap lifted by support".into(),
        Event::MethodUnlocked(_) => "Locks lifted by support".into(),
        Event::SendStarted(e) => {
            format!("Message handed to {} {} (attempt {})", e.provider, channel(e.channel), e.attempt).into()
        }
        Event::CodeDispatched(e) => format!("Message taken by {} (attempt {})", e.provider, e.attempt).into(),
        Event::CodeDelivered(e) => format!("Message delivered by {} (attempt {})", e.provider, e.attempt).into(),
        Event::CodeDeliveryFailed(e) => {
            let end = if e.is_final { "; given up" } else { "" };
            format!("Message not delivered by {} (attempt {}): {}{end}", e.provider, e.attempt, e.reason).into()
        }
        Event::SendOutcomeUnknown(e) => {
            format!("Nobody knows whether {} sent the message (attempt {})", e.provider, e.attempt).into()
        }
        Event::VerificationSucceeded(e) => {
            let rest = if e.needs_second_factor { "; a second factor is still needed" } else { "" };
            format!("Verified by {} to {}{rest}", factor(e.kind), purpose(e.purpose)).into()
        }
        Event::TotpEnrollmentStarted(e) => format!("Enrolling authenticator app {}", e.method_id).into(),
        Event::SmsEnrollmentStarted(e) => format!("Enrolling phone number {} ({})", e.method_id, e.country.0).into(),
        Event::MethodEnabled(e) => {
            let primary = if e.is_primary { ", as the primary method" } else { "" };
            format!("{} {} added{primary}", capital(method(e.kind)), e.method_id).into()
        }
        Event::MethodRelabelled(e) => format!("Method {} renamed", e.method_id).into(),
        Event::PrimaryMethodChanged(e) => format!("Method {} is the primary one", e.method_id).into(),
        Event::MethodDisabled(e) => format!("{} {} removed", capital(method(e.kind)), e.method_id).into(),
        Event::TwoFactorEnabled(_) => "Two-factor authentication turned on".into(),
        Event::TwoFactorDisabled(_) => "Two-factor authentication turned off".into(),
        Event::RecoveryCodesGenerated(e) => format!("{} recovery codes generated (set {})", e.count, e.set).into(),
        Event::RecoveryCodeUsed(e) => format!("Recovery code used; {} left", e.remaining).into(),
        Event::RecoveryCodesRevoked(e) => format!("Recovery codes ended: {}", why(e.reason)).into(),
        Event::TwoFactorResetRequested(_) => "Support asked for a reset that another has to approve".into(),
        Event::TwoFactorReset(e) => {
            format!("Support removed {} and the recovery codes", counted(e.method_ids.len(), "method", "methods"))
                .into()
        }
        Event::EmailChanged(_) => "Email address changed".into(),
        Event::EmailChangeUndone(_) => "Change of the email address undone".into(),
        Event::ChangesFrozen(e) => format!("Changes stopped until {}", e.until).into(),
        Event::ChangesUnfrozen(_) => "Changes allowed again".into(),
        Event::AccountImported(e) => {
            format!("Account imported with {}", counted(e.methods.len(), "method", "methods")).into()
        }
        Event::AccountErased(_) => "Account erased".into(),
        Event::FarewellOrdered(_) => "Notice of the erasure ordered".into(),
        Event::RetentionApplied(e) => format!("Metadata before {} dropped", e.before).into(),
        Event::EmailClaimed(_) => "Email address claimed".into(),
        Event::NumbersReserved(e) => format!("{} account numbers set aside", e.count).into(),
        Event::EmailReleased(e) => format!("Email address released: {}", why(e.reason)).into(),
        Event::ApiKeyIssued(e) => {
            let scopes: Vec<&str> = e.scopes.iter().copied().map(Scope::name).collect();
            format!("API key issued for {}", scopes.join(", ")).into()
        }
        Event::ApiKeyRevoked(_) => "API key revoked".into(),
        Event::HistoryAccessed(e) => match e.access {
            HistoryAccess::Export => "History exported".into(),
            HistoryAccess::Replay => "History replayed".into(),
            HistoryAccess::State => "Past state read".into(),
            HistoryAccess::Stream => "Live history opened".into(),
            HistoryAccess::Pii => "Personal data of the history read in clear".into(),
        },
    }
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

const fn factor(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "authenticator app",
        FactorKind::Sms => "SMS",
        FactorKind::Email => "email",
        FactorKind::RecoveryCode => "recovery code",
    }
}

const fn method(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Totp => "authenticator app",
        MethodKind::Sms => "phone number",
    }
}

const fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "by SMS",
        Channel::Email => "by email",
    }
}

const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::ConfirmEmail => "confirm the address",
        Purpose::ConfirmNewEmail => "confirm the new address",
        Purpose::ChangeEmail => "change the address",
        Purpose::IssueAccessToken => "issue an access token",
        Purpose::UndoEmailChange => "take back a change of the address",
        Purpose::UnfreezeChanges => "allow changes again",
        Purpose::OpenSignIn => "try a password from a network that is refused",
        Purpose::SignIn => "sign in",
        Purpose::AddMethod => "add a method",
        Purpose::Enroll => "enroll a method",
        Purpose::DisableMethod => "remove a method",
        Purpose::RegenerateRecoveryCodes => "regenerate recovery codes",
        Purpose::EraseAccount => "erase the account",
        Purpose::ResetPassword => "reset the password",
        Purpose::StepUp => "allow an action",
        Purpose::Open => "confirm who they are",
    }
}

const fn why(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Requested => "asked for",
        RevocationReason::FactorChanged => "a factor changed",
        RevocationReason::TwoFactorEnabled => "two-factor authentication was turned on",
        RevocationReason::TwoFactorDisabled => "two-factor authentication was turned off",
        RevocationReason::Replaced => "replaced by a fresh set",
        RevocationReason::PasswordChanged => "the password changed",
        RevocationReason::EmailChanged => "the address changed",
        RevocationReason::Reset => "reset by support",
        RevocationReason::Erased => "the account was erased",
        RevocationReason::Abandoned => "the claim was abandoned",
        RevocationReason::AccessTokenEnded => "the access token that began it ended",
        RevocationReason::Undone => "a change of address was undone",
        RevocationReason::Support => "ended by support",
    }
}
