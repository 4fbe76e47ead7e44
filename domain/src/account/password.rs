//! Passwords: their form, changing one, a forgotten one.

use super::{
    attempts::{Judgement, Proof, proved},
    rules::{Rules, invalid, readable},
    strangers::{self, reset_asked_at},
};
use crate::{
    commands::SecondFactor,
    decision::{Decision, Ruling},
    events::{Event, PasswordSet, RevocationReason, VerificationStarted},
    ids::VerificationId,
    limits,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::{SecretText, TokenHash},
    state::{Progress, Verification},
    values::{Caller, EnteredCode, FactorKind, PasswordHash, Purpose},
};

/// How far the mailbox of a reset is proved.
enum Mailbox {
    /// By a right code, in this call or an earlier one.
    Proved {
        /// What goes on from here.
        reset: VerificationId,
        /// It, waiting for a second factor where one is needed.
        half_done: Verification,
        /// What is new.
        events: Vec<Event>,
    },
    /// The code was wrong: what to record and to tell.
    NotProved(Decision),
}

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
        self.allowed(limits::password_attempt(limits, self.email()?, &origin.network()))?;
        if self.password_matches(hash, entered)? { Ok(()) } else { Err(Refusal::WrongCredentials.into()) }
    }

    pub(super) fn reset_password(
        &self,
        id: VerificationId,
        ticket: &TokenHash,
        code: Option<&EnteredCode>,
        second_factor: Option<&SecondFactor>,
        new: &SecretText,
    ) -> Ruling {
        self.confirmed()?;
        Self::password_length(new)?;
        let needs_second = self.needs_a_second_factor();
        let (id, half_done, mut events) = match self.mailbox_of_a_reset(id, ticket, code)? {
            Mailbox::Proved { reset, half_done, events } => (reset, half_done, events),
            Mailbox::NotProved(decision) => return Ok(decision),
        };
        // Only whoever brought the right code makes us estimate anything.
        self.not_guessed_soon(new, Some(self.email()?))?;
        let mut changes_wait_until = None;
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

    /// After support's reset the mailbox is never enough alone: the code that support handed over comes with it.
    fn needs_a_second_factor(&self) -> bool {
        self.state.two_factor_since.is_some() || self.state.reset.is_some()
    }

    fn mailbox_of_a_reset(
        &self,
        id: VerificationId,
        ticket: &TokenHash,
        code: Option<&EnteredCode>,
    ) -> Ruling<Mailbox> {
        if self.state.verifications.contains_key(&id) {
            return self.mailbox_of_a_reset_under_way(id, code);
        }
        if *self.context.caller != Caller::Verification(id) {
            return Err(Refusal::NotFound.into());
        }
        let entered = strangers::entered_for_a_reset(code)?;
        let Some((mail_id, mail)) = self.mail_of(Purpose::ResetPassword, &entered)? else {
            return Err(strangers::WRONG.into());
        };
        let proof = || Proof::of(FactorKind::Email, None, self.side(None));
        let mut events = proved(mail_id, mail, proof(), self.now(), false);
        if !self.needs_a_second_factor() {
            return Ok(Mailbox::Proved { reset: mail_id, half_done: mail.clone(), events });
        }
        // The second factor may come in a call of its own. It needs this caller's proof, not anybody's who asked.
        let asked_at = reset_asked_at(id, self.context.policy, self.now())?;
        let expires_at = asked_at.plus(self.context.policy.verification_lives);
        let check = self.address_check(id, Purpose::ResetPassword, None, None, expires_at);
        let started = VerificationStarted { token_hash: *ticket, ..check };
        let mut half_done = super::evolve::started(&started, self.now());
        events.push(started.into());
        events.extend(proved(id, &half_done, proof(), expires_at, true));
        half_done.progress = Progress::HalfDone { expires_at };
        Ok(Mailbox::Proved { reset: id, half_done, events })
    }

    /// A reset whose code was brought before, or that was begun when codes had six digits.
    fn mailbox_of_a_reset_under_way(&self, id: VerificationId, code: Option<&EnteredCode>) -> Ruling<Mailbox> {
        let verification = self.driven_reset(id)?;
        self.open(verification)?;
        let mut half_done = verification.clone();
        let mut events = Vec::new();
        if let Progress::Pending { expires_at } = verification.progress {
            let code = code.ok_or_else(|| invalid("code", "is required"))?;
            match self.judge_reset_mail(id, verification, code)? {
                Judgement::Wrong(decision) => return Ok(Mailbox::NotProved(decision)),
                Judgement::Right(proof) => {
                    let needs_second = self.needs_a_second_factor();
                    let until = if needs_second { expires_at } else { self.now() };
                    events = proved(id, verification, proof, until, needs_second);
                }
            }
            half_done.progress = Progress::HalfDone { expires_at };
        }
        Ok(Mailbox::Proved { reset: id, half_done, events })
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
