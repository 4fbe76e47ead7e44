//! A forgotten password, without saying which addresses have an account.
//!
//! For an address that nobody holds, the same rules judge a made-up account: its answers have the shape,
//! the counts and the times of a real one by construction, and nothing is appended. It is made up anew at
//! every call from the ticket alone; only its wrong codes are counted, by the limiter.
//!
//! A ticket names its account in disguise (a keyed permutation of the id), for what it names must look the
//! same whether there is an account or not.

use domain::{
    account::Presented,
    commands::{Command, SecondFactor},
    decision::{Context, Decider},
    entropy::Entropy,
    events::{AccountRegistered, CodeRejected, EmailVerified, Event, RejectionReason},
    evidence::{Evidence, Fact, Need},
    ids::{AccountId, StreamId, VerificationId},
    limits::{Charge, LimitName},
    outcome::{Outcome, Refusal, StartedVerification},
    personal::Personal,
    policy::Limit,
    secret::{SecretText, TokenHash, TokenSecret, to_hex},
    state::Account,
    time::{Seconds, Timestamp},
    values::{Caller, EmailAddress, EnteredCode, FactorKind, Purpose},
};
use schemas::envelope::Position;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Engine, ExecuteError, Executed, Loaded, Request,
    execute::Manner,
    sign_in::{nowhere, wait_for_grid},
};

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
        let begun = Instant::now();
        let answer = self.reset_requested(email, request).await;
        wait_for_grid(begun).await;
        answer
    }

    /// Finishes it.
    pub async fn reset_password(
        &self,
        ticket: &ResetTicket,
        attempt: ResetAttempt,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let begun = Instant::now();
        let answer = self.reset_attempted(ticket, attempt, request).await;
        wait_for_grid(begun).await;
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
        let id = VerificationId(vault::random_entropy()?.uuid(now, "password reset"));
        let command = Command::RequestPasswordReset { verification_id: id };
        if let Some(account) = account {
            let manner = Manner { keep_no_refusal: true };
            let mut executed = self.execute_account(account, &command, request, manner).await?;
            match &mut executed.outcome {
                // As entered: the account may spell its address otherwise.
                Ok(Outcome::VerificationStarted(started)) => mask(started, email),
                Err(Refusal::NotFound | Refusal::EmailNotVerified) => {
                    return self.stranger_asked(email, id, &command, request, now).await;
                }
                _ => {}
            }
            return Ok((self.disguised(account), nowhere(executed)));
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
        let hash = self.keys().ring().lookup_hash("no account", &email.canonical());
        let stranger = AccountId(first_half(&hash));
        let made_up = loaded(made_up(stranger, email.clone(), now), now);
        let (entropy, mut evidence) = (self.stranger_entropy(stranger, id), Evidence::new());
        let stream = StreamId::Account(stranger);
        let (decision, _) = self.decided(&stream, &made_up, command, request, &entropy, &mut evidence).await?;
        let executed = Executed { outcome: decision.outcome, position: Position::START, replayed: false };
        let handle = self.disguised(stranger);
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
        let Some(asked_at) = asked_at(id) else { return Ok(refused(Refusal::Unauthenticated)) };
        let now = self.now();
        // The id says when it ends. An account forgets ended ones in its own time, so it is not asked.
        if now >= asked_at.plus(self.policy().verification_lives) {
            return Ok(refused(Refusal::VerificationExpired));
        }
        let account = self.revealed(ticket.handle);
        let ResetAttempt { code, second_factor, new } = attempt;
        let command = Command::ResetPassword { verification_id: id, code, second_factor, new };
        let request = Request { caller: Caller::Verification(id), ..request.clone() };
        let hash = TokenHash::of(&ticket.secret);
        let presented = Presented::Verification(id);
        let known = self.load(account).await?;
        if known.state.authenticate(presented, &hash, None, now).is_some() {
            let manner = Manner { keep_no_refusal: true };
            return self.execute_account(account, &command, &request, manner).await;
        }

        let stream = StreamId::Account(account);
        let _turn = self.inner.sign_ins.turn(&stream).await;
        let stranger = self.stranger_who_asked(account, id, asked_at)?;
        if stranger.authenticate(presented, &hash, None, now).is_none() {
            return Ok(refused(Refusal::Unauthenticated));
        }
        let counted = self.wrong_codes(id);
        let failures = self.limiter().count(&counted, now).await?;
        let stranger = self.after_wrong_codes(stranger, id, failures, asked_at);
        let (entropy, mut evidence) = (self.stranger_entropy(account, id), Evidence::new());
        let stranger = loaded(stranger, asked_at);
        let (decision, _) = self.decided(&stream, &stranger, &command, &request, &entropy, &mut evidence).await?;
        if !decision.events.is_empty() {
            // Full it cannot be: at the limit the rules judge no more.
            let _counted = self.limiter().charge(&[counted], now).await?;
        }
        Ok(Executed { outcome: decision.outcome, position: Position::START, replayed: false })
    }

    /// The made-up account as it was after it had asked for this reset.
    fn stranger_who_asked(
        &self,
        account: AccountId,
        id: VerificationId,
        asked_at: Timestamp,
    ) -> Result<Account, ExecuteError> {
        // Nothing it answers depends on the address but the mask in the first answer.
        let address = EmailAddress::parse("nobody@example.org")
            .map_err(|error| ExecuteError::Internal(format!("a made-up address: {error}")))?;
        let state = made_up(account, address, asked_at);
        let entropy = self.stranger_entropy(account, id);
        let command = Command::RequestPasswordReset { verification_id: id };
        let mut evidence = Evidence::new();
        loop {
            let context = Context {
                now: asked_at,
                clock: asked_at,
                caller: &Caller::Anonymous,
                origin: &domain::values::Origin::default(),
                policy: self.policy(),
                entropy: &entropy,
                evidence: &evidence,
            };
            match state.prepare(&command, &context) {
                None => {
                    let events = state.decide(&command, &context).events;
                    return Ok(events.iter().fold(state, |state, event| state.evolve(event, asked_at)));
                }
                // Granted when it was asked for, or there would be no ticket.
                Some(need @ Need::Allowance(_)) => evidence.add(need, Fact::Allowance(Ok(()))),
                Some(_) => return Err(ExecuteError::Internal("a reset needs what nobody has".to_owned())),
            }
        }
    }

    fn after_wrong_codes(&self, stranger: Account, id: VerificationId, count: u32, at: Timestamp) -> Account {
        let most = self.policy().confirmation_attempts;
        (1..=count.min(most)).fold(stranger, |state, failures| {
            let rejected = CodeRejected {
                verification_id: id,
                purpose: Purpose::ResetPassword,
                kind: FactorKind::Email,
                method_id: None,
                reason: RejectionReason::Wrong,
                verification_failures: failures,
                kind_failures: 0,
                account_failures: 0,
                account_locked: false,
                ended: failures >= most,
                clock_drift_steps: None,
                side: domain::values::Side::Others,
                tell_owner: false,
            };
            state.evolve(&Event::from(rejected), at)
        })
    }

    /// Where the wrong codes of a made-up account are counted.
    fn wrong_codes(&self, id: VerificationId) -> Charge {
        let policy = self.policy();
        Charge {
            name: LimitName::ConfirmationFailuresPerAddress,
            subject: format!("password reset {id}"),
            limit: Limit {
                count: policy.confirmation_attempts,
                window: Seconds(policy.verification_lives.0.saturating_mul(2)),
            },
            refund_on_success: false,
        }
    }

    /// The same for every call with this ticket, so that its secret is known again without being kept.
    fn stranger_entropy(&self, account: AccountId, id: VerificationId) -> Entropy {
        Entropy::new(self.keys().ring().lookup_hash("password reset", &format!("{account} {id}")))
    }

    /// An account's id under a keyed permutation: four Feistel rounds of the look-up key's HMAC.
    fn disguised(&self, account: AccountId) -> Uuid {
        let (mut left, mut right) = halves(account.0);
        for round in 0..4 {
            (left, right) = (right, left ^ self.round(round, right));
        }
        joined(left, right)
    }

    fn revealed(&self, handle: Uuid) -> AccountId {
        let (mut left, mut right) = halves(handle);
        for round in (0..4).rev() {
            (left, right) = (right ^ self.round(round, left), left);
        }
        AccountId(joined(left, right))
    }

    fn round(&self, round: u8, half: u64) -> u64 {
        let hash =
            self.keys().ring().lookup_hash("account in disguise", &format!("{round} {}", to_hex(&half.to_be_bytes())));
        halves(first_half(&hash)).0
    }
}

/// Registered and confirmed, with nothing else: what an account is that lost its password.
fn made_up(account_id: AccountId, email: EmailAddress, at: Timestamp) -> Account {
    let registered = AccountRegistered {
        account_id,
        email: Personal::Known(email),
        password: None,
        registered_by: None,
        expires_at: at.plus(Seconds::days(1)),
        number: None,
    };
    let verified = EmailVerified { verification_id: None, vouched_by: None };
    Account::default().evolve(&registered.into(), at).evolve(&verified.into(), at)
}

fn loaded(state: Account, at: Timestamp) -> Loaded<Account> {
    Loaded { state: std::sync::Arc::new(state), at, ..Loaded::default() }
}

fn mask(started: &mut StartedVerification, email: &EmailAddress) {
    if let Some(sent) = &mut started.sent {
        sent.sent_to = email.masked();
    }
    for offered in &mut started.verification.methods {
        if offered.kind == FactorKind::Email && offered.hint.is_some() {
            offered.hint = Some(email.masked());
        }
    }
}

/// The moment in a `UUIDv7`.
fn asked_at(id: VerificationId) -> Option<Timestamp> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_millis(millis))
}

fn first_half(hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Uuid::from_bytes(bytes)
}

fn halves(id: Uuid) -> (u64, u64) {
    id.as_u64_pair()
}

fn joined(left: u64, right: u64) -> Uuid {
    Uuid::from_u64_pair(left, right)
}
