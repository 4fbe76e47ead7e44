//! Passwords: their form, changing one, a forgotten one.

use super::{
    attempts::{Judgement, proved},
    rules::{Rules, invalid, readable},
};
use crate::{
    commands::SecondFactor,
    decision::{Decision, Ruling},
    events::{CodeIssued, Event, PasswordSet, RevocationReason, VerificationStarted},
    ids::VerificationId,
    limits,
    outcome::{Outcome, Refusal, StartedVerification},
    personal::Personal,
    secret::SecretText,
    state::{Progress, Verification},
    values::{Caller, EmailAddress, EnteredCode, FactorKind, PasswordHash, Purpose},
};

impl Rules<'_> {
    pub(super) fn set_password(&self, current: Option<&SecretText>, new: &SecretText) -> Ruling {
        let credential = self.owner_or_limited()?;
        self.confirmed()?;
        if self.state.two_factor_since.is_some() {
            self.strong_session()?;
        }
        self.may_change_again()?;
        Self::password_length(new)?;
        if let Some(hash) = &self.state.password {
            let hash = readable(hash)?;
            let current = current.ok_or_else(|| invalid("current_password", "is required"))?;
            self.current_password(hash, current)?;
        }
        self.not_guessed_soon(new, Some(self.email()?))?;
        let password = Personal::Known(self.password_hash(new)?);
        let mut events: Vec<Event> =
            vec![PasswordSet { password, verification_id: None, changes_wait_until: None }.into()];
        // A session that was begun with an access token ends with it; any other goes on under a new token.
        let goes_on = self.state.acting_session(Some(credential)).filter(|(_, own)| own.access_token_id.is_none());
        events.extend(
            self.end_sessions(RevocationReason::PasswordChanged, |id, _| {
                goes_on.is_none_or(|(acting, _)| acting != id)
            }),
        );
        events.extend(self.end_other_access_tokens(None, RevocationReason::PasswordChanged));
        let mut session = None;
        if let Some((acting, own)) = goes_on {
            let (renewed, told) = self.renewed(acting, own, None);
            events.push(renewed.into());
            session = Some(told);
        }
        Ok(Decision::accept(events, Outcome::PasswordSet { session }))
    }

    /// Asks for the present password; wrong ones count like those of a sign-in.
    pub(super) fn current_password(&self, hash: &PasswordHash, entered: &SecretText) -> Ruling<()> {
        let (limits, origin) = (&self.context.policy.limits, self.context.origin);
        self.allowed(limits::password_attempt(limits, self.email()?, origin, true))?;
        if self.password_matches(hash, entered)? { Ok(()) } else { Err(Refusal::WrongCredentials.into()) }
    }

    pub(super) fn request_password_reset(&self, verification_id: VerificationId) -> Ruling {
        self.confirmed()?;
        // To be answered as if there were no account: that its address is new is nobody's business.
        if self.state.quiet_at(self.now()).is_some() {
            return Err(Refusal::NotFound.into());
        }
        if self.state.verifications.contains_key(&verification_id) {
            return Err(Refusal::Conflict.into());
        }
        let email = self.email()?;
        self.allowed(limits::confirmation_mail(&self.context.policy.limits, email, self.context.origin))?;
        let (started, issued) = self.reset_asked_for(verification_id, email);
        let verification = super::evolve::started(&started, self.now());
        let outcome = StartedVerification {
            verification: self.state.view_of(
                verification_id,
                &verification,
                self.side(None),
                self.context.policy,
                self.now(),
            ),
            secret: self.context.entropy.token("verification"),
            sent: Some(super::codes::sent(email.masked(), issued.expires_at, issued.resend_after)),
        };
        Ok(Decision::accept(vec![started.into(), issued.into()], Outcome::VerificationStarted(outcome)))
    }

    /// The verification of a reset and the order of its mail.
    pub(super) fn reset_asked_for(
        &self,
        verification_id: VerificationId,
        email: &EmailAddress,
    ) -> (VerificationStarted, CodeIssued) {
        let expires_at = self.now().plus(self.context.policy.verification_lives);
        let started = self.address_check(verification_id, Purpose::ResetPassword, None, None, expires_at);
        (started, self.first_mail(verification_id, Purpose::ResetPassword, email, false))
    }

    pub(super) fn reset_password(
        &self,
        id: VerificationId,
        code: Option<&EnteredCode>,
        second_factor: Option<&SecondFactor>,
        new: &SecretText,
    ) -> Ruling {
        self.confirmed()?;
        let verification = self.driven_reset(id)?;
        self.open(verification)?;
        // Only whoever brought the right code is told what depends on the address: before that, an account
        // must not be told apart from none.
        Self::password_length(new)?;
        self.not_guessed_soon(new, None)?;
        // After support's reset the mailbox is never enough alone: the code that support handed over comes with it.
        let needs_second = self.state.two_factor_since.is_some() || self.state.reset.is_some();
        let mut events = Vec::new();
        let mut half_done = verification.clone();
        let mut changes_wait_until = None;
        if let Progress::Pending { expires_at } = verification.progress {
            let code = code.ok_or_else(|| invalid("code", "is required"))?;
            match self.judge_reset_mail(id, verification, code)? {
                Judgement::Wrong(decision) => return Ok(decision),
                Judgement::Right(proof) => {
                    let until = if needs_second { expires_at } else { self.now() };
                    events = proved(id, verification, proof, until, needs_second);
                }
            }
            half_done.progress = Progress::HalfDone { expires_at };
        }
        self.not_guessed_soon(new, Some(self.email()?))?;
        if needs_second {
            let Some(second) = second_factor else {
                let refusal = Refusal::VerificationRequired { purpose: Purpose::ResetPassword };
                return Ok(Decision::reject(events, refusal));
            };
            if second.kind == Some(FactorKind::Email) {
                return Err(invalid("method", "the second factor of a reset cannot be email").into());
            }
            match self.judge(id, &half_done, second.kind, second.method_id, &second.code)? {
                Judgement::Wrong(decision) => {
                    events.extend(decision.events);
                    return Ok(Decision { events, outcome: decision.outcome });
                }
                Judgement::Right(proof) => {
                    if proof.kind == FactorKind::Sms {
                        changes_wait_until = Some(self.now().plus(self.context.policy.changes_wait));
                    }
                    events.extend(proved(id, &half_done, proof, self.now(), false));
                }
            }
        }
        let password = Personal::Known(self.password_hash(new)?);
        events.push(PasswordSet { password, verification_id: Some(id), changes_wait_until }.into());
        events.extend(self.end_all_others(None, RevocationReason::PasswordChanged));
        Ok(Decision::accept(events, Outcome::PasswordSet { session: None }))
    }

    /// A reset is driven by the token that its request answered with, by nothing else.
    fn driven_reset(&self, id: VerificationId) -> Ruling<&Verification> {
        let verification = self.driven(id)?;
        match (self.context.caller, verification.purpose) {
            (Caller::Verification(_), Purpose::ResetPassword) => Ok(verification),
            _ => Err(Refusal::NotFound.into()),
        }
    }
}
