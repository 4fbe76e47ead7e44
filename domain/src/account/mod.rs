//! The rules of an account, one use case per file. Each rule reads top to bottom: who may ask, what the
//! state must be, what the limits say, what the evidence shows, what happened.
//!
//! A rule that misses a fact stops with a `Need` (`?`), and runs from the top once it is there.

mod access_tokens;
mod attempts;
mod checks;
mod codes;
mod enrollment;
mod evolve;
mod growth;
mod lifecycle;
mod methods;
mod offers;
mod password;
mod password_form;
mod proofs;
mod queries;
mod registration;
mod rejections;
mod rules;
mod sides;
mod sign_in;
mod strangers;
mod support;
mod totp;
mod undo;
mod unfinished;
mod verification;

pub use password_form::GuessedSoon;
pub use queries::{AccountSummary, Presented};
pub use strangers::{is_long_code, means_no_account, reset_asked, reset_asked_at, reset_of_nobody};
pub use totp::{TotpAttempt, TotpVerdict, totp_code};
pub use unfinished::{UNFINISHED_IS_NEWS, sign_in_begun};

use crate::{
    commands::Command,
    decision::{Context, Decider, Decision, Ruling, Stop},
    events::Event,
    evidence::{Evidence, Need},
    state::{Account, Phase},
    time::Timestamp,
    values::Purpose,
};
use rules::Rules;

impl Decider for Account {
    type Command = Command;

    fn decide(&self, command: &Command, context: &Context<'_>, evidence: &Evidence) -> Result<Decision, Need> {
        match rule(Rules { state: self, context, evidence }, command) {
            Ok(decision) => Ok(decision),
            Err(Stop::Refused(refusal)) => Ok(Decision::refuse(refusal)),
            Err(Stop::Needs(need)) => Err(need),
        }
    }

    fn is_erased(&self) -> bool {
        self.phase == Phase::Erased
    }

    fn evolve(self, event: &Event, at: Timestamp) -> Self {
        evolve::evolve(self, event, at)
    }
}

fn rule(rules: Rules<'_>, command: &Command) -> Ruling {
    match command {
        Command::RegisterAccount { account_id, email, password, vouch_for_email } => {
            rules.register(*account_id, email, password.as_ref(), *vouch_for_email)
        }
        Command::VerifyEmail { code } => rules.verify_email(code),
        Command::ResendEmailCode => rules.resend_email_code(),
        Command::ChangeEmail { email, password, verification_id } => {
            rules.change_email(email, password.as_ref(), *verification_id)
        }
        Command::UndoEmailChange { link, confirmation, password, factor } => {
            rules.undo_email_change(link, confirmation, password, factor.as_ref())
        }
        Command::SendUndoCode { link, method_id } => rules.send_undo_code(link, *method_id),
        Command::FreezeChanges { link } => rules.freeze_changes(link),
        Command::UnfreezeChanges { verification_id } => rules.unfreeze_changes(*verification_id),
        Command::SetPassword { current, new } => rules.set_password(current.as_ref(), new),
        Command::RequestPasswordReset { verification_id } => {
            rules.mail_for_whoever_asks(Purpose::ResetPassword, *verification_id)
        }
        Command::OpenSignIn { verification_id } => rules.mail_for_whoever_asks(Purpose::OpenSignIn, *verification_id),
        Command::ResetPassword { verification_id, ticket, code, second_factor, new } => {
            rules.reset_password(*verification_id, ticket, code.as_ref(), second_factor.as_ref(), new)
        }
        Command::SignIn { password, rejections } => rules.sign_in(password.as_ref(), *rejections),
        Command::NoteUnfinishedSignIn { verification_id } => rules.note_unfinished_sign_in(*verification_id),
        Command::SignOut => rules.sign_out(),
        Command::ForgetDevice { device_id } => rules.forget_device(*device_id),
        Command::RevokeSession { session_id } => rules.revoke_session(*session_id),
        Command::EndOtherSessions => rules.end_own_other_sessions(),
        Command::EndSessions { reason } => rules.end_sessions_for_support(reason),
        Command::IssueAccessToken { name, verification_id } => rules.issue_access_token(name, *verification_id),
        Command::RevokeAccessToken { access_token_id } => rules.revoke_access_token(*access_token_id),
        Command::StartVerification { purpose, action, target, password } => {
            rules.start_verification(*purpose, action.as_ref(), *target, password.as_ref())
        }
        Command::StartCheck { purpose, kind, method_id } => rules.start_check(*purpose, *kind, *method_id),
        Command::CheckAndAct { check, act } => rules.check_and_act(check, *act),
        Command::SendCode { verification_id, channel, method_id } => {
            rules.send_code(*verification_id, *channel, *method_id)
        }
        Command::ResendCode { verification_id, channel, method_id } => {
            rules.resend_code(*verification_id, *channel, *method_id)
        }
        Command::ResendEnrollmentCode { method_id } => rules.resend_enrollment_code(*method_id),
        Command::SubmitCode { verification_id, kind, method_id, code } => {
            rules.submit_code(*verification_id, *kind, *method_id, code)
        }
        Command::UseRecoveryCode { verification_id, code } => rules.use_recovery_code(*verification_id, code),
        Command::StartTotpEnrollment => rules.start_totp_enrollment(),
        Command::StartSmsEnrollment { phone_number } => rules.start_sms_enrollment(phone_number),
        Command::EnableMethod { method_id, code, label, raises_session } => {
            rules.enable_method(*method_id, code, label.as_ref(), *raises_session)
        }
        Command::OfferTotpKey => rules.offer_totp_key(),
        Command::EnableOfferedTotp { secret, code, label } => rules.enable_offered_totp(secret, code, label.as_ref()),
        Command::ChangeMethod { method_id, label, make_primary } => {
            rules.change_method(*method_id, label.as_ref(), *make_primary)
        }
        Command::DisableMethod { method_id, verification_id } => rules.disable_method(*method_id, *verification_id),
        Command::RegenerateRecoveryCodes { verification_id } => rules.regenerate_recovery_codes(*verification_id),
        Command::UnlockMethod { kind, reason } => rules.unlock(*kind, reason),
        Command::ResetTwoFactor { reason } => rules.reset_two_factor(reason),
        Command::ImportAccount { import } => rules.import_account(import),
        Command::EraseAccount { verification_id } => rules.erase_account(*verification_id),
    }
}
