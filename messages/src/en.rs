//! English.

use domain::{
    time::Timestamp,
    values::{FactorKind, MethodKind, Purpose},
};

use crate::{Code, Notice, Words};

/// English.
pub(crate) struct English;

impl Words for English {
    fn purpose(&self, purpose: Purpose) -> &'static str {
        match purpose {
            Purpose::ConfirmEmail => "confirm your email address",
            Purpose::ConfirmNewEmail => "confirm your new email address",
            Purpose::SignIn => "sign in",
            Purpose::AddMethod => "add a sign-in method",
            Purpose::Enroll => "add this phone number",
            Purpose::DisableMethod => "remove a sign-in method",
            Purpose::RegenerateRecoveryCodes => "make new recovery codes",
            Purpose::ChangeEmail => "change your email address",
            Purpose::UndoEmailChange => "take back the change of your email address",
            Purpose::UnfreezeChanges => "allow changes of your account again",
            Purpose::IssueAccessToken => "make an access token",
            Purpose::EraseAccount => "delete your account",
            Purpose::OpenSignIn => "sign in from where you are",
            Purpose::ResetPassword => "reset your password",
            Purpose::StepUp => "confirm an action",
            Purpose::Open => "sign in or change your sign-in methods",
        }
    }

    fn unasked_code(&self, purpose: Purpose) -> &'static str {
        match purpose {
            Purpose::ConfirmEmail => {
                "If you did not sign up, ignore this mail: without the code no account gets your address."
            }
            Purpose::ConfirmNewEmail => {
                "If you did not ask for this, ignore this mail: without the code no account gets your address."
            }
            Purpose::SignIn => {
                "If this was not you, someone knows your password: do not share the code, and change your password now."
            }
            Purpose::AddMethod
            | Purpose::Enroll
            | Purpose::DisableMethod
            | Purpose::RegenerateRecoveryCodes
            | Purpose::ChangeEmail
            | Purpose::IssueAccessToken
            | Purpose::EraseAccount
            | Purpose::UnfreezeChanges
            | Purpose::StepUp
            | Purpose::Open => {
                "If this was not you, someone is signed in as you: do not share the code, change your password and \
                 end the sessions you do not know."
            }
            Purpose::UndoEmailChange => {
                "If this was not you, someone reads the mails to your old address and knows your password: do not share \
                 the code, and ask support for help."
            }
            Purpose::OpenSignIn => "If this was not you, ignore this mail: nobody signs in with this code alone.",
            Purpose::ResetPassword => {
                "If you did not ask for this, ignore this mail: your password stays as it is without the code."
            }
        }
    }

    fn code_sms(&self, issuer: &str, code: &str, purpose: &str, minutes: u32) -> String {
        format!("{code} is your {issuer} code to {purpose}. Valid {minutes} min. Never share it.")
    }

    fn code_mail(&self, issuer: &str, code: &Code<'_>) -> (String, String) {
        let purpose = self.purpose(code.purpose);
        let action = code.action.map_or_else(String::new, |action| format!(" (\"{action}\")"));
        let body = format!(
            "Your code to {purpose}{action} at {issuer} is:\n\n    {digits}\n\nIt works once and is valid for {minutes}, \
             until {until}. Nobody at {issuer} will ever ask you for it.\n\n{unasked}\n",
            digits = code.digits.expose(),
            minutes = minutes(code.minutes()),
            until = moment(code.expires_at),
            unasked = self.unasked_code(code.purpose),
        );
        (format!("Your {issuer} code to {purpose}"), body)
    }

    fn held_address_mail(&self, issuer: &str, purpose: Purpose, at: Timestamp) -> (String, String) {
        let at = moment(at);
        let what = if purpose == Purpose::ConfirmNewEmail {
            "someone asked to move another account to this email address"
        } else {
            "someone signed up with this email address"
        };
        let body = format!(
            "On {at} {what} at {issuer}. You already have an account with it, so nothing was changed and no second \
             account was made.\n\nIf this was you, sign in to the account you have. If you forgot its password, reset \
             it on the sign-in page.\n\nIf this was not you, there is nothing to do: your account is as it was.\n"
        );
        (format!("You already have an account at {issuer}"), body)
    }

    fn notice_mail(&self, issuer: &str, notice: &Notice, at: Timestamp) -> (String, String) {
        let happened = match notice {
            Notice::MethodEnabled { kind } => format!("{} was added to your account.", method(*kind)),
            Notice::MethodDisabled { kind } => format!("{} was removed from your account.", method(*kind)),
            Notice::TwoFactorEnabled => {
                "Two-factor authentication was turned on for your account. Signing in asks for a second factor from \
                 now on. Keep your recovery codes in a safe place: each of them signs you in once when your phone is \
                 lost."
                    .to_owned()
            }
            Notice::TwoFactorDisabled => {
                "Two-factor authentication was turned off for your account. Your recovery codes no longer work."
                    .to_owned()
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
                "A wrong recovery code was entered for your account. You are told of this once a day at most."
                    .to_owned()
            }
            Notice::AccountLocked => {
                "Very many wrong codes were entered in a row, so codes from your authenticator app, by text message \
                 and by email are stopped where they came from. A recovery code still signs you in and ends the stop; so can \
                 support."
                    .to_owned()
            }
            Notice::Unlocked { reason } => {
                format!("Support lifted the lock on your account.{}", because(reason.as_deref()))
            }
            Notice::TwoFactorReset { reason } => format!(
                "Support removed all second factors and recovery codes from your account and ended all its sessions.\
                 {} Until you set up a second factor again, signing in takes your password and a code by email.",
                because(reason.as_deref())
            ),
            Notice::PasswordChanged => {
                "A new password was set for your account. Your other sessions were ended.".to_owned()
            }
            Notice::PasswordReset => {
                "The password of your account was reset with a code by email. Your sessions were ended.".to_owned()
            }
            Notice::EmailChangedFrom => {
                "The email address of your account was changed. This is the last mail to this address; later ones go \
                 to the new one."
                    .to_owned()
            }
            Notice::EmailChangedTo => {
                "The email address of your account was changed to this one. Later mails come here.".to_owned()
            }
        };
        let body = format!(
            "{happened}\n\nWhen: {at}\n\nIf this was you, there is nothing to do.\n\n{unasked}\n",
            at = moment(at),
            unasked = unasked_change(notice, issuer),
        );
        (format!("{}: {issuer}", title(notice)), body)
    }

    fn totp_prompt(&self) -> &'static str {
        "Enter the code your authenticator app shows. Wait for a new code if you just used one."
    }
}

fn title(notice: &Notice) -> &'static str {
    match notice {
        Notice::MethodEnabled { .. } => "A sign-in method was added",
        Notice::MethodDisabled { .. } => "A sign-in method was removed",
        Notice::TwoFactorEnabled => "Two-factor authentication is on",
        Notice::TwoFactorDisabled => "Two-factor authentication is off",
        Notice::RecoveryCodesRegenerated => "New recovery codes were made",
        Notice::RecoveryCodeUsed { .. } => "A recovery code was used",
        Notice::MethodLocked { .. } => "A sign-in method is locked",
        Notice::WrongCodes => "Wrong codes were entered",
        Notice::WrongRecoveryCodes => "A wrong recovery code was entered",
        Notice::AccountLocked => "Codes are stopped for your account",
        Notice::Unlocked { .. } => "Support unlocked your account",
        Notice::TwoFactorReset { .. } => "Support reset your second factors",
        Notice::PasswordChanged => "Your password was changed",
        Notice::PasswordReset => "Your password was reset",
        Notice::EmailChangedFrom | Notice::EmailChangedTo => "Your email address was changed",
    }
}

/// What to do when it was someone else.
fn unasked_change(notice: &Notice, issuer: &str) -> String {
    match notice {
        Notice::MethodEnabled { .. } | Notice::TwoFactorEnabled => format!(
            "If this was not you, sign in to {issuer}, remove the method, change your password and end the sessions you \
             do not know. If you cannot sign in, use a recovery code or ask support at once."
        ),
        Notice::MethodDisabled { .. } | Notice::TwoFactorDisabled | Notice::RecoveryCodesRegenerated => format!(
            "If this was not you, sign in to {issuer}, change your password, end the sessions you do not know and set \
             up your second factors again. If you cannot sign in, ask support at once."
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
        Notice::Unlocked { .. } | Notice::TwoFactorReset { .. } => {
            format!("If you did not ask support for this, tell support of {issuer} at once, and change your password.")
        }
        Notice::PasswordChanged | Notice::PasswordReset => format!(
            "If this was not you, reset your password on the sign-in page of {issuer} now and check your sign-in methods."
        ),
        Notice::EmailChangedFrom | Notice::EmailChangedTo => {
            format!("If this was not you, ask support of {issuer} at once.")
        }
    }
}

fn method(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Totp => "An authenticator app",
        MethodKind::Sms => "A phone number for text messages",
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

fn minutes(count: u32) -> String {
    if count == 1 { "1 minute".to_owned() } else { format!("{count} minutes") }
}

/// A moment as people read it, always in UTC and saying so: the server does not know their time zone.
fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.to_string(), |at| at.strftime("%-d %B %Y at %H:%M UTC").to_string())
}
