//! A forgotten password, without saying which addresses have an account.
//!
//! Whoever asks for a reset gets a ticket, and nothing of it is kept: its id says when it was asked for, its secret is
//! derived from the id, and it names its account in disguise (a keyed permutation of the id), for what it names must
//! look the same whether there is an account or not. Each asker's wrong codes are counted for their own ticket, by the
//! limiter. So the answers of an address that nobody holds are those of any other by construction, whichever process
//! gives them.

use domain::{
    account::{Presented, means_no_account, reset_asked, reset_asked_at, reset_of_nobody},
    commands::{Command, SecondFactor},
    ids::{AccountId, MethodId, VerificationId},
    limits,
    outcome::{Outcome, Refusal},
    secret::{SecretText, TokenHash, TokenSecret},
    state::{Account, Progress},
    values::{Caller, Channel, EmailAddress, EnteredCode, Purpose},
};
use event_store::port::KeptAnswer;
use schemas::envelope::Position;
use uuid::Uuid;

use crate::{Engine, ExecuteError, Executed, Request, execute::Manner, sign_in::nowhere};

/// What a reset's token says: the account in disguise, the verification, the secret.
#[derive(Debug, Clone)]
pub struct ResetTicket {
    /// As [`Engine::request_password_reset`] returned it.
    pub handle: Uuid,
    /// The verification.
    pub verification_id: VerificationId,
    /// Its secret.
    pub secret: TokenSecret,
}

/// What is presented to finish a reset.
#[derive(Debug, Clone)]
pub struct ResetAttempt {
    /// The code from the mail, unless an earlier call brought it.
    pub code: Option<EnteredCode>,
    /// With 2FA on, the second factor.
    pub second_factor: Option<SecondFactor>,
    /// The new password.
    pub new: SecretText,
}

impl Engine {
    /// Asks for a reset. The handle goes into the token that is handed out, in place of the account's id.
    pub async fn request_password_reset(
        &self,
        email: &EmailAddress,
        request: &Request,
    ) -> Result<(Uuid, Executed), ExecuteError> {
        let begun = self.runtime().instant();
        let answer = self.reset_requested(email, request).await;
        self.wait_for_grid(begun).await;
        answer
    }

    /// Finishes it.
    pub async fn reset_password(
        &self,
        ticket: &ResetTicket,
        attempt: ResetAttempt,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let begun = self.runtime().instant();
        let answer = self.reset_attempted(ticket, attempt, request).await;
        self.wait_for_grid(begun).await;
        answer.map(|executed| if executed.outcome.is_err() { nowhere(executed) } else { executed })
    }

    async fn reset_requested(&self, email: &EmailAddress, request: &Request) -> Result<(Uuid, Executed), ExecuteError> {
        let now = self.now();
        let charges = limits::mail(&self.policy().limits, &request.origin);
        if let Err(retry_after) = self.limiter().charge(&charges, now).await? {
            return Ok((Uuid::nil(), refused(Refusal::RateLimited { retry_after })));
        }
        let account = self.account_of(email).await?;
        let ring = self.keys().ring();
        let named = account.unwrap_or_else(|| ring.stranger(email));
        let fresh = (ring.disguised(named), VerificationId(self.runtime().entropy()?.uuid(now, "password reset")));
        let ((handle, id), replayed) = self.kept_ticket(request, fresh).await?;
        // Asked for again it is ordered again, for the first time may have ended before that: it is one mail.
        if let Some(account) = self.due_for_a_mail(account).await? {
            let command = Command::RequestPasswordReset {
                verification_id: VerificationId(self.runtime().entropy()?.uuid(now, "mail of a password reset")),
            };
            let executed = self.execute_quietly(account, &command, request).await?;
            if let Err(refusal) = executed.outcome
                && !means_no_account(&refusal)
            {
                return Err(ExecuteError::Internal(format!("a mail was refused: {refusal}")));
            }
        }
        let asked_at = id.moment().unwrap_or(now);
        let secret = ring.reset_secret(ring.revealed(handle), id);
        let started = reset_asked(id, secret, email, self.policy(), asked_at);
        let outcome = Ok(Outcome::VerificationStarted(started));
        Ok((handle, Executed { outcome, position: Position::START, replayed }))
    }

    /// The account, unless a mail with a reset's code went to it a moment ago. Asked of memory first: many who ask must
    /// not stand in the account's queue.
    async fn due_for_a_mail(&self, account: Option<AccountId>) -> Result<Option<AccountId>, ExecuteError> {
        let Some(account) = account else { return Ok(None) };
        let loaded = self.load(account).await?;
        let was_mailed = loaded.state.was_just_mailed(Purpose::ResetPassword, loaded.now(self.runtime()));
        Ok((!was_mailed).then_some(account))
    }

    /// The ticket that was given for this idempotency key, or a fresh one, and which it is. Kept beside the log for all
    /// addresses alike, since for some of them nothing is ever appended.
    async fn kept_ticket(
        &self,
        request: &Request,
        fresh: (Uuid, VerificationId),
    ) -> Result<((Uuid, VerificationId), bool), ExecuteError> {
        let Some(idempotency) = &request.idempotency else { return Ok((fresh, false)) };
        let now = self.now();
        let (handle, id) = fresh;
        let answer = KeptAnswer {
            key: idempotency.key,
            body: idempotency.body,
            answer: [*handle.as_bytes(), *id.0.as_bytes()].concat(),
            expires_at: now.plus(idempotency.lives),
        };
        let kept = self.inner.parts.answers.keep(answer, now).await?;
        if kept.body != idempotency.body {
            return Err(ExecuteError::IdempotencyConflict);
        }
        let ticket = kept.answer.split_at_checked(16).and_then(|(handle, id)| {
            Some((Uuid::from_slice(handle).ok()?, VerificationId(Uuid::from_slice(id).ok()?)))
        });
        let ticket = ticket.ok_or_else(|| ExecuteError::Internal("a kept ticket is unreadable".to_owned()))?;
        Ok((ticket, ticket != fresh))
    }

    /// A command whose answer is nobody's, on an account that nobody is told of.
    pub(crate) async fn execute_quietly(
        &self,
        account: AccountId,
        command: &Command,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let request = Request { caller: Caller::Anonymous, ..request.inner() };
        self.execute_account(account, command, &request, Manner::default()).await
    }

    /// Texts a code for the second factor of a reset, once the mailbox is proved. Before that a ticket says nothing of
    /// an account.
    pub async fn send_reset_code(
        &self,
        ticket: &ResetTicket,
        method_id: Option<MethodId>,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let (id, now) = (ticket.verification_id, self.now());
        if let Err(refusal) = reset_asked_at(id, self.policy(), now) {
            return Ok(refused(refusal));
        }
        let account = self.keys().ring().revealed(ticket.handle);
        let hash = TokenHash::of(&ticket.secret);
        let state = self.load(account).await?.state;
        let cut_off = self.cut_off().await?;
        let is_brought = state.authenticate(Presented::Verification(id), &hash, None, cut_off, now).is_some();
        if is_brought && is_half_done(&state, id) {
            let command = Command::SendCode { verification_id: id, channel: Channel::Sms, method_id };
            let request = Request { caller: Caller::Verification(id), ..request.clone() };
            return self.execute_account(account, &command, &request, Manner::default()).await;
        }
        let is_ours = TokenHash::of(&self.keys().ring().reset_secret(account, id)) == hash;
        let purpose = Purpose::ResetPassword;
        Ok(refused(if is_ours { Refusal::VerificationRequired { purpose } } else { Refusal::Unauthenticated }))
    }

    async fn reset_attempted(
        &self,
        ticket: &ResetTicket,
        attempt: ResetAttempt,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let id = ticket.verification_id;
        let now = self.now();
        if let Err(refusal) = reset_asked_at(id, self.policy(), now) {
            return Ok(refused(refusal));
        }
        let account = self.keys().ring().revealed(ticket.handle);
        let hash = TokenHash::of(&ticket.secret);
        let (state, cut_off) = (self.load(account).await?.state, self.cut_off().await?);
        let is_ours = TokenHash::of(&self.keys().ring().reset_secret(account, id)) == hash;
        if !is_ours && state.authenticate(Presented::Verification(id), &hash, None, cut_off, now).is_none() {
            return Ok(refused(Refusal::Unauthenticated));
        }
        let counted = limits::reset_attempt(self.policy(), id);
        // What was brought is not judged again; what comes after it counts for the account.
        let judges_a_mail = attempt.code.is_some() && !is_half_done(&state, id);
        let mut charges = Vec::new();
        if judges_a_mail {
            if self.limiter().count(&counted, now).await? >= counted.limit.count {
                return Ok(refused(Refusal::VerificationExpired));
            }
            charges.push(counted.clone());
            if let Err(retry_after) = self.limiter().charge(&charges, now).await? {
                return Ok(refused(Refusal::RateLimited { retry_after }));
            }
        }
        let executed = self.reset_judged(account, (id, hash), attempt, request).await?;
        if let Err(Refusal::WrongCode { fail_count: 0, .. }) = executed.outcome {
            // Counted when it is wrong, and never in the way of a right one: who shares the source must not use up what
            // its owner reads in the mailbox.
            let of_source = limits::long_code_attempt(&self.policy().limits, &request.origin);
            if let Err(retry_after) = self.limiter().charge(&of_source, now).await? {
                return Ok(refused(Refusal::RateLimited { retry_after }));
            }
            let fail_count = self.limiter().count(&counted, now).await?;
            return Ok(Executed { outcome: Err(Refusal::WrongCode { fail_count, locked_until: None }), ..executed });
        }
        self.limiter().refund(&charges, now).await?;
        Ok(executed)
    }

    async fn reset_judged(
        &self,
        account: AccountId,
        (id, ticket): (VerificationId, TokenHash),
        attempt: ResetAttempt,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let ResetAttempt { code, second_factor, new } = attempt;
        let of_nobody = reset_of_nobody(code.as_ref(), &new);
        let command = Command::ResetPassword { verification_id: id, ticket, code, second_factor, new };
        let request = Request { caller: Caller::Verification(id), ..request.clone() };
        let manner = Manner { keep_no_refusal: true };
        let executed = self.execute_account(account, &command, &request, manner).await?;
        match &executed.outcome {
            Err(refusal) if means_no_account(refusal) => Ok(refused(of_nobody)),
            _ => Ok(executed),
        }
    }
}

/// Whether the right code was brought with this ticket.
fn is_half_done(state: &Account, id: VerificationId) -> bool {
    state.verifications.get(&id).is_some_and(|reset| !matches!(reset.progress, Progress::Pending { .. }))
}

fn refused(refusal: Refusal) -> Executed {
    Executed { outcome: Err(refusal), position: Position::START, replayed: false }
}
