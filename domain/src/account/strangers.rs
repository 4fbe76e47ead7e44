//! What whoever knows an address may ask for: a code that confirms it, that resets its password, that opens a sign-in
//! to it. These codes are long, so that guesses at them need no lock and nobody can use a lock up; and a mail goes out
//! once in a while whoever asks, with a code that is good for all who asked, so that asking uses nothing up either
//! (ADR 27).

use super::{codes::sent, rules::Rules};
use crate::{
    decision::{Decision, Ruling, Stop},
    events::CodeIssued,
    evidence::{Allowance, LongCode},
    ids::VerificationId,
    limits,
    outcome::{OfferedMethod, Outcome, Refusal, StartedVerification, VerificationStatus, VerificationView},
    policy::Policy,
    secret::{SecretText, TokenSecret},
    state::{Account, Progress, Verification},
    time::Timestamp,
    values::{Challenge, CodeForm, EmailAddress, EnteredCode, FactorKind, Purpose, normalize_long_code},
};

/// Codes that confirm an address change with each of these windows: sign-ups with one address have nothing in common
/// but the address and the time.
const WINDOW: u64 = 600;
/// A code is good in its window and so many after it: 20 to 30 minutes.
const GOOD_AFTER: u32 = 2;
/// One that is so many windows older is called expired, and not wrong.
const EXPIRED_AFTER: u32 = 2;

fn window(at: Timestamp) -> u32 {
    u32::try_from(at.as_seconds() / WINDOW).unwrap_or_default()
}

fn end_of(window: u32) -> Timestamp {
    let end = u64::from(window.saturating_add(1 + GOOD_AFTER)) * WINDOW;
    Timestamp::from_seconds(end.cast_signed())
}

/// Whether this is what was entered, once that was read as people type it.
pub fn is_long_code(shown: &SecretText, entered: &SecretText) -> bool {
    // A secret's equality takes the same time wherever two differ.
    normalize_long_code(shown.expose()).is_some_and(|code| code == *entered)
}

/// What was entered, when it is shaped like a long code.
pub(super) fn entered(code: &EnteredCode) -> Ruling<SecretText> {
    let shape = || super::rules::invalid("code", "has three groups of four letters and digits");
    normalize_long_code(code.expose()).ok_or_else(|| shape().into())
}

/// The long code that comes with a reset.
pub(super) fn entered_for_a_reset(code: Option<&EnteredCode>) -> Ruling<SecretText> {
    entered(code.ok_or_else(|| super::rules::invalid("code", "is required"))?)
}

/// A wrong code of a reset. It is counted by the limiter, which knows its ticket, and is no history: who brings it
/// need not have been asked for by anybody.
pub(super) const WRONG: Refusal = Refusal::WrongCode { fail_count: 0, locked_until: None };

/// What a reset is refused with where there is no account to reset: what a wrong code would be refused with.
pub fn reset_of_nobody(code: Option<&EnteredCode>, new: &SecretText) -> Refusal {
    let refused = || -> Ruling<SecretText> {
        Rules::password_length(new)?;
        entered_for_a_reset(code)
    };
    match refused() {
        Err(Stop::Refused(refusal)) => refusal,
        Ok(_) | Err(Stop::Needs(_)) => WRONG,
    }
}

/// What whoever asked for a reset is told, whether or not there is an account and whether or not a mail went out now.
pub fn reset_asked(
    id: VerificationId,
    secret: TokenSecret,
    email: &EmailAddress,
    policy: &Policy,
    asked_at: Timestamp,
) -> StartedVerification {
    let expires_at = asked_at.plus(policy.verification_lives);
    let mail = OfferedMethod {
        kind: FactorKind::Email,
        method_id: None,
        hint: Some(email.masked()),
        default: true,
        locked_until: None,
    };
    let (status, methods) = (VerificationStatus::Pending, vec![mail]);
    let verification = VerificationView { id, purpose: Purpose::ResetPassword, status, methods, expires_at };
    let sent = sent(email.masked(), expires_at, asked_at.plus(policy.stranger_mail_every));
    StartedVerification { verification, secret, sent: Some(sent) }
}

/// When a reset was asked for: its id says so, and with that when it is over.
pub fn reset_asked_at(reset: VerificationId, policy: &Policy, now: Timestamp) -> Result<Timestamp, Refusal> {
    let asked_at = reset.moment().ok_or(Refusal::Unauthenticated)?;
    if now < asked_at.plus(policy.verification_lives) { Ok(asked_at) } else { Err(Refusal::VerificationExpired) }
}

/// Whether a refusal would tell that there is no account to sign in to or to reset: it is answered as if there were
/// none.
pub const fn means_no_account(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotFound | Refusal::EmailNotVerified)
}

impl Account {
    /// The long codes of a purpose that were mailed and are good now.
    pub fn long_codes(&self, purpose: Purpose, now: Timestamp) -> impl Iterator<Item = Challenge> {
        let codes = self.mails(purpose, now).flat_map(|(_, mail)| &mail.codes);
        codes.filter(move |code| code.form == CodeForm::Letters && now < code.expires_at).map(|code| code.challenge)
    }

    /// Whether a mail of a purpose went to its address a moment ago, so that none goes there now.
    pub fn was_just_mailed(&self, purpose: Purpose, now: Timestamp) -> bool {
        let mut codes = self.mails(purpose, now).flat_map(|(_, mail)| &mail.codes);
        codes.any(|code| code.form == CodeForm::Letters && now < code.resend_after)
    }

    fn mails(&self, purpose: Purpose, now: Timestamp) -> impl Iterator<Item = (VerificationId, &Verification)> {
        let pending = move |mail: &Verification| match mail.progress {
            Progress::Pending { expires_at } => mail.purpose == purpose && now < expires_at,
            _ => false,
        };
        self.verifications.iter().filter(move |(_, mail)| pending(mail)).map(|(id, mail)| (*id, mail))
    }
}

impl Rules<'_> {
    /// Mails a code to the account's address, unless a good one went there a moment ago. Nobody is told which.
    pub(super) fn mail_for_whoever_asks(&self, purpose: Purpose, id: VerificationId) -> Ruling {
        self.confirmed()?;
        // A new mailbox is good for a sign-in and nothing else. That it is new is nobody's business.
        if purpose == Purpose::ResetPassword && self.state.quiet_at(self.now()).is_some() {
            return Err(Refusal::NotFound.into());
        }
        if self.state.verifications.contains_key(&id) {
            return Err(Refusal::Conflict.into());
        }
        if self.state.was_just_mailed(purpose, self.now()) {
            return Ok(Decision::accept(Vec::new(), Outcome::Done));
        }
        let policy = self.context.policy;
        let resend_after = self.now().plus(policy.stranger_mail_every);
        // Whoever asks in the last moment before the next mail has as long as anybody.
        let expires_at = resend_after.plus(policy.code_lives);
        let started = self.address_check(id, purpose, None, None, expires_at);
        let mail = self.first_mail(id, purpose, self.email()?, false);
        let issued = CodeIssued { form: CodeForm::Letters, expires_at, resend_after, ..mail };
        Ok(Decision::accept(vec![started.into(), issued.into()], Outcome::Done))
    }

    /// The mail whose code was entered.
    pub(super) fn mail_of(
        &self,
        purpose: Purpose,
        entered: &SecretText,
    ) -> Ruling<Option<(VerificationId, &Verification)>> {
        for challenge in self.state.long_codes(purpose, self.now()) {
            if is_long_code(self.answer(LongCode::OfAccount(challenge))?, entered) {
                let id = challenge.verification_id;
                return Ok(self.state.verifications.get(&id).map(|mail| (id, mail)));
            }
        }
        Ok(None)
    }

    /// The mail that confirms an address, unless one went there a moment ago, for whatever sign-up: its code is good
    /// for this one too.
    pub(super) fn confirmation_mail(&self, id: VerificationId, to: &EmailAddress) -> Ruling<Option<CodeIssued>> {
        let policy = self.context.policy;
        self.allowed(limits::mail(&policy.limits, self.context.origin))?;
        if self.answer(Allowance(limits::stranger_mail(policy, to)))?.is_err() {
            return Ok(None);
        }
        let issue = window(self.now());
        Ok(Some(CodeIssued {
            issue,
            form: CodeForm::Letters,
            expires_at: end_of(issue),
            resend_after: self.now().plus(policy.stranger_mail_every),
            ..self.first_mail(id, Purpose::ConfirmEmail, to, false)
        }))
    }

    /// Whether the code is one that was mailed to the address to confirm it: for this sign-up, or for any by the clock
    /// that all of them share.
    pub(super) fn confirms(&self, check: &Verification, address: &EmailAddress, entered: &SecretText) -> Ruling<bool> {
        let clock = window(self.context.clock);
        let own = |is_good: bool| {
            let codes = check.codes.iter().filter(move |code| (self.now() < code.expires_at) == is_good);
            codes.map(|code| code.challenge.issue)
        };
        let of_ages = |ages: std::ops::RangeInclusive<u32>| ages.map(move |age| clock.saturating_sub(age));
        for window in of_ages(0..=GOOD_AFTER).chain(own(true)) {
            if self.is_of_window(address, window, entered)? {
                return Ok(true);
            }
        }
        for window in of_ages(GOOD_AFTER + 1..=GOOD_AFTER + EXPIRED_AFTER).chain(own(false)) {
            if self.is_of_window(address, window, entered)? {
                return Err(Refusal::CodeExpired.into());
            }
        }
        Ok(false)
    }

    fn is_of_window(&self, address: &EmailAddress, window: u32, entered: &SecretText) -> Ruling<bool> {
        let code = self.answer(LongCode::OfAddress { address: address.clone(), window })?;
        Ok(is_long_code(code, entered))
    }
}
