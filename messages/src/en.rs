//! English.

mod notices;

use domain::{time::Timestamp, values::Purpose};

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
        let body = format!(
            "{happened}\n\nWhen: {at}\n\nIf this was you, there is nothing to do.\n\n{unasked}\n",
            happened = notices::happened(notice, issuer),
            at = moment(at),
            unasked = notices::unasked(notice, issuer),
        );
        (format!("{}: {issuer}", notices::title(notice)), body)
    }

    fn notice_sms(&self, notice: &Notice, at: Timestamp) -> String {
        let (title, at) = (notices::title(notice), moment(at));
        format!("{title}, {at}. If this was not you, see your mail and tell support.")
    }

    fn totp_prompt(&self) -> &'static str {
        "Enter the code your authenticator app shows. Wait for a new code if you just used one."
    }
}

fn minutes(count: u32) -> String {
    if count == 1 { "1 minute".to_owned() } else { format!("{count} minutes") }
}

/// A moment as people read it, always in UTC and saying so: the server does not know their time zone.
fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.to_string(), |at| at.strftime("%-d %B %Y at %H:%M UTC").to_string())
}
