//! The notices in English: what happened, and what to do when it was someone else.

use domain::values::{FactorKind, MethodKind};

use super::moment;
use crate::{Hand, Notice, Undo};

/// What happened, in a few words: the subject line, and the text message.
pub(super) fn title(notice: &Notice) -> &'static str {
    match notice {
        Notice::MethodEnabled { .. } => "A sign-in method was added",
        Notice::MethodDisabled { .. } => "A sign-in method was removed",
        Notice::MethodRelabelled => "A sign-in method was renamed",
        Notice::PrimaryMethodChanged => "Your primary sign-in method was changed",
        Notice::TwoFactorEnabled => "Two-factor authentication is on",
        Notice::TwoFactorDisabled => "Two-factor authentication is off",
        Notice::RecoveryCodesRegenerated => "New recovery codes were made",
        Notice::RecoveryCodeUsed { .. } => "A recovery code was used",
        Notice::MethodLocked { .. } => "A sign-in method is locked",
        Notice::WrongCodes => "Wrong codes were entered",
        Notice::WrongRecoveryCodes => "A wrong recovery code was entered",
        Notice::AccountLocked => "Codes are stopped for your account",
        Notice::SignInUnfinished => "Someone entered your password",
        Notice::NewPlace { .. } => "A sign-in from a new place",
        Notice::AccessTokenIssued { .. } => "An access token was made",
        Notice::Unlocked { .. } => "Support unlocked your account",
        Notice::SessionsEnded { .. } => "Support ended your sessions",
        Notice::ResetRequested { .. } => "Support was asked to reset your second factors",
        Notice::TwoFactorReset { .. } => "Support reset your second factors",
        Notice::PasswordChanged => "Your password was changed",
        Notice::PasswordReset => "Your password was reset",
        Notice::EmailChangedFrom { .. } | Notice::EmailChangedTo => "Your email address was changed",
        Notice::EmailChangeUndone | Notice::EmailChangeUndoneFrom => "The change of your email address was undone",
        Notice::ChangesFrozen { .. } => "Changes to your account are stopped",
        Notice::ChangesUnfrozen => "Changes to your account are possible again",
        Notice::AccountErased => "Your account was deleted",
    }
}

/// What happened, in full.
#[expect(clippy::too_many_lines, reason = "one arm per notice, so that none can be forgotten")]
pub(super) fn happened(notice: &Notice, issuer: &str) -> String {
    match notice {
        Notice::MethodEnabled { kind, by } => {
            format!("{} was added to your account{}.", method(*kind), with(*by))
        }
        Notice::MethodDisabled { kind } => format!("{} was removed from your account.", method(*kind)),
        Notice::MethodRelabelled => "A sign-in method of your account has another name.".to_owned(),
        Notice::PrimaryMethodChanged => {
            "Another sign-in method is the primary one of your account: it is offered first.".to_owned()
        }
        Notice::TwoFactorEnabled => {
            "Two-factor authentication was turned on for your account. Signing in asks for a second factor from now on. \
             Keep your recovery codes in a safe place: each of them signs you in once when your phone is lost."
                .to_owned()
        }
        Notice::TwoFactorDisabled => {
            "Two-factor authentication was turned off for your account. Your recovery codes no longer work.".to_owned()
        }
        Notice::RecoveryCodesRegenerated => {
            "New recovery codes were made for your account. All earlier ones no longer work.".to_owned()
        }
        Notice::RecoveryCodeUsed { remaining } => {
            let left = match remaining {
                0 => "No code is left: make new ones now".to_owned(),
                1 => "1 code is left: make new ones soon".to_owned(),
                n => format!("{n} codes are left"),
            };
            format!("A recovery code of your account was used. It does not work again. {left}.")
        }
        Notice::MethodLocked { kind, locked_until } => format!(
            "Too many wrong codes were entered, so {} cannot be used until {}. Other methods still work.",
            factor(*kind),
            moment(*locked_until)
        ),
        Notice::WrongCodes => {
            "Several wrong codes in a row were entered for your account. You are told of this once a day at most."
                .to_owned()
        }
        Notice::WrongRecoveryCodes => {
            "A wrong recovery code was entered for your account. You are told of this once a day at most.".to_owned()
        }
        Notice::AccountLocked => {
            "Very many wrong codes were entered in a row, so codes from your authenticator app, by text message and by \
             email are stopped where they came from. A recovery code still signs you in and ends the stop; so can \
             support."
                .to_owned()
        }
        Notice::SignInUnfinished => {
            "Someone entered the right password of your account, and no second factor after it. Nobody was signed in. \
             You are told of this once a day at most."
                .to_owned()
        }
        Notice::NewPlace { from } => {
            let from = from.as_ref().map_or_else(String::new, |from| format!(" The sign-in came from {from}."));
            format!(
                "Someone signed in to your account from a network and a device that were not used with it before.{from}"
            )
        }
        Notice::AccessTokenIssued { expires_at } => format!(
            "An access token was made for your account. Until {} it stands for your password.",
            moment(*expires_at)
        ),
        Notice::Unlocked { reason } => format!("Support lifted the lock on your account.{}", because(reason.as_deref())),
        Notice::SessionsEnded { reason } => format!(
            "Support ended all sessions and access tokens of your account: sign in again where you need it. Your \
             password and sign-in methods are as they were.{}",
            because(reason.as_deref())
        ),
        Notice::ResetRequested { reason, expires_at } => format!(
            "Support was asked to remove all second factors from your account. Nothing is changed yet: another person \
             has to approve it until {}.{}",
            moment(*expires_at),
            because(reason.as_deref())
        ),
        Notice::TwoFactorReset { reason } => format!(
            "Support removed all second factors and recovery codes from your account and ended all its sessions.{} \
             Until you set up a second factor again, signing in takes your password and the recovery code that \
             support hands to you.",
            because(reason.as_deref())
        ),
        Notice::PasswordChanged => {
            "A new password was set for your account. Your other sessions were ended.".to_owned()
        }
        Notice::PasswordReset => {
            "The password of your account was reset with a code by email. Your sessions were ended.".to_owned()
        }
        Notice::EmailChangedFrom { undo } => {
            let last = "The email address of your account was changed. This is the last mail to this address; later ones \
                        go to the new one.";
            match undo {
                None => last.to_owned(),
                Some(undo) => format!("{last}\n\n{}", way_back(undo, issuer)),
            }
        }
        Notice::EmailChangedTo => {
            "The email address of your account was changed to this one. Later mails come here.".to_owned()
        }
        Notice::EmailChangeUndone => {
            "A change of your email address was undone. This address, the password, the sign-in methods and the recovery \
             codes of before are your account's again. Everything that was signed in was ended."
                .to_owned()
        }
        Notice::EmailChangeUndoneFrom => {
            "The change of an account's email address to this one was undone. This address is not the account's any more."
                .to_owned()
        }
        Notice::ChangesFrozen { until } => format!(
            "Someone used the mail about the change of your email address to stop changes to your account until {}. \
             Signing in works as before.",
            moment(*until)
        ),
        Notice::ChangesUnfrozen => {
            "Changes to your account were stopped, and are possible again: your password, a sign-in method and a code to \
             your address were shown."
                .to_owned()
        }
        Notice::AccountErased => {
            "Your account was deleted. What was known of you cannot be read any more, this address with it. This is the \
             last mail."
                .to_owned()
        }
    }
}

/// What to do when it was someone else.
pub(super) fn unasked(notice: &Notice, issuer: &str) -> String {
    match notice {
        Notice::MethodEnabled { .. } | Notice::TwoFactorEnabled => format!(
            "If this was not you, sign in to {issuer}, remove the method, change your password and end the sessions you \
             do not know. If you cannot sign in, use a recovery code or ask support at once."
        ),
        Notice::MethodDisabled { .. } | Notice::TwoFactorDisabled | Notice::RecoveryCodesRegenerated => format!(
            "If this was not you, sign in to {issuer}, change your password, end the sessions you do not know and set \
             up your second factors again. If you cannot sign in, ask support at once."
        ),
        Notice::MethodRelabelled | Notice::PrimaryMethodChanged | Notice::NewPlace { .. } => format!(
            "If this was not you, sign in to {issuer}, change your password, end the sessions you do not know and check \
             your sign-in methods."
        ),
        Notice::AccessTokenIssued { .. } => format!(
            "If this was not you, sign in to {issuer}, end the access token, change your password and end the sessions \
             you do not know."
        ),
        Notice::RecoveryCodeUsed { .. } => format!(
            "If this was not you, someone has your password and your recovery codes: sign in to {issuer}, change your \
             password, make new recovery codes and end the sessions you do not know."
        ),
        Notice::WrongCodes | Notice::WrongRecoveryCodes | Notice::MethodLocked { .. } | Notice::AccountLocked => {
            format!(
                "If this was not you, someone may know your password: change it at {issuer}. Never share a code with anyone."
            )
        }
        Notice::SignInUnfinished => format!(
            "If this was not you, someone knows your password: change it at {issuer} now. Never share a code with anyone."
        ),
        Notice::Unlocked { .. }
        | Notice::SessionsEnded { .. }
        | Notice::ResetRequested { .. }
        | Notice::TwoFactorReset { .. } => {
            format!("If you did not ask support for this, tell support of {issuer} at once, and change your password.")
        }
        Notice::PasswordChanged | Notice::PasswordReset => format!(
            "If this was not you, reset your password on the sign-in page of {issuer} now and check your sign-in methods."
        ),
        Notice::EmailChangedFrom { undo: Some(_) } => format!(
            "If this was not you, take the change back as described above, and tell support of {issuer} at once."
        ),
        Notice::EmailChangedFrom { undo: None }
        | Notice::EmailChangedTo
        | Notice::EmailChangeUndone
        | Notice::EmailChangeUndoneFrom
        | Notice::ChangesFrozen { .. }
        | Notice::ChangesUnfrozen
        | Notice::AccountErased => format!("If this was not you, ask support of {issuer} at once."),
    }
}

/// What the holder of the old address can do.
fn way_back(undo: &Undo, issuer: &str) -> String {
    format!(
        "Until {} you can take the change back. It needs this token, this address, your password of before and, if you had \
         them, a sign-in method or a recovery code of before:\n\n    {}\n\nWithout those the token can still stop all changes to \
         the account for a while. Keep it to yourself: enter it where you sign in to {issuer}, or in the application \
         that speaks to it (POST /v1/email-undos).",
        moment(undo.until),
        undo.token.expose()
    )
}

fn method(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Totp => "An authenticator app",
        MethodKind::Sms => "A phone number for text messages",
    }
}

fn with(hand: Hand) -> &'static str {
    match hand {
        Hand::Session => "",
        Hand::AccessToken => ", with an access token",
        Hand::Application => " by an application that you use it with",
    }
}

fn factor(kind: FactorKind) -> &'static str {
    match kind {
        FactorKind::Totp => "codes from your authenticator app",
        FactorKind::Sms => "codes by text message",
        FactorKind::Email => "codes by email",
        FactorKind::RecoveryCode => "recovery codes",
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" The reason given: \"{reason}\"."))
}
