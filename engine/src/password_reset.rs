//! A forgotten password, without saying which addresses have an account.
//!
//! For an address that nobody holds, the same rules judge a made-up account: its answers have the shape,
//! the counts and the times of a real one by construction, and nothing is appended. It is made up anew at
//! every call from the ticket alone; only its wrong codes are counted, by the limiter.
//!
//! A ticket names its account in disguise (a keyed permutation of the id), for what it names must look the
//! same whether there is an account or not.

use domain::{
    account::{Presented, means_no_account, reset_asked_at},
    commands::{Command, SecondFactor},
    evidence::Evidence,
    ids::{StreamId, VerificationId},
    limits,
    outcome::{Outcome, Refusal},
    secret::{SecretText, TokenHash, TokenSecret},
    state::Account,
    time::Timestamp,
    values::{Caller, EmailAddress, EnteredCode},
};
use schemas::envelope::Position;
use uuid::Uuid;

use crate::{Engine, ExecuteError, Executed, Loaded, Request, execute::Manner, sign_in::nowhere};

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

/// An answer that was given for an address that nobody holds, kept for its idempotency key.
#[derive(Clone)]
pub(crate) struct Shadow {
    body: [u8; 32],
    handle: Uuid,
    executed: Executed,
    until: Timestamp,
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
        let address = self.stream_of(email).await?;
        let _turn = self.inner.sign_ins.turn(&address).await;
        let account = self.account_of(email).await?;
        if let Some(known) = self.replay_shadow(request)? {
            return Ok(known);
        }
        let now = self.now();
        let id = VerificationId(self.runtime().entropy()?.uuid(now, "password reset"));
        let command = Command::RequestPasswordReset { verification_id: id };
        if let Some(account) = account {
            let manner = Manner { keep_no_refusal: true };
            let mut executed = self.execute_account(account, &command, request, manner).await?;
            match &mut executed.outcome {
                // As entered: the account may spell its address otherwise.
                Ok(Outcome::VerificationStarted(started)) => started.spell_address(email),
                Err(refusal) if means_no_account(refusal) => {
                    return self.stranger_asked(email, id, &command, request, now).await;
                }
                _ => {}
            }
            return Ok((self.keys().ring().disguised(account), nowhere(executed)));
        }
        self.stranger_asked(email, id, &command, request, now).await
    }

    async fn stranger_asked(
        &self,
        email: &EmailAddress,
        id: VerificationId,
        command: &Command,
        request: &Request,
        now: Timestamp,
    ) -> Result<(Uuid, Executed), ExecuteError> {
        let ring = self.keys().ring();
        let stranger = ring.stranger(email);
        let made_up = loaded(Account::made_up(stranger, email.clone(), now), now);
        let (entropy, mut evidence) = (ring.stranger_entropy(stranger, id), Evidence::new());
        let stream = StreamId::Account(stranger);
        let (decision, _) = self.decided(&stream, &made_up, command, request, &entropy, &mut evidence).await?;
        let executed = Executed { outcome: decision.outcome, position: Position::START, replayed: false };
        let handle = ring.disguised(stranger);
        if let (Some(idempotency), Ok(_)) = (&request.idempotency, &executed.outcome) {
            let until = now.plus(idempotency.lives);
            let shadow = Shadow { body: idempotency.body, handle, executed: executed.clone(), until };
            self.inner.shadows.insert(idempotency.key, shadow);
        }
        Ok((handle, executed))
    }

    fn replay_shadow(&self, request: &Request) -> Result<Option<(Uuid, Executed)>, ExecuteError> {
        let Some(idempotency) = &request.idempotency else { return Ok(None) };
        match self.inner.shadows.get(&idempotency.key).filter(|shadow| self.now() < shadow.until) {
            None => Ok(None),
            Some(shadow) if shadow.body != idempotency.body => Err(ExecuteError::IdempotencyConflict),
            Some(shadow) => Ok(Some((shadow.handle, Executed { replayed: true, ..shadow.executed }))),
        }
    }

    async fn reset_attempted(
        &self,
        ticket: &ResetTicket,
        attempt: ResetAttempt,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let refused = |refusal| Executed { outcome: Err(refusal), position: Position::START, replayed: false };
        let id = ticket.verification_id;
        let now = self.now();
        let asked_at = match reset_asked_at(id, self.policy(), now) {
            Ok(asked_at) => asked_at,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let ring = self.keys().ring();
        let account = ring.revealed(ticket.handle);
        let ResetAttempt { code, second_factor, new } = attempt;
        let command = Command::ResetPassword { verification_id: id, code, second_factor, new };
        let request = Request { caller: Caller::Verification(id), ..request.clone() };
        let hash = TokenHash::of(&ticket.secret);
        let presented = Presented::Verification(id);
        let (known, cut_off) = (self.load(account).await?, self.cut_off().await?);
        if known.state.authenticate(presented, &hash, None, cut_off, now).is_some() {
            let manner = Manner { keep_no_refusal: true };
            return self.execute_account(account, &command, &request, manner).await;
        }

        let stream = StreamId::Account(account);
        let _turn = self.inner.sign_ins.turn(&stream).await;
        let (entropy, mut evidence) = (ring.stranger_entropy(account, id), Evidence::new());
        let after_wrong_codes =
            |count| Account::made_up_in_reset(account, id, asked_at, count, self.policy(), &entropy);
        let stranger = after_wrong_codes(0);
        if stranger.authenticate(presented, &hash, None, cut_off, now).is_none() {
            return Ok(refused(Refusal::Unauthenticated));
        }
        let counted = limits::made_up_reset(self.policy(), id);
        let failures = self.limiter().count(&counted, now).await?;
        let stranger = loaded(after_wrong_codes(failures), asked_at);
        let (decision, _) = self.decided(&stream, &stranger, &command, &request, &entropy, &mut evidence).await?;
        if !decision.events.is_empty() {
            // Full it cannot be: at the limit the rules judge no more.
            let _counted = self.limiter().charge(&[counted], now).await?;
        }
        Ok(Executed { outcome: decision.outcome, position: Position::START, replayed: false })
    }
}

fn loaded(state: Account, at: Timestamp) -> Loaded<Account> {
    Loaded { state: std::sync::Arc::new(state), at, ..Loaded::default() }
}
