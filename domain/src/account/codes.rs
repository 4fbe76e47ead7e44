//! Ordering one-time codes: by SMS to a method on file, by email to the account's address.

use super::rules::{Rules, invalid, readable};
use crate::{
    decision::{Decision, Ruling},
    events::{CodeIssued, CodeResent},
    ids::{MethodId, VerificationId},
    limits,
    outcome::{CodeSent, Outcome, Refusal},
    personal::Personal,
    secret::{Secret, SecretText},
    state::{AddressChange, Device, Enrollment, IssuedCode, Progress, Verification},
    time::{Seconds, Timestamp},
    values::{Challenge, Channel, CodeForm, EmailAddress, EnteredCode, MethodKind, PhoneNumber, Purpose, is_separator},
};

pub(super) fn sent(sent_to: String, expires_at: Timestamp, resend_after: Timestamp) -> CodeSent {
    CodeSent { sent_to, expires_at, resend_after }
}

/// What was entered, when it has the shape of a code of this many digits. The shape is no secret.
pub(super) fn digits(code: &EnteredCode, count: usize) -> Ruling<SecretText> {
    let entered: SecretText = Secret::new(code.expose().chars().filter(|c| !is_separator(*c)).collect());
    if entered.expose().len() == count && entered.expose().bytes().all(|b| b.is_ascii_digit()) {
        Ok(entered)
    } else {
        Err(invalid("code", &format!("must have {count} digits")).into())
    }
}

/// Where a code goes.
enum Recipient<'a> {
    Address(&'a EmailAddress),
    Number(&'a PhoneNumber, MethodId),
}

impl Recipient<'_> {
    fn masked(&self) -> String {
        match self {
            Self::Address(email) => email.masked(),
            Self::Number(number, _) => number.masked(),
        }
    }
    fn to(&self) -> Personal<String> {
        Personal::Known(match self {
            Self::Address(email) => email.as_str().to_owned(),
            Self::Number(number, _) => number.as_str().to_owned(),
        })
    }
}

impl Rules<'_> {
    pub(super) fn send_code(&self, id: VerificationId, channel: Channel, method_id: Option<MethodId>) -> Ruling {
        let verification = self.driven(id)?;
        self.open(verification)?;
        self.send(id, verification, channel, method_id)
    }

    pub(super) fn resend_code(
        &self,
        id: VerificationId,
        channel: Option<Channel>,
        method_id: Option<MethodId>,
    ) -> Ruling {
        let verification = self.driven(id)?;
        self.open(verification)?;
        let last = verification
            .codes
            .iter()
            .filter(|code| channel.is_none_or(|channel| channel == code.challenge.channel))
            .filter(|code| method_id.is_none() || method_id == code.challenge.method_id)
            .filter(|code| code.challenge.channel == Channel::Sms || self.email_offered(verification))
            .max_by_key(|code| code.sent_at)
            .ok_or_else(|| invalid("channel", "no code was sent yet: ask for one first"))?;
        self.send(id, verification, last.challenge.channel, last.challenge.method_id)
    }

    /// The one path by which a verification's code is ordered, the first time or again.
    pub(super) fn send(
        &self,
        id: VerificationId,
        verification: &Verification,
        channel: Channel,
        method_id: Option<MethodId>,
    ) -> Ruling {
        let recipient = self.recipient(verification, channel, method_id)?;
        if let Recipient::Number(number, _) = recipient {
            self.country_is_texted(number, "channel")?;
        }
        if verification.attempts.is_none() || matches!(verification.progress, Progress::HalfDone { .. }) {
            self.not_locked(channel.factor(), self.side(verification.started_by))?;
        }
        let method_id = match recipient {
            Recipient::Address(_) => None,
            Recipient::Number(_, method_id) => Some(method_id),
        };
        let last = last_code(&verification.codes, channel, method_id);
        self.not_too_soon(last)?;
        let policy = self.context.policy;
        self.sends_left(verification)?;
        match &recipient {
            Recipient::Number(number, _) => {
                self.account_may_send()?;
                self.allowed(limits::text(&policy.limits, number, self.context.origin))?;
            }
            Recipient::Address(email) => {
                if verification.purpose.counts_as_send_of_the_account() {
                    self.account_may_send()?;
                }
                self.allowed(match verification.purpose {
                    Purpose::ConfirmEmail | Purpose::ConfirmNewEmail | Purpose::ResetPassword => {
                        limits::confirmation_mail(&policy.limits, email, self.context.origin)
                    }
                    _ => limits::mail(&policy.limits, self.context.origin),
                })?;
            }
        }
        let challenge = Challenge { verification_id: id, purpose: verification.purpose, channel, method_id, issue: 0 };
        Ok(self.order(challenge, last, &recipient))
    }

    /// Sends per verification.
    pub(super) fn sends_left(&self, verification: &Verification) -> Ruling<()> {
        if verification.sends < self.context.policy.sends_per_verification {
            return Ok(());
        }
        let (Progress::Pending { expires_at } | Progress::HalfDone { expires_at }) = verification.progress else {
            return Err(Refusal::VerificationExpired.into());
        };
        Err(Refusal::RateLimited { retry_after: self.until(expires_at) }.into())
    }

    /// The same code while it is valid (a late message still works), a new one afterwards.
    fn order(&self, challenge: Challenge, last: Option<&IssuedCode>, recipient: &Recipient<'_>) -> Decision {
        let resend_after = self.now().plus(self.context.policy.resend_after);
        let (country, prefix) = match recipient {
            Recipient::Address(_) => (None, None),
            Recipient::Number(number, _) => (Some(number.country()), Some(number.prefix())),
        };
        let Challenge { verification_id, purpose, channel, method_id, .. } = challenge;
        let (event, expires_at) = match last {
            Some(code) if self.now() < code.expires_at => {
                let (issue, expires_at) = (code.challenge.issue, code.expires_at);
                let to = recipient.to();
                let resent = CodeResent {
                    verification_id,
                    purpose,
                    channel,
                    method_id,
                    issue,
                    to,
                    country,
                    prefix,
                    expires_at,
                    resend_after,
                };
                (resent.into(), expires_at)
            }
            _ => {
                let expires_at = self.now().plus(self.context.policy.code_lives);
                let issued = CodeIssued {
                    verification_id,
                    purpose,
                    channel,
                    method_id,
                    issue: last.map_or(1, |code| code.challenge.issue.saturating_add(1)),
                    to: recipient.to(),
                    country,
                    prefix,
                    expires_at,
                    resend_after,
                    automatic: false,
                    form: CodeForm::Digits,
                };
                (issued.into(), expires_at)
            }
        };
        Decision::accept(vec![event], Outcome::CodeSent(sent(recipient.masked(), expires_at, resend_after)))
    }

    fn recipient<'b>(
        &'b self,
        verification: &'b Verification,
        channel: Channel,
        method_id: Option<MethodId>,
    ) -> Ruling<Recipient<'b>> {
        match channel {
            Channel::Email => {
                if !self.email_offered(verification) {
                    return Err(invalid("channel", "email is not offered for this purpose").into());
                }
                Ok(Recipient::Address(match &verification.new_email {
                    Some(email) => readable(email)?,
                    None => self.email()?,
                }))
            }
            Channel::Sms => {
                if !self.state.texts_offered(verification) {
                    return Err(invalid("channel", "SMS is not offered for this purpose").into());
                }
                let id = self.method_of(MethodKind::Sms, method_id)?;
                match self.state.methods.get(&id).map(|method| &method.device) {
                    Some(Device::Sms { phone_number, .. }) => Ok(Recipient::Number(readable(phone_number)?, id)),
                    _ => Err(Refusal::NotFound.into()),
                }
            }
        }
    }

    /// The method that is meant: with several of a kind its number must be said.
    pub(super) fn method_of(&self, kind: MethodKind, method_id: Option<MethodId>) -> Ruling<MethodId> {
        let mut of_kind = self.state.methods.iter().filter(|(_, method)| method.kind() == kind).map(|(id, _)| *id);
        match (method_id, of_kind.next(), of_kind.next()) {
            (_, None, _) => Err(invalid("method", "the account has no method of this kind").into()),
            (Some(id), _, _) if self.state.methods.get(&id).is_some_and(|method| method.kind() == kind) => Ok(id),
            (Some(_), _, _) => Err(invalid("method_id", "is no method of this kind").into()),
            (None, Some(only), None) => Ok(only),
            (None, _, _) => {
                Err(invalid("method_id", "is required: the account has several methods of this kind").into())
            }
        }
    }

    pub(super) fn not_too_soon(&self, last: Option<&IssuedCode>) -> Ruling<()> {
        match last {
            Some(code) if self.now() < code.resend_after => {
                Err(Refusal::ResendTooSoon { retry_after: self.until(code.resend_after) }.into())
            }
            _ => Ok(()),
        }
    }

    /// No text goes to a country that policy leaves out, to a number on file no more than to a new one: a country
    /// is blocked because texts to it cost, or are stolen from, whoever sends them.
    fn country_is_texted(&self, number: &PhoneNumber, field: &str) -> Ruling<()> {
        if self.context.policy.texts_to(number) {
            return Ok(());
        }
        Err(invalid(field, "is of a country that no texts are sent to: choose another number or method").into())
    }

    /// Sends per account and hour.
    pub(super) fn account_may_send(&self) -> Ruling<()> {
        let window = Seconds::hours(1);
        let mut recent: Vec<Timestamp> =
            self.state.sends.iter().map(|send| send.at).filter(|at| self.now() < at.plus(window)).collect();
        recent.sort_unstable();
        let most = self.context.policy.sends_per_account_hour as usize;
        if recent.len() < most {
            return Ok(());
        }
        let first_to_leave = recent.get(recent.len() - most).copied().unwrap_or(self.now());
        Err(Refusal::RateLimited { retry_after: self.until(first_to_leave.plus(window)) }.into())
    }

    /// The last code that was sent this way, while it is valid.
    pub(super) fn valid_code<'b>(
        &self,
        codes: &'b [IssuedCode],
        channel: Channel,
        method_id: Option<MethodId>,
    ) -> Ruling<&'b IssuedCode> {
        let code = last_code(codes, channel, method_id).ok_or(Refusal::NoCodeSent)?;
        if self.now() < code.expires_at { Ok(code) } else { Err(Refusal::CodeExpired.into()) }
    }

    /// The first code of an email verification, ordered with its start.
    pub(super) fn first_mail(
        &self,
        verification_id: VerificationId,
        purpose: Purpose,
        to: &EmailAddress,
        automatic: bool,
    ) -> CodeIssued {
        let policy = self.context.policy;
        CodeIssued {
            verification_id,
            purpose,
            channel: Channel::Email,
            method_id: None,
            issue: 1,
            to: Personal::Known(to.as_str().to_owned()),
            country: None,
            prefix: None,
            expires_at: self.now().plus(policy.code_lives),
            resend_after: self.now().plus(policy.resend_after),
            automatic,
            form: CodeForm::Digits,
        }
    }

    /// A code to a number of before a change of address, for its undo. What the account sent since does not count:
    /// whoever took it must not be able to use that up.
    pub(super) fn text_for_undo(&self, change: &AddressChange, method_id: Option<MethodId>) -> Ruling {
        let id = self.method_of(MethodKind::Sms, method_id)?;
        let Some(Device::Sms { phone_number: Personal::Known(number), .. }) =
            self.state.methods.get(&id).map(|method| &method.device)
        else {
            return Err(Refusal::NotFound.into());
        };
        self.country_is_texted(number, "method_id")?;
        let last = last_code(&change.codes, Channel::Sms, Some(id));
        self.not_too_soon(last)?;
        self.allowed(limits::text(&self.context.policy.limits, number, self.context.origin))?;
        let challenge = Challenge {
            verification_id: change.id,
            purpose: Purpose::UndoEmailChange,
            channel: Channel::Sms,
            method_id: Some(id),
            issue: 0,
        };
        Ok(self.order(challenge, last, &Recipient::Number(number, id)))
    }

    /// The code of a number that is being enrolled, the first time or again.
    pub(super) fn send_enrollment_code(
        &self,
        method_id: MethodId,
        verification_id: VerificationId,
        number: &PhoneNumber,
        enrollment: Option<&Enrollment>,
    ) -> Ruling<Decision> {
        self.country_is_texted(number, "phone_number")?;
        let last = enrollment.and_then(|e| last_code(&e.codes, Channel::Sms, Some(method_id)));
        self.not_too_soon(last)?;
        if let Some(enrollment) = enrollment {
            let sends = self.state.sends.iter().filter(|send| send.method_id == Some(method_id)).count();
            if sends >= self.context.policy.sends_per_verification as usize {
                return Err(Refusal::RateLimited { retry_after: self.until(enrollment.expires_at) }.into());
            }
        }
        self.account_may_send()?;
        self.may_text_a_new_number(number)?;
        self.allowed(limits::text(&self.context.policy.limits, number, self.context.origin))?;
        let challenge = Challenge {
            verification_id,
            purpose: Purpose::Enroll,
            channel: Channel::Sms,
            method_id: Some(method_id),
            issue: 0,
        };
        Ok(self.order(challenge, last, &Recipient::Number(number, method_id)))
    }
}

impl Purpose {
    /// Whether a mail for it is one of the account's sends. What a stranger may ask for is sent once in a while instead,
    /// and takes nothing from the account's own sends.
    pub(super) const fn counts_as_send_of_the_account(self) -> bool {
        !matches!(self, Self::ConfirmEmail | Self::ResetPassword | Self::OpenSignIn)
    }
}

pub(super) fn last_code(codes: &[IssuedCode], channel: Channel, method_id: Option<MethodId>) -> Option<&IssuedCode> {
    codes
        .iter()
        .filter(|code| code.challenge.channel == channel && code.challenge.method_id == method_id)
        .max_by_key(|code| code.challenge.issue)
}
